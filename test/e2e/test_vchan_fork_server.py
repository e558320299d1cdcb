# SPDX-License-Identifier: Apache-2.0
"""qrexec-fork-server in upstream's own form (protocol specification, 6.10), with agents and callers that dial.

Needs nothing but QAIR_BUILD, the build folder.
"""

import os
import socket
import struct

import pytest

import processes
from test_vchan_agent import AGENT, PORT, Agent
from vchan import (
    ACCOUNT,
    EXEC_CMDLINE,
    EXIT_CODE,
    JUST_EXEC,
    LIMIT,
    OTHER,
    OWN,
    STDERR,
    STDIN,
    STDOUT,
    UID,
    kill_and_wait,
    wait_for,
)

SERVER = "src/agent/qrexec-fork-server"


class Session(Agent):
    """An agent, and a session of its account with a fork server in it."""

    def __init__(self):
        super().__init__()
        self.server_path = self.sockets / ("server.%s.sock" % ACCOUNT)
        self.server = None

    def spawn(self, **environment):
        self.process = self.start(
            AGENT,
            "--fork-server-socket=%s/server.%%s.sock" % self.sockets,
            "--agent-socket=%s" % self.trigger_path,
            environment={"NOTIFY_SOCKET": str(self.path / "notify"), **environment},
        )

    def serve(self):
        self.server = self.start(SERVER, "-f", self.server_path, environment={"MARK": "session", "SHELL": "/bin/sh"})
        wait_for(self.server_path.exists, "the fork server")

    def stop(self):
        if self.server:
            kill_and_wait(self.server)
        super().stop()


@pytest.fixture
def session():
    session = Session()
    try:
        session.serve()
        session.spawn()
        session.handshake()
        session.service("svc", "#!/bin/sh\ncat; echo ${MARK-none} >&2; exit 42\n")
        yield session
    finally:
        session.stop()


def finish(caller):
    caller.end_stdin()
    return caller.outcome()[:3]


def test_a_service_runs_in_the_session(session):
    caller = session.call("svc+")
    caller.send(STDIN, b"data")
    assert finish(caller) == (b"data", b"session\n", 42)
    session.assert_terminated()


def test_a_shell_command(session):
    caller = session.execute("%s:echo $MARK; exit 3" % ACCOUNT)
    assert finish(caller) == (b"session\n", b"", 3)
    session.assert_terminated()


def test_just_exec(session):
    session.service("late", "#!/bin/sh\necho $MARK >%s/late.new; mv %s/late.new %s/late\n" % (3 * (session.sockets,)))
    caller = session.call("late+", kind=JUST_EXEC)
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    session.assert_terminated()
    wait_for((session.sockets / "late").exists, "the service")
    assert (session.sockets / "late").read_text() == "session\n"


@pytest.mark.parametrize("how", ["nogui", "option", "socket", "nobody"])
def test_when_it_is_not_used(session, how):
    if how == "option":
        session.config("svc", "exit-on-client-eof = true\n")
    if how == "nobody":
        kill_and_wait(session.server)
    if how == "socket":
        with session.socket_service("sock") as listener:
            caller = session.call("sock+")
            connection, _ = listener.accept()
            pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            assert processes.parent_of(pid) == session.process.pid
            connection.close()
            assert finish(caller) == (b"", b"", 0)
    else:
        caller = session.execute("%s:%sQUBESRPC svc+ work" % (ACCOUNT, "nogui:" if how == "nogui" else ""))
        assert finish(caller) == (b"", b"none\n", 42)
    session.assert_terminated()


def test_a_service_that_is_not_there(session):
    """Found out by the agent, which tells it as ever."""
    assert session.run("nothing+")[2] == 127


def test_many_calls_at_once(session):
    callers = [session.call("svc+", port=PORT + number) for number in range(20)]
    for number, caller in enumerate(callers):
        caller.send(STDIN, b"%d" % number)
    for number, caller in enumerate(callers):
        assert finish(caller) == (b"%d" % number, b"session\n", 42)
        session.assert_terminated(PORT + number)


# What is on the wire


def test_what_an_upstream_server_gets(session):
    """The request byte for byte; nothing comes back, and its close is the end of the call."""
    kill_and_wait(session.server)
    os.unlink(session.server_path)
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(LIMIT)
    if os.geteuid() == 0:
        os.seteuid(UID)  # whom the kernel names as the one who listens
    try:
        listener.bind(str(session.server_path))
        listener.listen(5)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
    with listener:
        session.order("%s:QUBESRPC svc+arg work" % ACCOUNT)
        connection, _ = listener.accept()
        connection.settimeout(LIMIT)
        text = b"QUBESRPC svc+arg work\0"
        assert connection.recv(1000) == struct.pack("<4I", EXEC_CMDLINE, OTHER, PORT, len(text)) + text
        session.daemon.assert_silent()
        connection.close()
        session.assert_terminated()
        # What it says is unexpected, and the end as well.
        session.order("%s:QUBESRPC svc+arg work" % ACCOUNT, port=PORT + 1)
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"x")
        session.assert_terminated(PORT + 1)
        connection.close()


def as_the_account(path):
    """A connection that the account made."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(LIMIT)
    if os.geteuid() == 0:
        os.seteuid(UID)
    try:
        connection.connect(str(path))
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
    return connection


@pytest.mark.parametrize("descriptor, expected", [("svc+arg", (b"in", b"session\n", 42)), ("nothing+", (b"", b"", 127))])
def test_what_an_upstream_agent_sends(session, descriptor, expected):
    """The server dials the caller, serves it, and closes when the call is over, without a byte."""
    text = b"QUBESRPC %s work\0" % descriptor.encode()
    listener = session.listen(OTHER, OWN, PORT)
    with as_the_account(session.server_path) as connection:
        connection.sendall(struct.pack("<4I", EXEC_CMDLINE, OTHER, PORT, len(text)) + text)
        caller = session.accept(listener)
        caller.hello()
        if descriptor == "svc+arg":
            caller.send(STDIN, b"in")
        assert finish(caller) == expected
        assert connection.recv(10) == b""


def test_a_command_that_does_not_parse(session):
    """The caller is dialled and told 125, where upstream's server leaves it waiting."""
    text = b"QUBESRPC x\0"
    listener = session.listen(OTHER, OWN, PORT)
    with as_the_account(session.server_path) as connection:
        connection.sendall(struct.pack("<4I", EXEC_CMDLINE, OTHER, PORT, len(text)) + text)
        caller = session.accept(listener)
        caller.hello()
        assert caller.messages() == [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", 125))]
        assert connection.recv(10) == b""


def test_settings_are_ours_alone(session):
    """An embedded NUL in upstream's form is no request."""
    text = b"QUBESRPC svc+ work\0QREXEC_SERVICE_PATH=/x\0"
    with as_the_account(session.server_path) as connection:
        connection.sendall(struct.pack("<4I", EXEC_CMDLINE, OTHER, PORT, len(text)) + text)
        assert connection.recv(10) == b""
