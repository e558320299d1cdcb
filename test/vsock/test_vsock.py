# SPDX-License-Identifier: Apache-2.0
"""Domains that are virtual machines (`link = vsock:CID`), with a kernel on either side of AF_VSOCK: `make check-vsock`.

check.sh has made the host, a Debian 12 with systemd that this machine emulates, and in it what the host runs: machines of a
kernel, busybox and our agent. The host has our package; its domains are vm42 and later vm43, by their context ids, and work,
an account.
"""

import base64
import os
import re
import shlex
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "guest"))

from machine import TIMEOUT_SEC, Machine  # noqa: E402 (in the folder above)

PORT = 2222
# Where the init of a virtual machine listens for its administrator, who is the test.
ADMIN = "VSOCK-CONNECT:%d:5000,retry=1500,interval=0.2"
# Of a virtual machine, below one that is emulated.
BOOT_TIMEOUT_SEC = 300
CID_ANY = 0xFFFFFFFF
N_BYTES = 1 << 20
N_AT_ONCE = 20
POLICY = """\
my.Refused * @anyvm @anyvm deny
* * work @anyvm allow
* * @anyvm work allow
* * vm42 vm43 allow
"""


class Host(Machine):
    def __init__(self, folder):
        # With two processors the virtualization that qemu emulates hangs now and then.
        super().__init__(folder, "user,id=lan,hostfwd=tcp:127.0.0.1:%d-:22" % PORT, processors=1)
        with open(folder + "/host.pub") as key, open(folder + "/known_hosts", "w") as known:
            known.write("[127.0.0.1]:%d %s\n" % (PORT, " ".join(key.read().split()[:2])))
        self.ssh = ["ssh", "-F", "none", "-i", folder + "/admin", "-o", "UserKnownHostsFile=" + folder + "/known_hosts"]
        self.ssh += ["-o", "ControlPath=" + folder + "/ssh", "-p", str(PORT), "root@127.0.0.1"]
        # One connection for all commands, which need not exchange keys then.
        self.master = subprocess.Popen(self.ssh + ["-M", "-n", "echo open; exec sleep inf"], stdout=subprocess.PIPE)
        assert self.master.stdout.readline() == b"open\n"

    def popen(self, command):
        return subprocess.Popen(self.ssh + [command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def shell(self, command, input=b"", timeout=TIMEOUT_SEC):
        with self.popen(command) as process:
            try:
                stdout, stderr = process.communicate(input, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return process.returncode, stdout, stderr.decode(errors="replace")

    def call(self, service, input=b"", target="vm42"):
        """As work."""
        return self.shell(calling(target, service), input)

    def start_call(self, service):
        return self.popen(calling("vm42", service))

    def wait_log(self, expression, since):
        """For the line of Qair's log, also that of the sessions which it opened, after now()."""
        words = "journalctl --identifier qair-supervisor --identifier qrexecd --output cat --no-tail --follow"
        words += " --since @%s | grep -m 1 -E %s" % (since, shlex.quote(expression))
        self.do("timeout %d sh -c %s" % (TIMEOUT_SEC, shlex.quote(words)))

    def until(self, command, timeout=TIMEOUT_SEC):
        """Wait until it succeeds."""
        loop = "until %s; do sleep 0.2; done >/dev/null" % command
        status, _, stderr = self.shell("timeout %d sh -c %s" % (timeout, shlex.quote(loop)), timeout=timeout + 10)
        assert status == 0, (command, stderr)

    def now(self):
        """By its clock, in seconds."""
        return self.do("date +%s.%N").strip()

    def close(self):
        if hasattr(self, "master"):
            self.master.kill()
            self.master.wait()
        super().close()


class Vm:
    """What is asked of it is done by its root; its init listens for that."""

    def __init__(self, host, cid):
        self.host = host
        self.cid = cid
        self.has_agent = False

    def boot(self):
        """Without its agent, which start_agent() starts."""
        self.has_agent = False
        self.host.do("systemctl start vm@%d" % self.cid)
        assert outcome(self.popen("hostname"), timeout=BOOT_TIMEOUT_SEC) == (0, b"vm%d\n" % self.cid, "")

    def cut_power(self):
        # stop waits for the end of what is killed. It may not count as failed then, and there is nothing to reset.
        command = "systemctl kill --signal KILL {0}; systemctl stop {0}; systemctl reset-failed {0} || true"
        self.host.do(command.format("vm@%d" % self.cid))

    def start_agent(self):
        if not self.has_agent:
            assert self.shell("echo >/go")[0] == 0
        self.has_agent = True

    def popen(self, command):
        process = self.host.popen("socat -t %d - %s" % (TIMEOUT_SEC, ADMIN % self.cid))
        process.stdin.write(command.encode() + b"\n")
        process.stdin.flush()
        return process

    def shell(self, command, input=b""):
        with self.popen(command) as process:
            return outcome(process, input)

    def call(self, service, input=b"", target="work"):
        """As an account that is not root."""
        return self.shell(calling(target, service, account="user"), input)


def calling(target, service, account="work", program="qrexec-client-vm"):
    command = "%s %s %s" % (program, target, shlex.quote(service))
    # busybox's su and that of the host agree on this.
    return "su -s /bin/sh -c %s %s" % (shlex.quote(command), account)


def outcome(process, input=b"", timeout=TIMEOUT_SEC):
    """Of a command in a virtual machine, see one-command."""
    try:
        stdout, stderr = process.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, stderr
    stdout, _, last = stdout.rstrip(b"\n").rpartition(b"\n")
    status, _, errors = last.partition(b" ")
    return int(status), stdout, base64.b64decode(errors).decode(errors="replace")


@pytest.fixture(scope="module")
def host():
    folder = os.environ["QAIR_GUEST"]
    host = Host(folder)
    try:
        host.install_package(folder)
        host.write("/etc/qubes/policy.d/20-check.policy", POLICY)
        host.do("for name in work vm42 vm43; do useradd --create-home $name; done")
        host.do("qair domain add work user=work")
        host.do("qair domain add vm42 user=vm42 link=vsock:42 default_user=user")
        yield host
    finally:
        with open(folder + "/vm.log", "wb") as log:
            log.write(host.shell("tail -n +1 /var/log/vm*.log; journalctl --boot --output short-precise")[1])
        host.close()


@pytest.fixture(scope="module")
def booted(host):
    vm = Vm(host, 42)
    vm.boot()
    return vm


@pytest.fixture(scope="module")
def vm(booted):
    booted.start_agent()
    return booted


@pytest.fixture(scope="module")
def other(host):
    other = Vm(host, 43)
    other.boot()
    other.start_agent()
    return other


@pytest.fixture(scope="module")
def data_port(host):
    """Of the host, for the data of vm42."""
    said = host.do("journalctl --sync; journalctl --unit qair --output cat")
    return int(re.search(r"the data of context id 42 comes to port (\d+) of vsock", said).group(1))


def test_a_call_waits_for_the_machine(host, booted):
    """It is made before there is an agent."""
    since = host.now()
    call = host.start_call("my.Who+early")
    host.wait_log("my.Who.early: work -> vm42: allowed", since)
    assert call.poll() is None
    booted.start_agent()
    stdout, stderr = call.communicate(timeout=TIMEOUT_SEC)
    assert (call.returncode, stdout) == (0, b"work my.Who+early user vm42\n"), stderr


def test_into_the_machine(host, vm):
    status, stdout, stderr = host.call("my.Who+x")
    assert (status, stdout) == (0, b"work my.Who+x user vm42\n"), stderr
    assert "work -> vm42" in host.do("journalctl --sync; journalctl --unit qair --output cat --grep 'my.Who[+]x'")


def test_out_of_the_machine(vm):
    status, stdout, stderr = vm.call("my.Who+y")
    assert (status, stdout) == (0, b"vm42 my.Who+y work host\n"), stderr


def test_out_of_the_machine_through_libqair(vm):
    """Its programs have pipes: a process of theirs makes them of the connection."""
    assert vm.shell(calling("work", "my.Who+lib", account="user", program="call")) == (0, b"vm42 my.Who+lib work host\n", "")
    assert vm.shell(calling("work", "my.Exit+7", account="user", program="call"))[0] == 7
    assert vm.shell(calling("work", "my.Refused", account="user", program="call"))[::2] == (1, "refused\n")
    assert vm.shell("pidof call qrexec-client-vm")[:2] == (1, b"")


def test_root_of_the_machine_is_the_domain_too(vm):
    assert vm.shell("qrexec-client-vm work my.Who+z") == (0, b"vm42 my.Who+z work host\n", "")


@pytest.mark.parametrize("status", [0, 1, 125, 126, 127, 255])
def test_exit_codes(host, vm, status):
    expected = (status, b"output %d\n" % status, "error %d\n" % status)
    assert host.call("my.Exit+%d" % status) == expected
    assert vm.call("my.Exit+%d" % status) == expected


def test_no_such_service(host, vm):
    assert host.call("my.Absent")[0] == 127
    assert vm.call("my.Absent")[0] == 127


def test_refused(host, vm):
    for status, stdout, stderr in host.call("my.Refused"), vm.call("my.Refused"):
        assert (status, stdout) == (126, b"") and stderr.startswith("Request refused\n"), stderr


def test_a_service_is_only_started(host, vm):
    assert host.shell("qrexec-client -e -d vm42 'DEFAULT:QUBESRPC my.Touch+it dom0'")[0] == 0
    until = "until [ -e /tmp/touched-it ]; do usleep 100000; done"
    assert vm.shell("timeout %d sh -c %s" % (TIMEOUT_SEC // 2, shlex.quote(until)))[0] == 0


@pytest.mark.parametrize("direction", ["into", "out of"])
def test_a_stream(host, vm, direction):
    data = os.urandom(N_BYTES)
    status, stdout, stderr = (host if direction == "into" else vm).call("my.Cat", data)
    assert (status, stdout) == (0, data), stderr


def test_many_at_once(host, vm):
    """In both directions, and those of one direction all open together."""
    at_once = "/at-once %d " % N_AT_ONCE
    into = host.popen(at_once + calling("vm42", "my.Cat"))
    status, stdout, stderr = vm.shell(at_once + calling("work", "my.Cat", account="user"))
    assert (status, stdout) == (0, b"0\n" * N_AT_ONCE), stderr
    stdout, stderr = into.communicate(timeout=TIMEOUT_SEC)
    assert (into.returncode, stdout) == (0, b"0\n" * N_AT_ONCE), stderr


# --- who is hostile


def dialling(port, source=0):
    """Is 124 if it is not closed."""
    own = ",bind=%d:%d" % (CID_ANY, source) if source else ""
    return "timeout %d socat -u VSOCK-CONNECT:2:%d%s -" % (TIMEOUT_SEC // 2, port, own)


@pytest.mark.parametrize("where", ["control", "data"])
def test_an_account_of_the_machine_dials(host, vm, data_port, where):
    """It has no port of root's, so it is not the machine's agent; and whom it calls, is said."""
    since = host.now()
    port = 512 if where == "control" else data_port
    status, stdout, _ = vm.shell("su -s /bin/sh -c %s user" % shlex.quote(dialling(port)))
    assert status != 124 and stdout == b""
    host.wait_log("closed a connection over vsock, from port [0-9]+ of context id 42", since)
    assert "Permission denied" in vm.shell("su -s /bin/sh -c %s user" % shlex.quote(dialling(port, source=600)))[2]
    assert host.call("my.Exit+3")[0] == 3 and vm.call("my.Exit+3")[0] == 3


@pytest.mark.parametrize("what", ["another control connection", "data that no call waits for", "data at the port of control"])
def test_root_of_the_machine_dials(host, vm, data_port, what):
    """It may, but that leads to nothing while its agent is there."""
    since = host.now()
    source = 100 if what == "another control connection" else 700
    status, stdout, _ = vm.shell(dialling(data_port if what == "data that no call waits for" else 512, source))
    assert status != 124 and stdout == b""
    host.wait_log("closed a connection over vsock, from port %d of context id 42" % source, since)
    assert host.call("my.Exit+3")[0] == 3 and vm.call("my.Exit+3")[0] == 3


def test_an_account_of_the_host_listens(host, vm, data_port):
    """In the place of Qair it cannot, nor where the next domain's data would come to."""
    for port in data_port, data_port + 1, 512:
        status, _, stderr = host.shell("runuser -u work -- timeout 5 socat -u VSOCK-LISTEN:%d -" % port)
        assert status == 1 and "Permission denied" in stderr, (port, status, stderr)


# --- coming and going


def wait_in(host):
    call = host.start_call("my.Wait")
    assert call.stdout.readline() == b"started\n"
    return call


def wait_out(vm):
    call = vm.popen(calling("work", "my.Wait", account="user"))
    assert call.stdout.readline() == b"started\n"
    return call


def test_the_agent_dies(host, vm):
    """The machine starts it again; what runs goes on."""
    into, out = wait_in(host), wait_out(vm)
    vm.shell("kill -9 $(pgrep -o qrexec-agent)")
    assert host.call("my.Exit+4")[0] == 4
    assert vm.call("my.Exit+4")[0] == 4
    into.communicate(b"5\n", timeout=TIMEOUT_SEC)
    assert into.returncode == 5
    assert outcome(out, b"6\n")[0] == 6


def test_the_broker_dies(host, vm):
    into, out = wait_in(host), wait_out(vm)
    host.do("kill -9 $(pidof qrexecd)")
    assert host.call("my.Exit+4")[0] == 4
    assert vm.call("my.Exit+4")[0] == 4
    into.communicate(b"5\n", timeout=TIMEOUT_SEC)
    assert into.returncode == 5
    assert outcome(out, b"6\n")[0] == 6


def test_qair_is_restarted(host, vm):
    """All of the host's side; the machine's agent dials again."""
    into, out = wait_in(host), wait_out(vm)
    host.do("systemctl restart qair")
    assert host.call("my.Exit+4")[0] == 4
    assert vm.call("my.Exit+4")[0] == 4
    into.communicate(b"5\n", timeout=TIMEOUT_SEC)
    assert into.returncode == 5
    assert outcome(out, b"6\n")[0] == 6


def test_the_domain_is_stopped(host, vm):
    """That ends the host's side alone; the next call starts it."""
    into = wait_in(host)
    host.do("qair domain stop vm42")
    assert host.call("my.Exit+4")[0] == 4
    assert vm.call("my.Exit+4")[0] == 4
    into.communicate(b"5\n", timeout=TIMEOUT_SEC)
    assert into.returncode == 5


def test_power_fails(host, vm):
    """In the middle of a call; the next one waits until the machine is back."""
    into = wait_in(host)
    vm.cut_power()
    into.communicate(timeout=TIMEOUT_SEC)
    assert into.returncode == 255
    vm.boot()
    again = host.start_call("my.Who+again")
    vm.start_agent()
    stdout, stderr = again.communicate(timeout=TIMEOUT_SEC)
    assert (again.returncode, stdout) == (0, b"work my.Who+again user vm42\n"), stderr
    assert vm.call("my.Who+back")[1] == b"vm42 my.Who+back work host\n"


def test_it_is_reset(host, vm):
    """It forgets its connections, and nobody tells the host; calls of both directions end when its next agent is there."""
    booted = int(host.do("grep -c 'vm: booted' /var/log/vm42.log"))
    into = wait_in(host)
    assert vm.shell("mkfifo /never; (%s <>/never >/dev/null 2>&1 &)" % calling("work", "my.Wait", account="user"))[0] == 0
    host.until("pgrep -u work -x my.Wait")
    # This connection would be forgotten, too.
    vm.shell("(sleep 1; echo b >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    again = "[ $(grep -c 'vm: booted' /var/log/vm42.log) -gt %d ]" % booted
    died = "grep -q 'KVM internal error' /var/log/vm42.log"
    host.until("%s || %s" % (again, died), BOOT_TIMEOUT_SEC)
    if host.shell(died)[0] == 0:
        # The outer qemu's virtualization does not always survive it.
        into.kill()
        into.wait()
        vm.cut_power()
        vm.boot()
        vm.start_agent()
        pytest.skip("the emulated processor could not reset its machine")
    vm.boot()
    vm.start_agent()
    into.communicate(timeout=TIMEOUT_SEC)
    assert into.returncode == 255
    host.until("! pgrep -u work -x my.Wait")
    assert host.call("my.Exit+4")[0] == 4
    assert vm.call("my.Exit+4")[0] == 4


# --- another machine


def test_a_machine_that_is_no_domain(host, vm, other):
    """Until it is made one."""
    host.wait_log("closed a connection over vsock.* context id 43", since=0)
    host.do("qair domain add vm43 user=vm43 link=vsock:43 default_user=user")
    assert host.call("my.Who+to", target="vm43") == (0, b"work my.Who+to user vm43\n", "")
    assert other.call("my.Who+other") == (0, b"vm43 my.Who+other work host\n", "")
    assert vm.call("my.Who+vm", target="vm43") == (0, b"vm42 my.Who+vm user vm43\n", "")
    status, _, stderr = other.call("my.Who+vm", target="vm42")
    assert status == 126 and stderr.startswith("Request refused\n")


def test_it_dials_for_the_first_one(host, vm, other, data_port):
    """From ports of data, to where vm42 has its listener, while that has many calls."""
    since = host.now()
    into = host.popen("/at-once %d " % N_AT_ONCE + calling("vm42", "my.Cat"))
    for source in range(513, 768, 50):
        status, stdout, _ = other.shell(dialling(data_port, source))
        assert status != 124 and stdout == b""
    host.wait_log("vm42: .*closed a connection over vsock, from port [567][0-9]+ of context id 43", since)
    stdout, stderr = into.communicate(timeout=TIMEOUT_SEC)
    assert (into.returncode, stdout) == (0, b"0\n" * N_AT_ONCE), stderr
