# SPDX-License-Identifier: Apache-2.0
"""doc/split-ssh.md: its ten lines, as they are written, and a `git push` after them."""

import os
import re
import shutil
import signal
import subprocess

import processes
import pytest
from splitssh import COMMAND, SplitSsh

DOC = os.path.join(os.path.dirname(__file__), "../../doc/split-ssh.md")


def documented():
    """The lines: (who, command)."""
    with open(DOC) as file:
        block = re.search(r"<!-- tested: .*? -->\n```console\n(.*?)```", file.read(), re.DOTALL).group(1)
    lines = [(line[0], line[2:]) for line in block.splitlines()]
    assert len(lines) == 10
    return lines


@pytest.fixture
def host(world):
    # Who reads it has an account, and a session of his own.
    world.add_account("alice")
    keys = SplitSsh(world, policy="", domains=False, accounts=("alice",))
    world.start()
    yield keys
    keys.close()
    for process in processes.running(COMMAND):
        process.kill(signal.SIGTERM)
        assert process.wait(10)
    shutil.rmtree("/home/vault")


def test_ten_lines_and_a_push(host):
    # A login has them on one terminal; here alice's go to one shell, for `export` is hers alone.
    roots = [command for who, command in documented() if who == "#"]
    alices = [command for who, command in documented() if who == "$"]
    for command in roots:
        done = subprocess.run(["/bin/bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, (command, done.stderr, host.world.log())
    public = host.run("alice", "/bin/bash", "-e", "-c", "\n".join(alices)).stdout.decode().strip()
    assert re.fullmatch(r"ssh-ed25519 \S+ alice", public)
    host.start_servers(public)
    setting = "export SSH_AUTH_SOCK=/run/user/$(id -u)/ssh/S.ssh-agent GIT_SSH_COMMAND='ssh -F %s/config'\n" % host.folder
    push = """
        git init -q repository && cd repository
        git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first
        ssh -F %s/config a git init -q --bare there.git
        git push -q a:there.git HEAD:main && git ls-remote a:there.git
    """ % host.folder
    pushed = host.run("alice", "/bin/bash", "-e", "-c", setting + push)
    assert pushed.returncode == 0 and b"refs/heads/main" in pushed.stdout, pushed
    removed = host.run("alice", "/bin/bash", "-c", setting + "ssh-add -D")
    assert removed.returncode == 1 and "Failed to remove all identities" in removed.stderr
    assert not subprocess.run(["grep", "-rl", "PRIVATE KEY-----", "/home/alice"], stdout=subprocess.PIPE, check=False).stdout
