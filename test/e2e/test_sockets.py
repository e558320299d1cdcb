# SPDX-License-Identifier: Apache-2.0
"""Services that are sockets, called in direct mode: the agent itself carries their data, many calls at a time."""

import contextlib
import os
import selectors
import socket
import struct
import threading
import time

import processes
import pytest
import wire
from test_direct import LIMIT_SEC
from waiting import wait_for
from world import agent_of

POLICY = "*  *  work  vault  allow\n"
PATH = "/run/test/service"


@pytest.fixture
def host(world):
    world.add_domain("work", max_calls=2000)
    world.add_domain("vault")
    world.set_policy(POLICY)
    world.start()
    return world


class SocketService:
    """A service that is a socket; SERVE is called with each of N connections, in a thread of its own."""

    def __init__(self, listener, serve, n=1):
        self.listener = listener
        self.threads = [threading.Thread(target=self._run, args=(serve,)) for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def _run(self, serve):
        self.listener.settimeout(LIMIT_SEC)
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(LIMIT_SEC)
            serve(connection)

    def finish(self):
        for thread in self.threads:
            thread.join()
        self.listener.close()


def unix_service(name, backlog=1000):
    if os.path.exists(PATH):
        os.unlink(PATH)
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(LIMIT_SEC)
    listener.bind(PATH)
    os.chmod(PATH, 0o666)
    listener.listen(backlog)
    if not os.path.islink("/etc/qubes-rpc/" + name):
        os.symlink(PATH, "/etc/qubes-rpc/" + name)
    return listener


def tcp_service(host, name):
    """The listener, and what is called."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    listener.settimeout(LIMIT_SEC)
    os.symlink("/dev/tcp/127.0.0.1", "/etc/qubes-rpc/" + name)
    return listener, "%s+%d" % (name, listener.getsockname()[1])


def without_descriptor(host, name, more=""):
    host.write("/etc/qubes/rpc-config/" + name, "skip-service-descriptor = true\n" + more)


def echo(connection):
    """What was said, in capitals, when all of it has been said."""
    connection.sendall(wire.receive_all(connection).upper())


def raw_call(service):
    """The caller's ends of a call, without the cost of a client."""
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(wire.trigger("vault", service))
        data, fds, _, _ = socket.recv_fds(connection, 100, 4)
    assert len(data) == 8 and len(fds) == 3
    return wire.Channel(fds)


def end(channel):
    """The caller has no more to say; the exit code that the service's end sends."""
    os.close(channel.stdin)
    channel.stdin = None
    return wire.receive_all(channel.stream)


def read_all(fd):
    data = bytearray()
    while piece := os.read(fd, 1 << 20):
        data += piece
    return data


OK = wire.hello() + wire.exit_code(0)


# What a service gets, and what its caller


def test_a_socket_service(host):
    service = SocketService(unix_service("my.Socket"), echo)
    result = host.call("work", "vault", "my.Socket+arg", input=b" hello")
    assert (result.returncode, result.stdout) == (0, b"MY.SOCKET+ARG WORK\0 HELLO"), result
    service.finish()
    (record,) = host.wait_audit(event="end", service="my.Socket")
    assert (record["how"], record["status"]) == ("exited", 0)


def test_no_process_is_made(host):
    """Nobody but the agent has the socket, and it has no child."""
    listener = unix_service("my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        assert connection.recv(100) == b"my.Socket+ work\0"
        assert processes.children_of(agent_of("vault").pid) == []
        connection.close()
        assert end(channel) == OK
    listener.close()


def test_much_data_both_ways(host):
    """Each direction goes on whatever the other does; both pipes grow once it is a stream."""
    listener = unix_service("my.Socket")
    without_descriptor(host, "my.Socket")
    data = os.urandom(8 << 20)

    def both_ways(connection):
        writer = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
        writer.start()
        assert wire.receive_all(connection) == data
        writer.join()

    service = SocketService(listener, both_ways)
    result = host.call("work", "vault", "my.Socket", input=data)
    assert (result.returncode, result.stdout == data) == (0, True)
    service.finish()


@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 65537, 300000])
def test_an_echo_of_every_size(host, size):
    """Nothing is lost or waited for at the border of a pipe's, a page's or a socket's size."""
    service = SocketService(unix_service("my.Socket"), lambda connection: connection.sendall(wire.receive_all(connection)))
    without_descriptor(host, "my.Socket")
    data = os.urandom(size)
    result = host.call("work", "vault", "my.Socket", input=data)
    assert (result.returncode, result.stdout == data) == (0, True)
    service.finish()


def test_many_small_pieces(host):
    """Each takes a place of its own in the pipe, so it is full long before its bytes are many."""
    listener = unix_service("my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        writer = threading.Thread(target=lambda: ([connection.send(b"x") for _ in range(5000)], connection.close()))
        writer.start()
        os.close(channel.stdin)
        channel.stdin = None
        assert read_all(channel.stdout) == b"x" * 5000
        writer.join()
        assert wire.receive_all(channel.stream) == OK
    listener.close()


def test_a_long_descriptor(host):
    """It arrives whole, and the caller's data after it."""
    argument = "a" * 60000
    listener = unix_service("my.S")
    with raw_call("my.S+" + argument) as channel:
        connection, _ = listener.accept()
        connection.settimeout(LIMIT_SEC)
        os.write(channel.stdin, b"data")
        expected = b"my.S+" + argument.encode() + b" work\0data"
        got = b""
        while len(got) < len(expected):
            got += connection.recv(4096)
        assert got == expected
        connection.close()
        assert end(channel) == OK
    listener.close()


def test_just_exec_of_a_socket(host):
    """5.9: connected, descriptor written, socket closed."""
    listener = unix_service("my.Socket")
    with host.popen_as("root", ["/usr/bin/qrexec-client", "-d", "vault", "-e", "DEFAULT:QUBESRPC my.Socket+a dom0"]) as client:
        connection, _ = listener.accept()
        connection.settimeout(LIMIT_SEC)
        assert wire.receive_all(connection) == b"my.Socket+a dom0\0"
        assert client.wait(LIMIT_SEC) == 0
    listener.close()


# Ends


def test_exit_on_client_eof(host):
    done = threading.Event()
    service = SocketService(unix_service("my.Socket"), lambda connection: done.wait(LIMIT_SEC))
    host.write("/etc/qubes/rpc-config/my.Socket", "exit-on-client-eof = true\n")
    assert host.call("work", "vault", "my.Socket").returncode == 0
    done.set()
    service.finish()


def test_exit_on_service_eof(host):
    service = SocketService(unix_service("my.Socket"), lambda connection: connection.shutdown(socket.SHUT_WR) or connection.recv(1000) and connection.recv(1000))
    host.write("/etc/qubes/rpc-config/my.Socket", "exit-on-service-eof = true\n")
    call = host.start_call("work", "vault", "my.Socket")
    assert call.wait(LIMIT_SEC) == 0  # its stdin is still open
    service.finish()


def test_a_service_may_answer_after_the_end_of_input(host):
    listener = unix_service("my.Socket")
    without_descriptor(host, "my.Socket")
    call = host.start_call("work", "vault", "my.Socket")
    connection, _ = listener.accept()
    call.stdin.close()
    assert connection.recv(100) == b""
    connection.sendall(b"late")
    assert call.stdout.read(4) == b"late"
    assert call.poll() is None
    connection.close()
    assert call.wait(LIMIT_SEC) == 0
    listener.close()


def test_input_goes_on_after_the_end_of_output(host):
    listener = unix_service("my.Socket")
    without_descriptor(host, "my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        connection.settimeout(LIMIT_SEC)
        connection.shutdown(socket.SHUT_WR)
        assert os.read(channel.stdout, 100) == b""
        os.write(channel.stdin, b"still here")
        assert connection.recv(100) == b"still here"
        assert end(channel) == OK
        assert connection.recv(100) == b""
        connection.close()
    listener.close()


def test_a_service_that_closes_ends_the_call(host):
    """5.3 rule 4: a hang-up both ways, although the caller has not finished; what it had said arrives first."""
    listener = unix_service("my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        assert connection.recv(100)
        connection.sendall(b"bye")
        connection.close()
        assert wire.receive_all(channel.stream) == OK
        assert os.read(channel.stdout, 100) == b"bye"
    listener.close()


def test_a_service_that_takes_no_more_input(host):
    """What it does not take is dropped, and stops neither its output nor its caller."""
    listener = unix_service("my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        assert connection.recv(100)
        connection.shutdown(socket.SHUT_RD)
        for _ in range(64):
            os.write(channel.stdin, bytes(65536))
        connection.sendall(b"out")
        assert os.read(channel.stdout, 100) == b"out"
        connection.close()
        assert wire.receive_all(channel.stream) == OK
    listener.close()


def test_a_reader_that_leaves(host):
    """What nobody takes any more is dropped; the service learns nothing, and the call ends with it."""
    listener = unix_service("my.Socket")
    without_descriptor(host, "my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        connection.settimeout(LIMIT_SEC)
        os.close(channel.stdout)
        channel.stdout = os.open("/dev/null", os.O_RDONLY)
        connection.sendall(bytes(8 << 20))
        connection.close()
        assert end(channel) == OK
    listener.close()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_service_that_resets(host, kind):
    """Its reset is the end of its output, and of that call alone."""
    listener, service = (unix_service("my.S"), "my.S") if kind == "unix" else tcp_service(host, "my.S")
    without_descriptor(host, "my.S")
    with raw_call(service) as other, raw_call(service) as channel:
        kept, _ = listener.accept()
        connection, _ = listener.accept()
        os.write(channel.stdin, b"never read")
        connection.recv(1)
        # On TCP the linger makes it a reset; on Unix the unread data does.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        assert end(channel) == OK
        os.write(other.stdin, b"x")
        assert kept.recv(10) == b"x"
        kept.sendall(b"y")
        assert os.read(other.stdout, 10) == b"y"
        kept.close()
        assert end(other) == OK
    listener.close()


def test_nobody_listens(host):
    unix_service("my.Socket").close()
    assert host.call("work", "vault", "my.Socket").returncode == 125
    host.wait_log("cannot connect to /etc/qubes-rpc/my.Socket: Connection refused")
    listener, service = tcp_service(host, "my.Tcp")
    listener.close()
    assert host.call("work", "vault", service).returncode == 125
    host.wait_log(r"cannot connect to 127\.0\.0\.1:%s: Connection refused" % service.partition("+")[2])


def test_a_tcp_service(host):
    listener, name = tcp_service(host, "my.Tcp")
    without_descriptor(host, "my.Tcp")
    service = SocketService(listener, echo)
    result = host.call("work", "vault", name, input=b"hello" * 100000)
    assert (result.returncode, result.stdout) == (0, b"HELLO" * 100000)
    service.finish()


def test_a_service_whose_backlog_is_full(host):
    """Its caller waits until it is not, and so does nobody else."""
    listener = unix_service("my.Socket", backlog=0)
    without_descriptor(host, "my.Socket")
    host.add_service("my.Other", "echo other")
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(raw_call("my.Socket")) for _ in range(5)]
        assert host.call("work", "vault", "my.Other").stdout == b"other\n"
        for _ in channels:
            connection, _ = listener.accept()
            connection.close()
        for channel in channels:
            assert end(channel) == OK
    listener.close()


def test_a_tcp_service_that_does_not_answer(host):
    """A connection that is under way holds nobody up, and CALL_KILL ends it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    # Fill its backlog: from then on the kernel answers no SYN.
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    os.symlink("/dev/tcp/127.0.0.1", "/etc/qubes-rpc/my.Tcp")
    host.add_service("my.Other", "echo other")
    with raw_call("my.Tcp+%d" % listener.getsockname()[1]) as channel:
        assert host.call("work", "vault", "my.Other").stdout == b"other\n"
        (call_id,) = (call["call"] for call in calls_of(host) if call["service"].startswith("my.Tcp"))
        assert host.qair("kill", str(call_id)).returncode == 0
        assert wire.receive_all(channel.stream) == wire.hello() + wire.exit_code(143)
    for filler in fillers:
        filler.close()
    listener.close()


def calls_of(host):
    import json

    return json.loads(host.qair("calls", "--json").stdout)["calls"]


def test_kill(host):
    listener = unix_service("my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        connection.settimeout(LIMIT_SEC)
        assert connection.recv(100)
        (call,) = calls_of(host)
        assert host.qair("kill", str(call["call"])).returncode == 0
        assert wire.receive_all(channel.stream) == wire.hello() + wire.exit_code(143)
        assert connection.recv(100) == b""
        connection.close()
    (record,) = host.wait_audit(event="end", service="my.Socket")
    assert (record["how"], record["status"]) == ("killed", 143)
    listener.close()


def test_a_caller_that_is_killed(host):
    """The service finds its socket closed, whatever it was waiting for."""
    listener = unix_service("my.Socket")
    without_descriptor(host, "my.Socket")
    call = host.start_call("work", "vault", "my.Socket")
    connection, _ = listener.accept()
    connection.settimeout(LIMIT_SEC)
    # It reads nothing, and there is more than the socket takes.
    feeder = threading.Thread(target=lambda: contextlib.suppress(BrokenPipeError).__enter__() or feed(call.stdin))
    feeder.start()
    wait_for(lambda: len(connection.recv(1 << 16, socket.MSG_PEEK)) == 1 << 16, "the socket to fill")
    call.kill()
    call.wait()
    feeder.join()
    (record,) = host.wait_audit(event="end", service="my.Socket")
    assert record["how"] == "abandoned"
    wire.receive_all(connection)
    connection.close()
    listener.close()


def feed(stream):
    with contextlib.suppress(OSError, ValueError):
        for _ in range(1000):
            stream.write(bytes(65536))


def test_an_agent_that_is_stopped(host):
    """Open calls go on to their ends, exit code included."""
    listener = unix_service("my.Socket")
    without_descriptor(host, "my.Socket")
    with raw_call("my.Socket") as channel, raw_call("my.Socket") as killed:
        connection, _ = listener.accept()
        second, _ = listener.accept()
        agent = agent_of("vault")
        agent.kill(15)
        host.wait_log("told to stop")  # it would wait for them
        agent.kill(15)
        assert agent.wait(LIMIT_SEC)
        os.write(channel.stdin, b"in")
        assert connection.recv(10) == b"in"
        connection.sendall(b"out")
        connection.close()
        assert os.read(channel.stdout, 10) == b"out"
        assert end(channel) == OK
        killed.close()
        assert second.recv(10) == b""
        second.close()
    listener.close()


# Many


N_SLOW = 200


def test_slow_readers_hold_up_nobody(host):
    """200 callers that do not read what a service sends as fast as it can; others are served as ever, and in the end all
    of them get everything. It costs the agent less than a KiB each, and no process."""
    listener = unix_service("my.Flood")
    without_descriptor(host, "my.Flood")
    size = 3 << 20
    host.add_service("my.Echo", "exec cat")
    assert host.call("work", "vault", "my.Echo", input=b"warm").stdout == b"warm"
    agent = agent_of("vault")
    before_kib, before_fds = processes.private_kib(agent.pid), len(os.listdir("/proc/%d/fd" % agent.pid))
    stop = threading.Event()
    flood = threading.Thread(target=serve_flood, args=(listener, size, stop))
    flood.start()
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(raw_call("my.Flood")) for _ in range(N_SLOW)]
        wait_for(lambda: len(os.listdir("/proc/%d/fd" % agent.pid)) - before_fds == 4 * N_SLOW, "200 open calls")
        assert processes.private_kib(agent.pid) - before_kib <= N_SLOW
        assert processes.children_of(agent.pid) == []

        begin = time.monotonic()
        data = os.urandom(4 << 20)
        result = host.call("work", "vault", "my.Echo", input=data)
        assert (result.returncode, result.stdout == data) == (0, True)
        fast = stack.enter_context(raw_call("my.Flood"))
        os.close(fast.stdin)
        fast.stdin = None
        assert len(read_all(fast.stdout)) == size
        assert time.monotonic() - begin < LIMIT_SEC / 2

        for channel in channels:
            os.close(channel.stdin)
            channel.stdin = None
        for channel in channels:
            assert len(read_all(channel.stdout)) == size
            assert wire.receive_all(channel.stream) == OK
    stop.set()
    flood.join()
    listener.close()
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % agent.pid)) == before_fds, "the agent to close everything")


def serve_flood(listener, size, stop):
    """Send SIZE bytes to everybody, as fast as each takes them, in one thread."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    piece = bytes(65536)
    while not stop.is_set():
        for key, _ in selector.select(0.1):
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_WRITE, [size])
                continue
            left = key.data
            with contextlib.suppress(BlockingIOError):
                left[0] -= key.fileobj.send(piece[: min(len(piece), left[0])])
            if left[0] == 0:
                selector.unregister(key.fileobj)
                key.fileobj.close()
    selector.close()


def test_a_peer_that_never_reads(host):
    """A service that takes nothing stops its own caller, and nobody else, also not that caller's other direction."""
    listener = unix_service("my.Deaf")
    without_descriptor(host, "my.Deaf")
    with raw_call("my.Deaf") as deaf, raw_call("my.Deaf") as other:
        connection, _ = listener.accept()
        second, _ = listener.accept()
        os.set_blocking(deaf.stdin, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(deaf.stdin, bytes(65536))
        agent = agent_of("vault")
        # It waits: what could be moved has been, and then it costs nothing.
        wait_for(lambda: idle(agent.pid), "the agent to wait")
        for number in range(100):
            text = b"%d" % number
            connection.sendall(text)
            assert os.read(deaf.stdout, 100) == text
            os.write(other.stdin, text)
            assert second.recv(100) == text
        connection.close()
        second.close()
        assert end(deaf) == OK and end(other) == OK
    listener.close()


def idle(pid):
    """Has a process used no processor for a tenth of a second?"""

    def used():
        with open("/proc/%d/stat" % pid) as file:
            words = file.read().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])

    before = used()
    time.sleep(0.1)
    return used() == before


def test_flags_of_the_callers_pipes(host):
    """They are files of their own at each side: nothing of ours sets what a program at the other end would see."""
    import fcntl

    listener = unix_service("my.Socket")
    with raw_call("my.Socket") as channel:
        connection, _ = listener.accept()
        before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (channel.stdin, channel.stdout)]
        agent = agent_of("vault").pid
        for fd, name in processes.pipes_of(agent).items():
            if name in (os.readlink("/proc/self/fd/%d" % channel.stdin), os.readlink("/proc/self/fd/%d" % channel.stdout)):
                with open("/proc/%d/fdinfo/%d" % (agent, fd)) as file:
                    flags = int(next(line for line in file if line.startswith("flags:")).split()[1], 8)
                assert not flags & os.O_NONBLOCK
        connection.close()
        assert end(channel) == OK
        assert [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (channel.stdout,)] == before[1:]
    listener.close()
