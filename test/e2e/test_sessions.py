# SPDX-License-Identifier: Apache-2.0
"""Starting domains: when, as whom, in what session, and what happens when one of the processes dies."""

import os
import pwd
import signal

import processes
import pytest
import wire
from world import AGENT, BROKER

POLICY = "my.S * work * allow\nmy.S * vault * allow"


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(POLICY)
    world.add_service("my.S", "exec cat")
    return world


def agents():
    """Without their handlers, which are children of theirs and run the same program."""
    return processes.first_of(AGENT)


def account_of(process):
    return pwd.getpwuid(os.stat("/proc/%d" % process.pid).st_uid).pw_name


def test_an_agent_starts_with_the_first_call_that_needs_it(host):
    host.start()
    assert agents() == []
    host.assert_served("my.S")
    assert [account_of(agent) for agent in agents()] == ["vault"]


def test_autostart_starts_it_with_the_host(host):
    host.add_domain("early", autostart="yes")
    host.start()
    host.wait_log("domain early started as account early")
    assert host.call("work", "early", "my.S", input=b"x").stdout == b"x"


def test_many_callers_start_it_once(host):
    host.start()
    calls = [host.start_call("work", "vault", "my.S") for _ in range(20)]
    for call in calls:
        stdout, _ = call.communicate(b"x", timeout=wire.TIMEOUT_SEC)
        assert (call.returncode, stdout) == (0, b"x")
    assert len(agents()) == 1


def test_the_agent_has_no_terminal_no_privilege_and_its_own_session(host):
    host.start()
    host.assert_served("my.S")
    (agent,) = agents()
    with open("/proc/%d/status" % agent.pid) as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    vault = pwd.getpwnam("vault")
    assert status["Uid"].split() == 4 * [str(vault.pw_uid)]
    assert status["Gid"].split() == 4 * [str(vault.pw_gid)]
    assert {status[key] for key in ("CapPrm", "CapEff")} == {"0000000000000000"}
    with open("/proc/%d/stat" % agent.pid) as file:
        fields = file.read().rpartition(")")[2].split()
    assert int(fields[3]) == agent.pid and int(fields[4]) == 0, "session leader, no terminal"
    assert os.readlink("/proc/%d/cwd" % agent.pid) == vault.pw_dir
    # Nothing of the host's is open in it: /dev/null, the pipe of its log, its link, and what it makes for itself.
    kinds = {os.readlink("/proc/%d/fd/%s" % (agent.pid, fd)).split(":")[0] for fd in os.listdir("/proc/%d/fd" % agent.pid)}
    assert kinds <= {"/dev/null", "pipe", "socket", "anon_inode"}


def test_a_pam_session_is_open_as_long_as_the_agent_lives(host):
    """A real PAM module, told to write down what it is called for."""
    host.write("/run/test/pam", '#!/bin/sh\necho "$PAM_TYPE $PAM_USER $PAM_SERVICE" >>/run/test/pam.log\n', mode=0o755)
    with open("/etc/pam.d/qrexec") as file:
        before = file.read()
    host.write("/etc/pam.d/qrexec", before + "session optional pam_exec.so /run/test/pam\n")
    try:
        host.start()
        host.assert_served("my.S")
        host.assert_served("my.S")
        with open("/run/test/pam.log") as file:
            assert file.read() == "open_session vault qrexec\n", "once, whatever number of calls"
        host.stop()
        assert processes.wait_all_gone(5) == []
        with open("/run/test/pam.log") as file:
            assert file.read() == "open_session vault qrexec\nclose_session vault qrexec\n"
    finally:
        host.write("/etc/pam.d/qrexec", before)


def test_a_session_that_pam_refuses(host):
    with open("/etc/pam.d/qrexec") as file:
        before = file.read()
    host.write("/etc/pam.d/qrexec", "auth required pam_deny.so\n" + before)
    try:
        host.start()
        result = host.call("work", "vault", "my.S")
        assert result.returncode == 126 and "service unavailable" in result.stderr, result
        host.wait_log("domain vault: authentication failed for account vault")
        host.assert_service_never_started("my.S")
        # Not tried again for a while: a caller must not keep the supervisor and the modules busy.
        assert host.call("work", "vault", "my.S").returncode == 126
        assert host.log().count("authentication failed") == 1
    finally:
        host.write("/etc/pam.d/qrexec", before)
    mark = host.logfile.mark()
    host.reload()
    host.wait_log("serving", mark=mark)
    host.assert_served("my.S")  # what was mended is tried at once


def test_an_agent_that_dies_is_started_again(host):
    host.start()
    host.assert_served("my.S")
    (agent,) = agents()
    mark = host.logfile.mark()
    agent.kill(signal.SIGKILL)
    host.wait_log("domain vault stopped", mark=mark)
    host.assert_served("my.S")


def test_a_call_survives_its_agent(host):
    """The service and its handler go on; that nobody knows more of it is recorded."""
    host.start()
    call = host.start_call("work", "vault", "my.S")
    call.stdin.write(b"x")
    call.stdin.flush()
    assert call.stdout.read(1) == b"x"
    (agent,) = agents()
    agent.kill(signal.SIGKILL)
    host.wait_log("its agent died, and nobody knows more")
    host.assert_served("my.S")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode in (0, 255)


def test_the_broker_dies_while_nobody_calls(host):
    host.start()
    host.assert_served("my.S")
    for _ in range(3):
        host.restart_broker()
        host.assert_served("my.S")


def test_the_supervisor_is_killed_and_another_one_starts(host):
    host.start()
    host.assert_served("my.S")
    (broker,) = processes.running(BROKER)
    host.supervisor.kill()
    host.supervisor.wait()
    host.supervisor = None
    assert broker.wait(5), "a broker without its supervisor ends"
    host.start()
    host.assert_served("my.S")
    # The old agent has come back to the new broker, or a new one was started: one of them serves.
    host.stop()
    for agent in agents():
        agent.kill(signal.SIGTERM)


def test_a_broker_that_does_not_stop_is_killed(host):
    host.start()
    (broker,) = processes.running(BROKER)
    broker.kill(signal.SIGSTOP)
    host.stop()
    assert broker.wait(0)


def test_the_broker_cannot_start_what_is_not_configured(host):
    """Names that the supervisor does not know are answered, not looked for."""
    host.set_policy("my.S * work ghost allow")
    host.write("/etc/qubes/domains.d/ghost.conf", "[domain]\nuser = ghost\n")
    host.start()
    result = host.call("work", "ghost", "my.S")
    assert result.returncode == 126 and "service unavailable" in result.stderr


def test_a_home_that_is_not_there(host):
    vault = pwd.getpwnam("vault")
    os.rename(vault.pw_dir, vault.pw_dir + ".away")
    try:
        host.add_service("my.S", "pwd")
        host.start()
        assert host.call("work", "vault", "my.S").stdout == b"/\n"
        host.wait_log("cannot enter " + vault.pw_dir)
    finally:
        os.rename(vault.pw_dir + ".away", vault.pw_dir)


def remove_domain(host, name):
    mark = host.logfile.mark()
    os.unlink("/etc/qubes/domains.d/%s.conf" % name)
    host.reload()
    host.wait_log("serving 2 domains", mark=mark)


def running_call(host, source, target):
    call = host.start_call(source, target, "my.S")
    call.stdin.write(b"x")
    call.stdin.flush()
    assert call.stdout.read(1) == b"x"
    return call


def test_a_domain_is_removed_while_calls_run(host):
    """Those that run there are ended, and those that it has made; both are recorded."""
    host.add_domain("other")
    host.set_policy(POLICY + "\nmy.S * other * allow")
    host.start()
    calls = [running_call(host, "work", "vault") for _ in range(3)] + [running_call(host, "vault", "other")]
    alive = running_call(host, "work", "other")
    mark = host.logfile.mark()
    os.unlink("/etc/qubes/domains.d/vault.conf")
    host.reload()
    host.wait_audit(n=4, event="end", how="killed")
    for call in calls:
        call.communicate(timeout=wire.TIMEOUT_SEC)
        assert call.returncode == 128 + signal.SIGTERM
    host.wait_log("serving 3 domains", mark=mark)
    stdout, _ = alive.communicate(b"y", timeout=wire.TIMEOUT_SEC)
    assert (alive.returncode, stdout) == (0, b"y")
    host.assert_refused(host.call("work", "vault", "my.S"))


def test_a_domain_is_removed_and_its_calls_are_kept(host):
    """Its agent takes no more calls, its sockets go; the service goes on, and its caller learns the exit code."""
    host.start()
    call = running_call(host, "work", "vault")
    assert host.qair("domain", "remove", "--keep", "vault").returncode == 0
    mark = host.logfile.mark()
    host.reload()
    host.wait_log("serving 2 domains", mark=mark)
    host.wait_log(r"my\.S\+?: work -> vault: ended: ")
    stdout, _ = call.communicate(b"y", timeout=wire.TIMEOUT_SEC)
    assert (call.returncode, stdout) == (0, b"y")
    assert not os.path.exists("/run/qubes/domains/vault")
    host.assert_refused(host.call("work", "vault", "my.S"))
    with open("/proc/%d/task/%d/children" % (host.supervisor.pid, host.supervisor.pid)) as file:
        states = [process_state(pid) for pid in file.read().split()]
    assert "Z" not in states


def process_state(pid):
    try:
        with open("/proc/%s/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def test_a_domain_is_removed_while_calls_wait_for_it(host):
    """Whoever waits is told."""
    host.start()
    with wire.Agent("vault", "vault") as agent:
        waiting = [wire.connect_as("work", wire.SHARED) for _ in range(3)]
        agent.close()  # so that the calls below wait for an agent that PAM keeps away
        with open("/etc/pam.d/qrexec") as file:
            before = file.read()
        host.write("/etc/pam.d/qrexec", "auth required pam_exec.so /bin/sleep 5\n" + before)
        try:
            for connection in waiting:
                connection.sendall(wire.trigger("vault", "my.S"))
            host.wait_log("domain vault started")
            host.wait_log(r"(work -> vault: allowed[^\0]*){3}")
            remove_domain(host, "vault")
            for connection in waiting:
                with connection:
                    call_id, reason = wire.refusal(connection)
                    assert call_id > 0 and reason == wire.UNAVAILABLE
        finally:
            host.write("/etc/pam.d/qrexec", before)


def test_a_domain_is_removed_while_its_agent_introduces_itself(host):
    host.start()
    (broker,) = processes.running(BROKER)
    with wire.Agent("vault", "vault", introduce=False) as agent:
        agent.socket.send(wire.hello())
        assert agent.socket.recv(100) == wire.hello()
        remove_domain(host, "vault")
        agent.socket.send(wire.call_list())
        assert agent.is_closed()
    (after,) = processes.running(BROKER)
    assert broker.pid == after.pid
