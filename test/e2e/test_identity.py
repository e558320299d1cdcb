# SPDX-License-Identifier: Apache-2.0
"""Who calls is known from the kernel and from the socket that was used, never from a message."""

import os
import select
import socket
import subprocess

import pytest
import wire

OPEN_POLICY = "* * * * allow"


@pytest.fixture
def host(world):
    """A host that allows everything, so that only identity can refuse."""
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(OPEN_POLICY)
    world.add_service("my.Who", 'printf %s "$QREXEC_REMOTE_DOMAIN"')
    return world


def ask(account, path, target="vault", service="my.Who", source=""):
    """What the broker answers to a raw request: (call id, reason), or None if it only closes; never an allowed call."""
    with wire.connect_as(account, path) as connection:
        connection.sendall(wire.trigger(target, service, source))
        return wire.refusal(connection)


@pytest.mark.parametrize("account", ["root", "nobody", "qrexec", "qrexec-dom0", "stranger", 65534, 4294967294])
def test_who_is_no_domain_is_told_so(host, account):
    host.add_account("stranger")
    host.start()
    assert ask(account, wire.SHARED) == (0, wire.NOT_A_DOMAIN)
    host.assert_service_never_started("my.Who")


def test_a_stranger_is_told_what_to_do(host):
    host.add_account("stranger")
    host.start()
    result = host.run_as("stranger", ["qrexec-client-vm", "vault", "my.Who"])
    assert result.returncode == 126
    assert "not a domain" in result.stderr and "qair domain add" in result.stderr


def test_an_old_client_sees_a_bare_close(host):
    host.add_account("stranger")
    host.start()
    for account in ("stranger", "work"):
        with wire.connect_as(account, wire.SHARED) as connection:
            connection.sendall(wire.trigger("vault", "my.Who", ident="SOCKET"))
            assert wire.refusal(connection) is None
    host.assert_service_never_started("my.Who")


def test_an_account_becomes_a_domain_on_reload(host):
    host.add_account("late")
    host.start()
    assert ask("late", wire.SHARED) == (0, wire.NOT_A_DOMAIN)
    host.write("/etc/qubes/domains.d/late.conf", "[domain]\nuser = late\n")
    mark = host.logfile.mark()
    host.reload()
    host.wait_log("serving 4 domains", mark=mark)
    result = host.run_as("late", ["qrexec-client-vm", "vault", "my.Who"])
    assert (result.returncode, result.stdout) == (0, b"late"), result


def test_a_domain_that_is_removed_is_a_stranger_again(host):
    host.start()
    assert host.call("work", "vault", "my.Who").stdout == b"work"
    os.unlink("/etc/qubes/domains.d/work.conf")
    # Its account is no domain for the very next call, with or without a reload.
    host.assert_refused(host.call("work", "vault", "my.Who"))
    mark = host.logfile.mark()
    host.reload()
    host.wait_log("serving 2 domains", mark=mark)
    assert ask("work", wire.SHARED) == (0, wire.NOT_A_DOMAIN)
    assert not os.path.exists("/run/qubes/domains/work")


@pytest.mark.parametrize("account, path", [
    ("vault", "/run/qubes/domains/work/qrexec-agent"),
    ("root", "/run/qubes/domains/work/qrexec-agent"),
    ("qrexec-dom0", "/run/qubes/domains/work/qrexec-agent"),
])
def test_the_trigger_socket_of_another(host, account, path):
    host.start()
    assert ask(account, path) == (0, wire.NOT_A_DOMAIN)
    host.assert_service_never_started("my.Who")


def test_the_own_trigger_socket(host):
    host.start()
    result = host.call("work", "vault", "my.Who", options=["--agent-socket=/run/qubes/domains/work/qrexec-agent"])
    assert result.stdout == b"work"


@pytest.mark.parametrize("account", ["work", "qrexec-dom0", "nobody"])
def test_dom0s_socket_is_roots_alone(host, account):
    host.start()
    with pytest.raises(PermissionError):
        wire.connect_as(account, wire.DOM0)
    # Even where the folder's mode does not hold, the peer is looked at.
    os.chmod(os.path.dirname(wire.DOM0), 0o755)
    assert ask(account, wire.DOM0) == (0, wire.NOT_A_DOMAIN)
    host.assert_service_never_started("my.Who")


@pytest.mark.parametrize("account", ["work", "root", "qrexec-dom0", "nobody"])
def test_the_link_of_another(host, account):
    host.start()
    with wire.Agent(account, "vault", introduce=False) as link:
        try:
            link.socket.send(wire.hello())
        except BrokenPipeError:
            pass  # closed before a word was heard
        assert link.is_closed()
    assert host.call("work", "vault", "my.Who").stdout == b"work"


@pytest.mark.parametrize("account", ["work", "vault", "nobody", "qrexec-dom0"])
def test_the_daemon_socket_is_the_hosts_alone(host, account):
    host.start()
    with wire.connect_as(account, "/run/qubes/qrexec.vault") as connection:
        try:
            connection.sendall(wire.hello(3))
        except BrokenPipeError:
            pass
        assert wire.receive_all(connection) == b""


def test_a_user_namespace_changes_nothing(host):
    """Root in a namespace of its own is who its account is outside: work, or nobody's domain."""
    host.add_account("stranger")
    host.start()

    def inside(account, *arguments):
        command = ["unshare", "--user", "--map-root-user", *arguments]
        with host.popen_as(account, command) as process:
            stdout, stderr = process.communicate(timeout=wire.TIMEOUT_SEC)
        return process.returncode, stdout, stderr

    # The client inside believes that it is root, and would look for dom0's socket first.
    call = ("qrexec-client-vm", "--agent-socket=" + wire.SHARED, "vault", "my.Who")
    assert inside("work", *call)[:2] == (0, b"work")
    status, stdout, _ = inside("stranger", *call)
    assert (status, stdout) == (126, b"")
    status, stdout, _ = inside("work", "qrexec-client-vm", "--agent-socket=" + wire.DOM0, "vault", "my.Who")
    assert status == 1 and stdout == b"", "dom0's socket cannot be reached"


def test_root_of_the_host_in_a_user_namespace_is_no_domain(host):
    host.start()
    result = subprocess.run(
        ["unshare", "--user", "--map-root-user", "qrexec-client-vm", "--agent-socket=" + wire.SHARED, "vault", "my.Who"],
        capture_output=True, timeout=wire.TIMEOUT_SEC, stdin=subprocess.DEVNULL, check=False,
    )
    assert result.returncode == 126
    host.assert_service_never_started("my.Who")


def test_a_second_agent_is_closed(host):
    host.start()
    assert host.call("work", "vault", "my.Who").stdout == b"work"  # the first one is up
    mark = host.logfile.mark()
    with wire.Agent("vault", "vault", introduce=False) as second:
        second.socket.send(wire.hello())
        assert second.is_closed()
    host.wait_log("a second agent connected", mark=mark)
    assert host.call("work", "vault", "my.Who").stdout == b"work"


def test_two_agents_that_shake_hands_at_the_same_time(host):
    """Both said HELLO before either was live: one of them wins, the other is closed."""
    host.start()
    first = wire.connect_as("vault", "/run/qubes/domains/vault/link", socket.SOCK_SEQPACKET)
    second = wire.connect_as("vault", "/run/qubes/domains/vault/link", socket.SOCK_SEQPACKET)
    with first, second:
        for link in (first, second):
            link.send(wire.hello())
            assert link.recv(100) == wire.hello()
        first.send(wire.call_list())
        second.send(wire.call_list())
        closed, _, _ = select.select([first, second], [], [], wire.TIMEOUT_SEC)
        assert len(closed) == 1 and closed[0].recv(100) == b""


def test_dom0_calls_without_a_rule(host):
    host.set_policy("")
    host.start()
    assert host.call("dom0", "vault", "my.Who").stdout == b"dom0"
    host.assert_refused(host.call("dom0", "nowhere", "my.Who"))
    host.assert_refused(host.call("dom0", "", "my.Who"))
    host.assert_refused(host.call("dom0", "dom0", "my.Who"))


def test_dom0_as_target_runs_as_its_own_account(host):
    host.add_service("my.Host", 'id -un; echo "$QREXEC_REMOTE_DOMAIN"; '
                     'echo "$QREXEC_REQUESTED_TARGET_TYPE ${QREXEC_REQUESTED_TARGET-unset} '
                     '${QREXEC_REQUESTED_TARGET_KEYWORD-unset}"', domain="dom0")
    host.start()
    assert host.call("work", "dom0", "my.Host").stdout == b"qrexec-dom0\nwork\nname dom0 unset\n"
    assert host.call("work", "@adminvm", "my.Host").stdout == b"qrexec-dom0\nwork\nkeyword unset adminvm\n"
    assert host.call("work", "vault", "my.Host").returncode == 127


def test_a_domain_cannot_speak_for_another(host):
    """Only a relay may name a requested source, and only a remote domain behind it."""
    host.add_domain("far", type="RemoteVM", relayvm="vault", transport_rpc="net.Carry")
    host.start()
    for account, source in [("work", "vault"), ("work", "dom0"), ("work", "far"), ("vault", "work"), ("work", "nobody")]:
        answer = ask(account, wire.SHARED, target="work" if account == "vault" else "vault", source=source)
        assert answer is not None and answer[1] == wire.REFUSED, (account, source)
    host.assert_service_never_started("my.Who")
    # The relay itself may speak for what is behind it.
    result = host.call("vault", "work", "my.Who", options=["--source-qube=far"])
    assert result.stdout == b"far", result
