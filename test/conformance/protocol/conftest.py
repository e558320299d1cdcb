# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the end-to-end tests, for these too."""

import importlib.util
import os
import sys

E2E = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "e2e")
sys.path.insert(0, E2E)
_spec = importlib.util.spec_from_file_location("e2e_conftest", os.path.join(E2E, "conftest.py"))
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)

deadline = _conftest.deadline
world = _conftest.world
pytest_runtest_makereport = _conftest.pytest_runtest_makereport
