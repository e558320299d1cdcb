# SPDX-License-Identifier: Apache-2.0
"""Domains that are started and stopped: by calls, by hand, by the host, by nobody calling."""

import json
import os
import re
import signal
import time

import processes
import pytest
from world import AGENT, REFUSED

POLICY = """
my.Hello  *  work  @anyvm  allow
my.Wait   *  work  @anyvm  allow
my.Quiet  *  work  @anyvm  allow autostart=no
"""

# A container, as far as we see it: a private mount namespace in which the domain's run directory is /run/qubes, and an
# account of its own that no domain of the host is.
START = """#!/bin/bash
set -eu
echo "starting $QAIR_DOMAIN"
setsid --fork unshare --mount --propagation private -- /bin/bash -c '
    mount --bind "$QAIR_RUN_DIR" /run/qubes
    echo $$ >/run/test/box.pid
    exec setpriv --reuid 4242 --regid 4242 --clear-groups env HOME=/ USER=inside /usr/lib/qubes/qrexec-agent
' </dev/null >>/run/test/box.log 2>&1
"""
STOP = """#!/bin/sh
kill "$(cat /run/test/box.pid)"
"""


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.add_service("my.Hello", "echo hello $QREXEC_REMOTE_DOMAIN; id -u")
    world.add_service("my.Quiet", "echo quiet")
    world.add_service("my.Wait", "echo started; exec cat")
    world.set_policy(POLICY)
    return world


def add_box(world, start=START, stop=STOP, **properties):
    world.write("/usr/local/bin/start-box", start, mode=0o755)
    world.write("/usr/local/bin/stop-box", stop, mode=0o755)
    lines = ["[domain]", "start = /usr/local/bin/start-box", "stop = /usr/local/bin/stop-box"]
    lines += ["%s = %s" % item for item in properties.items()]
    world.write("/etc/qubes/domains.d/box.conf", "\n".join(lines) + "\n")


def state(world, name):
    answer = world.call("dom0", "dom0", "qair.Status")
    (found,) = (entry["state"] for entry in json.loads(answer.stdout)["domains"] if entry["name"] == name)
    return found


def stop_box(world):
    result = world.qair("domain", "stop", "box")
    assert result.returncode == 0, (result, world.log())


# By hand


def test_start_and_stop(host):
    host.start()
    assert state(host, "vault") == "halted"
    result = host.qair("domain", "start", "vault")
    assert (result.returncode, result.stdout) == (0, b"vault is running\n"), result
    assert state(host, "vault") == "running"
    (agent,) = processes.running(AGENT)

    # it runs already: nothing happens, and that is no error
    assert host.qair("domain", "start", "vault").returncode == 0
    assert [process.pid for process in processes.running(AGENT)] == [agent.pid]

    result = host.qair("domain", "stop", "vault")
    assert (result.returncode, result.stdout) == (0, b"vault is halted\n"), result
    assert state(host, "vault") == "halted"
    assert agent.wait(5)
    assert host.qair("domain", "stop", "vault").returncode == 0
    # and the next call starts it
    assert host.call("work", "vault", "my.Hello").stdout.startswith(b"hello work\n")


def test_stop_and_start_while_a_call_runs(host):
    """Its agent drains; another takes its place, as often as anybody likes, and each call ends with its own exit code."""
    host.add_service("my.Wait", "echo started; read line; exit 7")
    host.start()
    calls = []
    for n in range(6):
        assert host.qair("domain", "start", "vault").stdout == b"vault is running\n"
        calls.append(host.start_call("work", "vault", "my.Wait"))
        assert calls[-1].stdout.readline() == b"started\n"
        result = host.qair("domain", "stop", "vault")
        still = b"1 call still runs" if n == 0 else b"%d calls still run" % (n + 1)
        assert (result.returncode, result.stdout.splitlines()[0]) == (0, b"vault is halted"), result
        assert result.stdout.splitlines()[1].startswith(still + b" there"), result
        assert len(processes.running(AGENT)) == n + 1
    assert host.qair("domain", "start", "vault").returncode == 0
    assert host.call("work", "vault", "my.Hello").stdout.startswith(b"hello work\n")
    agents = processes.running(AGENT)
    assert len(agents) == 7
    for call in calls:
        call.communicate(b"go on\n", timeout=20)
        assert call.returncode == 7
    host.wait_audit(event="end", service="my.Wait", how="exited", status=7, n=6)
    assert state(host, "vault") == "running"
    assert host.qair("domain", "stop", "vault").returncode == 0
    assert all(agent.wait(20) for agent in agents)


def test_stop_timeout_ends_what_still_runs(host):
    """A call that would run for ever ends, and so does its agent; it does not hold up the stop, or the next start."""
    host.add_domain("brief", stop_timeout=1)
    host.start()
    call = host.start_call("work", "brief", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    (agent,) = processes.running(AGENT)
    assert host.qair("domain", "stop", "brief").returncode == 0
    assert host.call("work", "brief", "my.Hello").stdout.startswith(b"hello work\n")
    assert call.wait(20) == 128 + signal.SIGTERM
    host.wait_log("told to stop 1 s ago: ending what still runs here")
    host.wait_audit(event="end", service="my.Wait", how="killed")
    assert agent.wait(20)
    assert state(host, "brief") == "running"


def test_list_says_what_runs(host):
    host.start()
    host.qair("domain", "start", "vault")
    result = host.qair("domain", "list")
    assert re.search(rb"^vault +AppVM +vault +running +red", result.stdout, re.M), result
    assert re.search(rb"^work +AppVM +work +halted +red", result.stdout, re.M), result
    domains = json.loads(host.qair("domain", "list", "--json").stdout)["domains"]
    assert domains["vault"]["state"] == "running"
    # without a broker, or without the right to ask it, nothing is known and nothing is asked
    result = host.qair("domain", "list", account="work")
    assert re.search(rb"^vault +AppVM +vault +- +red", result.stdout, re.M), result
    host.stop()
    assert json.loads(host.qair("domain", "list", "--json").stdout)["domains"]["vault"].get("state") is None


def test_mistakes(host):
    host.start()
    result = host.qair("domain", "start", "nobody")
    assert result.returncode == 1 and "no such domain" in result.stderr, result
    assert host.qair("domain", "start").returncode == 2
    assert host.call("dom0", "dom0", "qair.DomainStop").returncode == 2


def test_policy_decides_who_else_may(host):
    host.start()
    host.assert_refused(host.call("work", "dom0", "qair.DomainStart+vault"))
    assert state(host, "vault") == "halted"
    host.set_policy("qair.DomainStart +vault work @adminvm allow")
    answer = host.call("work", "dom0", "qair.DomainStart+vault")
    assert json.loads(answer.stdout)["state"] == "running", answer
    host.assert_refused(host.call("work", "dom0", "qair.DomainStop+vault"))
    host.assert_refused(host.call("work", "dom0", "qair.DomainStart+work"))


def test_autostart_no_starts_nothing(host):
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Quiet"))
    assert not processes.running(AGENT)
    host.qair("domain", "start", "vault")
    assert host.call("work", "vault", "my.Quiet").stdout == b"quiet\n"


def test_autostart_starts_with_the_host(host):
    host.add_domain("early", autostart="yes")
    host.start()
    host.wait_log("early: .*connected|domain early started")
    assert host.qair("domain", "start", "early").returncode == 0
    # … and as soon as it is there
    host.add_domain("late", autostart="yes")
    host.wait_log("domain late started")
    assert host.qair("domain", "start", "late").returncode == 0


# Start and stop commands


def test_container_is_started_by_a_call_and_stopped_by_hand(host):
    add_box(host)
    host.start()
    result = host.call("work", "box", "my.Hello")
    assert result.stdout == b"hello work\n4242\n", (result, host.log())
    assert "box: starting box" in host.log()
    (record,) = host.wait_audit(event="end", service="my.Hello", target="box")
    assert record["status"] == 0
    stop_box(host)
    assert state(host, "box") == "halted"
    assert all(process.wait(5) for process in processes.running(AGENT))


def test_container_calls_as_what_it_is(host):
    add_box(host)
    host.set_policy("my.Hello * box work allow")
    host.start()
    assert host.qair("domain", "start", "box").returncode == 0, host.log()
    # inside, its own folder is all that it has
    inside = "nsenter --target $(cat /run/test/box.pid) --mount -- setpriv --reuid 4343 --regid 4343 --clear-groups "
    call = host.popen_as("root", ["/bin/sh", "-c", inside + "qrexec-client-vm work my.Hello"])
    stdout, stderr = call.communicate(timeout=30)
    assert stdout.startswith(b"hello box\n"), (stdout, stderr)
    # outside, no account gets there
    call = host.popen_as("work", ["/bin/ls", "/run/qubes/containers"])
    stdout, stderr = call.communicate(timeout=30)
    assert call.returncode != 0 and b"Permission denied" in stderr
    stop_box(host)


def test_container_survives_the_supervisor(host):
    add_box(host)
    host.start()
    assert host.call("work", "box", "my.Hello").returncode == 0
    (agent,) = processes.running(AGENT)
    host.stop()
    assert not agent.wait(0)
    host.start()
    # it reconnects by itself: its start command, which would make a second, is not run again
    assert host.call("work", "box", "my.Hello").returncode == 0, host.log()
    assert len(processes.running("/usr/lib/qubes/qrexec-agent")) == 1
    assert host.log().count("running its start command") == 1
    stop_box(host)


@pytest.mark.parametrize(
    "start, said",
    [
        ("#!/bin/sh\necho 'no such image' >&2; exit 3\n", "its start command failed (status 3)"),
        ("#!/nowhere/sh\n", "its start command failed (status 125)"),
        ("#!/bin/sh\nkill -KILL $$\n", "its start command failed (status 137)"),
    ],
)
def test_start_command_that_fails(host, start, said):
    add_box(host, start=start)
    host.start()
    result = host.call("work", "box", "my.Hello")
    assert result.returncode == REFUSED and "service unavailable" in result.stderr, result
    assert said in host.log()
    if "image" in start:
        assert "box: no such image" in host.log()
    # Callers do not keep the supervisor busy: the next is refused at once …
    assert host.call("work", "box", "my.Hello").returncode == REFUSED
    assert host.log().count("running its start command") == 1
    records = host.wait_audit(event="end", service="my.Hello", n=2)
    assert "a moment ago" in records[1]["reason"]
    # … but an administrator may try, and what he has mended is mended.
    result = host.qair("domain", "start", "box")
    assert result.returncode == 1 and "box is halted: " in result.stderr, result
    assert host.log().count("running its start command") == 2
    add_box(host)
    assert host.qair("domain", "start", "box").returncode == 0
    assert host.call("work", "box", "my.Hello").returncode == 0
    stop_box(host)


def test_output_of_a_command_is_escaped_and_counted(host):
    add_box(host, start="#!/bin/bash\nprintf 'a\\x1b[2Jb\\n'; for i in {1..500}; do echo $i; done; exit 1\n")
    host.start()
    host.call("work", "box", "my.Hello")
    host.wait_log("its start command failed")
    assert "box: a\\x1b[2Jb\n" in host.log()
    assert re.search(r"box: \d+ more lines were left out", host.log())


def test_stop_command_that_fails(host):
    add_box(host, stop="#!/bin/sh\necho 'will not'; exit 7\n")
    host.start()
    assert host.call("work", "box", "my.Hello").returncode == 0
    result = host.qair("domain", "stop", "box")
    assert result.returncode == 1, result
    assert "box is running: its stop command ended with status 7" in result.stderr, result
    assert host.call("work", "box", "my.Hello").returncode == 0
    add_box(host)
    stop_box(host)


def test_container_without_a_stop_command(host):
    add_box(host)
    host.write("/etc/qubes/domains.d/box.conf", "[domain]\nstart = /usr/local/bin/start-box\n")
    host.start()
    assert host.call("work", "box", "my.Hello").returncode == 0
    result = host.qair("domain", "stop", "box")
    assert result.returncode == 1 and "no way to stop it" in result.stderr, result
    mark = host.logfile.mark()
    add_box(host)
    host.wait_log("serving 4 domains", mark=mark)
    stop_box(host)


def test_a_stop_while_it_starts(host):
    add_box(host, start="#!/bin/sh\ntouch /run/test/begun; exec sleep 1000\n", stop="#!/bin/sh\ntrue\n")
    host.start()
    call = host.start_call("work", "box", "my.Hello")
    host.wait_log("box: running its start command")
    assert host.qair("domain", "stop", "box").returncode == 0
    assert call.wait(20) == REFUSED
    host.wait_log("its stop command is done")
    assert not [process for process in processes.others() if "sleep 1000" in process.command]


def test_an_agent_of_an_earlier_supervisor(host):
    """It serves on, and it is said at once that it cannot be stopped: nobody waits for that."""
    host.start()
    assert host.call("work", "vault", "my.Hello").returncode == 0
    (agent,) = processes.running(AGENT)
    host.supervisor.kill()
    host.supervisor.wait()
    host.supervisor = None
    mark = host.logfile.mark()
    host.start()
    host.wait_log("vault: .*the link is up", mark=mark)
    assert host.call("work", "vault", "my.Hello").returncode == 0
    result = host.qair("domain", "stop", "vault")
    assert result.returncode == 1 and "vault is running: there is no way to stop it" in result.stderr, result
    host.wait_log("domain vault cannot be stopped: an earlier supervisor has started its agent")
    assert host.call("work", "vault", "my.Hello").returncode == 0
    agent.kill()
    assert agent.wait(20)


# The inventory


def test_qair_domain_is_in_force_at_once(host):
    host.start()
    host.add_account("third")
    assert host.qair("domain", "add", "third", "user=third").returncode == 0
    assert os.path.exists("/run/qubes/domains/third/qrexec-agent")
    assert host.call("work", "third", "my.Hello").stdout.startswith(b"hello work\n")
    host.set_policy(POLICY + "my.Hello * @tag:new third allow\n")
    host.assert_refused(host.call("vault", "third", "my.Hello"))
    assert host.qair("domain", "set", "vault", "tags=new").returncode == 0
    assert host.call("vault", "third", "my.Hello").stdout.startswith(b"hello vault\n")
    assert host.qair("domain", "remove", "third").returncode == 0
    assert not os.path.exists("/run/qubes/domains/third")
    assert "serving 3 domains" in host.log()


def test_qair_domain_waits_for_the_supervisor(host):
    """However long it takes: here until it may go on."""
    host.start()
    host.add_account("third")
    host.supervisor.send_signal(signal.SIGSTOP)
    try:
        add = host.popen_as("root", ["/usr/bin/qair", "domain", "add", "third", "user=third"])
        host.wait_audit(event="start", service="qair.Reload")
        assert add.poll() is None and not os.path.exists("/run/qubes/domains/third")
    finally:
        host.supervisor.send_signal(signal.SIGCONT)
    assert add.wait(20) == 0
    assert os.path.exists("/run/qubes/domains/third/qrexec-agent")


def test_qair_domain_does_not_wait_for_ever(host):
    """What it saved stands, and it says what it does not know."""
    host.start()
    host.supervisor.send_signal(signal.SIGSTOP)
    try:
        result = host.qair("domain", "add", "lab", "start=/bin/true")
    finally:
        host.supervisor.send_signal(signal.SIGCONT)
    assert result.returncode == 0 and b"lab: added" in result.stdout, result
    assert result.stderr == "qair: lab: it is saved, but not in force yet: the supervisor has not read the inventory yet: see the log\n"
    host.wait_log("serving 4 domains")


def test_qair_domain_needs_no_broker(host):
    result = host.qair("domain", "add", "lab", "start=/bin/true")
    assert (result.returncode, result.stderr) == (0, ""), result
    host.start()
    assert state(host, "lab") == "halted"


def test_new_domains_need_no_reload(host):
    host.start()
    host.add_domain("other")
    host.wait_log("serving 4 domains")
    assert host.call("work", "other", "my.Hello").stdout.startswith(b"hello work\n")
    os.unlink("/etc/qubes/domains.d/other.conf")
    host.wait_log("serving 3 domains", mark=host.logfile.text().rindex("serving 4 domains"))
    assert not os.path.exists("/run/qubes/domains/other")
    host.assert_refused(host.call("work", "other", "my.Hello"))


def test_the_folder_of_the_inventory_may_be_replaced(host):
    host.start()
    os.rename("/etc/qubes/domains.d", "/etc/qubes/old.d")
    host.wait_log("serving 1 domains|the inventory in .* is broken")
    os.rename("/etc/qubes/old.d", "/etc/qubes/domains.d")
    host.add_domain("other")
    host.wait_log("serving 4 domains")
    assert host.call("work", "other", "my.Hello").returncode == 0


# Idle


def test_idle_domain_is_stopped(host):
    host.add_domain("brief", idle_timeout=1)
    host.start()
    assert host.call("work", "brief", "my.Hello").returncode == 0
    (agent,) = processes.running(AGENT)
    assert agent.wait(20)
    host.wait_log("domain brief: nobody has called it for 1 s: stopping it")
    assert state(host, "brief") == "halted"
    assert host.call("work", "brief", "my.Hello").returncode == 0


def test_busy_domain_is_not_idle(host):
    """A call that runs there, or one that it has open itself, keeps a domain; its end counts."""
    host.add_domain("brief", idle_timeout=1)
    host.set_policy(POLICY + "my.Wait * brief vault allow\n")
    host.start()
    assert host.qair("domain", "start", "brief").returncode == 0
    began = time.monotonic()
    there = host.start_call("work", "brief", "my.Wait")
    assert there.stdout.readline() == b"started\n"
    elsewhere = host.start_call("brief", "vault", "my.Wait")
    assert elsewhere.stdout.readline() == b"started\n"
    # another domain's whole life with the same timeout passes meanwhile
    host.add_domain("other", idle_timeout=2)
    host.wait_log("serving 5 domains")
    assert host.call("work", "other", "my.Hello").returncode == 0
    host.wait_log("domain other: nobody has called it")
    assert time.monotonic() - began > 2
    assert state(host, "brief") == "running"
    there.communicate(b"", timeout=20)
    elsewhere.communicate(b"", timeout=20)
    assert "domain brief: nobody has called it" not in host.log()
    host.wait_log("domain brief: nobody has called it")


def test_idle_container_is_stopped_and_started_again(host):
    add_box(host, idle_timeout=1)
    host.start()
    assert host.call("work", "box", "my.Hello").returncode == 0
    host.wait_log("domain box: its stop command is done")
    assert host.call("work", "box", "my.Hello").returncode == 0
    stop_box(host)


def test_calls_that_come_while_it_stops_wait(host):
    """The stop takes as long as somebody lets it; whoever calls meanwhile is served by the next start."""
    add_box(host, stop="#!/bin/sh\nread line </run/test/gate; kill $(cat /run/test/box.pid)\n")
    os.mkfifo("/run/test/gate")
    host.start()
    assert host.call("work", "box", "my.Hello").returncode == 0
    stop = host.popen_as("root", ["/usr/bin/qair", "domain", "stop", "box"])
    host.wait_log("domain box: running its stop command")
    call = host.start_call("work", "box", "my.Hello")
    host.wait_audit(event="start", service="my.Hello", n=2)
    assert call.poll() is None
    with open("/run/test/gate", "w") as gate:
        gate.write("go\n")
    stdout, _ = call.communicate(timeout=30)
    assert stdout == b"hello work\n4242\n", host.log()
    stop.communicate(timeout=30)
    assert stop.returncode == 0
    host.write("/usr/local/bin/stop-box", STOP, mode=0o755)
    stop_box(host)
