# SPDX-License-Identifier: Apache-2.0
"""The agent of a virtual machine, qrexec-agent --vsock, root and all, against a host that is played here. AF_VSOCK itself
is played, too (vsock-kernel.c), since it needs a host; test/vsock/ has both for real. Or the host cannot be reached at all:
then it is the kernel's own AF_VSOCK, with a root that may not have a port of root's, so that nobody is dialled.
"""

import array
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest
from processes import children_of
from test_libqair import EXAMPLE, build
import vsock
from vchan import (
    CONNECTION_TERMINATED,
    EXEC_CMDLINE,
    EXIT_CODE,
    HELLO,
    JUST_EXEC,
    LIMIT,
    SERVICE_CONNECT,
    SERVICE_REFUSED,
    STDERR,
    STDIN,
    STDOUT,
    TRIGGER4,
    Peer,
    params,
    trigger4,
)
from waiting import wait_for

AGENT = "/usr/lib/qubes/qrexec-agent"
TRIGGER = "/run/qubes/qrexec-agent"
DATA = 7  # where the host listens for data
PORT = 513
FRAMED, REFUSED = 0x7FFF0001, 0x7FFF0000
UNREACHABLE = "cannot reach the daemon, at port 512 of the host: "


class Guest:
    """The agent, and what its host, its kernel and its accounts do."""

    def __init__(self, folder):
        self.log_path = folder / "log"
        self.library = folder / "vsock-kernel.so"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))
        self.notify.settimeout(LIMIT)
        self.process = self.daemon = None
        self.open = [self.notify]

    def start(self, *wrapper, kernel=True):
        environment = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.notify.getsockname()}
        if kernel:
            if not self.library.exists():
                vsock.build_kernel(self.library, "guest")
            environment["LD_PRELOAD"] = str(self.library)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*wrapper, AGENT, "--vsock"], env=environment, stdout=log,
                                            stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, text):
        wait_for(lambda: text in self.log(), "\"%s\" in the log" % text)

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    # --- the host

    def listen(self, port):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.settimeout(LIMIT)
        listener.bind("\0vsock.host.%d" % port)
        listener.listen(256)
        self.open.append(listener)
        return listener

    def accept(self, listener, port):
        """The one who has dialled from PORT, by which the host knows who it is."""
        connection, address = listener.accept()
        assert address == b"\0vsock.guest.%d" % port
        peer = Peer(connection)
        self.open.append(peer)
        return peer

    def take_port(self, port):
        """An earlier connection that has not given it up."""
        taken = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        taken.bind("\0vsock.guest.%d" % port)
        self.open.append(taken)
        return taken

    def handshake(self, listener, port=512):
        self.daemon = self.accept(listener, port)
        self.daemon.expect(HELLO, struct.pack("<I", 4))
        self.daemon.send(HELLO, struct.pack("<I", 4))
        wait_for(lambda: os.path.exists(TRIGGER), "the trigger socket")

    def order(self, text, domain=DATA, port=PORT, kind=EXEC_CMDLINE):
        self.daemon.send(kind, params(domain, port, text.encode() + b"\0"))

    def allow(self, ident, domain=DATA, port=PORT):
        self.daemon.send(SERVICE_CONNECT, params(domain, port, ident.ljust(32, b"\0")))

    def assert_terminated(self, domain=DATA, port=PORT):
        self.daemon.expect(CONNECTION_TERMINATED, params(domain, port))

    def assert_nothing_more(self):
        """The daemon has heard all: what it hears next is about an order that it gives now."""
        self.order("root:true", domain=0, port=600)
        self.assert_terminated(0, 600)

    # --- its accounts

    def client(self, ident=b"QAIR1"):
        """One whose request is at the daemon. Return: itself, and the ident under which it is there"""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.open.append(client)
        client.connect(TRIGGER)
        client = Peer(client)
        client.send(TRIGGER4, trigger4(b"vault", b"my.Svc+arg\0", ident))
        return client

    def requested(self):
        kind, payload = self.daemon.next()
        assert (kind, payload[64:69], payload[160:]) == (TRIGGER4, b"vault", b"my.Svc+arg\0")
        return payload[128:160].rstrip(b"\0")

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process:
            self.process.wait(LIMIT)
        for thing in self.open:
            thing.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(TRIGGER)


@pytest.fixture
def guest(world, tmp_path):
    os.makedirs(os.path.dirname(TRIGGER), exist_ok=True)
    guest = Guest(tmp_path)
    world.add_service("my.Echo", "cat; echo complaint >&2; exit 3")
    world.add_service("my.Who", "id -un; echo $QREXEC_REMOTE_DOMAIN $1")
    yield guest
    guest.stop()


@pytest.fixture
def linked(guest):
    """With its daemon, and a listener for data."""
    control = guest.listen(512)
    guest.data = guest.listen(DATA)
    guest.start()
    guest.control = control
    guest.handshake(control)
    yield guest
    # With whatever is open; under sanitizers it would complain of what it has forgotten.
    if guest.process.poll() is None:
        guest.process.terminate()
        assert guest.process.wait(LIMIT) == 0, guest.log()
        assert not os.path.exists(TRIGGER)


# --- nobody is there


def without_ports():
    return ["setpriv", "--inh-caps=-net_bind_service", "--bounding-set=-net_bind_service"]


def test_only_root(world):
    world.add_account("anna")
    agent = world.popen_as("anna", [AGENT, "--vsock"])
    _, said = agent.communicate(timeout=LIMIT)
    assert agent.returncode == 1
    assert b"--vsock: only root of a virtual machine can speak for it" in said


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_it_says_why_and_tries_again(guest):
    guest.start(*without_ports(), "strace", "-f", "-qq", "-e", "trace=bind,connect", kernel=False)
    bind = re.compile(r"bind\(\d+, \{sa_family=AF_VSOCK, svm_cid=VMADDR_CID_ANY, svm_port=(?:0x200|512)\b")
    wait_for(lambda: len(bind.findall(guest.log())) >= 4, "some attempts")
    assert guest.log().count(UNREACHABLE) == 1
    assert UNREACHABLE + "Permission denied; trying again" in guest.log()
    assert not re.search(r"connect\(\d+, \{sa_family=AF_VSOCK", guest.log())
    # Nobody decides about calls: so there is no socket for them.
    assert not os.path.exists(TRIGGER)
    assert guest.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told(guest, number):
    guest.start(*without_ports(), kernel=False)
    guest.wait_log(UNREACHABLE)
    guest.process.send_signal(number)
    assert guest.process.wait(LIMIT) == 0


def test_a_client_finds_nobody(guest):
    guest.start(*without_ports(), kernel=False)
    guest.wait_log(UNREACHABLE)
    command = ["qrexec-client-vm", "vault", "my.Svc"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=LIMIT)
    assert result.returncode == 1
    assert ("cannot connect to %s: No such file" % TRIGGER).encode() in result.stderr


# --- the control connection


def test_the_first_contact(linked):
    assert linked.notify.recv(100) == b"READY=1"
    assert os.stat(TRIGGER).st_mode & 0o777 == 0o777
    assert UNREACHABLE not in linked.log()


def test_a_port_that_is_still_taken(guest):
    guest.take_port(512)
    guest.take_port(511)
    control = guest.listen(512)
    guest.start()
    guest.handshake(control, port=510)


def test_a_host_that_comes_later(guest):
    guest.start()
    guest.wait_log(UNREACHABLE + "nobody listens there")
    control = guest.listen(512)
    for _ in range(3):  # no daemon there
        guest.accept(control, 512).close()
    guest.handshake(control)
    assert guest.log().count("it closed the connection") == 1


def test_a_daemon_that_goes_away(linked):
    """What runs goes on; the next daemon, whose port it is not, does not hear of its end."""
    linked.order("root:QUBESRPC my.Echo work")
    caller = linked.accept(linked.data, PORT)
    caller.hello()
    for _ in range(3):
        linked.daemon.close()
        linked.handshake(linked.control)
    caller.end_stdin(b"still")
    assert caller.outcome()[:3] == (b"still", b"complaint\n", 3)
    wait_for(lambda: not children_of(linked.process.pid), "the end of the handler")
    linked.assert_nothing_more()
    assert linked.log().count("the daemon went away") == 3


def test_who_waits_is_told_when_the_daemon_goes_away(linked):
    client = linked.client()
    linked.requested()
    linked.daemon.close()
    assert client.read_raw(12) == struct.pack("<III", REFUSED, 0, 4)
    client.assert_closed()
    wait_for(lambda: not os.path.exists(TRIGGER), "the end of the trigger socket")


@pytest.mark.parametrize("data", [b"\x03\x02\x00\x00", struct.pack("<II", 0x999, 0)], ids=["in a message", "nonsense"])
def test_a_daemon_that_breaks_the_protocol(linked, data):
    linked.daemon.send_raw(data)
    linked.daemon.close()
    assert linked.process.wait(LIMIT) == 1
    assert not os.path.exists(TRIGGER)


# --- calls into the guest


def test_a_call(linked):
    linked.order("root:QUBESRPC my.Echo work")
    caller = linked.accept(linked.data, PORT)
    caller.hello()
    caller.end_stdin(b"x" * 60000)
    assert caller.outcome()[:3] == (b"x" * 60000, b"complaint\n", 3)
    linked.assert_terminated()


def test_as_an_account(linked, world):
    world.add_account("anna")
    linked.order("anna:QUBESRPC my.Who+arg work")
    caller = linked.accept(linked.data, PORT)
    caller.hello()
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"anna\nwork arg\n", b"", 0)
    linked.assert_terminated()


def test_just_exec(linked):
    linked.order("root:true", kind=JUST_EXEC)
    caller = linked.accept(linked.data, PORT)
    caller.hello()
    assert caller.outcome()[2] == 0
    linked.assert_terminated()


def test_a_service_that_is_not_there(linked):
    linked.order("root:QUBESRPC my.Nothing work")
    caller = linked.accept(linked.data, PORT)
    caller.hello()
    assert caller.outcome()[2] == 127
    linked.assert_terminated()


def test_many_calls_at_once(linked):
    n = 40
    for i in range(n):
        linked.order("root:QUBESRPC my.Echo work", port=PORT + i)
    callers = {}
    for _ in range(n):
        connection, address = linked.data.accept()
        callers[int(address.rsplit(b".", 1)[1])] = Peer(connection)
    assert sorted(callers) == list(range(PORT, PORT + n))
    for port, caller in callers.items():
        caller.hello()
        caller.end_stdin(b"%d" % port)
    for port, caller in callers.items():
        assert caller.outcome()[0] == b"%d" % port
        caller.close()
    ended = sorted(linked.daemon.next() for _ in range(n))
    assert ended == [(CONNECTION_TERMINATED, params(DATA, PORT + i)) for i in range(n)]


def test_a_daemon_that_goes_away_while_a_call_waits_for_the_session(linked, world, tmp_path):
    """The next one may have given its port to another call, which would be answered by this one's service."""
    os.mkfifo(tmp_path / "go")
    world.add_service("qubes.WaitForSession", "cd %s && touch waits && read line <go" % tmp_path)
    world.add_service("my.Late", "echo late", config="wait-for-session = 1\nforce-user = 'root'\n")
    linked.order("root:QUBESRPC my.Late work")
    wait_for((tmp_path / "waits").exists, "the program that waits")
    linked.daemon.close()
    linked.handshake(linked.control)
    linked.order("root:QUBESRPC my.Late work", port=PORT + 1)
    linked.daemon.assert_silent()
    (tmp_path / "go").write_bytes(b"x\n")
    linked.wait_log("not started, for its daemon went away")
    caller = linked.accept(linked.data, PORT + 1)
    caller.hello()
    assert caller.outcome()[0] == b"late\n"
    linked.assert_terminated(port=PORT + 1)
    linked.data.setblocking(False)
    with pytest.raises(BlockingIOError):
        linked.data.accept()


def test_a_port_of_the_call_before(linked):
    taken = linked.take_port(PORT)
    linked.order("root:QUBESRPC my.Echo work")
    # The handler is there, and cannot have the port.
    wait_for(lambda: children_of(linked.process.pid), "the handler")
    linked.daemon.assert_silent()
    taken.close()
    caller = linked.accept(linked.data, PORT)
    caller.hello()
    caller.end_stdin(b"late")
    assert caller.outcome()[0] == b"late"
    linked.assert_terminated()


@pytest.mark.parametrize("domain, port", [(0, 513), (512, 513), (FRAMED, 513), (DATA, 512), (DATA, 769)])
def test_a_place_that_cannot_be(linked, world, domain, port):
    """Nothing is started, nobody is dialled, and the daemon has its port back."""
    linked.order("root:QUBESRPC my.Echo work", domain, port)
    linked.assert_terminated(domain, port)
    assert "it cannot be there" in linked.log()
    world.assert_service_never_started("my.Echo")
    linked.data.setblocking(False)
    with pytest.raises(BlockingIOError):
        linked.data.accept()


def test_a_caller_that_is_not_there(linked, world):
    """A host whose queue is full says the same: so it is tried again for a second."""
    begin = time.monotonic()
    linked.order("root:QUBESRPC my.Echo work", domain=8)
    linked.assert_terminated(8)
    assert time.monotonic() - begin >= 1
    assert "cannot reach its caller, domain 8, at port 513: Connection reset by peer" in linked.log()
    world.assert_service_never_started("my.Echo")


# --- calls out of it


def receive_answer(client):
    """What a client that was allowed is given. Return: the answer, its descriptors"""
    data, control, _, _ = client.stream.recvmsg(100, socket.CMSG_SPACE(4 * 4))
    ((_, kind, rights),) = control
    assert kind == socket.SCM_RIGHTS
    return data, list(array.array("i", rights))


def receive_connection(client):
    """The same, where it is one connection. Return: the answer, the connection"""
    data, (fd,) = receive_answer(client)
    return data, Peer(socket.socket(fileno=fd))


def serve_data(callee):
    """Repeat what the caller says first, complain, end with 5."""
    kind, payload = callee.next()
    assert kind == STDIN
    callee.send(STDERR, b"complaint")
    callee.send(STDOUT, b"said: " + payload)
    callee.send(STDOUT)
    callee.send(STDERR)
    callee.send(EXIT_CODE, struct.pack("<i", 5))


def serve(guest, port=PORT, say=True):
    """Be the callee of the next client, allowed at PORT."""
    guest.allow(guest.requested(), port=port)
    callee = guest.accept(guest.data, port)
    # The agent has done its part before anything was said.
    guest.assert_terminated(port=port)
    callee.hello()
    if say:
        serve_data(callee)
    return callee


def test_a_client_of_ours(linked, world):
    world.add_account("anna")
    client = world.popen_as("anna", ["qrexec-client-vm", "vault", "my.Svc+arg"])
    client.stdin.write(b"hello")
    client.stdin.close()
    serve(linked)
    assert client.stdout.read() == b"said: hello"
    assert client.wait(LIMIT) == 5
    linked.assert_nothing_more()


def test_what_a_client_is_given(linked):
    client = linked.client()
    linked.allow(linked.requested(), port=768)
    callee = linked.accept(linked.data, 768)
    linked.assert_terminated(port=768)
    data, caller = receive_connection(client)
    assert data == struct.pack("<II", FRAMED, 768)
    client.assert_closed()
    caller.send_raw(b"hello")
    assert callee.read_raw(5) == b"hello"
    # Nobody else has it: the agent least of all.
    caller.close()
    callee.assert_closed()
    linked.assert_nothing_more()


def test_what_a_client_without_frames_is_given(linked):
    """A status stream and two pipes, and somebody who carries their data, with its account and no longer than it is there."""
    client = linked.client(b"QAIR1 more")
    callee = serve(linked, say=False)
    data, (status, stdin, stdout) = receive_answer(client)
    assert data == struct.pack("<II", 0x7FFF0003, PORT)
    client.assert_closed()
    os.write(stdin, b"hello")
    os.close(stdin)
    serve_data(callee)
    assert os.read(stdout, 100) == b"said: hello"
    status = Peer(socket.socket(fileno=status))
    status.expect(HELLO, struct.pack("<I", 4))
    status.expect(STDERR, b"complaint")
    status.expect(EXIT_CODE, struct.pack("<i", 5))
    status.assert_closed()
    assert os.read(stdout, 100) == b""
    os.close(stdout)
    assert not children_of(linked.process.pid)
    linked.assert_nothing_more()


def test_a_client_without_frames_that_goes_away(linked):
    client = linked.client(b"QAIR1 more")
    callee = serve(linked, say=False)
    for fd in receive_answer(client)[1]:
        os.close(fd)
    callee.messages()  # to its end
    linked.assert_nothing_more()


def test_a_program_that_calls_through_libqair(linked, world):
    """The manual's example. Its three descriptors are pipes and a stream that it may block on."""
    world.add_account("anna")
    program = "/run/test/call"
    build(EXAMPLE, program)
    caller = world.popen_as("anna", [program, "vault", "my.Svc+arg"])
    serve(linked)
    stdout, stderr = caller.communicate(timeout=LIMIT)
    assert (caller.returncode, stdout[:6]) == (5, b"said: "), stderr


def test_a_client_that_is_refused(linked, world):
    world.add_account("anna")
    client = world.popen_as("anna", ["qrexec-client-vm", "vault", "my.Svc+arg"])
    linked.daemon.send(SERVICE_REFUSED, linked.requested().ljust(32, b"\0"))
    _, said = client.communicate(timeout=LIMIT)
    assert (client.returncode, said.splitlines()[0]) == (126, b"Request refused")
    linked.assert_nothing_more()


@pytest.mark.parametrize("ident", [b"SOCKET", b"", b"QAIR1 mor", b"+"])
def test_a_client_of_another_kind(linked, ident):
    linked.client(ident).assert_closed()
    linked.wait_log("a local client calls itself")
    linked.assert_nothing_more()


def test_a_callee_that_is_not_there(linked):
    begin = time.monotonic()
    client = linked.client()
    linked.allow(linked.requested(), domain=8)
    assert client.read_raw(12) == struct.pack("<III", REFUSED, 0, 4)
    client.assert_closed()
    linked.assert_terminated(8)
    assert "cannot reach its callee, at port 8 of the host, from port 513: Connection reset by peer" in linked.log()
    assert time.monotonic() - begin >= 1
    linked.assert_nothing_more()


@pytest.mark.parametrize("domain, port", [(0, 513), (512, 513), (FRAMED, 513), (DATA, 512), (DATA, 769)])
def test_a_callee_at_a_place_that_cannot_be(linked, domain, port):
    client = linked.client()
    linked.allow(linked.requested(), domain, port)
    assert client.read_raw(12) == struct.pack("<III", REFUSED, 0, 4)
    linked.assert_terminated(domain, port)
    linked.assert_nothing_more()


def test_a_callee_whose_port_is_still_taken(linked):
    taken = linked.take_port(PORT)
    waiting = linked.client()
    linked.allow(linked.requested())
    # Others are served meanwhile.
    other = linked.client()
    linked.allow(linked.requested(), port=514)
    linked.accept(linked.data, 514)
    linked.assert_terminated(port=514)
    assert receive_connection(other)[0] == struct.pack("<II", FRAMED, 514)
    waiting.assert_silent()
    taken.close()
    linked.accept(linked.data, PORT)
    linked.assert_terminated()
    assert receive_connection(waiting)[0] == struct.pack("<II", FRAMED, PORT)
    linked.assert_nothing_more()


def test_a_callee_whose_port_is_never_free(linked):
    """The host waits for five seconds, and so does a client. The agent goes on."""
    linked.take_port(PORT)
    client = linked.client()
    linked.allow(linked.requested())
    assert client.read_raw(12) == struct.pack("<III", REFUSED, 0, 4)
    client.assert_closed()
    linked.assert_terminated()
    assert "cannot reach its callee, at port 7 of the host, from port 513: Address already in use" in linked.log()
    linked.assert_nothing_more()


def test_a_client_that_goes_away_while_it_is_dialled_for(linked):
    taken = linked.take_port(PORT)
    client = linked.client()
    linked.allow(linked.requested())
    client.close()
    taken.close()
    linked.accept(linked.data, PORT).assert_closed()
    linked.assert_terminated()
    linked.assert_nothing_more()


def test_a_daemon_that_goes_away_while_a_client_is_dialled_for(linked):
    linked.take_port(PORT)
    client = linked.client()
    linked.allow(linked.requested())
    linked.assert_nothing_more()  # it has read all that
    linked.daemon.close()
    assert client.read_raw(12) == struct.pack("<III", REFUSED, 0, 4)
    client.assert_closed()
    linked.handshake(linked.control)
    linked.assert_nothing_more()


def test_no_descriptor_is_left(linked):
    before = linked.descriptors()
    for i in range(20):
        client = linked.client(b"QAIR1 more" if i % 2 else b"QAIR1")
        linked.allow(linked.requested(), port=PORT + i)
        callee = linked.accept(linked.data, PORT + i)
        linked.assert_terminated(port=PORT + i)
        for fd in receive_answer(client)[1]:
            os.close(fd)
        callee.messages()
    clients = [linked.client() for _ in range(20)]
    for _ in clients:
        linked.allow(linked.requested(), domain=8, port=600)
    for client in clients:
        linked.assert_terminated(8, 600)
        client.close()
    linked.assert_nothing_more()
    assert linked.descriptors() == before
