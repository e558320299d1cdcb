# SPDX-License-Identifier: Apache-2.0
"""The link of the real qrexec-agent: ends by order, reconnecting, many calls; the broker is played (localagent)."""

import os
import signal
import struct
import time

import pytest
from localagent import (ACCOUNT, AT_ONCE, CALL_DRAIN, CALL_KILL, DIRECT, EXITED, FRAMED, KILLED, NOT_FOUND, NOT_STARTED,
                        SIGNALLED, Caller, World, direct_call, finish)
from vchan import EXEC_CMDLINE, EXIT_CODE, HELLO, LIMIT, STDERR, STDIN, STDOUT, message
from waiting import wait_for


# --- the end by order


def test_kill(agent):
    agent.service("svc", "#!/bin/sh\necho ready; exec sleep 1000\n")
    call_id, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    caller.read_stdout_until(b"ready")
    agent.kill(call_id)
    assert caller.next() is not None
    assert agent.ended() == (call_id, KILLED, 143)


def test_kill_reaches_the_whole_group(agent):
    agent.service("svc", "#!/bin/sh\nsleep 1000 &\necho ready; wait\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.read_stdout_until(b"ready")
    agent.kill(call_id)
    # No exit code comes while anybody holds stdout (67): that it comes proves that nobody does.
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (call_id, KILLED, 143)


def test_kill_what_ignores_sigterm(agent):
    agent.service("svc", "#!/bin/sh\ntrap '' TERM\necho ready\nwhile :; do sleep 1000; done\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.read_stdout_until(b"ready")
    start = time.monotonic()
    agent.kill(call_id)
    agent.kill(call_id)
    assert agent.ended() == (call_id, KILLED, 137)
    assert time.monotonic() - start >= 4.5
    caller.close()


def test_kill_what_left_the_group(agent):
    pid_file = agent.home / "pid"
    agent.service("svc", f"#!/bin/sh\nsetsid sh -c 'echo $$ >{pid_file}; echo ready; exec sleep 1000' &\nwait\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.read_stdout_until(b"ready")
    agent.kill(call_id)
    # It lives on, as anything may that an account starts; the call does not.
    assert agent.ended()[:2] == (call_id, KILLED)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    caller.close()


def test_kill_a_socket_call(agent):
    with agent.socket_service(str(agent.path / "one/svc")) as service:
        call_id, caller = agent.call("svc+")
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        assert connection.recv(100) == b"svc+ work\0"
        agent.kill(call_id)
        assert connection.recv(100) == b""
        assert agent.ended() == (call_id, KILLED, 143)
        connection.close()


def test_kill_before_the_caller_says_hello(agent):
    agent.service("svc", "#!/bin/sh\nexec sleep 1000\n")
    call_id, stream = agent.order(f"{ACCOUNT}:QUBESRPC svc+ work")
    other_id, other = agent.order(f"{ACCOUNT}:QUBESRPC nothing+ work")
    agent.kill(call_id)
    agent.kill(other_id)
    ends = {agent.ended()[:2] for _ in range(2)}
    assert ends == {(call_id, KILLED), (other_id, KILLED)}
    stream.close()
    other.close()


def test_kill_of_an_unknown_call_is_nothing(agent):
    agent.kill(4711)
    agent.service("svc", "#!/bin/sh\n")
    call_id, caller = agent.call("svc+")
    assert caller.outcome() == (b"", b"", 0)
    assert agent.ended() == (call_id, EXITED, 0)


# --- the link


def test_reconnect_with_running_calls(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    stays, caller = agent.call("svc+")
    ends, other = agent.call("svc+")
    assert caller.next()[0] == HELLO and other.next()[0] == HELLO
    agent.link.close()
    agent.relisten()

    # Calls do not notice.
    caller.send(STDIN, b"while away")
    assert caller.next() == (STDOUT, b"while away")
    other.send(STDIN)
    assert [kind for kind, _ in iter(other.next, None)][-1] == EXIT_CODE

    # What ended meanwhile is in the list, and its end is told right after it: nobody else knows how it went.
    wait_for(lambda: len([pid for pid in agent.descendants()]) <= 2, "the end of the other call")
    assert sorted(agent.accept()) == sorted([stays, ends])
    assert agent.ended() == (ends, EXITED, 0)
    caller.send(STDIN)
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (stays, EXITED, 0)
    agent.assert_silent()
    assert ends != stays


def test_reconnect_back_off(agent):
    """It tries again for ever, but not without waits: 50, 100, 200 and 400 ms (test-link.c has the rest)."""
    start = time.monotonic()
    agent.link.close()
    for _ in range(4):
        connection, _ = agent.listener.accept()
        connection.close()
    assert time.monotonic() - start >= 0.75
    assert agent.accept() == []


def test_protocol_violations_close_the_link(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    call_id, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    for packet in (
        b"\0",
        message(0x1234),
        message(CALL_KILL, b"abc"),
        message(EXEC_CMDLINE, struct.pack("<II", FRAMED, 1)),
        message(HELLO, struct.pack("<I", 4)),
    ):
        agent.link.send(packet)
        assert agent.link.recv(100) == b""
        assert agent.accept() == [call_id]
    caller.send(STDIN)
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (call_id, EXITED, 0)


def test_hello_must_come_first(agent_world):
    agent_world.spawn()
    link, _ = agent_world.listener.accept()
    link.settimeout(LIMIT)
    assert link.recv(100) == message(HELLO, struct.pack("<I", 4))
    link.send(message(CALL_KILL, struct.pack("<I", 1)))
    assert link.recv(100) == b""
    link.close()
    # it tries again, and this broker behaves
    assert agent_world.accept() == []


def test_broker_that_is_too_old(agent_world):
    agent_world.spawn()
    link, _ = agent_world.listener.accept()
    link.settimeout(LIMIT)
    assert link.recv(100) == message(HELLO, struct.pack("<I", 4))
    link.send(message(HELLO, struct.pack("<I", 1)))
    assert link.recv(100) == b""
    link.close()
    assert agent_world.accept() == []


def test_duplicate_id(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    call_id, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    _, second = agent.call("svc+", call_id=call_id)
    assert second.messages() == [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", 125))]
    caller.send(STDIN, b"alive")
    assert caller.next() == (STDOUT, b"alive")
    caller.send(STDIN)
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (call_id, EXITED, 0)
    agent.assert_silent()


def test_descriptors_that_do_not_match(agent):
    agent.service("svc", "#!/bin/sh\necho started >&2\n")
    before = agent.agent_fds()
    text = f"{ACCOUNT}:QUBESRPC svc+ work"
    for options in (
        {"n_fds": 0},
        {"n_fds": 2},
        {"n_fds": 3},
        {"n_fds": 4},
        {"n_fds": 50},
        {"n_fds": 1, "mode": DIRECT},
        {"n_fds": 2, "mode": DIRECT},
        {"n_fds": 4, "mode": DIRECT},
        {"n_fds": 0, "mode": 43},
    ):
        call_id, stream = agent.order(text, **options)
        assert agent.ended() == (call_id, NOT_STARTED, 125)
        assert stream.recv(100) == b""
        stream.close()
    assert agent.agent_fds() == before
    assert "started" not in agent.log()


@pytest.mark.parametrize("room", [0, 1])
def test_no_room_for_descriptors(room):
    """A call whose stream (0) or handler's pidfd (1) finds no room ends, and the agent lives."""
    world = World(limit=13 + room)
    try:
        world.start()
        assert len(world.agent_fds()) == 13
        for _ in range(3):
            call_id, stream = world.order(f"{ACCOUNT}:QUBESRPC svc+ work")
            assert world.ended() == (call_id, NOT_STARTED, 125)
            if room:
                # The agent says so itself: there never was a handler that had said anything, HELLO for one.
                told = [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", 125))]
                assert Caller(stream).messages() == told
            else:
                assert stream.recv(100) == b""
                stream.close()
        assert len(world.agent_fds()) == 13
    finally:
        world.stop()


def test_broker_that_does_not_read(agent):
    """Ends wait until there is room, orders wait meanwhile, and none is lost."""
    ids, callers = [], []
    # The kernel holds 278 ends for us, and then 70 orders before our own next one would wait.
    for _ in range(330):
        call_id, caller = agent.call("nothing+")
        ids.append(call_id)
        callers.append(caller)
        # Each has run before the next, so that the ends pile up, not the orders.
        if len(ids) < 200:
            assert caller.outcome()[2] == 127
    ends = [agent.ended() for _ in ids]
    assert sorted(ends) == [(call_id, NOT_FOUND, 127) for call_id in ids]
    for caller in callers:
        caller.close()


# --- many calls, and nothing left of them


def test_many_calls_at_once(agent):
    before = agent.agent_fds()
    agent.service("svc", "#!/bin/sh\necho $1; cat; exit 3\n")
    calls = {}
    for n in range(200):
        call_id, caller = agent.call(f"svc+n{n}")
        calls[call_id] = caller, n
    for caller, n in calls.values():
        assert caller.next()[0] == HELLO
        assert caller.read_stdout_until(b"\n") == b"n%d\n" % n
    # All run at the same time; only now each gets its input, and ends.
    for caller, n in calls.values():
        caller.end_stdin(b"input %d" % n)
    for caller, n in calls.values():
        rest = list(iter(caller.next, None))
        assert b"".join(payload for kind, payload in rest if kind == STDOUT) == b"input %d" % n
        assert rest[-1] == (EXIT_CODE, struct.pack("<i", 3))
        caller.close()
    assert {agent.ended() for _ in calls} == {(call_id, EXITED, 3) for call_id in calls}
    wait_for(lambda: not agent.descendants(), "the end of all handlers")
    assert agent.agent_fds() == before


LIST_DESCRIPTORS = """
import os
for fd in range(1000):
    try:
        os.fstat(fd)
    except OSError:
        continue
    print(fd)
"""


def test_services_inherit_nothing(agent):
    agent.service("waits", "#!/bin/sh\necho ready; exec cat\n")
    # No shell: it would hold its script open.
    agent.service("lists", f"#!/usr/bin/python3\n{LIST_DESCRIPTORS}")
    waiting = [agent.call("waits+") for _ in range(20)]
    for _, caller in waiting:
        caller.next()
        caller.read_stdout_until(b"ready")
    assert agent.call("lists+")[1].outcome() == (b"0\n1\n2\n", b"", 0)
    for _, caller in waiting:
        caller.close()


def test_handlers_hold_nothing_of_others(agent):
    """A stream is at its end when its own handler closes it, however many other calls run; and no handler holds more
    than its own call needs."""
    agent.service("waits", "#!/bin/sh\necho $PPID; exec cat\n")
    handlers = []
    for _ in range(10):
        _, caller = agent.call("waits+")
        caller.next()
        handlers.append((int(caller.read_stdout_until(b"\n")), caller))
    n_fds = {len(os.listdir(f"/proc/{handler}/fd")) for handler, _ in handlers}
    assert len(n_fds) == 1 and n_fds.pop() < 16
    assert agent.call("nothing+")[1].outcome() == (b"", b"", 127)
    for _, caller in handlers:
        caller.close()


def test_calls_outlive_the_agent(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    _, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    agent.stop_now()
    caller.end_stdin(b"still here")
    out = b"".join(payload for kind, payload in iter(caller.next, None) if kind == STDOUT)
    assert out == b"still here"


@pytest.mark.parametrize("is_direct", [False, True], ids=["framed", "direct"])
def test_told_to_stop_it_ends_with_its_last_call(agent, is_direct):
    """Each caller gets its exit code, and the broker the ends; a broker that comes meanwhile is told what runs."""
    agent.service("svc", "#!/bin/sh\necho ready; read line; exit $line\n")
    calls = []
    for _ in range(3):
        call_id, caller = (direct_call if is_direct else lambda agent, service: agent.call(service))(agent, "svc+")
        calls.append((call_id, caller))
    agent.agent.send_signal(signal.SIGTERM)
    assert agent.link.recv(100) == message(CALL_DRAIN)
    assert finish(calls[0][1], b"3\n") == 3
    assert agent.ended() == (calls[0][0], EXITED, 3)
    # The link is lost: it comes again, with what is left instead of HELLO.
    agent.link.close()
    agent.link, _ = agent.listener.accept()
    kind, length, *ids = struct.unpack("<IIII", agent.link.recv(100))
    assert (kind, length) == (CALL_DRAIN, 8) and set(ids) == {calls[1][0], calls[2][0]}
    agent.kill(calls[1][0])
    assert agent.ended() == (calls[1][0], KILLED, 128 + signal.SIGTERM)
    assert agent.agent.poll() is None
    assert finish(calls[2][1], b"5\n") == 5
    assert agent.ended() == (calls[2][0], EXITED, 5)
    assert agent.agent.wait(AT_ONCE) == 0


def test_told_to_stop_without_a_broker(agent):
    """It does not wait for ever for somebody to tell the last end to."""
    agent.service("svc", "#!/bin/sh\nread line\n")
    _, caller = agent.call("svc+")
    agent.listener.close()
    agent.link.close()
    agent.agent.send_signal(signal.SIGTERM)
    assert finish(caller, b"x\n") == 0
    assert agent.agent.wait(AT_ONCE) == 0
    agent.wait_log("no broker could be told how the last 1 calls ended")


def test_told_to_stop_as_its_broker_answers(agent):
    """Both at once: it goes, and does not answer HELLO with what is no list."""
    agent.link.close()
    agent.link, _ = agent.listener.accept()
    assert agent.link.recv(100) == message(HELLO, struct.pack("<I", 4))
    agent.agent.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, agent.agent.pid, os.WSTOPPED | os.WNOWAIT)
    agent.agent.send_signal(signal.SIGTERM)
    agent.link.send(message(HELLO, struct.pack("<I", 4)))
    agent.agent.send_signal(signal.SIGCONT)
    with pytest.raises(ConnectionResetError):  # our HELLO was not read
        agent.link.recv(100)
    assert agent.agent.wait(AT_ONCE) == 0


def test_told_to_stop_with_an_order_to_read():
    """It had nothing to do and has now: others are called elsewhere meanwhile, and it has the time that any call would have."""
    world = World(["--stop-timeout=1"])
    try:
        world.start()
        world.service("svc", "#!/bin/sh\nexec sleep 1000\n")
        world.agent.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, world.agent.pid, os.WSTOPPED | os.WNOWAIT)
        for _ in range(3):  # what it reads first, and is no call
            world.kill(99)
        call_id, caller = world.call("svc+")
        world.agent.send_signal(signal.SIGTERM)
        world.agent.send_signal(signal.SIGCONT)
        assert world.link.recv(100) == message(CALL_DRAIN)
        assert world.ended() == (call_id, KILLED, 128 + signal.SIGTERM)
        assert caller.outcome()[2] == 128 + signal.SIGTERM
        assert world.agent.wait(AT_ONCE) == 0
    finally:
        world.stop()


def test_told_to_stop_while_its_broker_is_restarted(agent):
    """The last end waits for a broker that comes soon."""
    agent.service("svc", "#!/bin/sh\nread line\n")
    call_id, caller = agent.call("svc+")
    agent.listener.close()
    agent.link.close()
    agent.agent.send_signal(signal.SIGTERM)
    assert finish(caller, b"x\n") == 0
    agent.relisten()
    agent.link, _ = agent.listener.accept()
    assert agent.link.recv(100) == struct.pack("<III", CALL_DRAIN, 4, call_id)
    assert agent.ended() == (call_id, EXITED, 0)
    assert agent.agent.wait(AT_ONCE) == 0


def test_handler_that_dies(agent):
    agent.service("svc", "#!/bin/sh\nread line; kill -9 $PPID\n")
    call_id, caller = agent.call("svc+")
    caller.end_stdin(b"now\n")
    assert caller.outcome()[2] is None
    assert agent.ended() == (call_id, SIGNALLED, 125)
