# SPDX-License-Identifier: Apache-2.0
"""Calls of a virtual machine, byte for byte: supervisor, qrexec-daemon, broker and clients are real, and the machine is played here, or by
our agent. So is AF_VSOCK (vsock-kernel.c), since the real one needs a machine: test/vsock has both.
"""

import contextlib
import os
import re
import signal
import socket
import struct

import processes
import pytest
import vchan
import vsock
import wire
from vchan import (
    CONNECTION_TERMINATED,
    CONTROL,
    EXEC_CMDLINE,
    EXIT_CODE,
    HELLO,
    JUST_EXEC,
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

CID = 42
DAEMON = "/usr/sbin/qrexec-daemon"
REAL_DAEMON = DAEMON + ".real"
AGENT = "/usr/lib/qubes/qrexec-agent"
FOLDER = "/run/qubes/domains/machine/vchan"
HOST_KERNEL, GUEST_KERNEL = "/run/test/host-kernel.so", "/run/test/guest-kernel.so"
GUEST_SOCKET = "/run/test/guest-agent"
FRAMED = 0x7FFF0001
CLOSED = "closed a connection over vsock, from port %d of context id %d: %s"
IDENT = b"QAIR1-9".ljust(32, b"\0")
ECHO = '#!/bin/sh\nread line; echo "$(id -un) $QREXEC_REMOTE_DOMAIN $1 $line"; cat; echo error >&2; exit 3\n'


class Machine:
    """What the virtual machine does."""

    def __init__(self, host):
        self.host = host
        self.control = None
        self.dialled = []
        self.data_port = self.wait_port()

    def wait_port(self, mark=0):
        """Until its link waits for it. Return: where its data is to come to"""
        said = self.host.wait_log(r"data of the domain comes to port (\d+) of vsock", mark=mark)
        return int(said.group(1))

    def dial(self, port, source, cid=CID):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.dialled.append(connection)
        connection.bind("\0vsock.guest.%d" % source + (".%d" % cid if cid != CID else ""))
        connection.connect("\0vsock.host.%d" % port)
        return Peer(connection)

    def close(self):
        for connection in self.dialled:
            connection.close()

    def handshake(self, version=4, source=CONTROL):
        mark = self.host.logfile.mark()
        if self.control:
            self.control.close()  # which gives its port back
        self.control = self.dial(CONTROL, source)
        self.control.send(HELLO, struct.pack("<I", version))
        self.control.expect(HELLO, struct.pack("<I", version))
        self.host.wait_log("domain machine can be called", mark=mark)

    def order(self, kind=EXEC_CMDLINE):
        """The next one. Return: the port from which it is to be answered, the command"""
        got, payload = self.control.next()
        port, source = struct.unpack("<II", payload[:8])
        assert (got, port) == (kind, self.data_port)
        assert 513 <= source <= 768
        return source, payload[8:]

    def request(self, target=b"work", service=b"my.Echo+arg\0", ident=IDENT):
        self.control.send(TRIGGER4, trigger4(target, service, ident))

    def allowed(self):
        """Return: the port from which the caller's connection is to come"""
        source, ident = self.order(SERVICE_CONNECT)
        assert ident == IDENT
        return source

    def answer(self, source):
        return self.dial(self.data_port, source)

    def serve(self, call, source, status):
        """A call, from its order on."""
        callee = self.answer(source)
        callee.hello()
        end(callee, call, status)
        self.terminate(source)

    def terminate(self, source):
        self.control.send(CONNECTION_TERMINATED, params(self.data_port, source))

    def assert_alive(self):
        """Nothing was said, and the daemon goes on: it refuses a request whose service has no name."""
        self.request(service=b"\0", ident=b"ALIVE")
        self.control.expect(SERVICE_REFUSED, b"ALIVE".ljust(32, b"\0"))


def end(callee, call, status):
    """The service ends, and its caller with it."""
    callee.send(STDOUT)
    callee.send(STDERR)
    callee.send(EXIT_CODE, struct.pack("<i", status))
    call.communicate(timeout=vchan.LIMIT)
    assert call.returncode == status
    callee.close()


@pytest.fixture
def host(world):
    """With a machine that has not said anything yet."""
    vsock.build_kernel(HOST_KERNEL, "host")
    os.rename(DAEMON, REAL_DAEMON)
    try:
        world.write(DAEMON, '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' % (HOST_KERNEL, REAL_DAEMON), mode=0o755)
        world.add_domain("work")
        world.add_domain("machine", link="vsock:%d" % CID, default_user="machine", autostart="yes")
        world.add_service("my.Echo", ECHO, domain="work")
        world.set_policy("my.Refused * @anyvm @anyvm deny\n* * @anyvm @anyvm allow\n")
        start(world)
        with contextlib.closing(Machine(world)) as world.machine:
            yield world
    finally:
        os.rename(REAL_DAEMON, DAEMON)


def start(world):
    world.start(under=("/usr/bin/env", "LD_PRELOAD=" + HOST_KERNEL))


@pytest.fixture
def machine(host):
    host.machine.handshake()
    return host.machine


# --- into the machine


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_bytes_of_a_call_into_it(host, version):
    machine = host.machine
    machine.handshake(version)
    call = host.start_call("work", "machine", "my.Service+arg")
    source, command = machine.order()
    assert command == b"machine:QUBESRPC my.Service+arg work\0"
    callee = machine.answer(source)
    callee.hello(version)
    call.stdin.write(b"in")
    call.stdin.close()
    callee.expect(STDIN, b"in")
    callee.expect(STDIN)
    callee.send(STDOUT, b"out")
    callee.send(STDERR, b"err")
    callee.send(STDOUT)
    callee.send(STDERR)
    callee.send(EXIT_CODE, struct.pack("<i", 7))
    assert (call.stdout.read(), call.stderr.read(), call.wait(vchan.LIMIT)) == (b"out", b"err", 7)
    callee.assert_closed()
    machine.terminate(source)
    host.wait_audit(event="end", source="work", target="machine", how="exited", status=7)


def test_ports_are_given_out_in_turn(host, machine):
    sources = []
    for _ in range(5):
        call = host.start_call("work", "machine", "my.Service")
        source, _ = machine.order()
        machine.serve(call, source, 0)
        sources.append(source)
    assert [(source - sources[0]) % 256 for source in sources] == [0, 1, 2, 3, 4]


def test_a_service_is_only_started(host, machine):
    """As its account asks the daemon itself: from elsewhere the broker would."""
    client = host.popen_as("machine", ["qrexec-client", "--socket-dir=" + FOLDER, "-e", "-d", "1", "DEFAULT:QUBESRPC my.Service dom0"])
    host._calls.append(client)
    source, command = machine.order(JUST_EXEC)
    assert command == b"machine:QUBESRPC my.Service dom0\0"
    machine.serve(client, source, 0)
    machine.assert_alive()


def test_it_does_not_answer(host, machine):
    """It is done with the call, and has not dialled: so nothing is waited for."""
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    machine.terminate(source)
    assert call.wait(vchan.LIMIT) == 125
    # Too late.
    machine.answer(source).assert_closed()
    machine.assert_alive()


def test_the_caller_leaves_first(host, machine):
    """The machine, which dials all the same, hears of it then."""
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    call.kill()
    call.wait(vchan.LIMIT)
    callee = machine.answer(source)
    callee.hello()
    callee.expect(STDIN)
    callee.close()
    machine.terminate(source)
    host.wait_audit(event="end", source="work", target="machine")
    machine.assert_alive()


def test_the_call_is_killed(host, machine):
    """Before the machine has dialled: then nobody waits for it."""
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    (record,) = host.wait_audit(event="start", target="machine")
    assert host.qair("kill", str(record["call_id"])).returncode == 0
    assert call.wait(vchan.LIMIT) == 143
    machine.answer(source).assert_closed()
    machine.terminate(source)
    machine.assert_alive()


@pytest.mark.parametrize("port, cid, what", [
    (None, 43, "another machine"), (1, CID, "another port"), (400, CID, "no port of data"), (None, 2, "the host itself"),
])
def test_others_dial_for_data(host, machine, port, cid, what):
    """They are closed, and the one who was told to is not in their way."""
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    other = source if port is None else port if port > 1 else source + 1 if source < 768 else 513
    machine.dial(machine.data_port, other, cid).assert_closed()
    host.wait_log(CLOSED % (other, cid, "nobody waits for it"))
    machine.serve(call, source, 5)


def test_a_port_is_dialled_once(host, machine):
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    callee = machine.answer(source)
    callee.hello()
    callee.send(STDOUT, b"x")
    assert call.stdout.read(1) == b"x"
    callee.close()
    late = machine.answer(source)
    late.assert_closed()
    assert call.wait(vchan.LIMIT) == 255
    machine.terminate(source)


# --- out of the machine


def test_the_bytes_of_a_call_out_of_it(host, machine):
    machine.request()
    source = machine.allowed()
    caller = machine.answer(source)
    # Its agent hands the connection on, and is done with it.
    machine.terminate(source)
    caller.hello()
    caller.send(STDIN, b"data\nmore")
    caller.send(STDIN)
    out, err, code, _ = caller.outcome()
    assert (out, err, code) == (b"work machine arg data\nmore", b"error\n", 3)
    host.wait_audit(event="end", source="machine", target="work", how="exited", status=3)
    machine.assert_alive()


@pytest.mark.parametrize("target, service", [(b"work", b"my.Refused\0"), (b"nowhere", b"my.Echo\0"), (b"work", b"\0")])
def test_requests_that_are_refused(machine, target, service):
    machine.request(target, service)
    machine.control.expect(SERVICE_REFUSED, IDENT)


def test_no_such_service(machine):
    machine.request(service=b"my.Nothing\0")
    caller = machine.answer(machine.allowed())
    caller.hello()
    caller.end_stdin()
    assert caller.outcome()[2] == 127


def test_a_caller_that_is_gone(host, machine):
    """Its agent cannot hand the connection on, and does not make it: the service sees the end."""
    machine.request()
    machine.terminate(machine.allowed())
    host.wait_log("the caller could not be reached")
    host.wait_audit(event="end", source="machine", target="work")
    machine.assert_alive()


def test_much_data(host, machine):
    host.add_service("my.Cat", "exec cat", domain="work")
    machine.request(service=b"my.Cat\0")
    source = machine.allowed()
    caller = machine.answer(source)
    machine.terminate(source)
    caller.hello()
    data = os.urandom(1 << 20)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            for i in range(0, len(data), 65536):
                caller.send(STDIN, data[i:i + 65536])
            caller.send(STDIN)
        os._exit(0)
    out, _, code, _ = caller.outcome()
    os.waitpid(child, 0)
    assert (out == data, code) == (True, 0)


# --- its control connection


@pytest.mark.parametrize("source, cid, why", [
    (512, 43, "no domain has this context id"), (1024, CID, "that is no port from which an agent dials"),
    (513, CID, "that is no port from which an agent dials"), (768, CID, "that is no port from which an agent dials"),
    (512, 2, "that is no port from which an agent dials"),
])
def test_who_is_no_agent(host, source, cid, why):
    host.machine.dial(CONTROL, source, cid).assert_closed()
    host.wait_log(CLOSED % (source, cid, re.escape(why)))
    host.machine.handshake()
    host.machine.assert_alive()


@pytest.mark.parametrize("source", [1, 511, 769, 1023])
def test_from_another_port_of_roots(host, source):
    host.machine.handshake(source=source)
    host.machine.assert_alive()


def test_a_second_agent(host, machine):
    machine.dial(CONTROL, 511).assert_closed()
    host.wait_log(CLOSED % (511, CID, "the agent before is still there"))
    machine.assert_alive()


def test_strangers_are_counted(host):
    """Who dials in vain again and again does not fill the log."""
    for i in range(50):
        host.machine.dial(CONTROL, 2000 + i).assert_closed()
    assert len(re.findall("closed a connection over vsock", host.log())) < 25
    host.machine.handshake()


def test_one_that_breaks_the_protocol(host, machine):
    mark = host.logfile.mark()
    machine.control.send(0x999, b"x")
    machine.control.assert_closed()
    host.wait_log("domain machine stopped", mark=mark)
    # Nobody is there to serve it, until it is called.
    machine.dial(CONTROL, 511).assert_closed()
    call = host.start_call("work", "machine", "my.Service")
    assert machine.wait_port(mark) == machine.data_port
    machine.handshake()
    source, _ = machine.order()
    machine.serve(call, source, 4)


def test_its_agent_is_started_again(host, machine):
    """What runs goes on; who waits for an answer has none; and the next agent is served."""
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    callee = machine.answer(source)
    callee.hello()
    machine.request()
    out_source = machine.allowed()
    caller = machine.answer(out_source)
    machine.terminate(out_source)
    caller.hello()
    waiting = host.start_call("work", "machine", "my.Service")
    late, _ = machine.order()
    mark = host.logfile.mark()
    machine.control.close()
    host.wait_log("the agent of domain machine went away", mark=mark)
    assert waiting.wait(vchan.LIMIT) == 125
    machine.handshake()
    machine.answer(late).assert_closed()
    third = host.start_call("work", "machine", "my.Service")
    third_source, _ = machine.order()
    assert third_source not in (source, out_source, late)
    machine.serve(third, third_source, 4)
    end(callee, call, 5)
    caller.end_stdin(b"data\n")
    assert caller.outcome()[2] == 3


def test_the_broker_dies(host, machine):
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    callee = machine.answer(source)
    callee.hello()
    host.restart_broker()
    end(callee, call, 5)
    machine.terminate(source)
    machine.request()
    assert 513 <= machine.allowed() <= 768


def test_the_supervisor_dies(host, machine):
    """The link goes on with what it has: the machine was told that data goes to its first listener."""
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    host.supervisor.kill()
    host.supervisor.wait()
    host.supervisor = None
    mark = host.logfile.mark()
    start(host)
    said = host.wait_log(r"domain machine: the data of context id 42 comes to port (\d+) of vsock", mark=mark)
    assert int(said.group(1)) != machine.data_port
    machine.serve(call, source, 5)
    another = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    machine.serve(another, source, 6)
    # Of an earlier supervisor: nobody else ends it.
    for process in processes.running(REAL_DAEMON):
        process.kill(signal.SIGTERM)


def test_it_is_stopped_and_started(host, machine):
    """What runs goes on beside the next link, which is given the same listener."""
    call = host.start_call("work", "machine", "my.Service")
    source, _ = machine.order()
    callee = machine.answer(source)
    callee.hello()
    mark = host.logfile.mark()
    host.qair("domain", "stop", "machine")
    machine.control.assert_closed()
    again = host.start_call("work", "machine", "my.Service")
    assert machine.wait_port(mark) == machine.data_port
    machine.handshake()
    second, _ = machine.order()
    machine.serve(again, second, 4)
    end(callee, call, 5)


# --- clients that know nothing of it


@pytest.mark.parametrize("domain, port", [(0, 0), (43, 0), (0, 600), (FRAMED, 600)])
def test_a_client_that_wants_to_be_dialled(machine, domain, port):
    client = Peer(wire.connect_as("machine", FOLDER + "/qrexec.1"))
    client.expect(HELLO, struct.pack("<I", 3))
    client.send(HELLO, struct.pack("<I", 3))
    client.send(EXEC_CMDLINE, params(domain, port, b"user:cmd\0"))
    client.assert_closed()
    machine.assert_alive()


# --- with our agent in the machine


@pytest.fixture
def guest(host):
    vsock.build_kernel(GUEST_KERNEL, "guest")
    host.write("/run/test/guest-rpc/my.Echo", ECHO, mode=0o755)
    environment = {"LD_PRELOAD": GUEST_KERNEL, "QREXEC_SERVICE_PATH": "/run/test/guest-rpc"}
    agent = host.popen_as("root", [AGENT, "--vsock", "--agent-socket=" + GUEST_SOCKET], environment, stdin=None, stdout=None, stderr=None)
    host._calls.append(agent)
    host.wait_log("domain machine can be called")
    wait_for(lambda: os.path.exists(GUEST_SOCKET), "the agent's socket")
    yield host
    agent.terminate()
    assert agent.wait(vchan.LIMIT) == 0


def guest_call(host, target, service, input):
    command = ["qrexec-client-vm", "--agent-socket=" + GUEST_SOCKET, "--", target, service]
    call = host.popen_as("machine", command)
    host._calls.append(call)
    out, err = call.communicate(input, timeout=vchan.LIMIT)
    return call.returncode, out, err


def test_our_agent(guest):
    """Both ways, some at once."""
    calls = [guest.start_call("work", "machine", "my.Echo+%d" % i) for i in range(8)]
    for i, call in enumerate(calls):
        assert guest_call(guest, "work", "my.Echo+%d" % i, b"a\nb") == (3, b"work machine %d a\nb" % i, b"error\n")
    for i, call in enumerate(calls):
        out, err = call.communicate(b"c\nd", timeout=vchan.LIMIT)
        assert (call.returncode, out, err) == (3, b"machine work %d c\nd" % i, b"error\n")
    assert guest_call(guest, "work", "my.Refused", b"")[0] == 126
