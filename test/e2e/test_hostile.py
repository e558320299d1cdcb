# SPDX-License-Identifier: Apache-2.0
"""Callers and agents that do what they should not. The promise is the same each time: they are dropped or refused, and
the calls of others go on."""

import array
import contextlib
import json
import os
import resource
import socket
import struct
import threading

import processes
import pytest
import wire
from world import BROKER

POLICY = """
my.Echo  *  work   vault  allow
my.Echo  *  evil   vault  allow
my.Echo  *  work   evil   allow
my.Echo  *  evil   work   allow
"""


@pytest.fixture
def host(world):
    world.add_domain("work", max_calls=4000)  # more than what is sent to an agent that does not read
    world.add_domain("vault")
    world.add_domain("evil")
    world.set_policy(POLICY)
    world.add_service("my.Echo", "exec cat")
    world.start()
    return world


def assert_others_are_served(host):
    result = host.call("work", "vault", "my.Echo", input=b"still here")
    assert (result.returncode, result.stdout) == (0, b"still here"), result


@pytest.fixture
def same_broker(host):
    """The broker that was there before is there afterwards: nothing made it start anew."""
    (before,) = processes.running(BROKER)
    yield
    (after,) = processes.running(BROKER)
    assert before.pid == after.pid, host.log()


@pytest.fixture
def many_descriptors():
    """Room for thousands of connections in the test itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12000:
        pytest.skip("needs 12000 descriptors, and this machine's hard limit is %d (ulimit -Hn)" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


TRIGGER = wire.trigger("vault", "my.Echo")

MALFORMED = {
    "nothing": b"",
    "half a header": TRIGGER[:4],
    "a header alone": TRIGGER[:8],
    "half a request": TRIGGER[:100],
    "all but the last byte": TRIGGER[:-1],
    "4 GiB": struct.pack("<II", wire.TRIGGER4, 0xFFFFFFFF),
    "one byte over the limit": struct.pack("<II", wire.TRIGGER4, 65161),
    "one byte under the limit": struct.pack("<II", wire.TRIGGER4, 160) + bytes(160),
    "an unknown type": wire.message(0x999, b"x" * 200),
    "an old trigger": wire.message(0x212, b"x" * 200),
    "a message of links": wire.message(wire.CALL_ENDED, bytes(20)),
    "HELLO": wire.hello(),
    "zeros": bytes(4096),
    "garbage": bytes((i * 167 + 13) & 255 for i in range(100000)),
    "a request and a byte": TRIGGER + b"x",
    "two requests": TRIGGER + TRIGGER,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request(host, same_broker, data):
    with wire.connect_as("evil", wire.SHARED) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert_others_are_served(host)  # while it is still open
        connection.shutdown(socket.SHUT_WR)
        assert wire.receive_all(connection) == b""
    host.assert_service_never_started("my.Echo.never")
    assert all(start.source == "work" for start in host.started("my.Echo"))


REFUSED = {
    "an ident that is not one": wire.trigger("vault", "my.Echo", ident="a/b"),
    "a full ident": wire.message(wire.TRIGGER4, bytes(128) + b"x" * 32 + b"my.Echo\0"),
    "an empty service": wire.message(wire.TRIGGER4, bytes(128) + b"QAIR1".ljust(32, b"\0") + b"\0"),
    "a service without end": wire.message(wire.TRIGGER4, bytes(128) + b"QAIR1".ljust(32, b"\0") + b"my.Echo"),
    "a NUL inside": wire.message(wire.TRIGGER4, bytes(128) + b"QAIR1".ljust(32, b"\0") + b"my\0Echo\0"),
    "an argument alone": wire.trigger("vault", "+x"),
    "a folder": wire.trigger("vault", ".."),
    "a name of 256 bytes": wire.trigger("vault", "x" * 256),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_a_request_that_is_refused_unasked(host, same_broker, data):
    with wire.connect_as("evil", wire.SHARED) as connection:
        connection.sendall(data)
        answer = wire.refusal(connection)
        assert answer is None or answer == (0, wire.NOT_UNDERSTOOD)
    assert_others_are_served(host)


@pytest.mark.parametrize("target", ["../vault", "vault/..", "vault\nroot", "$(id)", "@dispvm:vault", "*", "@tag:x"])
def test_a_target_that_is_no_name(host, same_broker, target):
    with wire.connect_as("evil", wire.SHARED) as connection:
        connection.sendall(wire.trigger(target, "my.Echo"))
        call_id, reason = wire.refusal(connection)
        assert call_id > 0 and reason == wire.REFUSED
    assert "$(id)" not in host.log()


def test_a_service_name_reaches_the_log_sanitised(host, same_broker):
    with wire.connect_as("evil", wire.SHARED) as connection:
        connection.sendall(wire.trigger("vault", "my.E\ncho\x1b[31m+a/b c"))
        assert wire.refusal(connection)[1] == wire.REFUSED
    host.wait_log(r"my\.E_cho__31m\+a_b_c: evil -> vault: denied")


def send_with(connection, data, fds):
    """sendmsg() with descriptors, as many as it takes."""
    try:
        return connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    except PermissionError:
        return 0  # this kernel refuses them on our behalf (SO_PASSRIGHTS)
    except BrokenPipeError:
        return 0


def lingering():
    """A TCP connection with unsent data whose peer does not read: dropping its last descriptor blocks for a minute."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client = socket.create_connection(listener.getsockname())
    peer, _ = listener.accept()
    listener.close()
    client.setblocking(False)
    try:
        while True:
            client.send(b"x" * 65536)
    except BlockingIOError:
        pass
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    return client, peer


def abandon(client):
    """Close the descriptor without waiting for what it lingers for."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("where", ["trigger", "link"])
def test_descriptors_that_nobody_asked_for(host, same_broker, where):
    if where == "trigger":
        connection, data = wire.connect_as("evil", wire.SHARED), TRIGGER[:20]
    else:
        connection = wire.connect_as("evil", "/run/qubes/domains/evil/link", socket.SOCK_SEQPACKET)
        data = wire.hello()
    (broker,) = processes.running(BROKER)
    with connection, open("/dev/null", "rb") as null:
        for _ in range(3):
            send_with(connection, data, [null.fileno()] * 16)
        assert_others_are_served(host)
        links = [os.readlink("/proc/%d/fd/%s" % (broker.pid, fd)) for fd in os.listdir("/proc/%d/fd" % broker.pid)]
        assert links.count("/dev/null") <= 3  # stdin and stdout, and the spare one


def test_a_descriptor_that_lingers(host, same_broker):
    client, peer = lingering()
    try:
        with wire.connect_as("evil", wire.SHARED) as connection:
            if send_with(connection, TRIGGER[:20], [client.fileno()]) == 0:
                # Refused at the sender: what the broker does on older kernels is its watchdog's unit test.
                assert_others_are_served(host)
                return
            client.close()
            assert_others_are_served(host)
    finally:
        peer.close()
        if client.fileno() >= 0:
            abandon(client)


def test_ten_thousand_connections(host, same_broker, many_descriptors):
    """All at once, from one account, which pays for them; most are closed at once, nobody else notices."""
    opened = []
    try:
        for connection in connect_many("evil", wire.SHARED, 10000):
            opened.append(connection)
            if len(opened) % 2500 == 0:
                assert_others_are_served(host)
        assert len(opened) == 10000
        assert_others_are_served(host)
        (broker,) = processes.running(BROKER)
        assert len(os.listdir("/proc/%d/fd" % broker.pid)) < 1000
    finally:
        for connection in opened:
            connection.close()
    host.wait_log("evil: more than 512 unanswered connections")
    assert_others_are_served(host)
    result = host.call("evil", "vault", "my.Echo", input=b"and it is served again")
    assert result.stdout == b"and it is served again", result


def connect_many(account, path, n):
    """N connections of ACCOUNT, in batches: descriptors travel to us in messages of at most 253."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        try:
            import pwd

            entry = pwd.getpwnam(account)
            os.setgroups([])
            os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
            os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
            ours.close()
            while n > 0:
                batch = []
                for _ in range(min(n, 100)):
                    batch.append(socket.socket(socket.AF_UNIX))
                    batch[-1].connect(path)
                socket.send_fds(theirs, [b"x"], [connection.fileno() for connection in batch])
                theirs.recv(1)  # taken: descriptors in flight are limited
                n -= len(batch)
                for connection in batch:
                    connection.close()
            os._exit(0)
        finally:
            os._exit(1)
    theirs.close()
    with ours:
        while n > 0:
            data, fds, _, _ = socket.recv_fds(ours, 1, 100)
            assert data, "the child ended early"
            ours.send(b"x")
            n -= len(fds)
            for fd in fds:
                yield socket.socket(fileno=fd)
    _, status = os.waitpid(child, 0)
    assert status == 0


def test_a_caller_that_hangs_up_while_its_target_starts(host, same_broker):
    """evil's own agent never comes up, because its link is never used: the call is cancelled, not forgotten."""
    with wire.Agent("evil", "evil") as agent:
        with wire.connect_as("work", wire.SHARED) as connection:
            connection.sendall(wire.trigger("evil", "my.Echo"))
            _, _, _, _, channel = agent.receive_exec()
        channel.close()
    assert_others_are_served(host)


# Agents


def test_an_agent_that_reports_calls_of_others(host, same_broker):
    """A call from work to vault is open; evil's agent says that it ended, and that many others did."""
    call = host.start_call("work", "vault", "my.Echo")
    call_id = host.wait_audit(event="start", source="work", target="vault")[-1]["call_id"]
    with wire.Agent("evil", "evil") as agent:
        agent.socket.send(wire.call_ended(call_id, status=0))
        for wrong in (0, 1, call_id + 1, 0xFFFFFFFF):
            agent.socket.send(wire.call_ended(wrong))
        host.wait_log("evil: its agent reported the end of call %d, which does not run there: ignored" % call_id)
        # It is still its link, and the call still goes on.
        stdout, _ = call.communicate(b"echoed", timeout=wire.TIMEOUT_SEC)
        assert (call.returncode, stdout) == (0, b"echoed")
        host.wait_log(r"work -> vault: ended: exited, status 0 .*\(call %d\)" % call_id)


def test_an_agent_that_ends_a_call_twice(host, same_broker):
    with wire.Agent("evil", "evil") as agent:
        call = host.start_call("work", "evil", "my.Echo")
        _, mode, call_id, command, channel = agent.receive_exec()
        assert (mode, command) == (wire.DOMAIN_DIRECT, "evil:QUBESRPC my.Echo+ work")
        wire.finish(channel, b"from evil", 3)
        agent.socket.send(wire.call_ended(call_id, status=3))
        agent.socket.send(wire.call_ended(call_id, status=0))
        stdout, _ = call.communicate(timeout=wire.TIMEOUT_SEC)
        assert (call.returncode, stdout) == (3, b"from evil")
        host.wait_log("its agent reported the end of call %d, which does not run there" % call_id)
    assert_others_are_served(host)


def test_an_agent_that_lists_calls_of_others(host, same_broker):
    call = host.start_call("work", "vault", "my.Echo")
    call_id = host.wait_audit(event="start", source="work", target="vault")[-1]["call_id"]
    with wire.Agent("evil", "evil", introduce=False) as agent:
        agent.socket.send(wire.hello())
        agent.socket.recv(100)
        agent.socket.send(wire.call_list(call_id, call_id, 7, 0, 0xFFFFFFFF))
        agent.socket.send(wire.call_ended(call_id))
        host.wait_log("evil: its agent reported the end of call %d" % call_id)
    stdout, _ = call.communicate(b"echoed", timeout=wire.TIMEOUT_SEC)
    assert (call.returncode, stdout) == (0, b"echoed")


@contextlib.contextmanager
def draining(host, ids):
    """Links of evil's that say these run there, 16000 each; entered when the broker has heard it."""
    with contextlib.ExitStack() as stack:
        for at in range(0, len(ids), 16000):
            link = stack.enter_context(wire.connect_as("evil", "/run/qubes/domains/evil/link", socket.SOCK_SEQPACKET))
            link.send(wire.call_drain(*ids[at : at + 16000]))
        link.send(wire.call_ended(0))
        host.wait_log("evil: its agent reported the end of call 0, which does not run there")
        yield


def test_an_agent_that_takes_the_ids_of_calls_to_come(host, same_broker):
    """Blocks of them, so that none would be left for others."""
    assert_others_are_served(host)
    (start,) = host.wait_audit(event="start", source="work")
    with draining(host, range(start["call_id"] + 1, start["call_id"] + 32001)):
        for _ in range(3):
            assert_others_are_served(host)


def test_agents_that_list_more_calls_than_one_can_run(host, same_broker):
    """Each costs the broker memory, and a record of its end."""
    last = 999999999  # ids go round: these were given out before the first
    with draining(host, range(last - 32000, last)):
        result = host.call("dom0", "dom0", "qair.Status")
        (evil,) = [domain for domain in json.loads(result.stdout)["domains"] if domain["name"] == "evil"]
        assert evil["calls_here"] == 16000
        assert_others_are_served(host)


AGENT_VIOLATIONS = {
    "an empty packet": b"",
    "half a header": b"\0" * 4,
    "a wrong length": struct.pack("<II", wire.CALL_ENDED, 19) + bytes(20),
    "an end of 19 bytes": wire.message(wire.CALL_ENDED, bytes(19)),
    "an unknown way to end": wire.call_ended(1, how=99),
    "HELLO again": wire.hello(),
    "a list again": wire.call_list(),
    "a trigger": TRIGGER,
    "what only we send": wire.message(wire.EXEC_CMDLINE, bytes(8) + b"x\0"),
    "an unknown type": wire.message(0x999),
    "64 KiB of garbage": bytes(i & 255 for i in range(65536)),
    "more than any message": bytes(140000),
}


@pytest.mark.parametrize("packet", AGENT_VIOLATIONS.values(), ids=AGENT_VIOLATIONS.keys())
def test_an_agent_that_breaks_the_protocol(host, same_broker, packet):
    with wire.Agent("evil", "evil") as agent:
        agent.socket.send(packet)
        assert agent.is_closed()
    assert_others_are_served(host)


FIRST_PACKETS = {
    "a list before HELLO": wire.call_list(),
    "version 1": wire.hello(1),
    "HELLO of 8 bytes": wire.message(wire.HELLO, bytes(8)),
    "the end of a call": wire.call_ended(1),
}


@pytest.mark.parametrize("packet", FIRST_PACKETS.values(), ids=FIRST_PACKETS.keys())
def test_an_agent_that_begins_wrongly(host, same_broker, packet):
    with wire.Agent("evil", "evil", introduce=False) as agent:
        agent.socket.send(packet)
        assert agent.is_closed()
    assert_others_are_served(host)


def test_an_agent_that_does_not_read(host, same_broker, many_descriptors):
    """Its calls pile up in its socket and then in the broker, within bounds; the others' calls go on."""
    with wire.Agent("evil", "evil") as agent:
        callers = []
        try:
            for _ in range(1200):
                connection = wire.connect_as("work", wire.SHARED)
                connection.sendall(wire.trigger("evil", "my.Echo+" + "x" * 2000))
                callers.append(connection)
            assert_others_are_served(host)
            (broker,) = processes.running(BROKER)
            assert len(os.listdir("/proc/%d/fd" % broker.pid)) < 3000
        finally:
            for connection in callers:
                connection.close()
        agent.close()
    host.wait_log("the agent does not read")
    host.wait_log("the agent went away|the caller hung up before it began")
    assert_others_are_served(host)


def test_an_agent_that_dies_with_calls_queued(host, same_broker):
    """Whoever waits is told, at once."""
    agent = wire.Agent("evil", "evil")
    call = host.start_call("work", "evil", "my.Echo", stdin=None)
    agent.receive_exec()[-1].close()
    agent.close()
    _, stderr = call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode in (1, 255), stderr


def test_garbage_instead_of_data(host, same_broker):
    with wire.Agent("evil", "evil") as agent:
        for data in (b"", os.urandom(5000), wire.hello() + wire.message(0x999), wire.hello() + struct.pack("<II", 0x191, 70000)):
            call = host.start_call("work", "evil", "my.Echo")
            _, _, call_id, _, channel = agent.receive_exec()
            with channel:
                channel.stream.sendall(data)
            _, stderr = call.communicate(timeout=wire.TIMEOUT_SEC)
            assert call.returncode not in (0, 126), (data[:20], stderr)
            agent.socket.send(wire.call_ended(call_id, status=1))
    assert_others_are_served(host)


def test_calls_at_once_under_attack(host, same_broker):
    """Eight callers, while evil does everything above in turn: each gets its own bytes back."""
    stop = threading.Event()

    def attack():
        datas = list(MALFORMED.values()) + list(REFUSED.values())
        while not stop.is_set():
            for data in datas:
                try:
                    with wire.connect_as("evil", wire.SHARED) as connection:
                        connection.sendall(data)
                except OSError:
                    pass

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        for _ in range(5):
            calls = [host.start_call("work", "vault", "my.Echo") for _ in range(8)]
            for number, call in enumerate(calls):
                stdout, _ = call.communicate(b"%d" % number, timeout=wire.TIMEOUT_SEC)
                assert (call.returncode, stdout) == (0, b"%d" % number)
    finally:
        stop.set()
        attacker.join()
