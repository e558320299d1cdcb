# SPDX-License-Identifier: Apache-2.0
"""Calls between this machine and a virtual one, which check.sh has made: `make check-guest`.

The guest is administered as any machine on the network is, by root over ssh; Qair comes to it as the Debian package, runs
below its systemd on its kernel, and both sides are set up by the commands of doc/remote.md.
"""

import os
import re
import shlex
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

from hosts import NETWORK, Hosts, run  # noqa: E402 (in the folder above)
from machine import TIMEOUT_SEC, Machine  # noqa: E402
from streams import GIVE, at_once, stream  # noqa: E402
from test_remote_setup import at_terminal, reload_all, shell  # noqa: E402

ADMIN_KEY = "/root/.ssh/admin"
N_BYTES = 16 << 20
N_AT_ONCE = 16
# Of the calling side: a connection that is silent is given up.
QUICK = "Host *\n    ServerAliveInterval 2\n    ServerAliveCountMax 3\n"

WHO = '#!/bin/sh\nprintf "%s %s %s " "$QREXEC_REMOTE_DOMAIN" "$QREXEC_SERVICE_FULL_NAME" "$(id -un)"; hostname\n'
SERVICES = {
    "my.Who": WHO,
    "my.Exit": '#!/bin/sh\nexit "$1"\n',
    "my.Cat": "#!/bin/sh\nexec cat\n",
    "my.Hash": "#!/bin/sh\nexec sha256sum\n",
    "my.Give": GIVE,
}


class Guest(Machine):
    """The virtual machine; what is asked of it is asked from host A."""

    def __init__(self, folder, a):
        self.a = a
        run("ip", "tuntap", "add", "mode", "tap", "name", "veth-b")
        run("ip", "link", "set", "veth-b", "master", "qair-lan", "up")
        super().__init__(folder, "tap,id=lan,ifname=veth-b,script=no,downscript=no")
        with open(folder + "/admin") as key, open(folder + "/host.pub") as host:
            a.write(ADMIN_KEY, key.read(), mode=0o600)
            self.host_key = " ".join(host.read().split()[:2])
            a.write("/root/.ssh/known_hosts", "b %s\n" % self.host_key)

    def ssh(self, command, terminal=False):
        words = ["ssh", "-tt" if terminal else "-T", "-i", ADMIN_KEY, "-o", "ControlPath=none"]
        # sshd does not listen for a moment while it reads its configuration again.
        words += ["-o", "ConnectionAttempts=20", "root@b", command]
        return " ".join(map(shlex.quote, words))

    def shell(self, command, input=b""):
        """Return: status, stdout and stderr."""
        return self.a.run(as_root, self.ssh(command), input)

    def call(self, source, target, service):
        return self.shell("runuser -u %s -- qrexec-client-vm %s %s" % (source, target, service))

    def close(self):
        super().close()
        run("ip", "link", "del", "veth-b")


def as_root(world, command, input):
    with world.popen_as("root", ["/bin/sh", "-c", command]) as process:
        stdout, stderr = process.communicate(input, timeout=TIMEOUT_SEC)
    return process.returncode, stdout, stderr.decode(errors="replace")


@pytest.fixture(scope="module")
def two():
    """work on a, vault on the guest b; neither knows of the other yet."""
    folder = os.environ["QAIR_GUEST"]
    with Hosts("a") as (a,):
        guest = None
        try:
            a.write("/etc/hosts", "127.0.0.1 localhost\n%s1 a\n%s2 b\n" % (NETWORK, NETWORK))
            a.add_domain("work")
            for name, script in SERVICES.items():
                a.add_service(name, script)
            a.start_sshd()
            a.start()
            guest = Guest(folder, a)
            guest.install_package(folder)
            guest.do("useradd --create-home vault && qair domain add vault user=vault")
            for name, script in SERVICES.items():
                guest.write("/etc/qubes-rpc/" + name, script, mode="0755")
            yield a, guest
        finally:
            if guest:
                guest.close()


def test_the_guest_is_a_host_of_its_own(two):
    """A kernel that is not ours, systemd, and a broker that is confined."""
    a, guest = two
    assert guest.do("uname -r").strip() != os.uname().release
    assert guest.do("systemctl is-active qair") == "active\n"
    broker = guest.do("cat /proc/$(pidof qrexecd)/status")
    assert re.search(r"^Seccomp:\t2$", broker, re.M) and re.search(r"^CapEff:\t0+$", broker, re.M), broker
    print(guest.shell("qair doctor")[1].decode())


def test_set_up_from_here(two):
    """The five commands of doc/remote.md."""
    a, guest = two
    command = "qair relay add a-relay@b --relay net-relay --name remote-vault --remote-name vault --source work"
    status, said = a.run(at_terminal, command, "yes")
    assert status == 0, said
    a.run(reload_all)
    authorize = re.search(r"qair relay authorize --domain a-relay --key '.*' --source work", said).group(0)
    guest.do(authorize)
    guest.do("echo '* * work vault allow' >>/etc/qubes/policy.d/30-user.policy")
    a.set_policy("* * work remote-vault allow\n* * far-vault work allow")
    result = a.call("work", "remote-vault", "my.Who+x", timeout=TIMEOUT_SEC)
    assert (result.returncode, result.stdout) == (0, b"work my.Who+x vault b\n"), result
    assert "work -> vault" in guest.do("journalctl --sync; journalctl --unit qair --output cat --grep my.Who")


def test_set_up_from_there(two):
    a, guest = two
    command = "qair relay add b-relay@a --relay net-relay --name remote-work --remote-name work --source vault"
    status, said = a.run(at_terminal, guest.ssh(command, terminal=True), "yes")
    assert status == 0, said
    authorize = re.search(r"qair relay authorize --domain b-relay --key '.*' --source vault", said).group(0)
    # Here is no other vault, but so the names are easier to tell apart.
    status, said = a.run(shell, authorize + "=far-vault")
    assert status == 0, said
    a.run(reload_all)
    guest.do("echo '* * vault remote-work allow' >>/etc/qubes/policy.d/30-user.policy")
    status, stdout, stderr = guest.call("vault", "remote-work", "my.Who+x")
    assert (status, stdout) == (0, b"far-vault my.Who+x work a\n"), stderr


def test_exit_codes(two):
    a, guest = two
    for status in (0, 1, 125, 126, 127, 255):
        assert a.call("work", "remote-vault", "my.Exit+%d" % status, timeout=TIMEOUT_SEC).returncode == status
    assert guest.call("vault", "remote-work", "my.Exit+7")[0] == 7
    assert a.call("work", "remote-vault", "my.Absent", timeout=TIMEOUT_SEC).returncode == 127


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_stream(two, direction):
    status, sent, arrived = two[0].run(stream, "remote-vault", direction, N_BYTES)
    assert (status, arrived) == (0, sent)


def test_many_at_once(two):
    said, ends = two[0].run(at_once, N_AT_ONCE, "remote-vault", "my.Cat")
    assert said == [b"%d\n" % number for number in range(N_AT_ONCE)] and ends == [0] * N_AT_ONCE


def test_refused_there(two):
    a, guest = two
    guest.do("sed -i '1i my.Who +no work vault deny' /etc/qubes/policy.d/30-user.policy")
    result = a.call("work", "remote-vault", "my.Who+no", timeout=TIMEOUT_SEC)
    assert result.returncode == 126 and result.stderr.startswith("Request refused\n"), result


def test_power_fails(two):
    """In the middle of a call: the caller is told that the connection was lost. The last test, for it ends the guest."""
    a, guest = two
    a.write_as("net-relay", "/home/net-relay/.ssh/config", QUICK)
    a.run(shell, "pkill -u net-relay -x ssh")  # the next one reads it
    assert a.run(open_call) == b"first\n"
    guest.process.kill()
    status, stderr = a.run(end_call)
    assert status == 125 and "the connection was lost" in stderr, stderr


def open_call(world):
    world.open = world.start_call("work", "remote-vault", "my.Cat")
    world.open.stdin.write(b"first\n")
    world.open.stdin.flush()
    return world.open.stdout.readline()


def end_call(world):
    _, stderr = world.open.communicate(timeout=TIMEOUT_SEC)
    return world.open.returncode, stderr.decode()
