# SPDX-License-Identifier: Apache-2.0
"""qrexec-client: the host calls into a domain, through the daemon socket, as Qubes' scripts do."""

import subprocess

import pytest
import wire


@pytest.fixture
def host(world):
    world.add_domain("vault")
    world.add_service("my.Echo", 'printf "%s %s " "$(id -un)" "$QREXEC_REMOTE_DOMAIN"; cat; exit 5')
    return world


def client(*arguments, stdin=b"", **settings):
    return subprocess.run(
        ["qrexec-client", *arguments], input=stdin, capture_output=True, timeout=wire.TIMEOUT_SEC, check=False, **settings
    )


def test_a_service(host):
    host.start()
    result = client("-d", "vault", "DEFAULT:QUBESRPC my.Echo dom0", stdin=b"hello")
    assert (result.returncode, result.stdout) == (5, b"vault dom0 hello"), result
    host.wait_log(r"my\.Echo\+?: dom0 -> vault: allowed to vault")
    host.wait_log(r"my\.Echo\+?: dom0 -> vault: ended: exited, status 5")


def test_the_account_by_name(host):
    host.start()
    assert client("-d", "vault", "vault:QUBESRPC my.Echo dom0").returncode == 5
    assert client("-d", "vault", "root:QUBESRPC my.Echo dom0").returncode == 125
    assert client("-d", "vault", "DEFAULTX:QUBESRPC my.Echo dom0").returncode == 125
    assert len(host.started("my.Echo")) == 1


def test_no_policy_is_asked(host):
    host.set_policy("broken")
    host.start()
    assert client("-d", "vault", "DEFAULT:QUBESRPC my.Echo dom0").returncode == 5


def test_a_service_that_is_nowhere(host):
    host.start()
    assert client("-d", "vault", "DEFAULT:QUBESRPC my.Nothing dom0").returncode == 127


def test_a_command_that_cannot_be_parsed(host):
    host.start()
    for command in ("QUBESRPC my.Echo dom0", "DEFAULT:QUBESRPCx", "DEFAULT:QUBESRPC  my.Echo dom0", "DEFAULT:QUBESRPC my.Echo"):
        assert client("-d", "vault", command).returncode == 125, command
    host.assert_service_never_started("my.Echo")


def test_a_shell_command_is_refused_unless_the_inventory_permits_it(host):
    host.add_domain("open", shell="yes")
    host.start()
    result = client("-d", "vault", "DEFAULT:id -un")
    assert (result.returncode, result.stdout) == (125, b""), result
    result = client("-d", "open", "DEFAULT:id -un; exit 3")
    assert (result.returncode, result.stdout) == (3, b"open\n"), result


def test_just_start_it(host):
    host.add_service("my.Mark", "touch mark; exit 9", domain="vault")
    host.start()
    result = client("-e", "-d", "vault", "DEFAULT:QUBESRPC my.Mark dom0")
    assert (result.returncode, result.stdout) == (0, b"")
    host.wait_log(r"my\.Mark\+?: dom0 -> vault: ended: detached, status 0")
    assert client("-e", "-d", "vault", "DEFAULT:QUBESRPC my.Nothing dom0").returncode == 127


def test_a_local_command(host):
    host.start()
    result = client("-E", "-d", "vault", "-l", "echo word; exec 1>&-; cat >&2", "DEFAULT:QUBESRPC my.Echo dom0")
    assert result.returncode == 0
    assert result.stderr == b"vault dom0 word\n", result


def test_a_domain_that_does_not_exist(host):
    host.start()
    result = client("-d", "nowhere", "DEFAULT:QUBESRPC my.Echo dom0")
    assert result.returncode == 125 and b"nowhere" in result.stderr, result


RAW = {
    "a command before HELLO": wire.message(wire.EXEC_CMDLINE, bytes(8) + b"x:y\0"),
    "HELLO of version 2": wire.hello(2),
    "no NUL": wire.hello(3) + wire.message(wire.EXEC_CMDLINE, b"\x01\0\xff\x7f\0\0\0\0" + b"x:y"),
    "dial mode": wire.hello(3) + wire.message(wire.EXEC_CMDLINE, bytes(8) + b"DEFAULT:QUBESRPC my.Echo dom0\0"),
    "a length of 8": wire.hello(3) + wire.message(wire.EXEC_CMDLINE, bytes(8)),
    "a trigger": wire.hello(3) + wire.trigger("vault", "my.Echo"),
    "SERVICE_CONNECT": wire.hello(3) + wire.message(0x202, bytes(8) + b"SOCKET1\0"),
}


@pytest.mark.parametrize("data", RAW.values(), ids=RAW.keys())
def test_an_odd_client_is_closed(host, data):
    host.start()
    with wire.connect_as("root", "/run/qubes/qrexec.vault") as connection:
        connection.sendall(data)
        assert wire.receive_all(connection) == wire.hello(3), "it is greeted, and closed"
    host.assert_service_never_started("my.Echo")
    assert client("-d", "vault", "DEFAULT:QUBESRPC my.Echo dom0").returncode == 5


def test_hello_and_command_in_one_piece(host):
    host.start()
    with wire.connect_as("root", "/run/qubes/qrexec.vault") as connection:
        command = b"\x01\0\xff\x7f\0\0\0\0" + b"DEFAULT:QUBESRPC my.Echo dom0\0"
        connection.sendall(wire.hello(3) + wire.message(wire.EXEC_CMDLINE, command))
        answer = connection.recv(12)
        assert answer == wire.hello(3)
        answer = connection.recv(16)
        assert len(answer) == 16 and answer[8:12] == b"\x01\0\xff\x7f"


# --- services of the host, and what is for the daemons of Qubes


def test_a_service_of_the_host_itself(host):
    """Also where no broker runs: the service takes the client's place."""
    result = client("-d", "dom0", "DEFAULT:QUBESRPC my.Echo+x dom0 name dom0", stdin=b"hello")
    assert (result.returncode, result.stdout) == (5, b"root dom0 hello"), result
    assert client("-d", "dom0", "DEFAULT:QUBESRPC my.Nothing dom0").returncode == 127
    assert client("-d", "dom0", "DEFAULT:id -un").returncode == 125


def test_a_service_of_the_host_as_local_command(host):
    host.add_service("my.Local", 'exec 1>&-; printf "%s " "$QREXEC_REMOTE_DOMAIN" >&2; cat >&2; exit 6')
    host.start()
    command = "DEFAULT:QUBESRPC my.Echo dom0"
    result = client("-d", "vault", "-l", "QUBESRPC my.Local vault name dom0", command)
    assert result.returncode == 5 and result.stderr.startswith(b"vault vault dom0"), result
    assert client("-d", "vault", "-l", "QUBESRPC my.Nothing vault", command).returncode == 127
    assert len(host.started("my.Local")) == 1


def test_the_domain_is_stopped_after_the_call(host):
    host.start()
    assert client("-k", "-d", "vault", "DEFAULT:QUBESRPC my.Echo dom0").returncode == 5
    host.wait_log(r"qair\.DomainStop\+vault: dom0 -> dom0: ended: exited, status 0")
    result = client("-k", "-d", "nowhere", "DEFAULT:QUBESRPC my.Echo dom0")
    assert result.returncode == 125 and b"nowhere is not stopped" in result.stderr, result


def test_the_broker_has_no_callers_that_wait(host):
    host.start()
    assert client("-c", "SOCKET9,vault,1", "-d", "vault", "DEFAULT:QUBESRPC my.Echo dom0").returncode == 137
    assert client("-c", "SOCKET9,vault,1", "-d", "dom0", "QUBESRPC my.Echo vault name dom0").returncode == 125
    host.assert_service_never_started("my.Echo")
