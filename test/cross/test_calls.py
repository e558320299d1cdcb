# SPDX-License-Identifier: Apache-2.0
"""Calls between this host and one whose programs are all for 64-bit ARM: the last step of `make check-aarch64`.

Everything over there is real: Debian's sshd, shells and coreutils for arm64, our own programs as cross-compiled, in
network, mount and process namespaces; the processor is qemu's user-mode emulation, and what that lacks is in emulated.c.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

from hosts import Hosts, Root  # noqa: E402 (in the folder above)
from streams import GIVE, at_once, stream  # noqa: E402

TRANSPORT = {"type": "RemoteVM", "transport_rpc": "qubesair.SSHProxy"}
WHO = 'printf "%s %s %s " "$QREXEC_REMOTE_DOMAIN" "$QREXEC_SERVICE_FULL_NAME" "$(id -un)"; uname -m'
N_BYTES = 16 << 20
N_AT_ONCE = 16
EM_AARCH64 = 183  # of ELF


@pytest.fixture(scope="module")
def two():
    """work on a, which is this machine's kind, and vault on b, which is an ARM; each can call the other."""
    root = Root(os.environ["QAIR_FOREIGN_ROOT"], os.environ["QAIR_FOREIGN_INSTALLED"])
    with Hosts("a", "b", roots={"b": root}) as (a, b):
        for host, domain, there, far in ((a, "work", b, "vault"), (b, "vault", a, "work")):
            relay, login = there.name + "-relay", host.name + "-in"
            host.add_domain(domain)
            host.add_domain(relay)
            host.add_domain(
                "far-" + far, relayvm=relay, remote_name=far, remote_host=login + "@" + there.name, **TRANSPORT
            )
            there.add_relay(login, host.make_key(relay))
            there.add_domain("far-caller", relayvm=login, remote_name=domain, **TRANSPORT)
            host.set_policy("* * %s far-%s allow\n* * far-caller %s allow\n" % (domain, far, domain))
            host.write_as(relay, "/home/%s/.ssh/known_hosts" % relay, "%s %s\n" % (there.name, there.host_key()))
        for host in (a, b):
            host.add_service("my.Who", WHO)
            host.add_service("my.Exit", 'exit "$1"')
            host.add_service("my.Hash", "exec sha256sum")
            host.add_service("my.Cat", "exec cat")
            host.add_service("my.Give", GIVE)
            host.start_sshd()
            host.start()
        yield a, b


def machine_of(world, path):
    with open(path, "rb") as file:
        return int.from_bytes(file.read(20)[18:], "little")


def test_programs_are_for_arm(two):
    _, b = two
    for path in ("/usr/lib/qubes/qrexecd", "/usr/bin/qrexec-client-vm", "/usr/sbin/sshd", "/bin/sh"):
        assert b.run(machine_of, path) == EM_AARCH64, path


def test_to_arm(two):
    a, b = two
    result = a.call("work", "far-vault", "my.Who+x")
    assert (result.returncode, result.stdout) == (0, b"far-caller my.Who+x vault aarch64\n"), result
    (start,) = b.wait_audit(event="start", service="my.Who")
    assert (start["source"], start["relay"], start["requested_source"]) == ("far-caller", "a-in", "work")


def test_from_arm(two):
    a, b = two
    result = b.call("vault", "far-work", "my.Who+x")
    assert (result.returncode, result.stdout) == (0, b"far-caller my.Who+x work x86_64\n"), result


def test_exit_codes(two):
    a = two[0]
    for status in (0, 1, 3, 125, 126, 127, 255):
        assert a.call("work", "far-vault", "my.Exit+%d" % status).returncode == status


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_stream(two, direction):
    status, sent, arrived = two[0].run(stream, "far-vault", direction, N_BYTES)
    assert (status, arrived) == (0, sent)


def test_many_at_once(two):
    """More than a connection carries (MaxSessions)."""
    said, ends = two[0].run(at_once, N_AT_ONCE, "far-vault", "my.Cat")
    assert said == [b"%d\n" % number for number in range(N_AT_ONCE)] and ends == [0] * N_AT_ONCE


def test_a_stranger_is_refused_over_there(two):
    """b's own policy decides, and its relay speaks for nobody but those behind it."""
    a, b = two
    assert a.call("work", "far-vault", "my.Absent").returncode == 127
    b.set_policy("")
    result = a.call("work", "far-vault", "my.Who+no")
    assert result.returncode == 126 and result.stderr.startswith("Request refused\n"), result
    (refused,) = b.wait_audit(event="refused", service="my.Who")
    assert (refused["source"], refused["relay"]) == ("far-caller", "a-in")
    refused = b.call("a-in", "vault", "my.Who", options=["--source-qube=vault"])
    assert refused.returncode == 126
