# SPDX-License-Identifier: Apache-2.0
"""The real qrexec-agent and the calls that it serves, against a broker and callers that are played (localagent)."""

import os
import signal
import socket
import struct
import subprocess
import threading

import pytest
from localagent import (ABANDONED, ACCOUNT, AGENT, DETACHED, EXITED, KILLED, NOT_FOUND, NOT_STARTED, SIGNALLED, Caller,
                        World, as_unprivileged, direct_call)
from vchan import EXIT_CODE, JUST_EXEC, LIMIT, STDERR, STDIN, STDOUT
from waiting import wait_for


# --- starting


def test_usage():
    for option, expect in ("-h", b"Usage:"), ("--help", b"Usage:"), ("--nonsense", b"Usage:"), ("extra", b"Usage:"):
        result = subprocess.run([AGENT, option], capture_output=True, timeout=LIMIT)
        assert result.returncode == 2
        assert expect in result.stderr and result.stdout == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_bad_domain_name():
    result = subprocess.run(as_unprivileged("--domain=../x"), capture_output=True, timeout=LIMIT)
    assert result.returncode == 1
    assert b"the name of the domain" in result.stderr


@pytest.mark.parametrize(
    "arguments, environment, path",
    [
        (["--domain=work"], {}, "/run/qubes/domains/work/link"),
        ([], {"QREXEC_DOMAIN": "vault"}, "/run/qubes/domains/vault/link"),
        (["--domain=work"], {"QREXEC_DOMAIN": "vault"}, "/run/qubes/domains/work/link"),
        ([], {}, "/run/qubes/link"),
        (["--domain=work", "--link=/nonexistent/link"], {}, "/nonexistent/link"),
    ],
)
def test_which_link(arguments, environment, path):
    if os.path.exists(path):
        pytest.skip(f"{path} exists here")
    environment = {"PATH": "/usr/bin:/bin", "USER": ACCOUNT, **environment}
    with subprocess.Popen(as_unprivileged(*arguments), env=environment, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stderr.readline() == (
            f"qrexec-agent: {path}: No such file or directory; trying again until it works\n"
        )
        agent.terminate()
        assert agent.wait(LIMIT) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a uid without a name")
def test_an_account_without_a_name():
    result = subprocess.run(
        as_unprivileged("--link=/nonexistent/link"), env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=LIMIT
    )
    assert result.returncode == 1
    assert b"has no name: set USER" in result.stderr


def test_ready_is_said_when_the_link_is_up(agent_world):
    agent_world.start()
    assert agent_world.notify.recv(100) == b"READY=1"
    # and only once
    agent_world.link.close()
    agent_world.accept()
    agent_world.notify.settimeout(0)
    with pytest.raises(BlockingIOError):
        agent_world.notify.recv(100)


def test_sigterm_ends_it(agent):
    agent.agent.send_signal(signal.SIGTERM)
    assert agent.agent.wait(LIMIT) == 0


# --- calls of programs


def test_program(agent):
    agent.service("svc", '#!/bin/sh\necho "arg:$#:$1"; cat; exit 7\n')
    call_id, caller = agent.call("svc+a+b")
    caller.end_stdin(b"input\n")
    assert caller.outcome() == (b"arg:1:a+b\ninput\n", b"", 7)
    assert agent.ended() == (call_id, EXITED, 7)


def test_empty_argument_is_no_argument(agent):
    agent.service("svc", '#!/bin/sh\necho "$#"\n')
    _, caller = agent.call("svc+")
    assert caller.outcome() == (b"0\n", b"", 0)


def test_killed_by_signal(agent):
    agent.service("svc", "#!/bin/sh\nkill -9 $$\n")
    call_id, caller = agent.call("svc+")
    assert caller.outcome() == (b"", b"", 137)
    assert agent.ended() == (call_id, SIGNALLED, 137)


def test_environment(agent):
    agent.service("svc", "#!/bin/sh\nenv | sort; pwd; echo $PPID; ulimit -n\n")
    _, caller = agent.call("svc+arg", source="work")
    out, _, code = caller.outcome()
    *variables, cwd, parent, files = out.decode().splitlines()
    variables = dict(line.split("=", 1) for line in variables)
    assert variables["QREXEC_SERVICE_FULL_NAME"] == "svc+arg"
    assert variables["QREXEC_SERVICE_ARGUMENT"] == "arg"
    assert variables["QREXEC_REMOTE_DOMAIN"] == "work"
    assert variables["QREXEC_REQUESTED_TARGET_TYPE"] == ""
    assert variables["QREXEC_AGENT_PID"] == parent
    assert variables["PLAIN"] == "y"
    assert not {"QREXEC_STRAY", "NOTIFY_SOCKET", "QREXEC_REQUESTED_TARGET"} & set(variables)
    assert cwd == str(agent.home)
    assert code == 0
    soft = subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True, check=True, text=True).stdout.strip()
    assert files == soft


def test_call_of_dom0(agent):
    agent.service("svc", '#!/bin/sh\necho "$QREXEC_REQUESTED_TARGET_TYPE:$QREXEC_REQUESTED_TARGET"\n')
    _, stream = agent.order(f"{ACCOUNT}:QUBESRPC svc+ work name dom0")
    assert Caller(stream).outcome() == (b"name:dom0\n", b"", 0)


def test_stderr_reaches_caller_and_log(agent):
    agent.service("svc", "#!/bin/sh\necho visible >&2; echo again >/proc/self/fd/2\n")
    call_id, caller = agent.call("svc+x", source="work")
    assert caller.outcome() == (b"", b"visible\nagain\n", 0)
    agent.ended()
    if not os.path.exists("/run/systemd/journal/socket") and not os.path.exists("/dev/log"):
        agent.wait_log(f"call {call_id}: svc+x-work: visible\n")
        agent.wait_log(f"call {call_id}: svc+x-work: again\n")


def test_two_directories(agent):
    agent.service("svc", "#!/bin/sh\necho one\n", "one")
    agent.service("svc+arg", "#!/bin/sh\necho two\n", "two")
    assert agent.call("svc+arg")[1].outcome()[0] == b"two\n"
    assert agent.call("svc+other")[1].outcome()[0] == b"one\n"


def expect_failure(agent, text, code, how):
    """62: stdout end, stderr end, exit code, and nothing else."""
    call_id, stream = agent.order(text)
    assert Caller(stream).messages() == [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", code))]
    assert agent.ended() == (call_id, how, code)


def test_not_started(agent):
    agent.service("svc", "#!/bin/sh\necho started >&2\n")
    agent.service("plain", "#!/bin/sh\n", "one", 0o644)
    agent.service("plain", "#!/bin/sh\n", "two", 0o755)
    agent.service("garbage", "no program")
    agent.service("noshell", "#!/no/such/shell\n")
    agent.service("badconfig", "#!/bin/sh\n")
    agent.config("badconfig", "wait-for-session=2\n")
    agent.service("forced", "#!/bin/sh\n")
    agent.config("forced", "force-user='root'\n")
    for text, code, how in (
        ("QUBESRPC nothing+ work", 127, NOT_FOUND),
        ("QUBESRPC noshell+ work", 127, NOT_FOUND),
        ("QUBESRPC garbage+ work", 125, NOT_STARTED),
        ("QUBESRPC plain+ work", 125, NOT_STARTED),  # 99
        ("QUBESRPC badconfig+ work", 125, NOT_STARTED),
        ("QUBESRPC forced+ work", 125, NOT_STARTED),
        ("QUBESRPC . work", 125, NOT_STARTED),
        ("QUBESRPC svc+/../svc work", 125, NOT_STARTED),
        ("QUBESRPCx svc+ work", 125, NOT_STARTED),  # 91
        ("QUBESRPC svc+  work", 125, NOT_STARTED),  # 92
        ("QUBESRPC svc+ work name", 125, NOT_STARTED),  # 93
        ("QUBESRPC svc+ work name a b", 125, NOT_STARTED),  # 93
        ("QUBESRPC " + 256 * "n" + "+ work", 125, NOT_STARTED),  # 94
        ("QUBESRPC " + 255 * "n" + "+ work", 127, NOT_FOUND),  # 94
        ("QUBESRPC +x work", 125, NOT_STARTED),
    ):
        expect_failure(agent, f"{ACCOUNT}:{text}", code, how)
    # 115: another user, none, and no user at all
    expect_failure(agent, "root:QUBESRPC svc+ work", 125, NOT_STARTED)
    expect_failure(agent, ":QUBESRPC svc+ work", 125, NOT_STARTED)
    expect_failure(agent, "QUBESRPC svc+ work", 125, NOT_STARTED)
    assert "started" not in agent.log()


def test_force_user_may_name_our_own_account(agent):
    agent.service("svc", "#!/bin/sh\necho ran\n")
    agent.config("svc", f"force-user='{ACCOUNT}'\nwait-for-session=true\nunknown=1\n")
    _, stream = agent.order("somebody:QUBESRPC svc+ work")
    assert Caller(stream).outcome() == (b"ran\n", b"", 0)
    agent.wait_log('nobody knows the key "unknown"')


def test_socket_options_are_ignored_for_programs(agent):
    agent.service("svc", "#!/bin/sh\necho out; exec >&-; cat >/dev/null; exit 3\n")
    agent.config("svc", "exit-on-service-eof=true\n")
    _, caller = agent.call("svc+")
    caller.end_stdin(b"x")
    assert caller.outcome() == (b"out\n", b"", 3)


def test_shell_commands_are_refused(agent):
    expect_failure(agent, f"{ACCOUNT}:echo no", 125, NOT_STARTED)
    agent.wait_log("a shell command was refused")


def test_shell_commands_if_allowed():
    world = World(["--shell"])
    try:
        world.start()
        call_id, stream = world.order(f"{ACCOUNT}:echo $PLAIN; echo err >&2; exit 4")
        assert Caller(stream).outcome() == (b"y\n", b"err\n", 4)
        assert world.ended() == (call_id, EXITED, 4)
        expect_failure(world, "root:id", 125, NOT_STARTED)
        assert "err" not in world.log()
    finally:
        world.stop()


def test_single_socket_mode(agent):
    """88: what is written to stdin after SIGUSR1 appears as stdout."""
    agent.service(
        "svc",
        "#!/bin/sh\necho before\nkill -USR1 $QREXEC_AGENT_PID\n"
        "echo after >&0\n",
    )
    _, caller = agent.call("svc+")
    assert caller.outcome() == (b"before\nafter\n", b"", 0)


def test_large_data_both_ways(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    data = os.urandom(8 << 20)
    _, caller = agent.call("svc+")

    def feed():
        for start in range(0, len(data), 65536):
            caller.send(STDIN, data[start : start + 65536])
        caller.send(STDIN)

    feeder = threading.Thread(target=feed)
    feeder.start()
    out, _, code = caller.outcome()
    feeder.join()
    assert code == 0 and out == data


def test_caller_vanishes(agent):
    agent.service("svc", "#!/bin/sh\ncat >/dev/null; exit 5\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.close()
    assert agent.ended() == (call_id, ABANDONED, 5)


# --- JUST_EXEC


def test_just_exec(agent):
    agent.service(
        "svc",
        "#!/usr/bin/python3\nimport os, sys\n"
        "for fd in 0, 1: print(os.readlink(f'/proc/self/fd/{fd}'), file=sys.stderr)\n"
        "print('done', file=sys.stderr)\nsys.exit(9)\n",
    )
    call_id, caller = agent.call("svc+", kind=JUST_EXEC)
    # 64, 65
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    assert agent.ended() == (call_id, DETACHED, 0)
    if not os.path.exists("/run/systemd/journal/socket") and not os.path.exists("/dev/log"):
        agent.wait_log("svc+-work: done\n")
        assert agent.log().count("svc+-work: /dev/null\n") == 2


def test_just_exec_does_not_wait(agent):
    fifo = agent.home / "fifo"
    os.mkfifo(fifo, 0o666)
    os.chmod(fifo, 0o666)
    agent.service("svc", f"#!/bin/sh\nread line <{fifo}; echo got $line >{agent.home}/result\n")
    call_id, caller = agent.call("svc+", kind=JUST_EXEC)
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    assert agent.ended() == (call_id, DETACHED, 0)
    fifo.write_text("word\n")
    wait_for(lambda: (agent.home / "result").exists() and "got word" in (agent.home / "result").read_text(), "result")


def test_just_exec_failures(agent):
    agent.service("garbage", "no program")
    call_id, caller = agent.call("nothing+", kind=JUST_EXEC)
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 127))]
    assert agent.ended() == (call_id, NOT_FOUND, 127)
    call_id, stream = agent.order("QUBESRPC", kind=JUST_EXEC)
    assert Caller(stream).messages() == [(EXIT_CODE, struct.pack("<i", 125))]
    assert agent.ended() == (call_id, NOT_STARTED, 125)
    # There was a process, that is all the caller learns; the broker learns more.
    call_id, caller = agent.call("garbage+", kind=JUST_EXEC)
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    assert agent.ended() == (call_id, NOT_STARTED, 125)


# --- sockets


def test_unix_socket_service(agent):
    with agent.socket_service(str(agent.path / "one/svc")) as service:
        call_id, caller = agent.call("svc+arg", source="work")
        caller.end_stdin(b"question")
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        data = b""
        while piece := connection.recv(100):
            data += piece
        assert data == b"svc+arg work\0question"
        connection.sendall(b"answer")
        connection.close()
        # 61: stderr ends first
        assert caller.messages() == [
            (STDERR, b""),
            (STDOUT, b"answer"),
            (STDOUT, b""),
            (EXIT_CODE, struct.pack("<i", 0)),
        ]
        assert agent.ended() == (call_id, EXITED, 0)


def test_unix_socket_with_a_long_path(agent):
    deep = agent.path / "two" / ("d" * 200)
    deep.mkdir()
    (agent.path / "one/svc").symlink_to(deep / ("s" * 200))
    name = "n" * 150
    with agent.socket_service(str(deep / ("s" * 200))) as service, agent.socket_service(
        str(agent.path / "two" / name)
    ) as named:
        for text, listener in ("svc", service), (name, named):
            _, caller = agent.call(f"{text}+")
            caller.end_stdin(b"")
            connection, _ = listener.accept()
            connection.settimeout(LIMIT)
            while connection.recv(100):
                pass
            connection.sendall(b"x")
            connection.close()
            assert caller.outcome() == (b"x", b"", 0)


def test_unix_socket_without_descriptor(agent):
    agent.config("svc", "skip-service-descriptor=true\nexit-on-client-eof=true\n")
    with agent.socket_service(str(agent.path / "one/svc")) as service:
        _, caller = agent.call("svc+arg")
        caller.end_stdin(b"only this")
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        # 72: the call ends although the service keeps its socket open
        assert caller.outcome() == (b"", b"", 0)
        assert connection.recv(100) == b"only this"
        connection.close()


def test_exit_on_service_eof(agent):
    agent.config("svc", "exit-on-service-eof=true\n")
    with agent.socket_service(str(agent.path / "one/svc")) as service:
        _, caller = agent.call("svc+")
        connection, _ = service.accept()
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        # 73: although the caller keeps stdin open
        assert caller.outcome() == (b"bye", b"", 0)
        connection.close()


def test_unix_socket_nobody_listens(agent):
    agent.socket_service(str(agent.path / "one/svc")).close()
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC svc+ work", 125, NOT_STARTED)


def test_just_exec_of_a_socket(agent):
    with agent.socket_service(str(agent.path / "one/svc")) as service:
        call_id, caller = agent.call("svc+arg", kind=JUST_EXEC)
        assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
        assert agent.ended() == (call_id, DETACHED, 0)
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        assert connection.recv(100) == b"svc+arg work\0"
        assert connection.recv(100) == b""
        connection.close()


def test_tcp_service(agent):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)
    port = listener.getsockname()[1]
    (agent.path / "one/fixed").symlink_to(f"/dev/tcp/127.0.0.1/{port}")
    (agent.path / "one/host").symlink_to("/dev/tcp/127.0.0.1")
    (agent.path / "one/any").symlink_to("/dev/tcp")
    for name in "fixed", f"host+{port}", f"any+127.0.0.1+{port}":
        _, caller = agent.call(name)
        caller.end_stdin(b"q")
        connection, _ = listener.accept()
        connection.settimeout(LIMIT)
        data = b""
        while piece := connection.recv(100):
            data += piece
        assert data == f"{name} work\0q".encode()
        connection.sendall(b"a")
        connection.close()
        assert caller.outcome() == (b"a", b"", 0)
        assert agent.ended()[1:] == (EXITED, 0)
    listener.close()
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC fixed work", 125, NOT_STARTED)  # refused by the port
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC fixed+1 work", 125, NOT_STARTED)
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC any+localhost+80 work", 125, NOT_STARTED)  # 105


# --- direct mode


@pytest.mark.parametrize("config", [None, "direct=false\n"], ids=["pipes", "sockets"])
def test_direct_call(agent, config):
    agent.service("svc", "#!/bin/sh\ncat; echo oops >&2; exit 42\n")
    if config:
        agent.config("svc", config)
    before = agent.agent_fds()
    call_id, caller = direct_call(agent, "svc+arg")
    assert caller.outcome(b"data") == (b"data", b"oops\n", 42)
    assert agent.ended() == (call_id, EXITED, 42)
    wait_for(lambda: agent.agent_fds() == before, "the agent to close everything")


def test_direct_failures(agent):
    agent.service("interpreter", "#!/nonexistent\n")
    agent.service("mode", "#!/bin/sh\n", mode=0o644)
    for service, text, how, status in (
        ("nothing+", None, NOT_FOUND, 127),
        ("interpreter+", None, NOT_FOUND, 127),
        ("mode+", None, NOT_STARTED, 125),
        ("svc+", "nonsense", NOT_STARTED, 125),
        ("svc+", f"{ACCOUNT}:echo shell", NOT_STARTED, 125),
        ("nothing+", "root:QUBESRPC nothing+ work", NOT_FOUND, 127),
    ):
        call_id, caller = direct_call(agent, service, text=text)
        assert caller.outcome() == (b"", b"", status), text or service
        assert agent.ended() == (call_id, how, status)


def test_direct_just_exec(agent):
    agent.service("svc", f"#!/bin/sh\ncat\necho said >&2\necho done >{agent.home}/done\nexit 9\n")
    before = agent.agent_fds()
    call_id, caller = direct_call(agent, "svc+", kind=JUST_EXEC)
    assert caller.outcome() == (b"", b"", 0)
    assert agent.ended() == (call_id, DETACHED, 0)
    wait_for(lambda: (agent.home / "done").exists(), "the service to have run")
    agent.wait_log("svc+-work: said")
    wait_for(lambda: agent.agent_fds() == before, "the agent to close everything")


def test_direct_kill(agent):
    agent.service("ends", "#!/bin/sh\nsleep 1000 & echo ready; wait\n")
    call_id, caller = direct_call(agent, "ends+")
    assert caller.stdout.readline() == b"ready\n"
    agent.kill(call_id)
    assert agent.ended() == (call_id, KILLED, 128 + signal.SIGTERM)
    assert caller.outcome() == (b"", b"", 128 + signal.SIGTERM)
    wait_for(lambda: not agent.descendants(), "the end of the whole group")


def test_direct_kill_of_one_that_ignores_it(agent):
    agent.service("stays", "#!/bin/sh\ntrap '' TERM; echo ready; while :; do sleep 1; done\n")
    agent.service("svc", "#!/bin/sh\nexit 3\n")
    call_id, caller = direct_call(agent, "stays+")
    assert caller.stdout.readline() == b"ready\n"
    agent.kill(call_id)
    agent.kill(call_id)
    # The agent serves others meanwhile.
    other_id, other = direct_call(agent, "svc+")
    assert other.outcome() == (b"", b"", 3)
    assert agent.ended() == (other_id, EXITED, 3)
    assert agent.ended() == (call_id, KILLED, 128 + signal.SIGKILL)
    assert caller.outcome() == (b"", b"", 128 + signal.SIGKILL)


def test_direct_caller_that_vanishes(agent):
    agent.service("svc", "#!/bin/sh\ncat; echo said >&2; exit 5\n")
    call_id, caller = direct_call(agent, "svc+")
    caller.status.close()
    caller.stdin.close()
    assert agent.ended() == (call_id, ABANDONED, 5)
    agent.wait_log("svc+-work: said")
    caller.stdout.close()


def test_direct_calls_and_a_stopped_agent(agent):
    """Both stay what they were: a service that ends, and one that it left behind with its stderr."""
    agent.service("svc", "#!/bin/sh\necho ready; read line; echo said >&2; echo $line\n")
    agent.service("leaves", f"#!/bin/sh\n(exec >&- <&-; read x <{agent.home}/fifo; echo later >&2; echo x >{agent.home}/lived) & exit 0\n")
    os.mkfifo(agent.home / "fifo")
    os.chmod(agent.home / "fifo", 0o666)
    call_id, left = direct_call(agent, "leaves+")
    assert left.outcome() == (b"", b"", 0)
    assert agent.ended() == (call_id, EXITED, 0)
    _, caller = direct_call(agent, "svc+")
    assert caller.stdout.readline() == b"ready\n"
    agent.stop_now()
    assert caller.outcome(b"line\n") == (b"line\n", b"", None)
    agent.wait_log("svc+-work: said")
    (agent.home / "fifo").write_text("now\n")
    wait_for(lambda: (agent.home / "lived").exists(), "the process that was left behind")
    agent.wait_log("leaves+-work: later")
