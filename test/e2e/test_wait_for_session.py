# SPDX-License-Identifier: Apache-2.0
"""wait-for-session on local links (protocol specification, 6.11): the first call that needs the session starts
qubes.WaitForSession, and waits with all that come meanwhile."""

import os
import re

import pytest
from vchan import wait_for
from world import Result

LIMIT = 30
CONFIG = "wait-for-session = true\n"
# It waits until somebody writes into the pipe.
SESSION = 'read user; echo "$user $QREXEC_REMOTE_DOMAIN $#" >>session; read line <session.pipe\n'


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("mail")
    world.add_domain("vault")
    world.set_policy("* * @anyvm vault allow\n")
    world.add_service("my.Session", 'echo "$QREXEC_REMOTE_DOMAIN"; cat; exit 5', config=CONFIG)
    world.add_service("my.Plain", "echo plain")
    world.add_service("qubes.WaitForSession", SESSION)
    world.home = os.path.expanduser("~vault")
    os.mkfifo(os.path.join(world.home, "session.pipe"))
    os.chmod(os.path.join(world.home, "session.pipe"), 0o666)
    world.start()
    return world


def session_begins(world):
    with open(os.path.join(world.home, "session.pipe"), "w") as pipe:
        pipe.write("now\n")


def sessions(world):
    with open(os.path.join(world.home, "session")) as file:
        return file.read().splitlines()


def session_is_waited_for(world):
    """The agent has the order, and has started the session's program."""
    wait_for(lambda: os.path.exists(os.path.join(world.home, "session")), "the session's program")


def result(call, input=b""):
    out, err = call.communicate(input, timeout=LIMIT)
    return Result(call.returncode, out, err)


def test_calls_wait_together(host):
    calls = [host.start_call(source, "vault", "my.Session") for source in ("work", "mail", "work")]
    host.wait_audit(3, event="start", service="my.Session")
    # Who needs no session does not wait.
    assert host.call("work", "vault", "my.Plain").stdout == b"plain\n"
    assert not host.started("my.Session")
    session_begins(host)
    for call, source in zip(calls, ("work", "mail", "work")):
        got = result(call, b"data")
        assert (got.returncode, got.stdout) == (5, source.encode() + b"\ndata"), got
    # Once, as the account, for the source of the first, without an argument.
    (line,) = sessions(host)
    assert re.fullmatch("vault (work|mail) 0", line)


def test_A113_the_next_call_waits_anew(host):
    """The session's program is not remembered; and that it failed does not matter."""
    host.add_service("qubes.WaitForSession", SESSION + "exit 9\n")
    for _ in range(2):
        call = host.start_call("work", "vault", "my.Session")
        session_begins(host)
        assert result(call).returncode == 5
    assert len(sessions(host)) == 2


@pytest.mark.parametrize("script", [None, "#!/nonexistent/program\n"])
def test_A113_without_a_program_nobody_waits(host, script):
    if script:
        host.add_service("qubes.WaitForSession", script)
    else:
        os.unlink("/etc/qubes-rpc/qubes.WaitForSession")
    assert host.call("work", "vault", "my.Session").returncode == 5


@pytest.mark.parametrize("options", [(), ("-e",)], ids=["", "only started"])
def test_calls_from_the_host_wait(host, options):
    """Those that are only started come in frames."""
    client = host.popen_as("root", ["qrexec-client", "-w0", *options, "-d", "vault", "DEFAULT:QUBESRPC my.Session dom0"])
    host._calls.append(client)
    host.wait_audit(event="start", service="my.Session")
    assert not host.started("my.Session")
    session_begins(host)
    assert result(client).returncode == (0 if options else 5)


def test_A107_nogui(host):
    client = host.popen_as("root", ["qrexec-client", "-d", "vault", "DEFAULT:nogui:QUBESRPC my.Session dom0"])
    assert result(client).returncode == 5
    assert not host.started("qubes.WaitForSession")


def test_who_waits_can_be_ended(host):
    call = host.start_call("work", "vault", "my.Session")
    (record,) = host.wait_audit(event="start", service="my.Session")
    session_is_waited_for(host)
    assert host.qair("kill", str(record["call_id"])).returncode == 0
    assert result(call).returncode == 125
    session_begins(host)
    other = host.start_call("work", "vault", "my.Session")
    session_begins(host)
    assert result(other).returncode == 5
    assert len(host.started("my.Session")) == 1


def test_who_waits_and_leaves(host):
    """The service is started all the same, as if the caller had gone right afterwards."""
    call = host.start_call("work", "vault", "my.Session")
    session_is_waited_for(host)
    call.kill()
    call.wait(LIMIT)
    session_begins(host)
    host.wait_audit(event="end", service="my.Session")


def test_the_agent_ends_while_somebody_waits(host):
    """Told to stop, it waits for them like for any call that runs."""
    call = host.start_call("work", "vault", "my.Session")
    session_is_waited_for(host)
    stop = host.popen_as("root", ["qair", "domain", "stop", "vault"])
    host._calls.append(stop)
    host.wait_log("told to stop: 1 calls still run here")
    session_begins(host)
    assert result(call).returncode == 5
