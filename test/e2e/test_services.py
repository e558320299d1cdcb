# SPDX-License-Identifier: Apache-2.0
"""What a service finds, where it is found, and how its streams end, through the whole host."""

import os
import pwd
import socket
import subprocess
import threading

import pytest
import wire

POLICY = """
my.S  *  work   vault    allow
my.S  *  work   derived  allow
my.S  *  vault  work     allow
"""


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(POLICY)
    return world


def call(host, service="my.S", target="vault", **settings):
    return host.call("work", target, service, **settings)


# Where a service is found


def test_the_folders_in_their_order(host):
    """The domain's own, then its template's, then the host's; and name+arg in any of them before name."""
    host.add_domain("base", template_for_dispvms="no", type="TemplateVM")
    host.add_domain("derived", template="base")
    host.start()
    places = ["/etc/qubes-rpc", "/usr/local/etc/qubes-rpc", "/etc/qubes/domains.d/base.rpc",
              "/etc/qubes/domains.d/derived.rpc", "/run/qubes-rpc"]
    assert call(host, target="derived").returncode == 127
    for place in places:
        host.write(place + "/my.S", "#!/bin/sh\necho %s\n" % place, mode=0o755)
        assert call(host, target="derived").stdout.decode() == place + "\n"
    host.write("/etc/qubes-rpc/my.S+x", "#!/bin/sh\necho specific\n", mode=0o755)
    assert call(host, "my.S+x", target="derived").stdout == b"specific\n"
    assert call(host, "my.S+y", target="derived").stdout == b"/run/qubes-rpc\n"
    # What belongs to one domain alone is not found for another.
    os.unlink("/run/qubes-rpc/my.S")
    assert call(host).stdout == b"/usr/local/etc/qubes-rpc\n"


def test_a_service_that_is_no_program(host):
    host.start()
    host.write("/etc/qubes-rpc/my.S", "not executable", mode=0o644)
    assert call(host).returncode == 125
    os.unlink("/etc/qubes-rpc/my.S")
    os.mkdir("/etc/qubes-rpc/my.S")
    assert call(host).returncode == 125


# What it finds around itself


def test_environment_and_surroundings(host):
    host.add_service("my.S", """#!/bin/bash
echo "user $(id -un) groups $(id -G) cwd $PWD home $HOME"
env | grep -E '^(QREXEC|USER|LOGNAME|SHELL|XDG_RUNTIME_DIR|PATH)' | sort
ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> .*/\\1/p' | tr '\\n' ' '
echo; echo "$# $1"; grep -E '^(Cap|NoNew|SigBlk|SigIgn)' /proc/self/status
""")
    host.start()
    vault = pwd.getpwnam("vault")
    lines = call(host, "my.S+a+b").stdout.decode().splitlines()
    assert lines[0] == "user vault groups %d cwd %s home %s" % (vault.pw_gid, vault.pw_dir, vault.pw_dir)
    environment = dict(line.split("=", 1) for line in lines[1:] if "=" in line)
    agent_pid = environment.pop("QREXEC_AGENT_PID", None)
    assert agent_pid is None or agent_pid.isdigit()
    service_path = environment.pop("QREXEC_SERVICE_PATH")
    assert service_path.split(":")[:2] == ["/run/qubes-rpc", "/etc/qubes/domains.d/vault.rpc"]
    assert environment == {
        "QREXEC_SERVICE_FULL_NAME": "my.S+a+b",
        "QREXEC_REMOTE_DOMAIN": "work",
        "QREXEC_REQUESTED_TARGET_TYPE": "",
        "QREXEC_SERVICE_ARGUMENT": "a+b",
        "USER": "vault",
        "LOGNAME": "vault",
        "SHELL": vault.pw_shell,
        "PATH": environment["PATH"],
        "XDG_RUNTIME_DIR": "/run/user/%d" % vault.pw_uid,
    }
    # `ls` has one descriptor of its own, for the folder.
    assert [line for line in lines if line.startswith("0 1 2")] == ["0 1 2 3 "]
    assert "1 a+b" in lines
    assert all(line.endswith("0000000000000000") for line in lines if line.startswith(("CapPrm", "CapEff", "SigBlk")))


def test_an_argument_that_is_not_there(host):
    host.add_service("my.S", 'echo "$# ${QREXEC_SERVICE_ARGUMENT-unset}"')
    host.start()
    assert call(host, "my.S").stdout == b"0 \n"  # a call always has one, if an empty one
    assert call(host, "my.S+").stdout == b"0 \n"


def test_standard_error_reaches_the_caller_and_the_log(host):
    host.add_service("my.S", "echo oops-here >&2; printf 'a\\033[31mb\\n' >&2; exit 4")
    host.start()
    result = call(host)
    assert result.returncode == 4 and "oops-here" in result.stderr
    host.wait_log(r"vault: .*my\.S.*work.*oops-here")
    host.wait_log(r"a\\+x1b\[31mb")  # escaped, once by the agent and once by whom it passes


def test_a_log_full_of_noise_holds_nobody_up(host):
    host.add_service("my.S", "head -c 3000000 /dev/zero | tr '\\0' 'x' | fold -w 100 >&2; echo done")
    host.start()
    result = call(host, timeout=60)
    assert (result.returncode, result.stdout) == (0, b"done\n")


# How streams end


def test_an_answer_after_the_callers_end_of_file(host):
    host.add_service("my.S", "wc -c")
    host.start()
    assert call(host, input=b"x" * 100000).stdout.strip() == b"100000"


def test_the_caller_may_write_after_the_service_closed_its_stdout(host):
    host.add_service("my.S", 'exec 1>&-; cat >"$HOME/got"; echo ok >"$HOME/done"')
    host.start()
    running = host.start_call("work", "vault", "my.S")
    assert running.stdout.read() == b"", "the end of its output arrives while the input is open"
    running.stdin.write(b"late words")
    running.stdin.close()
    assert running.wait(wire.TIMEOUT_SEC) == 0
    home = pwd.getpwnam("vault").pw_dir
    with open(home + "/got", "rb") as got:
        assert got.read() == b"late words"


def test_a_blocked_reader_does_not_stop_the_other_direction(host):
    """The service reads nothing until it has written everything; the caller reads nothing until it has written."""
    host.add_service("my.S", "head -c 4000000 /dev/zero; wc -c >&2")
    host.start()
    running = host.start_call("work", "vault", "my.S")
    written = threading.Thread(target=lambda: (running.stdin.write(b"y" * 4000000), running.stdin.close()))
    written.start()
    received = 0
    while True:
        data = running.stdout.read(65536)
        if not data:
            break
        received += len(data)
    written.join()
    assert received == 4000000
    assert running.stderr.read().strip() == b"4000000" and running.wait(wire.TIMEOUT_SEC) == 0


def test_a_service_that_does_not_read(host):
    host.add_service("my.S", "exit 3")
    host.start()
    result = call(host, input=b"z" * 1000000)
    assert result.returncode == 3


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 126", 126)])
def test_exit_codes(host, script, status):
    host.add_service("my.S", script)
    host.start()
    assert call(host).returncode == status


def test_the_caller_is_killed(host):
    """The service sees its end of file; nothing is left of the call."""
    host.add_service("my.S", 'echo here; cat >/dev/null; echo gone >"$HOME/gone"')
    host.start()
    running = host.start_call("work", "vault", "my.S")
    assert running.stdout.readline() == b"here\n"
    running.kill()
    host.wait_log(r"my\.S\+?: work -> vault: ended: ")
    assert os.path.exists(pwd.getpwnam("vault").pw_dir + "/gone")


# What callers can do with the client


def test_a_local_program(host):
    host.add_service("my.S", "echo question; read -r answer; echo \"got $answer\" >&2; exit 0")
    host.start()
    program = ["/bin/sh", "-c", "read -r question; echo \"$question answered\"; exit 6"]
    result = host.call("work", "vault", "my.S", program=program)
    assert (result.returncode, "got question answered" in result.stderr) == (6, True), result


def test_a_local_program_reaches_the_terminal_through_saved_descriptors(host):
    host.add_service("my.S", "echo from-service")
    host.start()
    program = ["/bin/sh", "-c", 'cat >&"$SAVED_FD_1"']
    assert host.call("work", "vault", "my.S", program=program).stdout == b"from-service\n"


def test_prefix_data(host):
    host.add_service("my.S", "cat")
    host.start()
    assert call(host, input=b"body", options=["--prefix-data=head "]).stdout == b"head body"


def test_a_socket_for_both_directions(host):
    host.add_service("my.S", "read -r line; echo \"<$line>\"")
    host.start()
    ours, theirs = socket.socketpair()
    with ours:
        running = host.popen_as("work", ["qrexec-client-vm", "--use-stdin-socket", "vault", "my.S"],
                                stdin=theirs, stdout=subprocess.DEVNULL)
        theirs.close()
        ours.sendall(b"word\n")
        assert wire.receive_all(ours) == b"<word>\n"
        ours.shutdown(socket.SHUT_WR)
        running.communicate(timeout=wire.TIMEOUT_SEC)
    assert running.returncode == 0


def test_a_unix_socket_service(host):
    """It gets the descriptor first, then the caller's bytes."""
    path = "/etc/qubes/domains.d/vault.rpc/my.S"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(1)
        listener.settimeout(wire.TIMEOUT_SEC)
        host.start()
        running = host.start_call("work", "vault", "my.S+arg")
        running.stdin.write(b"payload")
        running.stdin.close()
        connection, _ = listener.accept()
        with connection:
            assert wire.receive_all(connection) == b"my.S+arg work\0payload"
            connection.sendall(b"answer")
        assert running.stdout.read() == b"answer"
        assert running.wait(wire.TIMEOUT_SEC) == 0


def test_many_calls_at_once(host):
    host.add_service("my.S", "read -r x; echo $((x * 2))")
    host.start()
    calls = [host.start_call("work", "vault", "my.S") for _ in range(100)]
    for number, running in enumerate(calls):
        stdout, stderr = running.communicate(b"%d\n" % number, timeout=60)
        assert (running.returncode, stdout) == (0, b"%d\n" % (2 * number)), stderr
