# SPDX-License-Identifier: Apache-2.0
"""An agent that is root, as in a container or a virtual machine: services run as the account that the policy, or their
configuration, names, each in a PAM session of its own (protocol specification, 6.9, variant A).

The container is played by an agent that root starts on the host, in the private world, with its real PAM.
"""

import json
import os
import pwd
import signal
import struct

import processes
import pytest
import vchan
from vchan import wait_for

LIMIT = 30
AGENT = "/usr/lib/qubes/qrexec-agent"
SESSION = "/usr/lib/qubes/qrexec-session"
PAM_LOG = "/run/test/pam.log"
PAM = """auth sufficient pam_rootok.so
auth required pam_deny.so
account required pam_permit.so
session required pam_exec.so quiet /run/test/pam-exec
session required pam_env.so conffile=/run/test/pam-env readenv=0
"""
PAM_EXEC = "#!/bin/sh\necho \"$PAM_TYPE $PAM_SERVICE $PAM_USER\" >>%s\n" % PAM_LOG
WHO = "id -un; id -Gn; pwd; env; echo \"$0 $#: $1\"; exit 7"


@pytest.fixture
def box(world):
    world.add_domain("work")
    for name in "anna", "bert":
        world.add_account(name)
    world.write("/etc/qubes/domains.d/box.conf", "[domain]\nlink = local\ndefault_user = anna\nshell = yes\n")
    world.set_policy("my.Bert * work box allow user=bert\nmy.Root * work box allow user=root\n"
                     "my.Nobody * work box allow user=who-is-that\nmy.Refused * work box deny\n* * work box allow\n"
                     "* * box work allow\n")
    with open("/etc/pam.d/qrexec") as file:
        before = file.read()
    world.write("/etc/pam.d/qrexec", PAM)
    world.write("/run/test/pam-exec", PAM_EXEC, mode=0o755)
    world.write("/run/test/pam-env", "FROM_PAM DEFAULT=yes\n")
    for service in "my.Who", "my.Bert", "my.Root", "my.Nobody":
        world.add_service(service, "#!/usr/bin/env sh\n" + WHO)
    world.start()
    start_agent(world)
    yield world
    world.write("/etc/pam.d/qrexec", before)


def start_agent(world):
    agent = world.popen_as("root", [AGENT, "--shell", "--link=/run/qubes/containers/box/link"], {"STRAY": "agent"},
                           stdin=None, stdout=None, stderr=None)
    world._calls.append(agent)
    world.agent = agent
    wait_for(lambda: state(world) == "running", "the agent's link")


def state(world):
    answer = json.loads(world.call("dom0", "dom0", "qair.Status").stdout)
    (found,) = (entry["state"] for entry in answer["domains"] if entry["name"] == "box")
    return found


def environment(output):
    return dict(line.split("=", 1) for line in output.decode().splitlines() if "=" in line)


def pam_log():
    with open(PAM_LOG) as file:
        return file.read().splitlines()


def test_the_account_and_its_session(box):
    result = box.call("work", "box", "my.Who+the arg".replace(" ", "_"), b"")
    assert result.returncode == 7, result
    lines = result.stdout.decode().splitlines()
    entry = pwd.getpwnam("anna")
    assert lines[:3] == ["anna", "anna", entry.pw_dir]
    found = environment(result.stdout)
    assert (found["HOME"], found["USER"], found["LOGNAME"], found["SHELL"]) == (
        entry.pw_dir, "anna", "anna", entry.pw_shell)
    assert found["FROM_PAM"] == "yes"
    assert "STRAY" not in found, "nothing of the agent's environment"
    assert found["QREXEC_SERVICE_FULL_NAME"] == "my.Who+the_arg" and found["QREXEC_REMOTE_DOMAIN"] == "work"
    assert found["QREXEC_SERVICE_ARGUMENT"] == "the_arg"
    assert lines[-1].endswith("my.Who 1: the_arg")
    wait_for(lambda: len(pam_log()) == 2, "the end of the session")
    assert pam_log() == ["open_session qrexec anna", "close_session qrexec anna"]


def test_user_of_a_rule(box):
    assert box.call("work", "box", "my.Bert").stdout.startswith(b"bert\nbert\n")
    assert box.call("work", "box", "my.Root").stdout.startswith(b"root\nroot\n")
    result = box.call("work", "box", "my.Nobody")
    assert result.returncode == 125 and result.stdout == b""


def test_force_user(box):
    box.add_service("my.Forced", "#!/usr/bin/env sh\n" + WHO, config="force-user = 'bert'\n")
    assert box.call("work", "box", "my.Forced").stdout.startswith(b"bert\n")


def test_login_files_are_read(box):
    box.write(os.path.join(pwd.getpwnam("anna").pw_dir, ".profile"),
              "export FROM_PROFILE=yes QREXEC_REMOTE_DOMAIN=forged QREXEC_REQUESTED_TARGET=forged\n")
    found = environment(box.call("work", "box", "my.Who").stdout)
    assert found["FROM_PROFILE"] == "yes"
    assert found["QREXEC_REMOTE_DOMAIN"] == "work" and "QREXEC_REQUESTED_TARGET" not in found


@pytest.mark.parametrize("command, status, output", [
    ("DEFAULT:id -un; echo $0; exit 3", 3, b"anna\n-"),
    ("bert:id -un", 0, b"bert\n"),
    ("root:id -un", 0, b"root\n"),
    (":id -un", 125, b""),
    ("who-is-that:id -un", 125, b""),
    ("DEFAULT:kill -9 $$", 137, b""),
    ("DEFAULT:QUBESRPC my.Nothing dom0", 127, b""),
])
def test_shell_commands(box, command, status, output):
    client = box.popen_as("root", ["qrexec-client", "-d", "box", command])
    out, _ = client.communicate(timeout=LIMIT)
    assert (client.returncode, out[:len(output)]) == (status, output)
    assert output or not out


def test_words_of_a_caller_are_never_shell_text(box):
    """Those that come from dom0's own hand are not even rewritten: 6.2."""
    text = "$(touch${IFS}pwned);`id`;'\"\\x"
    client = box.popen_as("root", ["qrexec-client", "-d", "box", "DEFAULT:QUBESRPC my.Who+%s dom0" % text])
    out, _ = client.communicate(timeout=LIMIT)
    assert client.returncode == 7
    assert environment(out)["QREXEC_SERVICE_ARGUMENT"] == text
    assert out.decode().endswith(" 1: %s\n" % text)
    for folder in pwd.getpwnam("anna").pw_dir, "/", os.getcwd():
        assert not os.path.exists(os.path.join(folder, "pwned"))


def test_programs_that_cannot_be_run(box):
    box.write("/etc/qubes-rpc/my.Odd", "#!/nonexistent/program\n", mode=0o755)
    assert box.call("work", "box", "my.Odd").returncode == 127
    box.write("/etc/qubes-rpc/my.Odd", "#!/bin/sh\n", mode=0o700)
    assert box.call("work", "box", "my.Odd").returncode == 126  # root could, the account cannot


def test_a_session_that_pam_refuses(box):
    box.write("/etc/pam.d/qrexec", PAM.replace("quiet /run/test/pam-exec", "quiet /bin/false"))
    assert box.call("work", "box", "my.Who").returncode == 125
    box.write("/etc/pam.d/qrexec", "auth required pam_deny.so\n")
    assert box.call("work", "box", "my.Who").returncode == 125


def test_data_and_standard_error(box):
    box.add_service("my.Cat", "#!/usr/bin/env sh\necho error >&2; exec cat\n")
    data = os.urandom(4 << 20)
    result = box.call("work", "box", "my.Cat", data)
    assert (result.returncode, result.stdout, result.stderr) == (0, data, "error\n")


def test_the_streams_end_with_the_service(box):
    """The process that holds the session has none of them."""
    box.add_service("my.Close", "#!/usr/bin/env sh\necho out; exec 1>&- 2>&-; read line; exit 4\n")
    call = box.start_call("work", "box", "my.Close")
    assert call.stdout.read() == b"out\n"
    assert call.communicate(b"x\n", timeout=LIMIT) and call.returncode == 4


def test_a_call_is_killed_and_its_session_closed(box):
    box.add_service("my.Wait", "#!/usr/bin/env sh\necho started; exec sleep 1000\n")
    call = box.start_call("work", "box", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    (record,) = box.wait_audit(event="start", service="my.Wait")
    assert box.qair("kill", str(record["call_id"])).returncode == 0
    assert call.wait(LIMIT) == 143
    wait_for(lambda: "close_session qrexec anna" in pam_log(), "the end of the session")
    assert not processes.running(SESSION)


def test_killed_without_a_word(box):
    """Whoever kills the holder of the session kills the service."""
    box.add_service("my.Wait", "#!/usr/bin/env sh\necho started; exec sleep 1000\n")
    call = box.start_call("work", "box", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    (holder,) = processes.running(SESSION)
    holder.kill(signal.SIGKILL)
    assert call.wait(LIMIT) == 137


def test_services_outlive_the_agent(box):
    box.add_service("my.Wait", '#!/usr/bin/env sh\necho started; read line; echo "$line"\n')
    call = box.start_call("work", "box", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    box.agent.kill()
    box.agent.wait(LIMIT)
    wait_for(lambda: state(box) != "running", "the broker to notice")
    out, _ = call.communicate(b"word\n", timeout=LIMIT)
    assert out == b"word\n"
    start_agent(box)
    assert box.call("work", "box", "my.Who").returncode == 7


def test_the_session_is_waited_for_as_root(box):
    """6.11: the program that waits runs as the agent does, without a session of its own."""
    box.add_service("qubes.WaitForSession", '#!/usr/bin/env sh\n{ id -un; cat; } >/run/test/waited\n')
    box.add_service("my.Late", "#!/usr/bin/env sh\nid -un\n", config="wait-for-session = true\nforce-user = 'bert'\n")
    assert box.call("work", "box", "my.Late").stdout == b"bert\n"
    with open("/run/test/waited") as file:
        assert file.read() == "root\nbert\n"


def test_without_the_program_for_sessions(world):
    os.rename(SESSION, SESSION + ".away")
    try:
        agent = world.popen_as("root", [AGENT, "--link=/nonexistent"])
        _, errors = agent.communicate(timeout=LIMIT)
    finally:
        os.rename(SESSION + ".away", SESSION)
    assert agent.returncode == 1 and b"will not run as root" in errors


def test_a_root_of_the_host_is_no_domain(box):
    """Where a domain is an account, root is not that account."""
    mark = box.logfile.mark()
    box.add_domain("vault")
    wait_for(lambda: os.path.exists("/run/qubes/domains/vault/link"), "the domain's sockets")
    agent = box.popen_as("root", [AGENT, "--link=/run/qubes/domains/vault/link"])
    box._calls.append(agent)
    box.wait_log("account 0 .* may not use the link socket of vault", mark=mark)


# --- over vchan, as upstream's agent is


def test_over_vchan_too(box):
    folder = "/run/test/vchan"
    os.makedirs(folder)
    agent = box.popen_as("root", [AGENT, "-a", "/run/test/trigger"], {"VCHAN_DOMAIN": "42", "VCHAN_SOCKET_DIR": folder})
    box._calls.append(agent)

    class Sockets(vchan.Folder):
        def __init__(self):
            self.listeners = []

        def socket_path(self, *numbers):
            return "%s/vchan.%d.%d.%d.sock" % ((folder,) + numbers)

    sockets = Sockets()
    daemon = sockets.dial(42, 0, 512)
    daemon.expect(vchan.HELLO, struct.pack("<I", 4))
    daemon.send(vchan.HELLO, struct.pack("<I", 4))
    listener = sockets.listen(43, 42, 1024)
    daemon.send(vchan.EXEC_CMDLINE, vchan.params(43, 1024, b"bert:id -un\0"))
    caller = sockets.accept(listener)
    caller.hello()
    caller.end_stdin()
    out, _, code, _ = caller.outcome()
    assert (out, code) == (b"bert\n", 0)
    daemon.expect(vchan.CONNECTION_TERMINATED, vchan.params(43, 1024))
