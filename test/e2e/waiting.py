# SPDX-License-Identifier: Apache-2.0
"""Waiting for what sends nobody an event."""

import time

LIMIT_SEC = 30  # for anything that ought to happen at once: it only bounds the failure


def wait_for(condition, what="it to come true", timeout=LIMIT_SEC):
    """Look a hundred times a second until CONDITION() is true. Return: what it gave. WHAT: words, or what makes them."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain for %s" % (what() if callable(what) else what)
        time.sleep(0.01)
    return result
