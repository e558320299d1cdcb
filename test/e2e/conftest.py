# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests, and which of them can run where.

    test/world/enter build /usr/bin/python3 -m pytest test/e2e                      inside, all but these two:
    /usr/bin/python3 -m pytest test/e2e/test_world.py test/e2e/test_demo.py         outside, as root
"""

import signal

import pytest
from inside import IN_WORLD

# The tests of the world and of the demo make their own, and look at the machine outside.
collect_ignore = ["test_world.py", "test_demo.py"] if IN_WORLD else ["test_harness.py"]

# A test that waits for what never comes is a failure with a place and a log, not a run that hangs.
TEST_TIMEOUT_SEC = 90


class Deadline(Exception):
    """A test took longer than TEST_TIMEOUT_SEC."""


@pytest.fixture(autouse=True)
def deadline():
    def expired(number, frame):
        raise Deadline("the test took longer than %d seconds" % TEST_TIMEOUT_SEC)

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TEST_TIMEOUT_SEC)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def world():
    """A host with Qair as installed, not started; checked and wiped at the end."""
    if not IN_WORLD:
        pytest.skip("needs a private world: test/world/enter BUILD_DIR /usr/bin/python3 -m pytest …")
    from world import World

    world = World()
    yield world
    world.close()


@pytest.fixture
def agent_world():
    """An agent on a local link, not started; its broker and callers are played."""
    from localagent import World

    world = World()
    yield world
    world.stop()


@pytest.fixture
def agent(agent_world):
    assert agent_world.start() == []
    return agent_world


@pytest.fixture(scope="module")
def syslog():
    from splitssh import SystemLog

    log = SystemLog()
    yield log
    log.close()


@pytest.fixture(scope="module")
def ssh_machine(tmp_path_factory):
    if not IN_WORLD:
        pytest.skip("needs a private world: test/world/enter BUILD_DIR /usr/bin/python3 -m pytest …")
    from sshvault import Vault

    machine = Vault(tmp_path_factory.mktemp("vault"))
    yield machine
    machine.close()


@pytest.fixture
def vault(ssh_machine):
    """Where the keys of split-ssh are: an agent, the filter before it, two sshd to log in to."""
    ssh_machine.start()
    ssh_machine.policy("key = *")
    yield ssh_machine
    ssh_machine.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the programs had to say."""
    report = (yield).get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and world is not None:
        report.sections.append(("log of the world", world.log()))
