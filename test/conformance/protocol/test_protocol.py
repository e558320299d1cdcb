# SPDX-License-Identifier: Apache-2.0
"""The cases of cases.py, put to the programs; and every message cut off at every byte.

Each case asserts what comes back, what is closed, what is in the log, and that others are served afterwards, or with what
status the program has ended.

    QAIR_BUILD=build /usr/bin/python3 -m pytest test/conformance/protocol            all but the broker's
    test/world/enter build /usr/bin/python3 -m pytest test/conformance/protocol      all
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess

import pytest
import wire
from cases import *  # noqa: F403 (the tables, and what messages are called)
from test_vchan_agent import Agent
from test_vchan_clients import Clients, finish
from test_vchan_daemon import Daemon
from vchan import LIMIT, Folder, Peer, wait_for


def by_name(table):
    return pytest.mark.parametrize("case", table, ids=[case.name for case in table])


class Log:
    """What a program says from now on, in lines; BEHIND what it has to say first."""

    def __init__(self, folder, behind=""):
        wait_for(lambda: behind in folder.log(), "%r in the log" % behind)
        self.folder, self.start = folder, len(folder.log())

    def lines(self):
        return self.folder.log()[self.start :].splitlines()

    def assert_says(self, what):
        """One line, with WHAT in it; None: not a word."""
        lines = self.lines()
        if what is None:
            assert lines == []
        else:
            assert len(lines) == 1 and what in lines[0], lines


def say(peer, data):
    """It may be closed before it has heard everything."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        peer.send_raw(data)


# --- the agent's control connection


@pytest.fixture
def idle_agent():
    agent = Agent()
    agent.service("test.Copy", "#!/bin/sh\nexec cat\n")
    agent.spawn()
    yield agent
    agent.stop()


@pytest.fixture
def agent(idle_agent):
    idle_agent.handshake()
    Log(idle_agent, behind="the daemon is there")
    return idle_agent


def heard_before_a_call(agent):
    """All that the daemon hears until a call of another is over: the agent serves."""
    listener = agent.listen(OTHER, OWN, PORT + 1)
    agent.order(command("echo served"), port=PORT + 1)
    caller = agent.accept(listener)
    caller.hello()
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"served\n", b"", 0)
    heard = []
    while not heard or heard[-1] != (CONNECTION_TERMINATED, params(OTHER, PORT + 1)):
        heard.append(agent.daemon.next())
        assert heard[-1], "the agent closed its control connection"
    return heard[:-1]


def check_agent(agent, case, log):
    if case.ends is GOES_ON:
        wait_for(agent.trigger_path.exists, "the trigger socket")
        assert heard_before_a_call(agent) == case.hears
    else:
        assert agent.process.wait(LIMIT) == case.ends
        assert agent.daemon.messages() == case.hears
        assert not agent.trigger_path.exists()
    log.assert_says(case.log)


@by_name(AGENT_HELLO)
def test_the_agents_handshake(idle_agent, case):
    daemon = idle_agent.dial_control()
    daemon.expect(HELLO, struct.pack("<I", 4))
    log = Log(idle_agent)
    say(daemon, case.says)
    check_agent(idle_agent, case, log)


@by_name(AGENT_ORDERS)
def test_what_a_daemon_says(agent, case):
    log = Log(agent)
    say(agent.daemon, case.says)
    check_agent(agent, case, log)


HANDSHAKE = hello(4)
ORDER = message(SERVICE_REFUSED, IDENT)


@pytest.mark.parametrize("n", range(len(HANDSHAKE)))
def test_the_agents_handshake_is_cut_off(idle_agent, n):
    daemon = idle_agent.dial_control()
    daemon.expect(HELLO, struct.pack("<I", 4))
    log = Log(idle_agent)
    daemon.send_raw(HANDSHAKE[:n])
    daemon.close()
    assert idle_agent.process.wait(LIMIT) == 1
    log.assert_says("went away in the middle of " + ("a message" if n else "the handshake"))


@pytest.mark.parametrize("n", range(1, len(ORDER)))
def test_an_order_is_cut_off(agent, n):
    log = Log(agent)
    agent.daemon.send_raw(ORDER[:n])
    agent.daemon.close()
    assert agent.process.wait(LIMIT) == 1
    assert not agent.trigger_path.exists()
    log.assert_says("went away in the middle of a message")


def test_A13_a_reserved_number_is_a_domain_like_any(agent):
    """What has a meaning on local links has none here: such a caller is dialled."""
    for domain in 0x7FFF0001, 0x7FFF0003, 0x7FFF0000:
        listener = agent.listen(domain, OWN, PORT)
        agent.order(command("echo hello"), domain=domain)
        caller = agent.accept(listener)
        caller.hello()
        caller.end_stdin()
        assert caller.outcome()[:3] == (b"hello\n", b"", 0)
        agent.assert_terminated(domain=domain)


def test_one_port_twice(agent):
    """Two calls with one caller and one port: each is dialled, each ends once."""
    listener = agent.listen(OTHER, OWN, PORT)
    for _ in range(2):
        agent.order(command("echo hello"))
    for _ in range(2):
        caller = Peer(listener.accept()[0])
        caller.hello()
        caller.end_stdin()
        assert caller.outcome()[0] == b"hello\n"
    for _ in range(2):
        agent.assert_terminated()
    assert heard_before_a_call(agent) == []


# --- a callee


def dialled(agent):
    """The caller of a call of test.Copy, before it has said anything; and the log from here on."""
    listener = agent.listen(OTHER, OWN, PORT)
    agent.order(command("QUBESRPC test.Copy work"))
    caller = agent.accept(listener)
    caller.expect(HELLO, struct.pack("<I", 4))
    return caller, Log(agent)


def check_callee(agent, caller, case, log):
    heard = caller.messages()
    if case.hears:
        # Which of the two streams ends first is nobody's business (5.2).
        assert sorted(heard[:-1]) == sorted(case.hears[:-1]) and heard[-1] == case.hears[-1]
    else:
        assert heard == []
    agent.assert_terminated()
    assert heard_before_a_call(agent) == []
    log.assert_says(case.log)


@by_name(CALLEE_HELLO)
def test_a_callees_handshake(agent, case):
    caller, log = dialled(agent)
    say(caller, case.says)
    check_callee(agent, caller, case, log)


@by_name(CALLEE_DATA)
def test_what_a_caller_says(agent, case):
    caller, log = dialled(agent)
    say(caller, hello(4) + case.says)
    check_callee(agent, caller, case, log)


CALL = hello(4) + message(STDIN, b"hi\n") + message(STDIN)


def test_a_callers_words_are_cut_off_at_every_byte(agent):
    """The service sees the end of its input, the call is over, and others are served."""
    for n in range(len(CALL)):
        caller, log = dialled(agent)
        say(caller, CALL[:n])
        caller.close()
        agent.assert_terminated()
    assert heard_before_a_call(agent) == []
    assert not [line for line in log.lines() if "broke" in line]


def test_a_callers_words_come_byte_by_byte(agent):
    caller, log = dialled(agent)
    for i in range(len(CALL)):
        caller.send_raw(CALL[i : i + 1])
    assert caller.outcome()[:3] == (b"hi\n", b"", 0)
    agent.assert_terminated()
    log.assert_says(None)


# --- a callee on the host: qrexec-host-call


@pytest.fixture
def folder():
    folder = Folder()
    folder.service("test.Copy", "#!/bin/sh\nexec cat\n")
    yield folder
    folder.close()


def host_call(folder, service="test.Copy"):
    """The program, and the caller that it has dialled."""
    listener = folder.listen(OTHER, HOST, PORT)
    process = folder.start("src/agent/qrexec-host-call", "--status", OTHER, PORT, "QUBESRPC %s work" % service, domain=HOST)
    return process, folder.accept(listener)


def assert_host_call_ends(folder, process, caller, case, first_line=None):
    assert caller.messages() == case.hears
    assert process.wait(LIMIT) == case.ends
    says = [line for line in (first_line, case.log) if line]
    lines = folder.log().splitlines()
    assert len(lines) == len(says) and all(part in line for part, line in zip(says, lines)), lines


@by_name(HOST_CALLEE)
def test_what_a_caller_says_to_the_host(folder, case):
    process, caller = host_call(folder)
    say(caller, case.says)
    assert_host_call_ends(folder, process, caller, case)


@by_name(HOST_NO_SERVICE)
def test_what_a_caller_says_to_a_host_without_the_service(folder, case):
    process, caller = host_call(folder, "test.None")
    say(caller, case.says)
    assert_host_call_ends(folder, process, caller, case, first_line=NO_SERVICE)


# A service that has something to say to a caller that is gone may be told so by a signal.
@pytest.mark.parametrize("service, statuses", [("test.Copy", (0, 128 + signal.SIGPIPE)), ("test.None", (127,))])
def test_a_callers_words_to_the_host_are_cut_off_at_every_byte(folder, service, statuses):
    """A16: it says nothing before it has heard HELLO; the service sees the end of its input; the program ends."""
    for n in range(len(CALL)):
        process, caller = host_call(folder, service)
        caller.send_raw(CALL[:n])
        caller.stream.shutdown(socket.SHUT_WR)
        heard = caller.messages()
        assert heard[:2] == (HOST_BEGIN if n >= len(hello(4)) else []), n
        assert process.wait(LIMIT) in statuses
        caller.close()
    assert "broke" not in folder.log()


def test_a_callers_words_to_the_host_come_byte_by_byte(folder):
    process, caller = host_call(folder)
    for i in range(len(CALL)):
        if i < len(hello(4)):
            caller.assert_silent()
        caller.send_raw(CALL[i : i + 1])
    assert caller.messages() == [*HOST_BEGIN, (STDOUT, b"hi\n"), (STDOUT, b""), exit_code(0)]
    assert process.wait(LIMIT) == 0 and folder.log() == ""


# --- the agent's trigger socket


def assert_a_client_is_served(agent):
    client, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, ident + b"\0"))
    assert client.read_raw(8) == params(OTHER, PORT)
    client.close()
    agent.assert_terminated()


@by_name(TRIGGERS)
def test_what_a_local_client_says(agent, case):
    log = Log(agent)
    client = agent.client()
    say(client, case.says)
    client.assert_closed()
    assert_a_client_is_served(agent)
    log.assert_says(case.log)


TRIGGER = message(TRIGGER4, trigger4(b"work", b"test.Service\0"))


def test_a_local_request_is_cut_off_at_every_byte(agent):
    """Nobody hears of it, and others are served meanwhile and afterwards."""
    log = Log(agent)
    for n in range(len(TRIGGER)):
        client = agent.client()
        client.send_raw(TRIGGER[:n])
        if n % 16 == 0:
            assert_a_client_is_served(agent)
        client.close()
    assert_a_client_is_served(agent)
    assert heard_before_a_call(agent) == []
    log.assert_says(None)


def test_a_flood_of_local_clients(agent):
    """More than may wait come, say nothing or half, and go: no more than the limit are kept, and others are served."""
    n = len(os.listdir("/proc/%d/fd" % agent.process.pid))
    for said in b"", TRIGGER[:100]:
        clients = [agent.client() for _ in range(400)]
        for client in clients:
            say(client, said)
        wait_for(lambda: len(os.listdir("/proc/%d/fd" % agent.process.pid)) <= n + 257, "the surplus to be closed")
        for client in clients:
            client.close()
        wait_for(lambda: len(os.listdir("/proc/%d/fd" % agent.process.pid)) <= n + 1, "the others to be gone")
        assert_a_client_is_served(agent)


# --- a caller: qrexec-client-vm


@pytest.fixture
def clients():
    clients = Clients()
    yield clients
    clients.stop()


def call(clients):
    """The callee's end of a call that was dialled; the caller's HELLO has been heard."""
    process = clients.start_vm("target", "test.Service", stdin=subprocess.DEVNULL)
    clients.connection, _ = clients.request()
    clients.connection.send_raw(params(OTHER, PORT))
    callee = clients.dial(OWN, OTHER, PORT)
    callee.expect(HELLO, struct.pack("<I", 4))
    return process, callee


def check_caller(process, callee, case):
    callee.stream.shutdown(socket.SHUT_WR)
    status, out, err = finish(process)
    assert (status, out) == (case.ends, case.hears)
    lines = err.decode().splitlines()
    assert len(lines) == (case.log is not None) and all(case.log in line for line in lines), lines
    # It has said one end of its input at most, and nothing else.
    assert callee.messages() in ([], [(STDIN, b"")])


@by_name(CALLER_HELLO)
def test_a_callers_handshake(clients, case):
    process, callee = call(clients)
    say(callee, case.says)
    check_caller(process, callee, case)


@by_name(CALLER_DATA)
def test_what_a_callee_says(clients, case):
    process, callee = call(clients)
    say(callee, hello(4) + case.says)
    check_caller(process, callee, case)


ANSWER = hello(4) + message(STDOUT, b"hi\n") + message(STDOUT) + message(STDERR) + message(*exit_code(0))


def test_a_callees_words_are_cut_off_at_every_byte(clients):
    for n in range(len(ANSWER)):
        process, callee = call(clients)
        callee.send_raw(ANSWER[:n])
        callee.close()
        status, out, _ = finish(process)
        # A call that did not begin has failed; of one that did, what came is delivered, and its status is not known.
        assert (status, out) == ((1, b"") if n < 12 else (255, b"hi\n"[: max(0, n - 20)])), n


def test_the_agents_answer_is_cut_off_at_every_byte(clients):
    for n in range(8):
        process = clients.start_vm("target", "test.Service", stdin=subprocess.DEVNULL)
        connection, _ = clients.request()
        connection.send_raw(params(OTHER, PORT)[:n])
        connection.close()
        status, out, err = finish(process)
        assert (status, out) == (1 if n else 126, b"")
        assert err.decode() == ("qrexec-client-vm: the answer to the request broke off\n" if n else "Request refused\n")


# --- qrexec-client, as a daemon meets it


@by_name(HOST_CLIENT)
def test_what_a_daemon_says_to_a_client(clients, case):
    listener = clients.daemon("42", "target")
    process = clients.start_host("-d", "target", "user:cmd", stdin=subprocess.DEVNULL)
    daemon = Peer(listener.accept()[0])
    say(daemon, case.says)
    daemon.stream.shutdown(socket.SHUT_WR)
    status, out, err = finish(process)
    assert (status, out) == (case.ends, case.hears)
    assert len(err.splitlines()) == 1 and (case.log or "").encode() in err, err


# --- qrexec-daemon, as its agent meets it


@pytest.fixture
def idle_daemon():
    daemon = Daemon()
    daemon.spawn()
    yield daemon
    daemon.stop()


@pytest.fixture
def daemon(idle_daemon):
    idle_daemon.handshake()
    Log(idle_daemon, behind="can be called")
    return idle_daemon


def probe(version):
    """A request that is refused at once, in words of this version."""
    return {
        2: message(TRIGGER2, b"".ljust(64, b"\0") + b"x".ljust(32, b"\0") + b"ALIVE".ljust(32, b"\0")),
        3: message(TRIGGER3, b"x".ljust(64, b"\0") + b"ALIVE".ljust(32, b"\0") + b"\0"),
        4: message(TRIGGER4, trigger4(b"x", b"\0", b"ALIVE")),
    }[version]


def check_daemon(daemon, case, log, version=4):
    if case.ends is GOES_ON:
        # What a worker refuses comes when it comes.
        heard = [daemon.agent.next() for _ in case.hears]
        daemon.agent.send_raw(probe(version))
        heard.append(daemon.agent.next())
        assert heard == [*case.hears, (SERVICE_REFUSED, b"ALIVE".ljust(32, b"\0"))]
        # And clients are served.
        client = daemon.client()
        client.send(EXEC_CMDLINE, params(HOST, 0, b"x\0"))
        client.expect(EXEC_CMDLINE, params(OWN, 513))
        daemon.agent.expect(EXEC_CMDLINE, params(HOST, 513, b"x\0"))
    else:
        assert daemon.process.wait(LIMIT) == case.ends
        assert daemon.agent.messages() == case.hears
        assert not daemon.own_sockets()
    log.assert_says(case.log)


@by_name(DAEMON_HELLO)
def test_the_daemons_handshake(idle_daemon, case):
    idle_daemon.agent = idle_daemon.accept(idle_daemon.listener)
    log = Log(idle_daemon)
    say(idle_daemon.agent, case.says)
    check_daemon(idle_daemon, case, log)


@pytest.mark.parametrize("version, case", DAEMON_MESSAGES, ids=[case.name for _, case in DAEMON_MESSAGES])
def test_what_an_agent_says(idle_daemon, version, case):
    idle_daemon.handshake(version)
    log = Log(idle_daemon, behind="can be called")
    say(idle_daemon.agent, case.says)
    check_daemon(idle_daemon, case, log, version)


@pytest.mark.parametrize("n", range(len(HANDSHAKE)))
def test_the_daemons_handshake_is_cut_off(idle_daemon, n):
    agent = idle_daemon.accept(idle_daemon.listener)
    log = Log(idle_daemon)
    agent.send_raw(HANDSHAKE[:n])
    agent.close()
    assert idle_daemon.process.wait(LIMIT) == 1
    log.assert_says("went away in the middle of a message")


REQUEST = message(TRIGGER4, trigger4(b"target", b"a\0", IDENT))


@pytest.mark.parametrize("n", [*range(1, 9), *range(9, len(REQUEST), 10), len(REQUEST) - 1])
def test_a_request_is_cut_off(daemon, n):
    log = Log(daemon)
    daemon.agent.send_raw(REQUEST[:n])
    daemon.agent.close()
    assert daemon.process.wait(LIMIT) == 1
    assert not daemon.own_sockets()
    log.assert_says("went away in the middle of a message")


def memory(pid):
    """The resident set, in KiB."""
    with open("/proc/%d/status" % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_an_agent_that_asks_and_does_not_read(daemon):
    """It may not make the host hold its refusals for ever: there is an end to patience, and the host is as small as before."""
    before, largest = memory(daemon.process.pid), 0
    log = Log(daemon)
    flood = message(TRIGGER4, trigger4(b"x", b"\0", IDENT)) * 1000
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(500):
            daemon.agent.send_raw(flood)
            largest = max(largest, memory(daemon.process.pid))
    assert daemon.process.wait(LIMIT) == 1
    assert not daemon.own_sockets()
    assert largest < before + 4096
    log.assert_says("does not read")


# --- the daemon's socket


def assert_served(daemon):
    client, port = daemon.allocate()
    daemon.terminate(HOST, port)
    client.assert_closed()
    daemon.assert_alive()


@by_name(SOCKET_HELLO)
def test_a_clients_handshake(daemon, case):
    log = Log(daemon)
    client = daemon.connect(daemon.sockets / "qrexec.42")
    client.expect(HELLO, struct.pack("<I", 3))
    say(client, case.says)
    assert client.messages() == case.hears
    assert_served(daemon)
    log.assert_says(case.log)


@by_name(SOCKET_COMMANDS)
def test_what_a_client_says(daemon, case):
    log = Log(daemon)
    client = daemon.client()
    say(client, case.says)
    assert client.messages() == case.hears
    assert_served(daemon)
    log.assert_says(case.log)


COMMAND = hello(3) + message(EXEC_CMDLINE, params(HOST, 0, b"x\0"))


def test_a_command_is_cut_off_at_every_byte(daemon):
    """The agent hears nothing of it, and others are served meanwhile and afterwards."""
    log = Log(daemon)
    for n in range(len(COMMAND)):
        client = daemon.connect(daemon.sockets / "qrexec.42")
        client.expect(HELLO, struct.pack("<I", 3))
        client.send_raw(COMMAND[:n])
        assert_served(daemon)
        client.close()
    assert_served(daemon)
    log.assert_says(None)


def test_a_command_comes_byte_by_byte(daemon):
    client = daemon.connect(daemon.sockets / "qrexec.42")
    client.expect(HELLO, struct.pack("<I", 3))
    for i in range(len(COMMAND)):
        client.send_raw(COMMAND[i : i + 1])
    client.expect(EXEC_CMDLINE, params(OWN, 513))
    daemon.agent.expect(EXEC_CMDLINE, params(HOST, 513, b"x\0"))


def test_a_flood_of_clients(daemon):
    """Ten times as many as may be come and go: no more than the limit are kept, and those who were there go on."""
    first, port = daemon.allocate()
    for _ in range(10):
        clients = [daemon.connect(daemon.sockets / "qrexec.42") for _ in range(256)]
        assert len(os.listdir("/proc/%d/fd" % daemon.process.pid)) < 256 + 32
        for client in clients:
            client.close()
    daemon.terminate(HOST, port)
    first.assert_closed()
    wait_for(lambda: daemon.connect(daemon.sockets / "qrexec.42").next() is not None, "room for another client")
    daemon.assert_alive()


# --- local links and triggers, where the broker is what is spoken to


@pytest.fixture
def host(world):
    for name in "work", "vault", "evil":
        world.add_domain(name)
    world.set_policy("my.Echo * @anyvm @anyvm allow")
    world.add_service("my.Echo", "exec cat")
    world.start()
    return world


def assert_calls_go_on(host):
    result = host.call("work", "vault", "my.Echo", input=b"still here")
    assert (result.returncode, result.stdout) == (0, b"still here"), result


def test_a_trigger_is_cut_off_at_every_byte(host):
    """Nobody is called, nobody is answered."""
    trigger = wire.trigger("vault", "my.Echo")
    connections = wire.connect_all_as("evil", wire.SHARED, len(trigger))
    for n, connection in enumerate(connections):
        connection.sendall(trigger[:n])
        connection.shutdown(socket.SHUT_WR)
    assert_calls_go_on(host)
    for connection in connections:
        assert wire.receive_all(connection) == b""
        connection.close()
    assert all(start.source == "work" for start in host.started("my.Echo"))


@pytest.mark.parametrize("name, packet", [
    ("HELLO", wire.hello()),
    ("a list", wire.call_list(7)),
    ("an end", wire.call_ended(7)),
    ("a drain", wire.call_drain(7)),
], ids=["HELLO", "a list", "an end", "a drain"])
def test_a_packet_of_an_agent_is_cut_off_at_every_byte(host, name, packet):
    """Such an agent is closed, and no other."""
    for n in range(len(packet)):
        with wire.Agent("evil", "evil", introduce=False) as agent:
            if name != "HELLO":
                agent.socket.send(wire.hello())
                assert agent.socket.recv(100) == wire.hello()
            if name in ("an end", "a drain"):
                agent.socket.send(wire.call_list())
            agent.socket.send(packet[:n])
            assert agent.is_closed(), n
    assert_calls_go_on(host)
