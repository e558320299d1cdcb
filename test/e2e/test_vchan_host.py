# SPDX-License-Identifier: Apache-2.0
"""Daemons, agents and clients of ours together over vchan, with nobody of upstream's kind in between; and what a daemon does
with sockets that are the host's: the policy's, the administration's.

In the private world, whose /run is its own.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import threading

import processes
import pytest
import vchan
from vchan import wait_for

POLICY_SOCKET = "/run/qubes/policy.sock"
ADMIN_SOCKET = "/run/qubesd.sock"
LOG = "/var/log/qubes/qrexec.work.log"
UUID = "d0c2b1e4-0000-4000-8000-0000000000%02d"
LIMIT = vchan.LIMIT
WORK, VAULT, DISP = 42, 43, 44
NAMES = {WORK: "work", VAULT: "vault", DISP: "disp7"}


class Answers:
    """A socket of the host that answers each request by a function of ours, in a thread."""

    def __init__(self, path, complete, answer):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.path = path
        self.requests = []
        self.complete, self.answer = complete, answer
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o777)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                connection.settimeout(LIMIT)
                data = b""
                while not self.complete(data):
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    data += piece
                if data == b"stop":
                    return
                self.requests.append(data)
                answer = self.answer(data)
                if answer is not None:
                    connection.sendall(answer)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stop:
            stop.connect(self.path)
            stop.sendall(b"stop")
            stop.shutdown(socket.SHUT_WR)
            self.thread.join(LIMIT)
        self.listener.close()
        os.unlink(self.path)


class Host(vchan.Folder):
    """A host with domains that each have a daemon and an agent of ours."""

    def __init__(self):
        super().__init__()
        self.processes = []
        self.admin = None
        self.allow = "target=vault\nrequested_target=vault\n"
        self.autostart = "True"
        self.policy = Answers(POLICY_SOCKET, lambda data: data.endswith(b"\n\n") or data == b"stop", self._decide)

    def _decide(self, _):
        if self.allow is None:
            return b"result=deny\n"
        if not self.allow:
            return b"result=what\n\n"
        return ("result=allow\nuser=DEFAULT\nautostart=%s\n%s" % (self.autostart, self.allow)).encode()

    def start_agent(self, domain, environment=None):
        agent = self.start("src/agent/qrexec-agent", "--agent-socket=%s" % self.trigger_path(domain), domain=domain,
                           environment=environment)
        self.processes.append(agent)
        return agent

    def start_daemon(self, domain, *options, wait=True):
        name = NAMES[domain]
        daemon = self.start("src/daemon/qrexec-daemon", "--uuid=" + UUID % domain, "--socket-dir=%s" % self.sockets,
                            "--policy-program=/bin/false", "--host-call-program=/usr/lib/qubes/qrexec-host-call",
                            *(options or ("--direct",)), domain, name, vchan.ACCOUNT, domain=0)
        self.processes.append(daemon)
        if wait:
            wait_for((self.sockets / ("qrexec.uuid:" + UUID % domain)).exists, "the daemon of " + name)
        return daemon

    def start_domain(self, domain):
        self.start_agent(domain)
        return self.start_daemon(domain)

    def trigger_path(self, domain):
        return self.sockets / ("agent.%d" % domain)

    def call(self, *arguments, domain=WORK, input=b"", environment=None):
        """(status, stdout, stderr) of qrexec-client-vm in a domain."""
        wait_for(self.trigger_path(domain).exists, "the agent")
        process = self.start("src/client/qrexec-client-vm", "--agent-socket=%s" % self.trigger_path(domain), *arguments,
                             domain=domain, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             environment=environment)
        out, err = process.communicate(input, timeout=LIMIT)
        return process.returncode, out, err

    def run_host(self, *arguments, input=b""):
        process = self.start("src/client/qrexec-client", "--socket-dir=%s" % self.sockets, *arguments, domain=0,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(input, timeout=LIMIT)
        return process.returncode, out, err

    def administrate(self, answer):
        self.admin = Answers(ADMIN_SOCKET, lambda data: False, answer)

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(LIMIT)
        self.policy.close()
        if self.admin:
            self.admin.close()
        self.close()


@pytest.fixture
def host(world):
    """Of the world only its private /run is used."""
    log_folder = pathlib.Path("/var/log/qubes")
    log_folder.mkdir(exist_ok=True)
    log_folder.chmod(0o777)
    os.makedirs("/run/qubes", exist_ok=True)
    os.chmod("/run/qubes", 0o755)
    host = Host()
    yield host
    host.stop()


# --- calls from one domain to another


def test_a_call_between_domains(host):
    host.service("test.Echo", '#!/bin/sh\necho "$QREXEC_REMOTE_DOMAIN $1"; cat; echo error >&2; exit 3\n')
    host.start_domain(WORK)
    host.start_domain(VAULT)
    assert host.call("vault", "test.Echo+arg", input=b"data") == (3, b"work arg\ndata", b"error\n")
    # A116: the requested source is there, and empty; A117: no "+" is added.
    assert host.policy.requests == [
        b"source=work\nrequested_source=\nintended_target=vault\nservice_and_arg=test.Echo+arg\n\n"]
    assert host.call("-s", "far", "vault", "test.Echo")[0] == 3
    assert host.policy.requests[1].splitlines()[1] == b"requested_source=far"


def test_much_data_both_ways(host):
    host.service("test.Cat", "#!/bin/sh\nexec cat\n")
    host.start_domain(WORK)
    host.start_domain(VAULT)
    data = os.urandom(8 << 20)
    assert host.call("vault", "test.Cat", input=data)[:2] == (0, data)


def test_many_calls(host):
    """More one after the other than there are ports, and many at once: every port is given back."""
    host.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    host.start_domain(WORK)
    host.start_domain(VAULT)
    for i in range(150):
        assert host.call("vault", "test.Exit+%d" % (i % 100))[0] == i % 100
    results = [None] * 40
    threads = [threading.Thread(target=lambda i=i: results.__setitem__(i, host.call("vault", "test.Exit+%d" % i)[0]))
               for i in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == list(range(len(results)))


def test_refusals(host):
    host.start_domain(WORK)
    host.start_domain(VAULT)
    host.allow = None
    assert host.call("vault", "test.Echo") == (126, b"", b"Request refused\n")
    # A121: what is no answer leads to the program, which fails here.
    host.allow = ""
    assert host.call("vault", "test.Echo")[0] == 126
    assert "/bin/false failed" in host.log()


def test_calls_to_the_host(host):
    host.service("test.Host", '#!/bin/sh\necho "$QREXEC_REMOTE_DOMAIN $QREXEC_REQUESTED_TARGET_KEYWORD"; cat\n')
    host.start_domain(WORK)
    host.allow = "target=@adminvm\nrequested_target=@default\n"
    assert host.call("@default", "test.Host", input=b"data")[:2] == (0, b"work default\ndata")
    assert host.call("@default", "test.Nothing")[0] == 127


def test_calls_from_the_host(host):
    host.service("test.Exit", '#!/bin/sh\ncat; exit "$1"\n')
    host.start_domain(VAULT)
    for target in "vault", "43", "uuid:" + UUID % VAULT:
        assert host.run_host("-d", target, "DEFAULT:QUBESRPC test.Exit+4 dom0", input=b"x")[:2] == (4, b"x")
    assert host.run_host("-d", "vault", "DEFAULT:echo shell")[:2] == (0, b"shell\n")
    assert host.run_host("-e", "-d", "vault", "DEFAULT:false")[0] == 0
    assert host.run_host("-d", "work", "DEFAULT:true")[0] == 125


def test_the_domain_is_killed_after_the_call(host):
    host.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    host.start_domain(VAULT)
    host.administrate(lambda _: b"0\0")
    assert host.run_host("-k", "-d", "vault", "DEFAULT:QUBESRPC test.Exit+4 dom0")[0] == 4
    # Also where the call could not be made.
    assert host.run_host("-k", "-d", "work", "DEFAULT:true")[0] == 125
    assert host.admin.requests == [b"admin.vm.Kill+ dom0 name vault\0", b"admin.vm.Kill+ dom0 name work\0"]


def test_nobody_kills(host):
    host.start_domain(VAULT)
    status, _, errors = host.run_host("-k", "-d", "vault", "DEFAULT:true")
    assert status == 0 and b"vault is not killed" in errors


def test_an_agent_that_is_started_again(host):
    host.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    host.start_domain(WORK)
    agent = host.start_agent(VAULT)
    host.start_daemon(VAULT)
    assert host.call("vault", "test.Exit+5")[0] == 5
    agent.send_signal(signal.SIGKILL)
    agent.wait(LIMIT)
    path = host.sockets / ("qrexec.uuid:" + UUID % VAULT)
    wait_for(lambda: not path.exists(), "the daemon to notice")
    host.start_agent(VAULT)
    wait_for(path.exists, "the daemon to be back")
    assert host.call("vault", "test.Exit+6")[0] == 6


# --- what is started for a call


def test_a_domain_that_is_started(host):
    host.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    host.start_domain(WORK)

    def start(_):
        host.start_domain(VAULT)
        return b"0\0"

    host.administrate(start)
    assert host.call("vault", "test.Exit+5")[0] == 5
    assert host.admin.requests == [b"admin.vm.Start+ dom0 name vault\0"]


@pytest.mark.parametrize("answer", [b"2\0QubesVMNotHaltedError\0\0", b"0\0"])
def test_a_domain_that_does_not_come(host, answer):
    """It runs, or was started, and has no daemon."""
    host.start_domain(WORK)
    host.administrate(lambda _: answer)
    assert host.call("vault", "test.Exit+5")[0] == 126
    assert "its daemon is not there" in host.log()


@pytest.mark.parametrize("answer", [b"2\0QubesException\0\0text\0", b"1\0", b"", b"0", None])
def test_a_domain_that_cannot_be_started(host, answer):
    host.start_domain(WORK)
    host.administrate(lambda _: answer)
    assert host.call("vault", "test.Exit+5")[0] == 126


@pytest.mark.parametrize("uuid", [False, True])
def test_A127_a_disposable(host, uuid):
    host.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    host.start_domain(WORK)
    name = "uuid:" + UUID % DISP if uuid else "disp7"
    base = "uuid:" + UUID % VAULT if uuid else "base"
    host.allow = "target=@dispvm:base\nrequested_target=@dispvm\n" + ("target_uuid=@dispvm:%s\n" % base if uuid else "")
    killed = threading.Event()

    def administrate(request):
        if request.startswith(b"admin.vm.CreateDisposable"):
            return b"0\0" + name.encode()
        if request.startswith(b"admin.vm.Start"):
            host.start_domain(DISP)
        if request.startswith(b"admin.vm.Kill"):
            killed.set()
        return b"0\0"

    host.administrate(administrate)
    assert host.call("@dispvm", "test.Exit+9")[0] == 9
    assert killed.wait(LIMIT)
    assert host.admin.requests == [
        ("admin.vm.CreateDisposable+ dom0 name %s\0%s" % (base, "uuid" if uuid else "")).encode(),
        ("admin.vm.Start+ dom0 name %s\0" % name).encode(),
        ("admin.vm.Kill+ dom0 name %s\0" % name).encode()]


@pytest.mark.parametrize("start", [b"2\0QubesException\0", b"0\0"])
def test_A127_a_disposable_that_fails_is_killed(host, start):
    host.start_domain(WORK)
    host.allow = "target=@dispvm:base\nrequested_target=@dispvm\n"
    host.administrate(lambda request: start if request.startswith(b"admin.vm.Start") else b"0\0disp7")
    assert host.call("@dispvm", "test.Exit+9")[0] == 126
    assert [request.split(b"+")[0] for request in host.admin.requests] == [
        b"admin.vm.CreateDisposable", b"admin.vm.Start", b"admin.vm.Kill"]


@pytest.mark.parametrize("name", [b"", b"x" * 64, b"a\0b", b"../a"])
def test_a_disposable_with_an_odd_name(host, name):
    host.start_domain(WORK)
    host.allow = "target=@dispvm:base\nrequested_target=@dispvm\n"
    host.administrate(lambda request: b"0\0" + name if b"Create" in request else b"0\0")
    assert host.call("@dispvm", "test.Exit+9")[0] == 126


# --- in the background


def test_in_the_background(host):
    host.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    host.start_agent(WORK)
    starter = host.start_daemon(WORK, "--quiet", wait=False)
    assert starter.wait(LIMIT) == 0
    assert (host.sockets / "qrexec.work").exists()
    status = os.stat(LOG)
    assert status.st_mode & 0o777 == 0o660
    assert host.run_host("-d", "work", "DEFAULT:QUBESRPC test.Exit+4 dom0")[0] == 4
    assert "can be called" in open(LOG).read()
    stop_background()


def stop_background():
    for daemon in processes.others():
        if daemon.program.endswith("/qrexec-daemon"):
            daemon.kill(signal.SIGTERM)
            assert daemon.wait(LIMIT)


@pytest.mark.parametrize("options, dots", [(("-q",), False), (("--uuid=" + UUID % WORK,), True)])
def test_the_limit_of_time_in_the_background(host, options, dots):
    process = host.start("src/daemon/qrexec-daemon", "--uuid=" + UUID % WORK, "--socket-dir=%s" % host.sockets, *options,
                         WORK, "work", domain=0, environment={"QREXEC_STARTUP_TIMEOUT": "2"}, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 3
    assert (b"." in errors) == dots
    assert "not there in time" in open(LOG).read()


def test_nobody_waits(host):
    process = host.start("src/daemon/qrexec-daemon", "--uuid=" + UUID % WORK, "--socket-dir=%s" % host.sockets, WORK, "work",
                         domain=0, environment={"QREXEC_STARTUP_NOWAIT": "1"})
    assert process.wait(LIMIT) == 0
    host.start_agent(WORK)
    wait_for((host.sockets / "qrexec.work").exists, "the daemon")
    stop_background()
