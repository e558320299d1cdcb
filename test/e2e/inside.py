# SPDX-License-Identifier: Apache-2.0
"""Is this the private world of test/world/enter? Not in conftest.py: there is more than one of that name."""

import os

IN_WORLD = os.environ.get("QAIR_WORLD") == "1"
