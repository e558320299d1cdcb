# SPDX-License-Identifier: Apache-2.0
"""What a domain may take is bounded, charged to it, and leaves the others, root and its own agent theirs."""

import contextlib
import os
import shutil
import signal
import subprocess

import processes
import pytest
import wire
from waiting import wait_for
from world import BROKER

# A broker that may have so many descriptors, and cannot have more: less than one domain may have in connections.
FEW = 160
FEW_DESCRIPTORS = (
    "/usr/bin/prlimit", "--nofile=%d:%d" % (FEW, FEW), "/usr/bin/setpriv", "--bounding-set=-sys_resource"
)


@pytest.fixture
def host(world):
    for name in ("work", "vault", "evil"):
        world.add_domain(name)
    world.set_policy("my.Echo * @anyvm @anyvm allow")
    world.add_service("my.Echo", "exec cat")
    return world


@pytest.fixture
def same_broker(host):
    yield
    assert "the broker died" not in host.log()


def connections(account, n, path=wire.SHARED, kind=wire.socket.SOCK_STREAM):
    """By one process, for a busy machine: the broker closes the first when they have said nothing for 10 s."""
    stack = contextlib.ExitStack()
    return stack, [stack.enter_context(connection) for connection in wire.connect_all_as(account, path, n, kind)]


def n_descriptors():
    (broker,) = processes.running(BROKER)
    return len(os.listdir("/proc/%d/fd" % broker.pid))


def test_few_descriptors(host, same_broker):
    host.start(under=FEW_DESCRIPTORS)
    (broker,) = processes.running(BROKER)
    with open("/proc/%d/limits" % broker.pid) as file:
        assert any(line.split()[:5] == ["Max", "open", "files", str(FEW), str(FEW)] for line in file)
    host.assert_served()
    # Every account that there is takes all the connections that it can.
    with contextlib.ExitStack() as held:
        for account in ("evil", "vault"):
            held.enter_context(connections(account, 60)[0])
        host.wait_log("unanswered connections: closed the newest|few descriptors are left")
        assert n_descriptors() < FEW - 8
        host.assert_served()
        host.assert_served(source="dom0")
        assert host.qair("status").returncode == 0
        # The configuration can be read, and agents come back.
        host.set_policy("my.Echo * work vault deny")
        host.assert_refused(host.call("work", "vault", "my.Echo"))
        host.set_policy("my.Echo * @anyvm @anyvm allow")
        host.assert_served()
        with wire.Agent("evil", "evil") as agent:
            assert agent.socket.send(wire.call_ended(1)) > 0
    host.assert_served()


def test_few_descriptors_and_an_agent_that_does_not_read(host, same_broker):
    """Descriptors in flight are counted by the kernel too, and a full count is no reason to spin, or to stop."""
    host.start(under=FEW_DESCRIPTORS)
    host.assert_served()
    with wire.Agent("evil", "evil"), contextlib.ExitStack() as held:
        for number in range(60):
            connection = held.enter_context(wire.connect_as("work", wire.SHARED))
            connection.sendall(wire.trigger("evil", "my.Echo"))
            host.wait_audit(n=number + 1, event="start", source="work", target="evil")
        host.wait_log("work -> evil: ended: not connected, status 125: the agent does not read")
        (broker,) = processes.running(BROKER)
        assert not spins(broker.pid)
    host.assert_served()


def spins(pid):
    """Does it use its processor while nobody asks it anything?"""
    def ticks():
        with open("/proc/%d/stat" % pid) as file:
            return sum(int(word) for word in file.read().rpartition(")")[2].split()[11:13])

    before = ticks()
    processes.Process(pid).wait(0.5)
    return ticks() - before > 20


def test_a_domain_does_not_lock_out_its_own_agent(host, same_broker):
    host.start()
    # All of vault's requests, before it has an agent.
    stack, _ = connections("vault", 520)
    with stack:
        host.wait_log("vault: more than 512 unanswered connections")
        host.assert_served()
        host.assert_served(source="dom0")


def test_a_domain_does_not_keep_the_host_from_calling_it(host, same_broker):
    host.start()
    stack, _ = connections("vault", 520)
    with stack:
        host.wait_log("vault: more than 512 unanswered connections")
        command = ["/usr/bin/qrexec-client", "-d", "vault", "DEFAULT:QUBESRPC my.Echo dom0"]
        result = host.run_as("root", command, input=b"x")
        assert (result.returncode, result.stdout) == (0, b"x"), result


def test_too_many_links(host, same_broker):
    host.start()
    stack, links = connections("evil", 84, "/run/qubes/domains/evil/link", wire.socket.SOCK_SEQPACKET)
    with stack:
        host.wait_log("evil: more than 80 links: closed the newest")
        for link in links[80:]:
            assert link.recv(100) == b""
        host.assert_served()
    host.assert_served(target="evil")


def test_too_many_agents_that_drain(host, same_broker):
    """Its own agent has a place all the same."""
    host.start()
    stack, links = connections("evil", 65, "/run/qubes/domains/evil/link", wire.socket.SOCK_SEQPACKET)
    with stack:
        for link in links:
            link.send(wire.call_drain())
        host.wait_log("evil: more than 64 agents of its drain: closed the newest")
        host.assert_served(target="evil")


def test_one_caller_does_not_fill_the_queue_of_an_agent(host, same_broker):
    """What waits for room in an agent is counted for each caller."""
    host.start()
    with wire.Agent("vault", "vault") as agent:
        stack, callers = connections("evil", 400)
        with stack:
            for connection in callers:
                connection.sendall(wire.trigger("vault", "my.Echo"))
            host.wait_log("evil -> vault: ended: not connected, status 125: the agent does not read")
            call = host.start_call("work", "vault", "my.Echo")
            host.wait_audit(event="start", source="work")
            # Its turn comes when the agent reads, behind those few that it has in its socket, not behind all.
            for position in range(20):
                _, _, _, command, channel = agent.receive_exec()
                if command.endswith(" work"):
                    break
                channel.close()
            assert command.endswith(" work"), "not even the 20th"
            wire.finish(channel, stdout=b"here")
            stdout, _ = call.communicate(timeout=wire.TIMEOUT_SEC)
            assert (call.returncode, stdout) == (0, b"here")


def test_a_caller_that_gives_up_gives_its_place_up(host, same_broker):
    host.start()
    with wire.Agent("vault", "vault"):
        for _ in range(8):
            stack, callers = connections("evil", 64)
            with stack:
                for connection in callers:
                    connection.sendall(wire.trigger("vault", "my.Echo"))
                host.call("work", "work", "my.Echo")  # all of them have been heard
        host.wait_audit(event="end", how="cancelled", source="evil")
        call = host.start_call("work", "vault", "my.Echo")
        host.wait_audit(event="start", source="work", target="vault")
        call.send_signal(signal.SIGTERM)
        call.wait(wire.TIMEOUT_SEC)
        assert not host.audit(event="end", source="work", target="vault", how="not connected")


def test_domains_take_turns(host, same_broker):
    """Whoever comes behind a hundred connections of another waits for one of them, not for all."""
    host.start()
    host.assert_served()
    (broker,) = processes.running(BROKER)
    broker.kill(signal.SIGSTOP)
    stack, crowd = connections("evil", 100)
    with stack, wire.connect_as("work", wire.SHARED) as last:
        for connection in [*crowd, last]:
            connection.sendall(wire.trigger("nowhere", "my.Echo"))
        broker.kill(signal.SIGCONT)
        records = host.wait_audit(n=101, event="refused", requested_target="nowhere")
    order = [record["source"] for record in records]
    assert order.count("work") == 1 and order.index("work") < 5, order.index("work")


# What the machine has too little of

STRACE = shutil.which("strace")
needs_strace = pytest.mark.skipif(not STRACE, reason="strace is not installed")


@contextlib.contextmanager
def failing(*calls):
    """As long as it lasts, the broker's system CALLS ("pipe2:error=ENFILE") fail, as they do where all the machine has too
    little. They are made, and come to nothing, in the place of getpid(2), which its filter lets through."""
    (broker,) = processes.running(BROKER)
    injections = [option for call in calls for option in ("-e", "inject=%s:syscall=getpid" % call)]
    command = [STRACE, "-o", "/run/test/trace", *injections, "-p", str(broker.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        yield broker
    finally:
        tracer.terminate()
        tracer.communicate(timeout=wire.TIMEOUT_SEC)


@needs_strace
@pytest.mark.parametrize("error", ["ENFILE", "EMFILE", "ENOBUFS", "ENOMEM"])
def test_no_descriptor_for_a_connection(host, same_broker, error):
    """It is closed; the next is served."""
    host.start()
    host.assert_served()
    with failing("accept4:error=%s:when=1" % error):
        with wire.connect_as("work", wire.SHARED) as connection:
            assert wire.receive_all(connection) == b""
        host.wait_log("out of descriptors: refused a connection")
        host.assert_served()


@needs_strace
def test_no_descriptor_even_to_close_a_connection(host, same_broker):
    """Connections wait, the broker too, and then both go on."""
    host.start()
    host.assert_served()
    with failing("accept4:error=ENFILE", "openat:error=ENFILE") as broker:
        call = host.start_call("work", "vault", "my.Echo")
        host.wait_log("out of descriptors: connections wait")
        assert not spins(broker.pid)
        assert call.poll() is None
    stdout, _ = call.communicate(b"x", timeout=wire.TIMEOUT_SEC)
    assert (call.returncode, stdout) == (0, b"x")
    with failing("accept4:error=ENFILE:when=1"):  # the spare descriptor is there again
        with wire.connect_as("work", wire.SHARED) as connection:
            assert wire.receive_all(connection) == b""
    host.assert_served()


@needs_strace
@pytest.mark.parametrize("call", ["pipe2", "socketpair"])
@pytest.mark.parametrize("error", ["ENFILE", "EMFILE", "ENOMEM"])
def test_no_descriptors_for_a_channel(host, same_broker, call, error):
    """The call is refused, and recorded."""
    host.start()
    host.assert_served()
    with failing("%s:error=%s" % (call, error)):
        results = [host.call("work", "vault", "my.Echo", input=b"x") for _ in range(2)]
        # One was prepared before.
        assert results[1].returncode == 126 and "service unavailable" in results[1].stderr, results
    host.wait_audit(event="start", n=2)
    host.assert_served()
    for record in host.audit(event="start"):
        host.wait_audit(event="end", call_id=record["call_id"])


@needs_strace
@pytest.mark.parametrize("error", ["ETOOMANYREFS", "ENOBUFS", "ENOMEM"])
@pytest.mark.parametrize("which", ["agent", "caller"])
def test_no_room_for_descriptors_under_way(host, same_broker, which, error):
    """The kernel takes no more of them, for the agent or for the caller: this call fails."""
    host.start()
    host.assert_served()
    with failing("sendmsg:error=%s:when=%d" % (error, 1 if which == "agent" else 2)):
        assert host.call("work", "vault", "my.Echo", input=b"x").returncode in (125, 126, 255)
        host.assert_served()
    for record in host.audit(event="start"):
        host.wait_audit(event="end", call_id=record["call_id"])


@needs_strace
@pytest.mark.parametrize("error", ["ENFILE", "ENOMEM"])
def test_no_descriptors_for_the_configuration(host, same_broker, error):
    """What cannot be read allows nothing; it is read as soon as it can be."""
    host.start()
    host.assert_served()
    with failing("openat:error=%s" % error, "inotify_init1:error=%s" % error):
        host.set_policy("my.Echo * @anyvm @anyvm allow\n# changed")
        assert host.call("work", "vault", "my.Echo", input=b"x").returncode == 126
        host.wait_audit(event="refused")
    wait_for(lambda: host.call("work", "vault", "my.Echo", input=b"x").returncode == 0, host.log)


def test_more_domains_than_descriptors_by_default(host):
    """A service manager gives 1024. What the supervisor takes for itself, it does not give to domains."""
    for i in range(260):
        host.write("/etc/qubes/domains.d/box%d.conf" % i, "[domain]\nlink = local\n")
    host.add_service("my.Files", "ulimit -Sn", domain="vault")
    host.set_policy("* * @anyvm @anyvm allow\n")
    host.start(under=("prlimit", "--nofile=1024:"))
    assert host.call("work", "vault", "my.Files").stdout == b"1024\n"
