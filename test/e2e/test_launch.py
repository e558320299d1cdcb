# SPDX-License-Identifier: Apache-2.0
"""Domains that are started by somebody else than the supervisor, which is confined then: by a service manager.

Its part is played here: it listens on a socket, and starts `qair-supervisor --launch` with each connection as descriptor 3. With
a real systemd the same is tried by `make check-package`.
"""

import contextlib
import os
import signal
import socket
import subprocess
import threading

import processes
import pytest
import wire
from test_lifecycle import add_box, state, stop_box
from world import AGENT, supervisor

SOCKET = "/run/test/launch"
MONITOR = "/usr/lib/qubes/qair-monitor"
# LISTEN_PID is the process that it is for.
START = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --launch 3<&0 </dev/null'


class ServiceManager:
    def __init__(self, log):
        self.log, self.started, self.is_blocked = log, [], threading.Event()
        self.is_blocked.set()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(SOCKET)
        os.chmod(SOCKET, 0o600)
        self.listener.listen(10)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.is_blocked.wait()
            with connection, open(self.log, "ab") as log:
                command = ["/bin/sh", "-c", START, supervisor.SUPERVISOR]
                self.started.append(subprocess.Popen(command, stdin=connection, stdout=log, stderr=log))

    def close(self):
        self.is_blocked.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for process in self.started:
            process.wait(wire.TIMEOUT_SEC)


@pytest.fixture
def host(world):
    for name in ("work", "vault"):
        world.add_domain(name)
    world.add_service("my.Hello", 'echo "hello $QREXEC_REMOTE_DOMAIN"; id -un')
    world.add_service("my.Wait", "echo started; read line; exit 7")
    world.set_policy("my.Hello * @anyvm @anyvm allow\nmy.Wait * @anyvm @anyvm allow")
    world.manager = ServiceManager(world.logfile.path)
    yield world
    if world.supervisor:
        world.stop()
    world.manager.close()


def start(host):
    host.start("--launcher=" + SOCKET)


def assert_served(host):
    result = host.call("work", "vault", "my.Hello")
    assert result.stdout == b"hello work\nvault\n", (result, host.log())


def test_an_agent_is_no_child_of_the_supervisor(host):
    start(host)
    assert_served(host)
    (monitor,) = processes.running(MONITOR)
    assert processes.parent_of(monitor.pid) == os.getpid()
    # Nothing of the connection is left in what runs as the account.
    (agent,) = processes.running(AGENT)
    assert processes.parent_of(agent.pid) == monitor.pid
    connection = os.readlink("/proc/%d/fd/3" % monitor.pid)
    assert connection.startswith("socket:")
    assert connection not in [os.readlink("/proc/%d/fd/%s" % (agent.pid, fd)) for fd in os.listdir("/proc/%d/fd" % agent.pid)]


def test_start_and_stop(host):
    start(host)
    for _ in range(2):
        assert host.qair("domain", "start", "vault").stdout == b"vault is running\n"
        assert_served(host)
        assert host.qair("domain", "stop", "vault").stdout == b"vault is halted\n"
        assert not processes.running(AGENT)
    assert [process.wait(wire.TIMEOUT_SEC) for process in host.manager.started] == [0, 0]


def test_an_agent_that_dies_is_noticed(host):
    start(host)
    assert_served(host)
    (agent,) = processes.running(AGENT)
    mark = host.logfile.mark()
    agent.kill(signal.SIGKILL)
    host.wait_log(r"domain vault stopped \(status 137\)", mark=mark)
    assert_served(host)
    # … and so is one whose monitor cannot say so any more
    (monitor,) = processes.running(MONITOR)
    mark = host.logfile.mark()
    monitor.kill(signal.SIGKILL)
    host.wait_log(r"domain vault stopped \(status 125\)", mark=mark)
    assert_served(host)


def test_a_stop_while_it_has_not_begun(host):
    """It is told as soon as there is something to tell."""
    start(host)
    host.manager.is_blocked.clear()
    with host.popen_as("root", ["/usr/bin/qair", "domain", "start", "vault"]) as command:
        host.wait_log("domain vault started as account vault")
        assert state(host, "vault") == "starting"
        assert host.qair("domain", "stop", "vault").returncode == 0
        host.manager.is_blocked.set()
        command.communicate(timeout=wire.TIMEOUT_SEC)
    host.wait_log("domain vault stopped")
    (started,) = host.manager.started
    assert started.wait(wire.TIMEOUT_SEC) is not None
    assert_served(host)


def test_a_supervisor_that_stops_before_it_has_begun(host):
    """Nobody wants it any more, and so nothing runs."""
    start(host)
    host.manager.is_blocked.clear()
    call = host.start_call("work", "vault", "my.Hello")
    host.wait_log("domain vault started as account vault")
    host.stop()
    host.manager.is_blocked.set()
    host.wait_log("domain vault: nobody waits for its start any more")
    assert call.wait(wire.TIMEOUT_SEC) != 0
    (started,) = host.manager.started
    assert started.wait(wire.TIMEOUT_SEC) == 125
    host.assert_service_never_started("my.Hello")


def test_a_call_outlives_the_supervisor(host):
    start(host)
    call = host.start_call("work", "vault", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    host.stop()
    start(host)
    assert_served(host)
    call.communicate(b"x\n", timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 7
    host.wait_audit(event="end", call_id=1, how="exited", status=7)


def test_commands_too(host):
    add_box(host)
    start(host)
    result = host.call("work", "box", "my.Hello")
    assert result.stdout.startswith(b"hello work\n"), (result, host.log())
    stop_box(host)
    assert [process.wait(wire.TIMEOUT_SEC) for process in host.manager.started] == [0, 0]


def test_nobody_listens(host):
    host.start("--launcher=/run/test/nowhere")
    result = host.call("work", "vault", "my.Hello")
    assert result.returncode == 126 and "service unavailable" in result.stderr, result
    host.wait_log("/run/test/nowhere: No such file or directory: is qair-domain.socket up")
    assert processes.running(MONITOR) == []


@pytest.mark.parametrize("request_text", [b"agent nobody", b"agent ../vault", b"start vault", b"stop vault", b"", b"agent vault\0"])
def test_what_is_not_configured_is_not_started(host, request_text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(SOCKET)
        connection.send(request_text)
        assert connection.recv(100) == b""
    assert host.manager.started[0].wait(wire.TIMEOUT_SEC) == 125
    assert processes.running(MONITOR) == []


def test_an_account_may_not_ask(host):
    os.chmod(SOCKET, 0o666)
    with wire.connect_as("work", SOCKET, socket.SOCK_SEQPACKET) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.send(b"agent vault")
            assert connection.recv(100) == b""
    assert host.manager.started[0].wait(wire.TIMEOUT_SEC) == 125
    host.wait_log(r"account \d+ asks for a domain to be started, and may not")
