# SPDX-License-Identifier: Apache-2.0
"""qrexec-fork-server: programs of calls run inside a session of the account, and everything else is as ever."""

import os
import pwd
import signal
import socket
import struct

import processes
import pytest
import wire
from test_direct import LIMIT_SEC
from test_sockets import OK, calls_of, end, raw_call, unix_service
from waiting import wait_for
from world import agent_of

POLICY = "*  *  work  vault  allow\n"
SERVER = "/usr/bin/qrexec-fork-server"


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(POLICY)
    world.add_service("my.Mark", 'echo "${MARK-none}"')
    world.start()
    # Which starts the agent, too.
    assert world.call("work", "vault", "my.Mark").stdout == b"none\n"
    return world


def runtime():
    return "/run/user/%d" % pwd.getpwnam("vault").pw_uid


def path():
    return runtime() + "/qubes/qrexec-server.vault.sock"


class Server:
    """The fork server of vault, in the foreground, with something in its environment that no agent has."""

    def __init__(self, host, *arguments):
        environment = {"XDG_RUNTIME_DIR": runtime(), "MARK": "session", "SHELL": "/bin/sh"}
        self.process = host.popen_as("vault", [SERVER, "-f", *arguments], environment=environment)
        wait_for(lambda: self.process.poll() is not None or os.path.exists(path()), "the server")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=LIMIT_SEC)
        return stderr.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def mark(host):
    return host.call("work", "vault", "my.Mark").stdout.decode().strip()


# What it is for


def test_programs_run_in_its_session(host):
    with Server(host) as server:
        assert mark(host) == "session"
        server.stop()
        assert server.process.returncode == 0 and not os.path.exists(path())
    assert mark(host) == "none"
    with Server(host):
        assert mark(host) == "session"


def test_in_the_background(host):
    """The foreground process exits when calls can be made."""
    environment = {"XDG_RUNTIME_DIR": runtime(), "MARK": "background"}
    with host.popen_as("vault", [SERVER], environment=environment) as server:
        assert server.wait(LIMIT_SEC) == 0
    assert mark(host) == "background"
    (process,) = processes.running(SERVER)
    process.kill(signal.SIGTERM)
    assert process.wait(LIMIT_SEC)


def test_everything_of_a_call(host):
    """Data both ways, stderr to the caller and the log, the status to caller and broker, and who calls."""
    host.add_service("my.All", 'cat; echo "$MARK $QREXEC_REMOTE_DOMAIN $1" >&2; exit 42')
    data = os.urandom(3 << 20)
    with Server(host) as server:
        result = host.call("work", "vault", "my.All+arg", input=data)
        assert (result.returncode, result.stdout == data, result.stderr) == (42, True, "session work arg\n")
        assert host.call("work", "vault", "my.None").returncode == 127
        # Not the agent's child, and nobody between it and its pipes.
        host.add_service("my.Wait", "echo $PPID; cat >/dev/null")
        with raw_call("my.Wait") as channel:
            assert int(os.read(channel.stdout, 100)) == server.process.pid
            assert processes.children_of(agent_of("vault").pid) == []
            assert end(channel) == OK
    (record,) = host.wait_audit(event="end", service="my.All")
    assert (record["how"], record["status"]) == ("exited", 42)


def test_services_of_the_domain_alone(host):
    """The session does not know where the domain's own services are; the agent says it."""
    host.add_service("my.Own", "echo $MARK; echo $QREXEC_SERVICE_PATH", domain="vault")
    with Server(host):
        first, second = host.call("work", "vault", "my.Own").stdout.decode().split()
    assert first == "session" and "/etc/qubes/domains.d/vault.rpc" in second.split(":")


def test_what_it_is_not_used_for(host):
    """Sockets, programs that say direct=no, and configurations that are meant for sockets."""
    listener = unix_service("my.Socket")
    host.add_service("my.Sockets", "echo ${MARK-none}", config="direct = false\n")
    host.add_service("my.Odd", "echo ${MARK-none}", config="exit-on-client-eof = true\n")
    with Server(host) as server:
        with raw_call("my.Socket") as channel:
            connection, _ = listener.accept()
            assert socket.SO_PEERCRED and peer_pid(connection) == agent_of("vault").pid != server.process.pid
            connection.close()
            assert end(channel) == OK
        assert host.call("work", "vault", "my.Sockets").stdout == b"none\n"
        assert host.call("work", "vault", "my.Odd").stdout == b"none\n"
    listener.close()


def peer_pid(connection):
    return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def test_a_framed_call(host):
    host.add_service("my.All", 'cat; echo "$MARK" >&2; exit 5')
    for service, status in (("my.All", 5), ("my.None", 127)):
        with Server(host), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT_SEC)
            connection.connect("/run/qubes/qrexec.vault")
            assert connection.recv(100) == wire.hello(3)
            command = struct.pack("<II", wire.DOMAIN_FRAMED, 0) + b"DEFAULT:QUBESRPC %s+ dom0\0" % service.encode()
            connection.sendall(wire.hello(3) + wire.message(wire.EXEC_CMDLINE, command))
            _, fds, _, _ = socket.recv_fds(connection, 16, 4)
            with socket.socket(fileno=fds[0]) as stream:
                stream.settimeout(LIMIT_SEC)
                try:
                    stream.sendall(wire.hello() + wire.message(wire.DATA_STDIN, b"in") + wire.message(wire.DATA_STDIN))
                except BrokenPipeError:
                    assert status == 127
                data = wire.receive_all(stream)
            assert data.endswith(wire.exit_code(status))
            if status == 5:
                assert wire.message(wire.DATA_STDOUT, b"in") in data
                assert wire.message(wire.DATA_STDERR, b"session\n") in data


def test_just_exec(host):
    host.add_service("my.Late", 'echo "$MARK" >/run/test/late.new; mv /run/test/late.new /run/test/late')
    os.chmod("/run/test", 0o1777)
    with Server(host):
        command = ["/usr/bin/qrexec-client", "-d", "vault", "-e", "DEFAULT:QUBESRPC my.Late+ dom0"]
        with host.popen_as("root", command) as client:
            assert client.wait(LIMIT_SEC) == 0
        wait_for(lambda: os.path.exists("/run/test/late"), "the service")
        # It is the server that says so: while it is there.
        (record,) = host.wait_audit(event="end", service="my.Late")
    with open("/run/test/late") as file:
        assert file.read() == "session\n"
    assert record["how"] == "detached"


# Ends


def test_kill(host):
    host.add_service("my.Wait", "sleep 1000 & echo ready; wait")
    with Server(host):
        with raw_call("my.Wait") as channel:
            assert os.read(channel.stdout, 100) == b"ready\n"
            (call,) = calls_of(host)
            assert host.qair("kill", str(call["call"])).returncode == 0
            assert wire.receive_all(channel.stream) == wire.hello() + wire.exit_code(143)
        (record,) = host.wait_audit(event="end", service="my.Wait")
        assert (record["how"], record["status"]) == ("killed", 143)
        # The others it serves still.
        assert mark(host) == "session"


def test_a_server_that_dies(host):
    """Its calls end as with an agent that dies: 255 for the caller; the broker hears that nobody knows."""
    host.add_service("my.Wait", "echo ready; cat >/dev/null")
    with Server(host) as server, raw_call("my.Wait") as channel:
        assert os.read(channel.stdout, 100) == b"ready\n"
        server.stop(signal.SIGKILL)
        assert wire.receive_all(channel.stream) == b""
        (record,) = host.wait_audit(event="end", service="my.Wait")
        assert record["how"] == "abandoned"
        # What it left is no obstacle: for the agent, nor for the next server.
        assert mark(host) == "none"
    with Server(host):
        assert mark(host) == "session"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_agent_that_goes_away(host, number):
    """Nothing of a call is the agent's, so its caller is even told the status."""
    host.add_service("my.Wait", "echo ready; read line; echo $line; exit 7")
    with Server(host), raw_call("my.Wait") as channel:
        assert os.read(channel.stdout, 100) == b"ready\n"
        agent = agent_of("vault")
        if number == signal.SIGTERM:
            agent.kill(number)
            host.wait_log("told to stop")  # it would wait for the call
        agent.kill(number)
        if number == signal.SIGTERM:
            host.wait_log("told to stop")  # it would wait for the call
            agent.kill(number)
        assert agent.wait(LIMIT_SEC)
        os.write(channel.stdin, b"on\n")
        assert os.read(channel.stdout, 100) == b"on\n"
        assert wire.receive_all(channel.stream) == wire.hello() + wire.exit_code(7)


def test_many(host):
    host.add_service("my.Echo", "read line; echo $1 $line; exit 3")
    with Server(host) as server:
        channels = [raw_call("my.Echo+%d" % number) for number in range(150)]
        wait_for(lambda: len(processes.children_of(server.process.pid)) == 150, "150 services")
        for number, channel in enumerate(channels):
            with channel:
                os.write(channel.stdin, b"line\n")
                assert os.read(channel.stdout, 100) == b"%d line\n" % number
                assert wire.receive_all(channel.stream) == wire.hello() + wire.exit_code(3)
        assert mark(host) == "session"


# Who may ask whom


def test_the_server_of_another_account(host):
    """A socket at the right place is not enough: who listens must be the account itself."""
    os.makedirs(os.path.dirname(path()), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path())
        os.chmod(path(), 0o777)
        listener.listen()
        assert mark(host) == "none"
        host.wait_log("the fork server at .* is not used: it is another account's")


@pytest.mark.parametrize("account", ["root", "work"])
def test_a_peer_of_another_account(host, account):
    with Server(host):
        os.chmod(path(), 0o777)
        os.chmod(runtime(), 0o755)
        os.chmod(os.path.dirname(path()), 0o755)
        with wire.connect_as(account, path()) as connection:
            connection.settimeout(LIMIT_SEC)
            try:
                connection.sendall(request(b"QUBESRPC my.Mark+ work\0"))
            except BrokenPipeError:
                pass
            assert wire.receive_all(connection) == b""
        assert mark(host) == "session"


def request(text, mode=wire.DOMAIN_DIRECT, kind=wire.EXEC_CMDLINE, n=None, call_id=4000):
    return struct.pack("<4I", kind, mode, call_id, len(text) if n is None else n) + text


def ask(data, fds=(), close=False):
    """Everything that the server has to say to DATA, as the account itself."""
    with wire.connect_as("vault", path()) as connection:
        connection.settimeout(LIMIT_SEC)
        socket.send_fds(connection, [data], list(fds))
        if close:
            connection.shutdown(socket.SHUT_WR)
        return wire.receive_all(connection)


def test_requests_that_are_no_requests(host):
    """Each is closed, or answered 125; no service is started, and others are served."""
    command = b"QUBESRPC my.Mark+ work\0"
    failed = struct.pack("<2I", 3, 125)
    with Server(host):
        before = len(host.started("my.Mark"))
        null = os.open("/dev/null", os.O_RDWR)
        for name, data, fds, answer in (
            ("no final NUL", request(command[:-1]), 3, b""),
            ("another type", request(command, kind=0x202), 3, b""),
            ("a length above the limit", request(command, n=0x7FFFFFFF), 3, b""),
            ("no length", request(b""), 3, b""),
            ("another setting", request(command + b"LD_PRELOAD=/x\0"), 3, b""),
            ("settings in upstream's form", request(command + b"QREXEC_SERVICE_PATH=/x\0", mode=43), 0, b""),
            ("descriptors in upstream's form", request(command, mode=43), 3, b""),
            ("a kill of nothing", request(b"", mode=0, kind=wire.CALL_KILL), 0, b""),
            ("no descriptor", request(command), 0, failed),
            ("too few", request(command), 2, failed),
            ("too many", request(command), 5, failed),
            ("not those of the mode", request(command, mode=wire.DOMAIN_FRAMED), 3, failed),
        ):
            assert ask(data, [null] * fds) == answer, name
        assert ask(request(command)[:20], close=True) == b""
        os.close(null)
        assert len(host.started("my.Mark")) == before
        assert mark(host) == "session"


def test_options(host):
    def run(*arguments):
        result = host.run_as("vault", [SERVER, *arguments], {"XDG_RUNTIME_DIR": runtime()})
        return result.returncode, result.stdout.decode(), result.stderr

    assert run("--help")[0] == 0 and "Usage:" in run("--help")[1]
    assert run("one", "two")[0] == 1 and run("--no-such")[0] == 1
    status, _, stderr = run("/nonexistent/folder/socket")
    assert status == 1 and "/nonexistent/folder/socket: No such file or directory" in stderr
    with Server(host):
        status, _, stderr = run("-f")
        assert status == 1 and "another fork server is there already" in stderr
        assert mark(host) == "session"
