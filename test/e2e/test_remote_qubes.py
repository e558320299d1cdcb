# SPDX-License-Identifier: Apache-2.0
"""What doc/qubes.md has an administrator put into a Qubes OS, word for word, against ours: its transport calls our forced
command, and our transport calls through its forced command. (A Qubes OS itself is not to be had here.)"""

import os
import re

import pytest
from inside import IN_WORLD

if not IN_WORLD:
    pytest.skip("needs a private world", allow_module_level=True)

from hosts import NETWORK, Hosts
from test_remote_setup import shell

DOC = os.path.join(os.path.dirname(__file__), "../../doc/qubes.md")
TRANSPORT = {"type": "RemoteVM", "transport_rpc": "qubesair.SSHProxy"}
WHO = 'printf "%s %s " "$QREXEC_REMOTE_DOMAIN" "$QREXEC_SERVICE_FULL_NAME"; id -un'


def block(beginning):
    """The one block of the document that begins so."""
    with open(DOC) as file:
        (found,) = [text for text in re.findall(r"^```\w*\n(.*?)^```", file.read(), re.M | re.S) if text.startswith(beginning)]
    return found


def serve(host):
    host.add_service("my.Who", WHO)
    host.add_service("my.Exit", 'exit "$1"')
    host.add_service("my.Cat", "exec cat")
    host.start_sshd()
    host.start()


def calls_arrive(a):
    result = a.call("work", "remote-vault", "my.Who+x+y")
    assert (result.returncode, result.stdout) == (0, b"work my.Who+x+y vault\n"), result
    result = a.call("work", "remote-vault", "my.Cat", os.urandom(1 << 20))
    assert (result.returncode, len(result.stdout)) == (0, 1 << 20)
    for status in (0, 3, 126, 127):
        assert a.call("work", "remote-vault", "my.Exit+%d" % status).returncode == status
    assert a.call("work", "remote-vault", "my.Absent").returncode == 127


@pytest.fixture
def hosts():
    with Hosts("a", "b") as (a, b):
        a.add_domain("work")
        a.add_domain("net-relay")
        b.add_domain("vault")
        a.set_policy("* * work remote-vault allow\n")
        b.set_policy("my.No * work vault deny\n* * work vault allow\n")
        yield a, b


def test_their_transport(hosts):
    a, b = hosts
    a.add_domain("remote-vault", relayvm="net-relay", remote_name="vault", **TRANSPORT)
    a.add_service("qubesair.SSHProxy", block("#!/bin/sh\n# qubesair.SSHProxy"))
    a.write("/etc/hosts", "127.0.0.1 localhost\n%s2 b.example\n" % NETWORK)
    key = a.make_key("net-relay")
    config = block("Host vault") + "    ControlMaster auto\n    ControlPath ~/.ssh/control-%C\n    ControlPersist 300\n"
    a.write_as("net-relay", "/home/net-relay/.ssh/config", config)
    a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", "b.example %s\n" % b.host_key())
    status, said = b.run(shell, block("qair relay authorize").splitlines()[0].replace("KEY", key))
    assert status == 0, said
    serve(a)
    serve(b)
    calls_arrive(a)
    result = a.call("work", "remote-vault", "my.No")
    assert result.returncode == 126 and result.stderr.startswith("Request refused\n"), result
    # What the key is for, and nothing else.
    relay = dict(zip(("source", "relay"), ("work", "a-relay")))
    assert b.wait_audit(event="start", service="my.Who", **relay)


def test_their_forced_command(hosts):
    a, b = hosts
    a.add_domain("remote-vault", relayvm="net-relay", remote_name="vault", remote_host="user@b", **TRANSPORT)
    b.add_domain("a-relay", user="user")
    b.add_domain("work", relayvm="a-relay", **TRANSPORT)
    line = block("restrict,command=").replace("ssh-ed25519 AAAA…", a.make_key("net-relay"))
    b.write_as("user", "/home/user/.ssh/authorized_keys", line)
    b.run(may_log_in, "user")
    a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", "b %s\n" % b.host_key())
    serve(a)
    serve(b)
    calls_arrive(a)


def may_log_in(world, account):
    """With a key: a locked password is refused by sshd altogether."""
    with open("/etc/shadow") as file:
        shadow = file.read().replace("\n%s:!:" % account, "\n%s:*:" % account)
    world.write("/etc/shadow", shadow, mode=0o640)
