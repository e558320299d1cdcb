# SPDX-License-Identifier: Apache-2.0
"""The policy agent, and its terminal: real programs under tmux."""

import os
import pwd
import re
import shutil
import socket
import time

import processes
import pytest
import wire
from waiting import wait_for
from world import LIBEXEC, QAIR, REFUSED

POLICY = """
my.Echo   *  work   vault  ask default_target=vault
my.Echo   *  work   other  ask
my.Other  *  work   vault  ask
"""

AGENT = LIBEXEC + "/qrexec-policy-agent"
TERMINAL = LIBEXEC + "/qrexec-policy-terminal"

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


class Terminal:
    """A real terminal in which one command runs."""

    def __init__(self, host, account, *command):
        self.server = "/run/test/tmux-%s-%d" % (account, time.monotonic_ns())
        with host.popen_as(account, ["tmux", "-S", self.server, "-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40",
                                     *command, ";", "set", "-g", "remain-on-exit", "on"],
                           environment={"TERM": "xterm", "LANG": "C.UTF-8"}) as process:
            _, stderr = process.communicate(timeout=wire.TIMEOUT_SEC)
            assert process.returncode == 0, stderr
        self.host = host
        self.account = account

    def _tmux(self, *arguments):
        return self.host.run_as(self.account, ["tmux", "-S", self.server, *arguments]).stdout.decode()

    def screen(self):
        return self._tmux("capture-pane", "-p", "-S", "-")

    def wait(self, expression):
        wait_for(lambda: re.search(expression, self.screen(), re.M),
                 lambda: "%r on the screen:\n%s" % (expression, self.screen()))

    def type(self, text):
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def close(self):
        self._tmux("kill-server")


@pytest.fixture
def host(world):
    world.add_domain("desktop", label="black")
    world.add_domain("work", guivm="desktop", label="red")
    world.add_domain("vault", guivm="desktop", label="green")
    world.add_domain("other", guivm="desktop")
    world.add_service("my.Echo", "exec cat")
    world.add_service("my.Other", "exec cat")
    world.set_policy(POLICY)
    os.chmod("/run/test", 0o1777)
    uid = pwd.getpwnam("desktop").pw_uid
    os.makedirs("/run/user/%d" % uid, mode=0o700)
    os.chown("/run/user/%d" % uid, uid, uid)
    world.terminals = []
    yield world
    for terminal in world.terminals:
        terminal.close()


def attach(host, account="desktop", *arguments):
    terminal = Terminal(host, account, QAIR, "prompts", *arguments)
    host.terminals.append(terminal)
    terminal.wait("Ctrl-D leaves")
    return terminal


def answer(terminal, text):
    """As a person who has read the question: input that comes too early is not taken."""
    terminal.wait(r"^\? ?$")
    time.sleep(1.1)
    terminal.type(text)


def test_yes(host):
    host.start()
    terminal = attach(host)
    call = host.start_call("work", "vault", "my.Echo+x")
    terminal.wait(r"^Question 1: work \(red\) calls my\.Echo\+x$")
    terminal.wait(r"^  1    other \(")
    terminal.wait(r"^  2    vault \(green\)  <- suggested$")
    answer(terminal, "y")
    assert call.communicate(b"hello", wire.TIMEOUT_SEC)[0] == b"hello"
    terminal.wait("^Question 1: allow:vault$")


def test_no(host):
    host.start()
    terminal = attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    answer(terminal, "n")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    (record,) = host.wait_audit(event="refused", service="my.Echo")
    assert record["reason"].startswith("denied by the user ")


def test_allow_for_a_while(host):
    host.write("/etc/qubes/ask.conf", "[ask]\nquiet_for = 300\n[*]\nallow_for = 60 3600\n")
    host.start()
    terminal = attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    terminal.wait(r"^  NUMBER for 3600      1 hour$")
    terminal.wait(r"^  n for 300       5 minutes$")
    answer(terminal, "2 for 3600")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 0
    assert host.call("work", "vault", "my.Echo", input=b"x").stdout == b"x"


def test_what_is_typed_too_early_is_not_taken(host):
    """Half a line for the shell, a whole one, and one right after the question came."""
    host.start()
    terminal = attach(host)
    terminal.type("y")
    terminal._tmux("send-keys", "-l", "y")
    call = host.start_call("work", "vault", "my.Echo")
    terminal.wait("^Question 1: work")
    terminal.type("y")
    terminal.wait("typed before the question could be read")
    host.assert_service_never_started("my.Echo")
    assert call.poll() is None
    answer(terminal, "nonsense")
    terminal.wait("That is not understood")
    terminal.type("9")
    terminal.wait("There is no such target")
    terminal.type("")
    terminal.wait("Type a number")
    terminal.type("y")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 0


def test_several_terminals(host):
    """The first answer wins, the others are told; one that comes later is shown what waits."""
    host.start()
    first, second = attach(host), attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    first.wait("^Question 1: work")
    second.wait("^Question 1: work")
    third = attach(host)
    third.wait("^Question 1: work")
    answer(second, "n")
    first.wait("^Question 1 is gone: answered: deny$")
    third.wait("^Question 1 is gone: answered: deny$")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED


def test_root_answers_for_a_domain(host):
    """The agent runs as the account of that domain all the same."""
    host.start()
    terminal = attach(host, "root", "desktop")
    (agent,) = processes.running(AGENT)
    assert os.stat("/proc/%d" % agent.pid).st_uid == pwd.getpwnam("desktop").pw_uid
    # Nothing of root's is left to it: no terminal, no file, no setting.
    opened = {os.readlink("/proc/%d/fd/%s" % (agent.pid, fd)) for fd in os.listdir("/proc/%d/fd" % agent.pid)}
    assert all(path == "/dev/null" or path.startswith(("socket:", "anon_inode:")) or path.endswith("policy-agent.lock")
               for path in opened), opened
    with open("/proc/%d/environ" % agent.pid, "rb") as file:
        names = {entry.split(b"=")[0] for entry in file.read().split(b"\0") if entry}
    assert names == {b"PATH", b"HOME", b"XDG_RUNTIME_DIR"}
    call = host.start_call("work", "vault", "my.Echo")
    answer(terminal, "y")
    assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"


def test_dom0_is_the_gui_domain(host):
    host.write("/etc/qubes/domains.d/work.conf", "[domain]\nuser = work\n")
    host.start()
    uid = pwd.getpwnam("qrexec-dom0").pw_uid
    os.makedirs("/run/user/%d" % uid, mode=0o700, exist_ok=True)
    os.chown("/run/user/%d" % uid, uid, uid)
    terminal = attach(host, "root")
    call = host.start_call("work", "vault", "my.Echo")
    answer(terminal, "y")
    assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"


def test_questions_wait_in_order(host):
    host.start()
    terminal = attach(host)
    calls = [host.start_call("work", "vault", "my.Echo")]
    terminal.wait("^Question 1: ")
    calls.append(host.start_call("work", "vault", "my.Other"))
    host.wait_audit(2, event="start", service="policy.Ask")
    answer(terminal, "y")
    terminal.wait(r"^Question 2: work \(red\) calls my\.Other$")
    time.sleep(1.1)
    terminal.type("n")
    statuses = [call.communicate(b"", wire.TIMEOUT_SEC) and call.returncode for call in calls]
    assert statuses == [0, REFUSED]


def test_ten_requests_are_one_question(host):
    host.start()
    terminal = attach(host)
    calls = [host.start_call("work", "vault", "my.Echo") for _ in range(10)]
    terminal.wait("^10 requests ask this")
    answer(terminal, "y")
    for call in calls:
        assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"
    assert len(host.audit(event="start", service="policy.Ask")) == 1


@pytest.mark.parametrize("end", ["caller", "broker"])
def test_the_question_disappears(host, end):
    host.start()
    terminal = attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    terminal.wait("^Question 1: work")
    if end == "caller":
        call.kill()
    else:
        host.restart_broker()
    terminal.wait("^Question 1 is gone: whoever asked has given up$")
    host.assert_service_never_started("my.Echo")


def test_no_agent(host):
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    (record,) = host.wait_audit(event="refused", service="my.Echo")
    assert record["reason"] == "nobody could be asked: the policy agent in desktop: it ended with status 1"
    host.wait_log("no policy agent runs here: it starts with a desktop session, or with 'qair prompts'")


@pytest.mark.parametrize("program", [AGENT, TERMINAL])
@pytest.mark.parametrize("number", [9, 15])
def test_agent_or_terminal_is_killed_at_a_question(host, program, number):
    """Nobody is left who could answer, and that is seen at once."""
    host.start()
    terminal = attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    terminal.wait("^Question 1: work")
    (process,) = processes.running(program)
    process.kill(number)
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    (record,) = host.wait_audit(event="refused", service="my.Echo")
    assert record["reason"] == "nobody could be asked: the policy agent in desktop: it ended with status 2"
    # And the next agent serves again.
    if program == AGENT:
        terminal.wait("the policy agent has ended")
    again = attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    answer(again, "y")
    assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"


def test_one_terminal_of_two_is_killed(host):
    host.start()
    first, second = attach(host), attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    first.wait("^Question 1: work")
    processes.running(TERMINAL)[0].kill()
    terminal = second if "Ctrl-D" in second.screen() and "Pane is dead" not in second.screen() else first
    answer(terminal, "y")
    assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"


@pytest.mark.parametrize("number", [9, 15])
def test_service_program_is_killed_at_a_question(host, number):
    host.start()
    terminal = attach(host)
    call = host.start_call("work", "vault", "my.Echo")
    terminal.wait("^Question 1: work")
    (process,) = processes.running(LIBEXEC + "/policy-agent-service")
    process.kill(number)
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    terminal.wait("^Question 1 is gone: whoever asked has given up$")


def test_only_a_terminal(host):
    result = host.qair("prompts", account="desktop")
    assert result.returncode == 1 and "standard input is no terminal" in result.stderr


@pytest.mark.parametrize("arguments, account, status, words", [
    (["nowhere"], "root", 1, "'nowhere' is no domain with an account here"),
    (["vault"], "desktop", 1, "only root answers for another account"),
    (["a", "b"], "root", 2, "see 'qair prompts --help'"),
    (["--bad"], "root", 2, "see 'qair prompts --help'"),
])
def test_usage(host, arguments, account, status, words):
    result = host.qair("prompts", *arguments, account=account)
    assert result.returncode == status and words.lower() in result.stderr.lower(), result


# The socket itself: upstream's bytes


UPSTREAM = (b'{"source": "work", "service": "my.Echo", "argument": "+x", "targets": ["vault", "@dispvm:other"], '
            b'"default_target": "vault", "icons": {"dom0": "adminvm-black", "work": "appvm-red", '
            b'"vault": "appvm-black", "other": "appvm-blue", "@dispvm:other": "dispvm-blue"}}')


def connect(host):
    """A connection to the agent's socket, as the account's own services have."""
    uid = pwd.getpwnam("desktop").pw_uid
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(wire.TIMEOUT_SEC)
    connection.connect("/run/user/%d/qubes/policy-agent.sock" % uid)
    return connection


def test_upstream_request(host):
    terminal = attach(host)
    with connect(host) as connection:
        for byte in b"policy.Ask dom0 name dom0\0" + UPSTREAM[:1]:
            connection.sendall(bytes([byte]))
        connection.sendall(UPSTREAM[1:])
        connection.shutdown(socket.SHUT_WR)
        terminal.wait(r"^Question 1: work \(red\) calls my\.Echo\+x$")
        terminal.wait(r"^  1    Disposable VM \(other\) \(blue\)$")
        answer(terminal, "1")
        assert connection.recv(100) == b"allow:@dispvm:other"
        assert connection.recv(100) == b""


@pytest.mark.parametrize("data", [
    b"",
    b"policy.Ask dom0",
    b"policy.Ask\0" + UPSTREAM,
    b"policy.Ask dom0\0",
    b"policy.Ask dom0\0{}",
    b"policy.Ask dom0\0" + UPSTREAM[:-1],
    b"policy.Ask dom0\0" + UPSTREAM + b"x",
    b"policy.Ask dom0\0" + UPSTREAM.replace(b'"source": "work"', b'"source": "nobody"'),
    b"policy.Ask dom0\0" + UPSTREAM.replace(b"my.Echo", b"my/Echo"),
    b"policy.Other dom0\0" + UPSTREAM,
    b"policy.Notify dom0\0{}",
    b"policy.AskCount dom0\0{}",
    b"x" * 2000000,
])
def test_what_is_wrong_is_closed(host, data):
    terminal = attach(host)
    with connect(host) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    with connect(host) as connection:
        connection.sendall(b"policy.Ask dom0\0" + UPSTREAM)
        connection.shutdown(socket.SHUT_WR)
        answer(terminal, "n")
        assert connection.recv(100) == b"deny"


def test_odd_texts_do_nothing_to_the_terminal(host):
    terminal = attach(host)
    with connect(host) as connection:
        connection.sendall(b"policy.Ask dom0\0" + UPSTREAM.replace(b"+x", b"+\\u001b[2J\\u001b[31m\\n? \\u202e" + b"x" * 5000))
        connection.shutdown(socket.SHUT_WR)
        terminal.wait(r"calls my\.Echo\+\\x1b\[2J\\x1b\[31m\\n\? \\xe2\\x80\\xae")
        assert len(re.findall(r"^Question \d", terminal.screen(), re.M)) == 1


def test_another_account_is_not_served(host):
    attach(host)
    uid = pwd.getpwnam("desktop").pw_uid
    os.chmod("/run/user/%d" % uid, 0o755)
    os.chmod("/run/user/%d/qubes" % uid, 0o755)
    for name in ("policy-agent.sock", "policy-prompts.sock"):
        path = "/run/user/%d/qubes/%s" % (uid, name)
        assert os.stat(path).st_mode & 0o777 == 0o600
        os.chmod(path, 0o666)
        with host.popen_as("work", ["socat", "-", "UNIX-CONNECT:" + path]) as client:
            assert client.communicate(b"policy.Ask dom0\0" + UPSTREAM, wire.TIMEOUT_SEC)[0] == b""


# How it is started


def test_what_a_session_starts(host):
    with open("/etc/xdg/autostart/qrexec-policy-agent.desktop") as file:
        (program,) = [line.partition("=")[2].strip() for line in file if line.startswith("Exec=")]
    assert program == AGENT and os.access(program, os.X_OK)


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed")
def test_socket_activation(host):
    """With the sockets that the unit names, in its order."""
    with open("/usr/lib/systemd/user/qrexec-policy-agent.socket") as file:
        names = [line.partition("=")[2].strip() for line in file if line.startswith("ListenStream=")]
    runtime = "/run/user/%d" % pwd.getpwnam("desktop").pw_uid
    paths = [name.replace("%t", runtime) for name in names]
    with host.popen_as("desktop", ["mkdir", "-m", "0700", runtime + "/qubes"]) as process:
        assert process.wait(wire.TIMEOUT_SEC) == 0
    command = ["systemd-socket-activate"] + ["--listen=" + path for path in paths] + [AGENT, "--window="]
    with host.popen_as("desktop", command) as activator:
        try:
            wait_for(lambda: all(map(os.path.exists, paths)), "the sockets")
            host.start()
            call = host.start_call("work", "vault", "my.Echo")  # waits: no terminal is attached yet
            host.wait_audit(event="start", service="policy.Ask")
            terminal = attach(host)
            answer(terminal, "y")
            assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"
        finally:
            activator.terminate()
