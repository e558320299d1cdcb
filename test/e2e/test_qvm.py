# SPDX-License-Identifier: Apache-2.0
"""The services that are shipped, and the programs that call them: shells, commands, TCP ports, the session."""

import socket
import subprocess

import processes
import pytest

TIMEOUT_SEC = 30

POLICY = """
qubes.VMExec          *  work  vault     allow
qubes.VMExecGUI       *  work  vault     allow
qubes.VMRootExec      *  work  vault     allow
qubes.VMShell         *  work  vault     allow
qubes.VMRootShell     *  work  vault     allow
qubes.WaitForSession  *  work  vault     allow
qubes.ConnectTCP      *  work  vault     allow
qubes.ConnectTCP      *  work  @default  allow  target=vault
"""


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(POLICY)
    world.start()
    return world


def call(host, service, input=b"", **settings):
    return host.call("work", "vault", service, input=input, **settings)


def qvm_run(host, *arguments, input=b"", account="root"):
    """(status, stdout, stderr) of qvm-run."""
    process = host.popen_as(account, ["qvm-run", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    out, err = process.communicate(input, timeout=TIMEOUT_SEC)
    return process.returncode, out, err


# --- qubes.VMExec


@pytest.mark.parametrize(
    "argument, out",
    [
        ("echo+Hello-20world", b"Hello world\n"),
        ("printf+-25s-2E+a+b+c", b"a.b.c."),
        ("-2Fbin-2Fecho+----help-2Da+---61", b"--help-a -a\n"),
        ("printf+-5B-25s-5D+", b"[]"),
        ("printf+-25s+-24-28id-29-3B-60id-60", b"$(id);`id`"),
        ("cat", b"input"),
    ],
)
def test_vmexec(host, argument, out):
    result = call(host, "qubes.VMExec+" + argument, input=b"input")
    assert (result.returncode, result.stdout) == (0, out)


@pytest.mark.parametrize(
    "argument, status, message",
    [
        ("", 1, "is empty"),
        ("a-", 1, "hexadecimal"),
        ("-0a", 1, "hexadecimal"),
        ("a-00", 1, "NUL"),
        ("nonexistent", 127, "cannot run"),
        ("-2Fetc", 126, "cannot run"),
        ("sh+--c+exit-207", 7, ""),
    ],
)
def test_vmexec_failures(host, argument, status, message):
    result = call(host, "qubes.VMExec+" + argument)
    assert result.returncode == status
    assert message in result.stderr and result.stdout == b""


def test_vmexec_without_any_argument(host):
    assert call(host, "qubes.VMExec").returncode == 1


def test_root_is_not_to_be_had(host):
    """In a domain that is an account there is no other user: the call fails before anything is started."""
    assert call(host, "qubes.VMRootExec+id").returncode == 125
    assert call(host, "qubes.VMRootShell", input=b"id\n").returncode == 125


# --- qubes.VMShell


def test_vmshell(host):
    result = call(host, "qubes.VMShell", input=b"echo $(id -un) $0\nexit 3\n")
    assert (result.returncode, result.stdout) == (3, b"vault /bin/bash\n")


def test_vmshell_does_not_look_at_its_argument(host):
    for argument in "+--help", "+-c", "+x":
        result = call(host, "qubes.VMShell" + argument, input=b"echo ok $#\n")
        assert (result.returncode, result.stdout) == (0, b"ok 0\n")


# --- qubes.WaitForSession


def test_wait_for_session(host):
    """Nobody runs a service manager for the account here, so there is nothing to wait for."""
    assert call(host, "qubes.WaitForSession").returncode == 0
    result = call(host, "qubes.WaitForSession+x")
    assert result.returncode == 0 and "no argument" in result.stderr


def test_a_service_that_waits_for_the_session(host):
    result = call(host, "qubes.VMExecGUI+echo+ready")
    assert (result.returncode, result.stdout) == (0, b"ready\n")


# --- qubes.ConnectTCP and qvm-connect-tcp


class Port:
    """A port of this machine that says what it got, in upper case, when its client has ended."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT_SEC)
        self.number = self.listener.getsockname()[1]

    def serve(self):
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(TIMEOUT_SEC)
            data = b""
            while piece := connection.recv(65536):
                data += piece
            connection.sendall(data.upper())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def test_connect_tcp(host):
    with Port() as port:
        process = host.start_call("work", "vault", "qubes.ConnectTCP+%d" % port.number)
        process.stdin.write(b"hello")
        process.stdin.close()
        process.stdin = None
        port.serve()
        assert process.communicate(timeout=TIMEOUT_SEC)[0] == b"HELLO"
        assert process.returncode == 0


@pytest.mark.parametrize("argument", ["", "+0", "+080", "+65536", "+80+1", "+ssh"])
def test_connect_tcp_to_what_is_no_port(host, argument):
    assert call(host, "qubes.ConnectTCP" + argument).returncode == 125


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def connect_tcp(host, argument):
    process = host.popen_as("work", ["qvm-connect-tcp", argument], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=TIMEOUT_SEC)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("domain", ["vault", ""])
def test_qvm_connect_tcp(host, domain):
    local = free_port()
    with Port() as port:
        status, out, err = connect_tcp(host, "%d:%s:%d" % (local, domain, port.number))
        assert (status, err) == (0, "")
        assert "%s:%d" % (domain or "@default", port.number) in out and "localhost:%d" % local in out
        for text in b"one", b"two":
            with socket.create_connection(("127.0.0.1", local), timeout=TIMEOUT_SEC) as connection:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
                port.serve()
                assert connection.makefile("rb").read() == text.upper()
        # It listens on the loopback interface alone, and a second one cannot have the port.
        assert connect_tcp(host, "%d:vault:80" % local)[0] == 1
    for listener in processes.running("/usr/bin/qvm-connect-tcp"):
        listener.kill()
        assert listener.wait(TIMEOUT_SEC)


@pytest.mark.parametrize(
    "argument, message",
    [
        ("80", "has no port"),
        ("80:vault", "has no port"),
        ("80:vault:", "has no port"),
        ("0:vault:80", "local port"),
        ("65536:vault:80", "local port"),
        ("x:vault:80", "local port"),
        ("8080:vault:0", "domain's port"),
        ("8080:vault:080", "domain's port"),
        ("8080:%s:80" % ("a" * 64), "too long"),
    ],
)
def test_qvm_connect_tcp_arguments(host, argument, message):
    status, out, err = connect_tcp(host, argument)
    assert (status, out) == (1, "") and message in err


# --- qvm-run


def test_qvm_run_a_program(host):
    assert qvm_run(host, "-p", "vault", "printf", "%s|", "a b", "$(id)", "", "--x") == (0, b"a b|$(id)||--x|", b"")
    assert qvm_run(host, "--pass-io", "--no-shell", "vault", "cat", input=b"data")[:2] == (0, b"data")
    assert qvm_run(host, "-p", "vault", "sh", "-c", "echo out; echo err >&2; exit 4") == (4, b"out\n", b"err\n")
    assert qvm_run(host, "-p", "--gui", "vault", "echo", "gui")[:2] == (0, b"gui\n")


def test_qvm_run_a_shell_command(host):
    assert qvm_run(host, "-p", "vault", "echo $(id -un) | tr a-z A-Z; exit 5")[:2] == (5, b"VAULT\n")
    assert qvm_run(host, "-p", "vault", "false # a comment")[0] == 1
    assert qvm_run(host, "-p", "vault", "cat", input=b"data\n")[:2] == (0, b"data\n")
    assert qvm_run(host, "-p", "--gui", "vault", "echo gui")[:2] == (0, b"gui\n")


def test_qvm_run_a_service(host):
    status, out, _ = qvm_run(host, "-p", "--service", "vault", "qubes.GetDate")
    assert status == 0 and len(out) == 26
    assert qvm_run(host, "-p", "--service", "vault", "my.Nothing")[0] == 127


def test_qvm_run_without_streams(host):
    """Nothing is shown; the status is told all the same."""
    assert qvm_run(host, "vault", "sh", "-c", "cat; echo out; echo err >&2; exit 6", input=b"x") == (6, b"", b"")


def test_qvm_run_users(host):
    assert qvm_run(host, "-p", "-u", "vault", "vault", "id -un")[:2] == (0, b"vault\n")
    assert qvm_run(host, "-p", "-u", "work", "vault", "id -un")[0] == 125


def test_qvm_run_a_local_command(host):
    assert qvm_run(host, "--localcmd=echo to the other end; exit 0", "vault", "cat >answer")[0] == 0
    assert qvm_run(host, "-p", "vault", "cat answer; rm answer")[1] == b"to the other end\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["vault"], b"Usage:"),
        ([], b"Usage:"),
        (["--nonsense", "vault", "id"], b"Usage:"),
        (["--service", "vault", "a.Service", "x"], b"Usage:"),
        (["--service", "vault", "a b"], b"no name of a service"),
        (["../vault", "id"], b"the name of the domain"),
        (["-u", "vault:QUBESRPC", "vault", "id"], b"no name of an account"),
        (["--no-shell", "vault", ""], b"is empty"),
        (["vault", "echo", " " * 30000], b"too long"),
    ],
)
def test_qvm_run_arguments(host, arguments, message):
    status, out, err = qvm_run(host, *arguments)
    assert (status, out) == (2, b"") and message in err


def test_qvm_run_help(host):
    status, out, err = qvm_run(host, "--help")
    assert (status, err) == (0, b"") and out.startswith(b"Usage: qvm-run")


def test_qvm_run_is_for_the_host(host):
    assert qvm_run(host, "-p", "vault", "id", account="work")[0] == 125
