# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests, and which of them can run where.

    test/world/enter build /usr/bin/python3 -m pytest test/e2e      all but test_world.py
    /usr/bin/python3 -m pytest test/e2e/test_world.py               outside, as root: the private world itself
"""

import os

import pytest

IN_WORLD = os.environ.get("QAIR_WORLD") == "1"

# The tests of the world look at the machine outside, those of the harness at an inside.
collect_ignore = ["test_world.py"] if IN_WORLD else ["test_harness.py"]


@pytest.fixture
def world():
    """A host with Qair as installed, not started; checked and wiped at the end."""
    if not IN_WORLD:
        pytest.skip("needs a private world: test/world/enter BUILD_DIR /usr/bin/python3 -m pytest …")
    from world import World

    world = World()
    yield world
    world.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the programs had to say."""
    report = (yield).get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and world is not None:
        report.sections.append(("log of the world", world.log()))
