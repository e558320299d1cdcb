# SPDX-License-Identifier: Apache-2.0
"""doc/split-gpg.md, pasted: each block by whom it is for, with a person at the terminal of `qair prompts`."""

import os
import re
import shutil

import pytest
import split_gpg
from split_gpg import run_as
from test_prompts import Terminal
from world import QAIR

DOCUMENT = os.path.join(os.path.dirname(__file__), "../../doc/split-gpg.md")

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


@pytest.fixture
def blocks():
    with open(DOCUMENT) as file:
        return re.findall(r"^```\n(.*?)^```", file.read(), re.M | re.S)


def test_pasted(world, blocks):
    root, vault, prompts, work, refused = blocks[:5]
    os.chmod("/run/test", 0o1777)
    world.start()
    done = run_as(world, "root", ["/bin/bash", "-e", "-c", root], environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 0, done
    try:
        done = run_as(world, "vault", ["/bin/bash", "-l", "-e", "-c", vault])
        assert done.returncode == 0, done
        terminal = Terminal(world, "root", *prompts.replace("qair", QAIR, 1).split())
        try:
            terminal.wait("are answered here")
            process = world.popen_as("work", ["/bin/bash", "-l", "-e", "-c", work])
            terminal.wait("qubes.Gpg")
            terminal.wait("use your GnuPG keys now and for the following 5 minutes")
            answer(terminal, process)
            out, err = process.communicate(timeout=60)
        finally:
            terminal.close()
        assert process.returncode == 0 and b"me@example.org" in out and b"Good signature" in err, (out, err)
        for line in refused.splitlines():
            done = run_as(world, "work", ["/bin/bash", "-l", "-c", line])
            assert done.returncode == 1 and "unrecognized option" in done.stderr and done.stdout == b"", done
    finally:
        split_gpg.stop_agents(world, "vault", "work")
        for account in ("vault", "work"):
            shutil.rmtree("/home/" + account)


def answer(terminal, process):
    """A question takes no answer in its first second: say it until it does."""
    while process.poll() is None and "is gone: answered" not in terminal.screen():
        terminal.type("y for 300")
