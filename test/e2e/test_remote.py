# SPDX-License-Identifier: Apache-2.0
"""Calls between hosts: RemoteVM through a relay over SSH, with real sshd on networks of their own."""

import pytest
from conftest import IN_WORLD

if not IN_WORLD:
    pytest.skip("needs a private world", allow_module_level=True)

from hosts import Hosts

TRANSPORT = {"type": "RemoteVM", "transport_rpc": "qubesair.SSHProxy"}


def known(host, name=None):
    return "%s %s\n" % (name or host.name, host.host_key())


@pytest.fixture(scope="module")
def two():
    """work on a calls vault on b; net-relay and a-relay are the relays."""
    with Hosts("a", "b") as (a, b):
        a.add_domain("work")
        a.add_domain("net-relay")
        a.add_domain("remote-vault", relayvm="net-relay", remote_name="vault", remote_host="a-relay@b", **TRANSPORT)
        a.set_policy("my.Service * work remote-vault allow\nmy.Refused * work remote-vault allow\n")
        b.add_relay_account("a-relay", a.make_key("net-relay"))
        b.start_sshd()
        a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", known(b))
        b.add_domain("vault")
        b.add_domain("work", relayvm="a-relay", **TRANSPORT)
        b.set_policy("my.Service * work vault allow\n")
        b.add_service("my.Service", 'cat; echo "arg=$1" >&2; exit ${1:-0}')
        a.start()
        b.start()
        yield a, b


def test_call(two):
    a, b = two
    result = a.call("work", "remote-vault", "my.Service+7", input=b"hello")
    assert (result.returncode, result.stdout) == (7, b"hello"), result
    print(result, a.log(), b.log(), b.sshd_log())
