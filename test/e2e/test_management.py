# SPDX-License-Identifier: Apache-2.0
"""The services of the broker itself, and qair, their front end."""

import json
import os
import re
import signal

import processes
import pytest
import wire
from world import AGENT, BROKER, NO_SERVICE, REFUSED

POLICY = """
my.Wait  *  work   vault  allow
my.Echo  *  work   vault  allow
my.Echo  *  work   other  allow
"""


@pytest.fixture
def host(world):
    world.add_domain("work", max_calls=2000)
    world.add_domain("vault")
    world.add_domain("other")
    world.set_policy(POLICY)
    world.add_service("my.Wait", "echo started; exec cat")
    world.add_service("my.Echo", "exec cat")
    return world


def ask(host, service, source="dom0"):
    result = host.call(source, "dom0", service)
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def open_call(host, service="my.Wait", target="vault"):
    """A call that is running: (Popen, call id)"""
    call = host.start_call("work", target, service)
    assert call.stdout.readline() == b"started\n"
    return call, host.audit(event="start", service=service.partition("+")[0], source="work")[-1]["call_id"]


def test_status(host):
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end")
    answer = ask(host, "qair.Status")
    (broker,) = processes.running(BROKER)
    assert answer["pid"] == broker.pid
    assert (answer["policy"], answer["inventory"], answer["calls"]) == ("ok", "ok", 0)
    assert answer["audit"]["to"] == "file" and "problem" not in answer["audit"]
    states = {domain["name"]: domain["state"] for domain in answer["domains"]}
    assert states == {"dom0": "halted", "work": "halted", "vault": "running", "other": "halted"}

    result = host.qair("status")
    assert result.returncode == 0 and re.search(rb"^vault +running +0$", result.stdout, re.M), result
    assert json.loads(host.qair("status", "--json").stdout)["pid"] == broker.pid


def test_calls_while_open_and_after(host):
    host.start()
    assert ask(host, "qair.Calls") == {"calls": []}
    call, call_id = open_call(host, "my.Wait+x")
    (entry,) = ask(host, "qair.Calls")["calls"]
    assert entry.pop("age_usec") > 0
    assert entry == {"call": call_id, "source": "work", "target": "vault", "service": "my.Wait+x", "state": "running"}
    text = host.qair("calls").stdout.decode()
    assert re.search(r"^ +%d +\S+ \S+ +running +work +vault +my\.Wait\+x$" % call_id, text, re.M), text
    call.communicate(timeout=wire.TIMEOUT_SEC)
    host.wait_audit(event="end", call_id=call_id)
    assert ask(host, "qair.Calls") == {"calls": []}


def test_many_calls_come_in_pages(host):
    """More calls than fit one answer: qair gets them all, once each, in order."""
    n = 600
    host.start()
    with wire.Agent("vault", "vault") as agent:
        for _ in range(n):
            with wire.connect_as("work", wire.SHARED) as connection:
                connection.sendall(wire.trigger("vault", "my.Echo+" + "x" * 200))
                agent.receive_exec()[-1].close()  # its data is gone, but the agent has not said that it ended
                connection.recv(8)
        page = ask(host, "qair.Calls")
        assert page["more"] and 0 < len(page["calls"]) < n
        calls = json.loads(host.qair("calls", "--json").stdout)["calls"]
        ids = [entry["call"] for entry in calls]
        assert len(ids) == n and ids == sorted(set(ids))
        assert calls[-1]["service"] == "my.Echo+" + "x" * 200


def test_kill(host):
    host.add_service("my.Wait", "trap 'echo bye; exit 3' TERM; echo started; while :; do sleep 1; done")
    host.start()
    call, call_id = open_call(host)
    result = host.qair("kill", str(call_id))
    assert result.returncode == 0 and result.stdout == b"call %d: ended (killed, status 3)\n" % call_id, result
    stdout, _ = call.communicate(timeout=wire.TIMEOUT_SEC)
    assert (call.returncode, stdout) == (3, b"bye\n")
    (end,) = host.wait_audit(event="end", call_id=call_id)
    assert (end["how"], end["status"]) == ("killed", 3)
    assert ask(host, "qair.Calls") == {"calls": []}


def test_kill_of_a_service_that_ignores_it(host):
    """SIGKILL follows after a few seconds; the command waits, and the caller learns the signal."""
    host.add_service("my.Wait", "trap '' TERM; echo started; exec cat")
    host.start()
    call, call_id = open_call(host)
    result = host.qair("kill", "--json", str(call_id))
    assert json.loads(result.stdout) == {"call": call_id, "result": "ended", "how": "killed", "status": 137}
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 137


def test_kill_of_a_call_that_waits_for_its_target(host):
    """The agent of vault connects and does not introduce itself, so the call stays in its state."""
    host.start()
    for process in processes.running(AGENT):
        process.kill()
    os.chmod(AGENT, 0o644)
    try:
        call = host.start_call("work", "vault", "my.Echo")
        start = host.wait_audit(event="start", service="my.Echo")[-1]
        with wire.Agent("vault", "vault", introduce=False):
            result = host.qair("kill", str(start["call_id"]))
    finally:
        os.chmod(AGENT, 0o755)
    _, stderr = call.communicate(timeout=wire.TIMEOUT_SEC)
    # The agent that could not be started may have ended the call first; either way it has one end, and a reason.
    assert result.returncode in (0, 1) and call.returncode == REFUSED, (result, stderr)
    assert b"service unavailable" in stderr
    (end,) = host.wait_audit(event="end", call_id=start["call_id"])
    assert end["status"] == 125


@pytest.mark.parametrize("ids, status, words", [
    (["77"], 1, "call 77: no such call"),
    (["0"], 2, "no call id"),
    (["x"], 2, "no call id"),
    ([], 2, "which call"),
])
def test_kill_of_nothing(host, ids, status, words):
    host.start()
    result = host.qair("kill", *ids)
    assert result.returncode == status and words in result.stderr, result


@pytest.mark.parametrize("service, status", [
    ("qair.Nothing", NO_SERVICE), ("qair.", NO_SERVICE), ("qair.Statu", NO_SERVICE), ("qair.Status2", NO_SERVICE),
    ("qair.Kill", 2), ("qair.Kill+", 2), ("qair.Kill+-1", 2), ("qair.Kill+99999999999", 2), ("qair.Calls+x", 2),
    ("qair.Calls+1", 0), ("qair.Status+work", 0),
])
def test_questions(host, service, status):
    host.start()
    result = host.call("dom0", "dom0", service)
    assert result.returncode == status, result
    assert isinstance(json.loads(result.stdout), dict)


def test_a_domain_needs_a_rule(host):
    host.start()
    call, call_id = open_call(host)
    for service in ("qair.Status", "qair.Calls", "qair.Kill+%d" % call_id, "qair.Nothing"):
        host.assert_refused(host.call("work", "dom0", service))
    assert call.poll() is None
    result = host.qair("calls", account="work")
    assert (result.returncode, result.stdout) == (1, b"") and result.stderr.startswith("Request refused\n"), result

    host.set_policy(POLICY + "qair.Calls * work dom0 allow\nqair.Kill +%d work @adminvm allow\n" % call_id)
    assert [entry["call"] for entry in ask(host, "qair.Calls", "work")["calls"]] == [call_id]
    host.assert_refused(host.call("work", "dom0", "qair.Status"))
    host.assert_refused(host.call("work", "dom0", "qair.Kill+%d" % (call_id + 1)))
    assert host.qair("kill", str(call_id), account="work").returncode == 0
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 128 + signal.SIGTERM


def test_a_service_of_that_name_elsewhere_is_an_ordinary_one(host):
    """The broker answers for dom0 alone."""
    host.add_service("qair.Status", "echo mine", domain="vault")
    host.set_policy("qair.Status * work vault allow")
    host.start()
    assert host.call("work", "vault", "qair.Status").stdout == b"mine\n"


def test_dom0_may_always_ask(host):
    host.start()
    host.set_policy("nonsense")
    answer = ask(host, "qair.Status")
    assert "30-user.policy:1" in answer["policy"] and answer["inventory"] == "ok"
    host.write("/etc/qubes/domains.d/vault.conf", "nonsense\n")
    assert "vault.conf: has no section" in ask(host, "qair.Status")["inventory"]


def test_dom0_may_ask_where_the_inventory_was_broken_from_the_start(host):
    host.write("/etc/qubes/domains.d/vault.conf", "nonsense\n")
    host.start()
    assert "vault.conf: has no section" in ask(host, "qair.Status")["inventory"]
    host.write("/etc/qubes/domains.d/vault.conf", "[domain]\nuser = vault\n")
    host.reload()
    host.wait_log("serving 4 domains")
    assert host.call("work", "vault", "my.Echo", input=b"x").stdout == b"x"


def test_dom0_calls_itself_for_nothing_else(host):
    host.start()
    host.assert_refused(host.call("dom0", "dom0", "my.Echo"))


def test_timing(host):
    host.set_policy(POLICY + "my.Asked * work vault ask")
    host.start()
    for _ in range(3):
        assert host.call("work", "vault", "my.Echo").returncode == 0
    host.assert_refused(host.call("work", "nowhere", "my.Echo"))
    host.assert_refused(host.call("work", "vault", "my.Asked"))  # and nobody is there to be asked
    host.wait_audit(3, event="end", service="my.Echo")
    services = ask(host, "qair.Timing")["services"]
    assert {stage: services["my.Echo"][stage]["count"] for stage in services["my.Echo"]} == {
        "decide": 3, "start": 1, "connect": 3, "run": 3}
    for stage in services["my.Echo"].values():
        assert 0 < stage["median_usec"] <= stage["p99_usec"] < 20e6
    assert {stage: services["(refused)"][stage]["count"] for stage in services["(refused)"]} == {"decide": 2, "ask": 1}
    text = host.qair("status", "--timing").stdout.decode()
    assert re.search(r"^my\.Echo +run +3 ", text, re.M), text


def test_a_caller_that_does_not_read_its_answer(host):
    """Its connections are its own trouble: others ask on, and in the end it is dropped."""
    host.set_policy(POLICY + "qair.Status * work dom0 allow")
    host.start()
    streams = []
    for _ in range(50):
        connection = wire.connect_as("work", wire.SHARED)
        connection.sendall(wire.trigger("dom0", "qair.Status"))
        reply, fds, _, _ = wire.socket.recv_fds(connection, 8, 3)
        assert len(reply) == 8 and len(fds) == 1
        streams.append(wire.socket.socket(fileno=fds[0]))
        connection.close()
    assert ask(host, "qair.Status")["pid"]
    assert host.call("work", "vault", "my.Echo", input=b"x").stdout == b"x"
    for stream in streams:
        stream.close()
    host.wait_audit(51, event="end", service="qair.Status")


def test_call_ids_survive_brokers_and_supervisors(host):
    """An id is not given out again, however the programs before died; the first are short."""
    host.start()
    call, call_id = open_call(host)
    assert call_id == 1
    seen = {call_id}
    for restart in ("broker", "supervisor", "broker"):
        if restart == "broker":
            host.restart_broker()
        else:
            (broker,) = processes.running(BROKER)
            host.supervisor.kill()
            host.supervisor.wait()
            host.supervisor = None
            assert broker.wait(wire.TIMEOUT_SEC)
            host.start()
        assert host.call("work", "other", "my.Echo", input=b"x").stdout == b"x"
        latest = host.audit(event="start", service="my.Echo")[-1]["call_id"]
        assert latest not in seen and latest < 100000
        seen.add(latest)
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 0
    host.stop()
    host.kill_leftovers()  # the agents of the supervisor that was killed: nobody stops them


def test_a_broker_knows_the_calls_of_the_one_before(host):
    host.start()
    call, call_id = open_call(host, "my.Wait+x")
    (before,) = ask(host, "qair.Calls")["calls"]
    host.restart_broker()
    assert host.call("work", "vault", "my.Echo", input=b"x").stdout == b"x"  # vault's agent is back
    (entry,) = ask(host, "qair.Calls")["calls"]
    assert entry.pop("age_usec") >= before.pop("age_usec") and entry == before
    assert host.qair("kill", str(call_id)).returncode == 0
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 128 + signal.SIGTERM
    (end,) = host.wait_audit(event="end", call_id=call_id)
    assert (end["how"], end["source"], end["target"], end["argument"]) == ("killed", "work", "vault", "x")


LONG_AGO = 999994711  # ids go round: it was given out before the first


def test_calls_that_only_an_agent_knows(host):
    """After a supervisor that died, whose memory is gone: agents know their calls by number."""
    host.start()
    with wire.Agent("vault", "vault", introduce=False) as agent:
        agent.socket.send(wire.hello())
        assert agent.socket.recv(100) == wire.hello()
        agent.socket.send(wire.call_list(LONG_AGO, 0, 0xFFFFFFFF, 4711))  # that one is still to come
        agent.socket.send(wire.call_ended(1))  # noted, and by then the list is in force
        host.wait_log("its agent reported the end of call 1, which does not run there")
        (entry,) = ask(host, "qair.Calls")["calls"]
        assert entry.pop("age_usec") >= 0
        assert entry == {"call": LONG_AGO, "target": "vault", "state": "running"}
        assert "(begun earlier)" in host.qair("calls").stdout.decode()
        agent.socket.send(wire.call_ended(LONG_AGO, how=1, status=137))
        (end,) = host.wait_audit(event="end", call_id=LONG_AGO)
        assert (end["target"], end["how"], end["status"]) == ("vault", "signalled", 137) and "source" not in end
