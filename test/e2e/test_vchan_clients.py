# SPDX-License-Identifier: Apache-2.0
"""The real qrexec-client-vm and qrexec-client in dial mode, against an agent, daemons and callees of upstream's kind that
are played here.

The programs are driven as appendix D of the protocol specification says; a test named A17_… is about line 17 of its
appendix A. Needs nothing but QAIR_BUILD, the build folder.
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading

import pytest

from vchan import (
    EXEC_CMDLINE,
    EXIT_CODE,
    HELLO,
    HOST,
    JUST_EXEC,
    LIMIT,
    OTHER,
    OWN,
    STDERR,
    STDIN,
    STDOUT,
    TRIGGER4,
    Folder,
    Peer,
    kill_and_wait,
    params,
    trigger4,
)

PORT = 1024
CLIENT_VM = "src/client/qrexec-client-vm"
CLIENT = "src/client/qrexec-client"


class Clients(Folder):
    def __init__(self):
        super().__init__()
        self.agent_path = self.sockets / "agent.sock"
        self.agent = self.unix_listener(self.agent_path)
        self.processes = []

    def start_vm(self, *arguments, environment=None, **options):
        """qrexec-client-vm, its output and errors in pipes."""
        options.setdefault("stdin", subprocess.PIPE)
        process = self.start(
            CLIENT_VM,
            "--agent-socket=%s" % self.agent_path,
            *arguments,
            environment=environment,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            **options,
        )
        self.processes.append(process)
        return process

    def request(self):
        """The request that comes to the agent. Return: the connection, the payload of the trigger."""
        connection = Peer(self.agent.accept()[0])
        kind, payload = connection.next()
        assert kind == TRIGGER4
        return connection, payload

    def call_vm(self, *arguments, version=4, **options):
        """A call that is allowed. Return: the process, the callee's end after the handshake."""
        process = self.start_vm(*(arguments or ("target", "test.Service+arg")), **options)
        connection, _ = self.request()
        connection.send_raw(params(OTHER, PORT))
        callee = self.dial(OWN, OTHER, PORT)
        callee.hello(version)
        self.connection = connection
        return process, callee

    def daemon(self, *names):
        """A daemon socket, with its links."""
        listener = self.unix_listener(self.sockets / ("qrexec.%s" % names[0]))
        for name in names[1:]:
            os.symlink("qrexec.%s" % names[0], self.sockets / ("qrexec.%s" % name))
        return listener

    def start_host(self, *arguments, **options):
        """qrexec-client, on the host."""
        process = self.start(
            CLIENT,
            "--socket-dir=%s" % self.sockets,
            *arguments,
            domain=HOST,
            stdin=options.pop("stdin", subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        self.processes.append(process)
        return process

    def order(self, listener, kind=EXEC_CMDLINE, answer=None):
        """What comes to a daemon, which answers. Return: the connection, the command."""
        connection = Peer(listener.accept()[0])
        connection.send(HELLO, struct.pack("<I", 3))
        connection.expect(HELLO, struct.pack("<I", 3))
        got, payload = connection.next()
        assert got == kind and payload[:8] == params(0, 0) and payload[-1:] == b"\0"
        connection.send(kind, answer or params(OWN, 513))
        return connection, payload[8:-1].decode()

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                kill_and_wait(process)
            for stream in process.stdin, process.stdout, process.stderr:
                if stream:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
        self.close()


@pytest.fixture
def clients():
    clients = Clients()
    yield clients
    clients.stop()


def end(callee, code=0):
    callee.send(STDOUT)
    callee.send(STDERR)
    callee.send(EXIT_CODE, struct.pack("<i", code))


def finish(process):
    """Return: (status, stdout, stderr) of a process that nothing more is given to."""
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


# --- qrexec-client-vm: the request


@pytest.mark.parametrize(
    "arguments, payload",
    [
        (["work", "my.svc+arg"], trigger4(b"work", b"my.svc+arg\0")),
        (["$dispvm:x", "my.svc"], trigger4(b"@dispvm:x", b"my.svc\0")),
        (["", "my.svc"], trigger4(b"", b"my.svc\0")),
        (["-s", "far", "work", "my.svc"], trigger4(b"work", b"my.svc\0", source=b"far")),
        (["x" * 70, "a b/c"], trigger4(b"x" * 63, b"a b/c\0")),
    ],
)
def test_the_request(clients, arguments, payload):
    process = clients.start_vm(*arguments)
    connection, got = clients.request()
    assert got == payload
    connection.close()
    assert finish(process) == (126, b"", b"Request refused\n")


def test_an_answer_that_breaks_off(clients):
    process = clients.start_vm("work", "my.svc")
    connection, _ = clients.request()
    connection.send_raw(b"\1\0\0")
    connection.close()
    status, _, errors = finish(process)
    assert status == 1 and b"broke off" in errors


def test_no_agent(clients):
    clients.agent_path.unlink()
    status, _, errors = finish(clients.start_vm("work", "my.svc"))
    assert status == 1 and b"cannot connect" in errors


@pytest.mark.parametrize(
    "environment, expect",
    [({"VCHAN_DOMAIN": "x"}, b"VCHAN_DOMAIN"), ({"VCHAN_SOCKET_DIR": "/nonexistent"}, b"cannot listen")],
)
def test_nowhere_to_listen(clients, environment, expect):
    process = clients.start_vm("work", "my.svc", environment=environment)
    connection, _ = clients.request()
    connection.send_raw(params(OTHER, PORT))
    status, _, errors = finish(process)
    assert status == 1 and expect in errors


# --- qrexec-client-vm: the call


def test_A01_the_caller_listens(clients):
    process, callee = clients.call_vm()
    assert not clients.socket_path(OWN, OTHER, PORT).exists()  # nobody else can dial
    callee.send(STDOUT, b"out")
    callee.send(STDERR, b"err")
    process.stdin.write(b"in")
    process.stdin.close()
    callee.expect(STDIN, b"in")
    callee.expect(STDIN)
    clients.connection.assert_silent()  # and open: its end would be the call's
    end(callee, 7)
    process.stdin = None
    assert finish(process) == (7, b"out", b"err")
    clients.connection.assert_closed()


def test_A13_A14_A15_versions(clients):
    for version, limit in (2, 4096), (3, 65536), (4, 65536), (9, 65536):
        process, callee = clients.call_vm(version=version)
        callee.send(STDOUT, b"x" * limit)
        end(callee)
        assert finish(process) == (0, b"x" * limit, b"")
        process, callee = clients.call_vm(version=version)
        callee.send_raw(struct.pack("<II", STDOUT, limit + 1))
        assert finish(process)[0] == 1


def test_A74_A75_what_comes_after_the_exit_code(clients):
    process, callee = clients.call_vm()
    callee.send(EXIT_CODE, struct.pack("<i", 3))
    callee.expect(STDIN)  # one end of input, although there was none
    callee.send(STDOUT, b"late")
    callee.send(STDOUT)
    assert finish(process)[:2] == (3, b"late")
    assert callee.messages() == []


def test_A76_one_end_of_input(clients):
    process, callee = clients.call_vm(stdin=subprocess.DEVNULL)
    callee.expect(STDIN)
    end(callee)
    assert finish(process)[0] == 0
    assert callee.messages() == []


def test_A77_a_callee_that_leaves_with_input_unsent(clients):
    process, callee = clients.call_vm()
    with contextlib.suppress(BlockingIOError):
        os.set_blocking(process.stdin.fileno(), False)
        while True:
            if os.write(process.stdin.fileno(), b"x" * 65536) == 0:
                break
    end(callee, 9)
    callee.close()
    assert process.wait(LIMIT) == 9


def test_A78_no_exit_code(clients):
    process, callee = clients.call_vm()
    callee.send(STDOUT, b"x")
    callee.close()
    assert finish(process)[:2] == (255, b"x")
    process, callee = clients.call_vm("work", "my.svc", "/bin/true")
    callee.close()
    assert finish(process)[0] == 255


@pytest.mark.parametrize("remote, local, status", [(0, 5, 5), (3, 5, 3), (3, 0, 3), (0, 0, 0), (256, 0, 255)])
def test_A79_two_statuses(clients, remote, local, status):
    program = clients.service("local", "#!/bin/sh\nexit %d\n" % local)
    process, callee = clients.call_vm("work", "my.svc", str(program))
    end(callee, remote)
    assert finish(process)[0] == status


def test_A81_a_short_exit_code(clients):
    process, callee = clients.call_vm()
    callee.send(STDOUT)
    callee.send(EXIT_CODE, b"\0")
    assert finish(process)[0] == 255


def test_A82_prefix_data(clients):
    process, callee = clients.call_vm("-p", "prefix", "work", "my.svc")
    callee.expect(STDIN, b"prefix")
    process.stdin.write(b"more")
    process.stdin.flush()
    callee.expect(STDIN, b"more")
    end(callee)
    assert finish(process)[0] == 0


def test_A84_input_of_a_callee_is_output(clients):
    process, callee = clients.call_vm()
    callee.send(STDIN, b"odd")
    end(callee)
    status, out, errors = finish(process)
    assert (status, out) == (0, b"odd") and b"standard input" in errors


def test_A85_an_unknown_message(clients):
    process, callee = clients.call_vm()
    callee.send(0x199, b"x")
    assert finish(process)[0] == 1


def test_A87_one_socket_for_both(clients):
    ours, theirs = socket.socketpair()
    process, callee = clients.call_vm("--use-stdin-socket", "work", "my.svc", stdin=theirs)
    theirs.close()
    local = Peer(ours)
    callee.send(STDOUT, b"out")
    callee.send(STDOUT)
    assert local.read_raw(3) == b"out"
    assert local.read_raw(1) is None
    local.send_raw(b"in")
    callee.expect(STDIN, b"in")
    callee.send(EXIT_CODE, struct.pack("<i", 0))
    assert process.wait(LIMIT) == 0


def test_A89_filtering(clients):
    process, callee = clients.call_vm("-t", "-T", "work", "my.svc")
    callee.send(STDOUT, bytes(range(256)))
    callee.send(STDERR, b"\x1b[31m\n")
    end(callee)
    status, out, errors = finish(process)
    kept = set(range(0x20, 0x7F)) | {7, 8, 9, 10, 13}
    assert out == bytes(byte if byte in kept else ord("_") for byte in range(256))
    assert errors == b"_[31m\n"


def test_a_local_program_starts_before_the_connection_is_there(clients):
    """5.13; and it gets our own stdin and stdout by number, but not the connection to the agent."""
    program = clients.service(
        "local",
        "#!/bin/sh\necho started >&2\nread line\necho to the service: $line\necho aside $QREXEC_AGENT_PID >&$SAVED_FD_1\n"
        "ls /proc/self/fd | wc -l >&$SAVED_FD_1\n",
    )
    process = clients.start_vm("work", "my.svc", str(program))
    connection, _ = clients.request()
    connection.send_raw(params(OTHER, PORT))
    assert process.stderr.readline() == b"started\n"
    callee = clients.dial(OWN, OTHER, PORT)
    callee.hello()
    callee.send(STDOUT, b"back\n")
    callee.expect(STDIN, b"to the service: back\n")
    callee.expect(STDIN)
    end(callee)
    status, out, _ = finish(process)
    assert status == 0
    aside, count = out.splitlines()
    assert aside == b"aside %d" % process.pid
    assert int(count) == 6  # 0, 1, 2, both saved ones, and the folder that ls reads


def test_A86_much_input(clients):
    process, callee = clients.call_vm("--buffer-size=1000000", "work", "my.svc")
    data = os.urandom(3000000)
    writer = threading.Thread(target=lambda: (process.stdin.write(data), process.stdin.close()))
    writer.start()
    received = b""
    while True:
        kind, payload = callee.next()
        assert kind == STDIN and len(payload) <= 65536
        if not payload:
            break
        received += payload
    writer.join()
    process.stdin = None
    assert received == data
    end(callee)
    assert finish(process)[0] == 0


def test_killed(clients):
    """Who ends leaves nothing: the agent and the callee see it at once."""
    process, callee = clients.call_vm()
    process.send_signal(signal.SIGKILL)
    callee.assert_closed()
    clients.connection.assert_closed()


# --- qrexec-client


def test_a_call_into_a_domain(clients):
    listener = clients.daemon("42", "vault", "uuid:d0c2b1e4-0000-4000-8000-000000000042")
    for target in "42", "vault", "uuid:d0c2b1e4-0000-4000-8000-000000000042":
        process = clients.start_host("-d", target, "DEFAULT:QUBESRPC test.Service dom0")
        daemon, command = clients.order(listener)
        assert command == "DEFAULT:QUBESRPC test.Service dom0"
        callee = clients.dial(HOST, OWN, 513)
        callee.hello()
        process.stdin.write(b"in")
        process.stdin.close()
        process.stdin = None
        callee.expect(STDIN, b"in")
        callee.expect(STDIN)
        callee.send(STDOUT, b"out")
        daemon.assert_silent()
        end(callee, 3)
        assert finish(process)[:2] == (3, b"out")
        daemon.assert_closed()


def test_just_exec(clients):
    listener = clients.daemon("42")
    process = clients.start_host("-e", "-d", "42", "user:true")
    clients.order(listener, JUST_EXEC)
    callee = clients.dial(HOST, OWN, 513)
    callee.hello()
    callee.send(EXIT_CODE, struct.pack("<i", 0))
    assert finish(process)[0] == 0


def test_a_local_command(clients):
    listener = clients.daemon("42")
    process = clients.start_host("-d", "42", "-l", "read x; echo got $x from $QREXEC_REMOTE_DOMAIN", "user:cmd")
    clients.order(listener)
    callee = clients.dial(HOST, OWN, 513)
    callee.hello()
    callee.send(STDOUT, b"word\n")
    callee.expect(STDIN, b"got word from 42\n")
    callee.expect(STDIN)
    end(callee)
    assert finish(process)[0] == 0


def test_refused_by_the_daemon(clients):
    listener = clients.daemon("42")
    process = clients.start_host("-d", "42", "user:cmd")
    connection = Peer(listener.accept()[0])
    connection.send(HELLO, struct.pack("<I", 3))
    connection.expect(HELLO, struct.pack("<I", 3))
    connection.next()
    connection.close()
    assert finish(process)[0] == 125


def test_A11_an_older_daemon(clients):
    listener = clients.daemon("42")
    process = clients.start_host("-d", "42", "user:cmd")
    connection = Peer(listener.accept()[0])
    connection.send(HELLO, struct.pack("<I", 2))
    assert finish(process)[0] == 125


def test_a_limit_of_time(clients):
    listener = clients.daemon("42")
    process = clients.start_host("-w", "1", "-d", "42", "user:cmd")
    clients.order(listener)
    status, _, errors = finish(process)
    assert status == 125 and b"not there in time" in errors
    assert not clients.socket_path(HOST, OWN, 513).exists()
