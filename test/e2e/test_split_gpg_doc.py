# SPDX-License-Identifier: Apache-2.0
"""doc/split-gpg.md, pasted: each block by whom it is for, with a person at the terminal of `qair prompts`; and the log."""

import os
import re
import shutil

import pytest
import split_gpg
from inside import IN_WORLD
from hosts import Hosts
from split_gpg import CLIENT, run_as
from test_prompts import Terminal
from world import QAIR

DOCUMENT = os.path.join(os.path.dirname(__file__), "../../doc/split-gpg.md")


@pytest.fixture
def blocks():
    with open(DOCUMENT) as file:
        return re.findall(r"^```\n(.*?)^```", file.read(), re.M | re.S)


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
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


@pytest.mark.skipif(not IN_WORLD, reason="needs a private world")
def test_log():
    """Source, operation and key of each use, and who was refused, in the system's log."""
    with Hosts("a") as (a,):
        a.add_domain("work")
        a.add_domain("vault")
        a.set_policy("qubes.Gpg * work vault allow")
        a.start()
        a.run(log_uses)
        line = a.wait_syslog("qubes.Gpg")
        assert "source work: not allowed: nobody can be asked" in line, line
        assert "source work: sign, key user@localhost" in a.wait_syslog("source work: sign")
        assert "source work: list, key \\xc3\\xa9" in a.wait_syslog("source work: list")
        assert "is 'abc', not 1 to 9 digits" in a.wait_syslog("QUBES_GPG_AUTOACCEPT")


def log_uses(host):
    environment = {"QUBES_GPG_DOMAIN": "vault"}
    run_as(host, "work", [CLIENT, "-k"], environment=environment)
    split_gpg.grant("vault", "work")
    split_gpg.make_key(host, "vault")
    run_as(host, "work", [CLIENT, "-u", "user@localhost", "-s"], b"x", environment)
    run_as(host, "work", [CLIENT, "-k", "\u00e9"], environment=environment)
    with open("/home/vault/.profile", "w") as file:
        file.write("QUBES_GPG_AUTOACCEPT=abc\n")
    run_as(host, "work", [CLIENT, "-k"], environment=environment)
    split_gpg.stop_agents(host, "vault")
