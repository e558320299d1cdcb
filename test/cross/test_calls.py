# SPDX-License-Identifier: Apache-2.0
"""Calls between this host and one whose programs are all for 64-bit ARM: the last step of `make check-aarch64`.

Everything over there is real: Debian's sshd, shells and coreutils for arm64, our own programs as cross-compiled, in
network, mount and process namespaces; the processor is qemu's user-mode emulation, and what that lacks is in emulated.c.
"""

import hashlib
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

from hosts import Hosts, Root  # noqa: E402 (in the folder above)

TRANSPORT = {"type": "RemoteVM", "transport_rpc": "qubesair.SSHProxy"}
WHO = 'printf "%s %s %s " "$QREXEC_REMOTE_DOMAIN" "$QREXEC_SERVICE_FULL_NAME" "$(id -un)"; uname -m'
N_BYTES = 16 << 20
N_AT_ONCE = 16
EM_AARCH64 = 183  # of ELF
# So many bytes, and what they were.
GIVE = """#!/bin/bash
exec 3>&1
head -c "$1" /dev/urandom | tee /dev/fd/3 | sha256sum >&2
"""


@pytest.fixture(scope="module")
def two():
    """work on a, which is this machine's kind, and vault on b, which is an ARM; each can call the other."""
    root = Root(os.environ["QAIR_FOREIGN_ROOT"], os.environ["QAIR_FOREIGN_INSTALLED"])
    with Hosts("a", "b", roots={"b": root}) as (a, b):
        for host, domain, there, far, source in ((a, "work", b, "vault", "b-vault"), (b, "vault", a, "work", "work")):
            relay, name = "%s-relay" % there.name, "far-" + far
            host.add_domain(domain)
            host.add_domain(relay)
            there.add_relay("%s-in" % host.name, host.make_key(relay))
            host.add_domain(name, relayvm=relay, remote_name=far, remote_host="%s-in@%s" % (host.name, there.name), **TRANSPORT)
            host.set_policy("* * %s %s allow\n* * %s %s allow\n" % (domain, name, "far-caller", domain))
            there.add_domain("far-caller", relayvm="%s-in" % host.name, remote_name=domain, **TRANSPORT)
        for host, there, relay in ((a, b, "b-relay"), (b, a, "a-relay")):
            host.write_as(relay, "/home/%s/.ssh/known_hosts" % relay, "%s %s\n" % (there.name, there.host_key()))
            host.add_service("my.Who", WHO)
            host.add_service("my.Exit", 'exit "$1"')
            host.add_service("my.Hash", "exec sha256sum")
            host.add_service("my.Cat", "exec cat")
            host.add_service("my.Give", GIVE)
            host.start_sshd()
            host.start()
        yield a, b


def stream(world, direction):
    """N_BYTES to a service, or from it; Return: what left and what arrived, as hashes."""
    if direction == "there":
        data = os.urandom(N_BYTES)
        result = world.call("work", "far-vault", "my.Hash", data, timeout=120)
        return hashlib.sha256(data).hexdigest(), result.stdout.split()[0].decode()
    result = world.call("work", "far-vault", "my.Give+%d" % N_BYTES, timeout=120)
    return result.stderr.split()[0], hashlib.sha256(result.stdout).hexdigest()


def at_once(world):
    """N_AT_ONCE calls that are all open at the same time."""
    calls = [world.start_call("work", "far-vault", "my.Cat") for _ in range(N_AT_ONCE)]
    for number, call in enumerate(calls):
        call.stdin.write(b"%d\n" % number)
        call.stdin.flush()
    said = [call.stdout.readline() for call in calls]
    for call in calls:
        call.stdin.close()
    return said, [call.wait(60) for call in calls]


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
    left, arrived = two[0].run(stream, direction)
    assert left == arrived


def test_many_at_once(two):
    """More than a connection carries (MaxSessions)."""
    said, ends = two[0].run(at_once)
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
