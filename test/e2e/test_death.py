# SPDX-License-Identifier: Apache-2.0
"""When processes die: each process of a call, at each stage of it (doc/architecture.md, "When processes die").

A row says what the caller's exit status is, how the end of its call is recorded, and how often the service ran. That
nothing is left holds for all: no process (the fixture looks), no call in the broker's table, no start without an end.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess

import processes
import pytest
import wire
from waiting import wait_for
from world import AGENT, BROKER, NO_SERVICE, REFUSED, agent_of

SERVICE = """echo started
read line; echo "got $line"
exec >&-
read line; exit 7
"""
STARTED, GOT = b"started\n", b"got one\n"
LIMIT_SEC = 20
KILLED = -signal.SIGKILL
STRACE = shutil.which("strace")
SIGPIPE = 128 + signal.SIGPIPE


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy("* * work vault allow")
    world.add_service("my.Direct", SERVICE)
    world.add_service("my.Framed", SERVICE, config="direct = false\n")
    world.add_service("my.Warm", "true")
    world.start()
    return world


# Who is who

def children(pid):
    return [processes.Process(child) for child in processes.children_of(pid)]


def handler_of_vault():
    (handler,) = (child for child in children(agent_of("vault").pid) if child.program == AGENT)
    return handler


def service_of_vault(service):
    parent = agent_of("vault") if service == "my.Direct" else handler_of_vault()
    (child,) = children(parent.pid)
    return child


# How they die

class Call:
    """One call as its caller has it, brought to the stage that a row is about."""

    def __init__(self, host, service, stage):
        self.host, self.service, self.stage = host, service, stage
        self.stopped = None
        if stage != "starting":
            assert host.call("work", "vault", "my.Warm").returncode == 0  # its agent runs
            host.wait_audit(event="end", service="my.Warm")  # whose name a supervisor takes with it
        if stage == "starting":
            self.stop(host.supervisor.pid)  # who would start the agent
        elif stage == "ordered":
            self.stop(agent_of("vault").pid)  # who has the order, and has not read it
        self.popen = host.start_call("work", "vault", service)
        if stage in ("starting", "ordered"):
            host.wait_audit(event="start", service=service)
        if stage == "ordered":  # the record is written first: a broker that answers anything after it has sent the order
            assert host.qair("calls", "--json").returncode == 0
        if stage in ("running", "ending"):
            assert self.popen.stdout.readline() == STARTED
        if stage == "ending":
            self.say(b"one\n")
            assert self.popen.stdout.read() == GOT  # the end of its output, not of the service

    def stop(self, pid):
        os.kill(pid, signal.SIGSTOP)
        self.stopped = pid

    def go_on(self):
        if self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.stopped, signal.SIGCONT)
        self.stopped = None

    def say(self, data):
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(data)
            self.popen.stdin.flush()

    def finish(self):
        """Play the rest of it. Return: the exit status of the client."""
        self.go_on()
        for line in (b"one\n", b"two\n")[self.stage == "ending":]:
            self.say(line)
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()
        status = self.popen.wait(LIMIT_SEC)
        self.popen.stdin = None
        return status


def kill(process):
    process.kill(signal.SIGKILL)
    assert process.wait(LIMIT_SEC)


def kill_supervisor(host, call):
    """As a service manager would start it again."""
    (broker,) = processes.running(BROKER)
    host.supervisor.kill()
    host.supervisor.wait()
    host.supervisor = None
    call.stopped = None if call.stage == "starting" else call.stopped
    assert broker.wait(LIMIT_SEC)
    host.start()


VICTIMS = {
    "client": lambda host, call: kill(processes.Process(call.popen.pid)),
    "service": lambda host, call: kill(service_of_vault(call.service)),
    "handler": lambda host, call: kill(handler_of_vault()),
    "agent": lambda host, call: kill(agent_of("vault")),
    "monitor": lambda host, call: kill(processes.Process(processes.parent_of(agent_of("vault").pid))),
    "broker": lambda host, call: host.restart_broker(),
    "supervisor": kill_supervisor,
}

# victim, stage, service; status of the client, how (and with which status) the call ended, how often the service ran
ROWS = [
    # An agent that does not come is none that could die, and neither is a service.
    ("client", "starting", "my.Direct", KILLED, "cancelled", None, 0),
    ("broker", "starting", "my.Direct", 7, "exited", 7, 1),
    ("supervisor", "starting", "my.Direct", 7, "exited", 7, 1),
    # The agent has its order, and the caller its answer.
    ("client", "ordered", "my.Direct", KILLED, "abandoned", SIGPIPE, 1),
    ("agent", "ordered", "my.Direct", 255, "unknown", None, 0),
    ("monitor", "ordered", "my.Direct", 7, "exited", 7, 1),
    ("broker", "ordered", "my.Direct", 7, "exited", 7, 1),
    ("supervisor", "ordered", "my.Direct", 7, "exited", 7, 1),
    # Data goes both ways.
    # What is recorded of a client that dies depends on its kernel: see test_a_caller_that_goes_piece_by_piece().
    ("client", "running", "my.Direct", KILLED, "abandoned signalled", SIGPIPE, 1),
    ("client", "running", "my.Framed", KILLED, "abandoned exited", (SIGPIPE, 7), 1),
    ("service", "running", "my.Direct", 137, "signalled", 137, 1),
    ("service", "running", "my.Framed", 137, "signalled", 137, 1),
    ("handler", "running", "my.Framed", 255, "signalled", 125, 1),
    ("agent", "running", "my.Direct", 255, "unknown", None, 1),
    ("agent", "running", "my.Framed", 7, "unknown", None, 1),
    ("monitor", "running", "my.Direct", 7, "exited", 7, 1),
    ("monitor", "running", "my.Framed", 7, "exited", 7, 1),
    ("broker", "running", "my.Direct", 7, "exited", 7, 1),
    ("broker", "running", "my.Framed", 7, "exited", 7, 1),
    ("supervisor", "running", "my.Direct", 7, "exited", 7, 1),
    ("supervisor", "running", "my.Framed", 7, "exited", 7, 1),
    # The service has said all, and has not ended.
    # Here it ends, as above, for it reads the end of its input.
    ("client", "ending", "my.Direct", KILLED, "abandoned exited", 7, 1),
    ("service", "ending", "my.Direct", 137, "signalled", 137, 1),
    ("service", "ending", "my.Framed", 137, "signalled", 137, 1),
    ("handler", "ending", "my.Framed", 255, "signalled", 125, 1),
    ("agent", "ending", "my.Direct", 255, "unknown", None, 1),
    ("monitor", "ending", "my.Direct", 7, "exited", 7, 1),
    ("broker", "ending", "my.Direct", 7, "exited", 7, 1),
    ("supervisor", "ending", "my.Direct", 7, "exited", 7, 1),
]


@pytest.mark.parametrize("victim, stage, service, status, how, end_status, starts", ROWS,
                         ids=["-".join(row[:3]) for row in ROWS])
def test_death(host, victim, stage, service, status, how, end_status, starts):
    call = Call(host, service, stage)
    try:
        VICTIMS[victim](host, call)
        if victim == "client":
            call.go_on()
            call.popen.stdin.close()
            call.popen.stdin = None
            assert call.popen.wait(LIMIT_SEC) == status
        else:
            assert call.finish() == status
    finally:
        call.go_on()
    start = host.wait_audit(event="start", service=service)[-1]  # a broker that died may have begun it before
    (end,) = host.wait_audit(event="end", call_id=start["call_id"])
    assert end["how"] in how.split()
    assert end_status is None or end["status"] in (end_status if isinstance(end_status, tuple) else (end_status,))
    assert_every_start_has_an_end(host)
    assert len(host.started(service)) == starts
    assert host.call("work", "vault", "my.Warm").returncode == 0, "and then all is as ever"
    host.wait_audit(n=1 if stage == "starting" else 2, event="end", service="my.Warm")
    assert json.loads(host.qair("calls", "--json").stdout)["calls"] == []
    if victim == "supervisor":
        stop_orphans(host)


def assert_every_start_has_an_end(host):
    for record in host.audit(event="start"):
        host.wait_audit(event="end", call_id=record["call_id"])
    ends = [record["call_id"] for record in host.audit(event="end")]
    assert len(ends) == len(set(ends)), "no call ends twice"


def stop_orphans(host):
    """The agents and monitors of a supervisor that was killed: the next one does not know them."""
    host.stop()
    for process in processes.running(AGENT):
        process.kill(signal.SIGTERM)


# victim, its system call (which of that name since the call began), whether it ends the call; status of the client, how the
# call ended, starts
MOMENTS = [
    ("broker", "accept4", 1, False, 7, "exited", 1),
    ("broker", "sendmsg", 1, False, REFUSED, "unknown", 0),  # the order: as far as anybody knows the agent may have it
    ("broker", "sendmsg", 2, False, REFUSED, "abandoned signalled exited", 1),  # the answer
    ("broker", "writev", 1, False, 7, "exited", 1),  # the record of the start
    ("broker", "recvmmsg", 1, True, 7, "unknown", 1),  # what the agent says of its end
    ("broker", "writev", 2, True, 7, "exited", 1),  # the record of that
    ("agent", "recvmsg", 1, False, 255, "unknown", 0),
    ("agent", "waitid", 1, True, 255, "unknown", 1),
    ("agent", "sendmsg", 1, True, 255, "unknown", 1),  # the exit code
    ("agent", "sendmsg", 2, True, 7, "unknown", 1),  # the end
]


def say_all(call):
    """If it is still there to hear it."""
    with contextlib.suppress(BrokenPipeError):
        os.write(call.stdin.fileno(), b"one\ntwo\n")


@pytest.mark.skipif(not STRACE, reason="strace is not installed")
@pytest.mark.parametrize("victim, name, number, is_end, status, how, starts", MOMENTS,
                         ids=["%s-%s-%d" % row[:3] for row in MOMENTS])
def test_death_at_a_system_call(host, victim, name, number, is_end, status, how, starts):
    """… which is not made any more."""
    assert host.call("work", "vault", "my.Warm").returncode == 0
    host.wait_audit(event="end", service="my.Warm")
    (process,) = processes.running(BROKER) if victim == "broker" else [agent_of("vault")]
    if victim == "broker":
        host.expect_dead_broker()
    command = [STRACE, "-o", "/run/test/trace", "-e", "inject=%s:signal=SIGKILL:when=%d" % (name, number)]
    tracer = subprocess.Popen([*command, "-p", str(process.pid)], stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        call = host.start_call("work", "vault", "my.Direct")
        if is_end:
            host.wait_audit(event="start", service="my.Direct")
            say_all(call)
        assert process.wait(LIMIT_SEC), "it makes no such call"
    finally:
        tracer.kill()
        tracer.communicate(timeout=LIMIT_SEC)
    if not is_end:
        say_all(call)
    assert call.wait(LIMIT_SEC) == status
    (start,) = host.wait_audit(event="start", service="my.Direct")
    (end,) = host.wait_audit(event="end", call_id=start["call_id"])
    assert end["how"] in how.split()
    assert len(host.started("my.Direct")) == starts
    assert host.call("work", "vault", "my.Warm").returncode == 0
    assert_every_start_has_an_end(host)
    assert json.loads(host.qair("calls", "--json").stdout)["calls"] == []


@pytest.mark.parametrize("service, how, status", [("my.Direct", "signalled", SIGPIPE), ("my.Framed", "exited", 7)])
def test_a_caller_that_goes_piece_by_piece(host, service, how, status):
    """The kernel closes what a dead process had one after the other, the last first: output, input, status stream. In between
    the service ends and is recorded as if somebody were there; my.Framed, for its handler takes what it still says."""
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(wire.trigger("vault", service))
        _, fds, _, _ = wire.socket.recv_fds(connection, 100, 4)
    with wire.Channel(fds) as channel:
        assert os.read(channel.stdout, 100) == STARTED
        os.close(channel.stdout)
        channel.stdout = None
        os.close(channel.stdin)
        channel.stdin = None
        (end,) = host.wait_audit(event="end", service=service)
        assert (end["how"], end["status"]) == (how, status)
        assert wire.receive_all(channel.stream) == wire.hello() + wire.exit_code(status)


@pytest.mark.parametrize("victim", ["client", "broker", "supervisor"])
def test_a_request_that_is_not_complete(host, victim):
    """Nothing was asked for, so nothing is recorded."""
    request = wire.trigger("vault", "my.Direct")
    connection = wire.connect_as("work", wire.SHARED)
    connection.sendall(request[:-1])
    assert host.call("work", "vault", "my.Warm").returncode == 0  # so the broker has read it
    if victim == "client":
        connection.close()
    elif victim == "broker":
        host.restart_broker()
        assert wire.receive_all(connection) == b""
    else:
        host.supervisor.kill()
        host.supervisor.wait()
        host.supervisor = None
        assert wire.receive_all(connection) == b""
        host.start()
    connection.close()
    assert host.call("work", "vault", "my.Warm").returncode == 0
    assert {record["service"] for record in host.audit(event="start")} == {"my.Warm"}
    host.assert_service_never_started("my.Direct")
    if victim == "supervisor":
        stop_orphans(host)


PTRACE_SEIZE = 0x4206


def processor_time(pid):
    with open("/proc/%d/schedstat" % pid) as file:
        return int(file.read().split()[0])


def test_the_broker_dies_in_the_hands_of_a_tracer(host):
    """As when somebody runs strace -p: it is dead for everybody before its tracer lets the supervisor wait for it."""
    (broker,) = processes.running(BROKER)
    assert ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, broker.pid, None, None) == 0
    before = processor_time(host.supervisor.pid)
    host.restart_broker()
    wait_for(lambda: processor_time(host.supervisor.pid) > before, "the supervisor to look")
    assert os.waitpid(broker.pid, 0) == (broker.pid, signal.SIGKILL)
    assert host.call("work", "vault", "my.Warm").returncode == 0


def test_a_call_that_the_broker_itself_answers(host):
    """Nobody else knows of its end: the next broker says so. One that had ended ends once."""
    assert host.qair("status").returncode == 0
    host.wait_audit(event="end", service="qair.Status")
    with wire.connect_as("root", wire.DOM0) as connection:
        connection.sendall(wire.trigger("dom0", "qair.Calls+1000"))
        _, (stream,), _, _ = wire.socket.recv_fds(connection, 100, 3)
    (start,) = host.wait_audit(event="start", service="qair.Calls")
    host.restart_broker()
    (end,) = host.wait_audit(event="end", call_id=start["call_id"])
    assert (end["source"], end["target"], end["service"], end["how"]) == ("dom0", "dom0", "qair.Calls", "unknown")
    os.close(stream)
    assert_every_start_has_an_end(host)


def ordered(host, service, n):
    """N calls whose agent was stopped before: it has their orders, and their callers the answers."""
    calls = [host.start_call("work", "vault", service) for _ in range(n)]
    host.wait_audit(n=n, event="start", service=service)
    assert host.qair("calls", "--json").returncode == 0  # as above
    return calls


def test_the_broker_dies_and_its_agent_has_both_to_tell_and_to_read(host):
    """What it could not tell is told to the next broker, and what it was ordered is done."""
    host.add_service("my.Seven", "exit 7")
    first = host.start_call("work", "vault", "my.Direct")
    assert first.stdout.readline() == STARTED
    agent, service = agent_of("vault"), service_of_vault("my.Direct")
    agent.kill(signal.SIGSTOP)
    first.stdin.write(b"one\ntwo\n")
    first.stdin.flush()
    assert service.wait(LIMIT_SEC)  # the first that its agent will hear of
    calls = ordered(host, "my.Seven", 3)
    host.restart_broker()
    agent.kill(signal.SIGCONT)
    assert [call.wait(LIMIT_SEC) for call in [first, *calls]] == [7] * 4
    host.wait_audit(n=4, event="end", how="exited", status=7)
    assert_every_start_has_an_end(host)
    assert len(host.started("my.Seven")) == 3


def test_an_agent_is_told_to_stop_and_has_orders_to_read(host):
    """Their callers know that it has them: they are done, however soon there would be nothing else left."""
    assert host.call("work", "vault", "my.Warm").returncode == 0
    agent = agent_of("vault")
    agent.kill(signal.SIGSTOP)
    calls = ordered(host, "my.Missing", 4)
    agent.kill(signal.SIGTERM)
    agent.kill(signal.SIGCONT)
    assert [call.wait(LIMIT_SEC) for call in calls] == [NO_SERVICE] * 4
    assert agent.wait(LIMIT_SEC)
    host.wait_audit(n=4, event="end", how="not found", status=NO_SERVICE)
    assert_every_start_has_an_end(host)


def connecting(host, agent):
    """Calls to an agent that does not read, until one waits for room: [connections that were answered], the last."""
    answered = []
    while True:
        connection = wire.connect_as("work", wire.SHARED)
        connection.sendall(wire.trigger("vault", "my.Direct"))
        host.wait_audit(n=len(answered) + 1, event="start", service="my.Direct")
        connection.settimeout(0.2)
        try:
            answered.append((connection, wire.socket.recv_fds(connection, 100, 3)[1]))
        except TimeoutError:
            return answered, connection


@pytest.mark.parametrize("victim", ["client", "broker", "agent"])
def test_a_call_that_waits_for_room_in_its_agent(host, victim):
    with wire.Agent("vault", "vault") as agent:
        host.wait_log("serving")
        answered, waiting = connecting(host, agent)
        waiting.settimeout(LIMIT_SEC)
        if victim == "client":
            waiting.close()
            host.wait_audit(event="end", how="cancelled")
        elif victim == "broker":
            host.restart_broker()
            # Whether the agent was told is known to nobody, so it is not asked for again; how it ended neither.
            assert wire.receive_all(waiting) == b""
        else:
            agent.close()
            assert wire.refusal(waiting)[1] == wire.UNAVAILABLE
            host.wait_audit(event="end", how="not connected", status=125)
    for connection, fds in answered:
        connection.close()
        for fd in fds:
            os.close(fd)
    waiting.close()
    host.assert_service_never_started("my.Direct")
    assert host.call("work", "vault", "my.Warm").returncode == 0
    assert_every_start_has_an_end(host)


def test_an_agent_says_how_calls_ended_and_leaves_orders_behind(host):
    """What it said is heard first, although the broker also has something for it, which nobody takes any more."""
    with wire.Agent("vault", "vault") as agent:
        host.wait_log("serving")
        answered, waiting = connecting(host, agent)
        (broker,) = processes.running(BROKER)
        broker.kill(signal.SIGSTOP)
        for start in host.audit(event="start", service="my.Direct")[:-1]:
            agent.socket.send(wire.call_ended(start["call_id"], status=7))
        agent.close()
        broker.kill(signal.SIGCONT)
        waiting.settimeout(LIMIT_SEC)
        assert wire.refusal(waiting)[1] == wire.UNAVAILABLE
        host.wait_audit(event="end", how="not connected", status=125)
        host.wait_audit(n=len(answered), event="end", how="exited", status=7)
    for connection, fds in answered:
        connection.close()
        for fd in fds:
            os.close(fd)
    waiting.close()
    assert_every_start_has_an_end(host)
