# SPDX-License-Identifier: Apache-2.0
"""The test matrix of split-ssh (specification, 16.2): who is asked, and what is remembered."""

import os
import re
import socket
import subprocess
import time

import processes
import pytest
from sshvault import PW, SESSION, TIMEOUT, auth, holds, message, messages, sign_request
from waiting import wait_for


# C: consent


def test_C1_asked(vault):
    vault.policy(PW, confirm="ask")
    assert vault.ssh("a", "true") == (0, "")
    record, = vault.asked()
    assert holds(record, v="1", source="work", agent="t", kind="auth", key=vault.fingerprint("work"), user="root", host="a",
                 hostkey=vault.fingerprint("ha"), proof="signature", via="", grant="0", comment="work")
    assert int(record["timeout"]) in range(1, 61)
    assert vault.events("sign")[0]["consent"] == "asked"
    names = {line.split("=")[0] for line in vault.read("environment").splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR",
                     "DBUS_SESSION_BUS_ADDRESS", "PWD", "_", "SHLVL", "OLDPWD"}


def test_C2_no_and_cooldown(vault):
    vault.policy(PW, confirm="ask")
    vault.write("answer", "1")
    assert vault.ssh("a", "true")[0] == 255
    assert vault.whys() == ["denied", "cooldown"]
    assert len(vault.asked()) == 1


def test_C3_no_cooldown(vault):
    vault.policy("key = *", "deny-cooldown = 0", confirm="ask")
    vault.write("answer", "1")
    assert vault.ssh("a", "true")[0] == 255
    assert set(vault.whys()) == {"denied"} and len(vault.asked()) == len(vault.whys()) == 6


def test_C4_nobody_answers(vault):
    vault.policy("key = <priv>", "prompt-timeout = 5", confirm="ask")
    vault.hold()
    assert vault.ssh("a", "true")[0] == 255
    event, = vault.events("sign")
    assert event["why"] == "prompt-timeout" and 5000 <= int(event["ms"]) < 20000
    assert not os.path.exists("/proc/" + vault.read("helper.pid").strip())
    # That was a "no".
    assert vault.ssh("a", "true")[0] == 255
    assert vault.whys() == ["prompt-timeout", "cooldown"] and len(vault.asked()) == 1


@pytest.mark.parametrize("answer, why", [("2", "prompt-failed"), ("127", "prompt-failed"), ("missing", "prompt-failed")])
def test_C5_helper_fails(vault, answer, why):
    vault.policy("key = <priv>", confirm="ask")
    if answer == "missing":
        vault.options = ["--helper", "/nonexistent"]
    else:
        vault.write("answer", answer)
    for _ in range(2):
        assert vault.ssh("a", "true")[0] == 255
    assert vault.whys() == [why, "cooldown"]


DESCRIPTORS = """#!/usr/bin/python3
import os, sys
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
with open("%(folder)s/fds.part", "w") as file:
    print([fd for fd in range(1024) if fd != file.fileno() and is_open(fd)], file=file)
os.rename("%(folder)s/fds.part", "%(folder)s/fds." + sys.argv[1])
"""


def test_C_no_other_descriptors(vault):
    """A helper has none of the client, of the agent, or of whoever started the filter."""
    vault.policy(PW, confirm="ask")
    vault.write("tool", DESCRIPTORS % {"folder": vault.folder}, 0o755)
    vault.options = ["--helper", vault.path("tool")]
    ours, theirs = socket.socketpair()
    with ours, open(os.devnull) as inherited:
        os.dup2(inherited.fileno(), 200)
        try:
            process = subprocess.Popen(vault.command(), stdin=theirs, stdout=theirs, pass_fds=[200])
        finally:
            os.close(200)
            theirs.close()
        ours.settimeout(TIMEOUT)
        ours.sendall(sign_request(vault.blob("work"), auth(SESSION, "root", "ssh-ed25519", vault.blob("work"))))
        assert ours.recv(65536)[4] == 14
        ours.shutdown(socket.SHUT_WR)
        assert process.wait(TIMEOUT) == 0
    for mode in ("confirm", "notify"):
        wait_for(lambda: os.path.exists(vault.path("fds." + mode)))
        assert vault.read("fds." + mode) == "[0, 1, 2]\n"


def logins(vault, *names):
    """One after the other; how often somebody was asked for each."""
    counts = []
    for name in names:
        before = len(vault.asked())
        assert vault.ssh(name, "true") == (0, "")
        counts.append(len(vault.asked()) - before)
    return counts


@pytest.mark.parametrize("lines, confirm, names, expect", [
    pytest.param([PW], "grant:30", ["a", "a", "b"], [1, 0, 1], id="C-6"),
    pytest.param([PW, "grant-scope = key"], "grant:30", ["a", "b"], [1, 0], id="C-7"),
    pytest.param([PW, "grant-scope = exact"], "grant:30", ["a", "a"], [1, 0], id="exact"),
    pytest.param([PW], "ask", ["a", "a"], [1, 1], id="never-remembered"),
])
def test_C_grants(vault, lines, confirm, names, expect):
    vault.policy(*lines, confirm=confirm)
    assert logins(vault, *names) == expect
    assert [event["consent"] for event in vault.events("sign")] == ["asked" if n else "grant" for n in expect]


def test_C8_grant_expires(vault):
    vault.policy(PW, confirm="grant:1")
    assert logins(vault, "a") == [1]
    name, = [name for name in os.listdir(vault.path("st/grants")) if "." not in name]
    expiry = int(vault.read("st/grants/" + name).split()[2])
    wait_for(lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) > expiry)
    assert logins(vault, "a") == [1]


@pytest.mark.parametrize("change", [
    lambda text: re.sub(r"^1 .{8}", "1 00000000", text),
    lambda text: text + "x",
    lambda text: text.replace("\n", "0\n"),
    lambda text: "",
])
def test_C9_foreign_grant(vault, change):
    vault.policy(PW, confirm="grant:30")
    assert logins(vault, "a") == [1]
    name, = [name for name in os.listdir(vault.path("st/grants")) if "." not in name]
    vault.write("st/grants/" + name, change(vault.read("st/grants/" + name)))
    assert logins(vault, "a") == [1]


def test_C10_two_at_once(vault):
    """The second waits for the answer to the first, and that is its answer too."""
    vault.policy("key = <priv>", confirm="grant:30")
    vault.hold()
    commands = [vault.start_command(*vault.ssh_command("a", "true")) for _ in range(2)]
    wait_for(lambda: len(vault.asked()) == 1 and len(vault.events("bind")) == 2)
    vault.release()
    assert [command.wait(TIMEOUT) for command in commands] == [0, 0]
    assert len(vault.asked()) == 1
    assert sorted(event["consent"] for event in vault.events("sign")) == ["asked", "grant"]


def test_C10_two_at_once_no(vault):
    vault.policy("key = <priv>", confirm="ask")
    vault.write("answer", "1")
    vault.hold()
    commands = [vault.start_command(*vault.ssh_command("a", "true")) for _ in range(2)]
    wait_for(lambda: len(vault.asked()) == 1 and len(vault.events("bind")) == 2)
    vault.release()
    assert [command.wait(TIMEOUT) for command in commands] == [255, 255]
    assert len(vault.asked()) == 1 and sorted(vault.whys()) == ["cooldown", "denied"]


def test_C11_client_gone(vault):
    vault.policy("key = <priv>", confirm="ask")
    vault.hold()
    client = vault.start_command(*vault.ssh_command("a", "true"))
    wait_for(vault.asked)
    client.kill()
    client.wait()
    assert vault.statuses() == [0]
    assert vault.whys() == ["prompt-cancelled"]
    wait_for(lambda: not os.path.exists("/proc/" + vault.read("helper.pid").strip()))


def command_of(pid):
    try:
        with open("/proc/%s/cmdline" % pid) as file:
            return file.read()
    except OSError:  # it has ended
        return ""


def test_C11_client_gone_while_another_is_asked(vault):
    """Who waits for his turn is not asked any more either, and takes nobody else's."""
    vault.policy("key = <priv>", confirm="ask")
    vault.hold()
    first = vault.start_command(*vault.ssh_command("a", "true"))
    wait_for(vault.asked)
    second = vault.start_command(*vault.ssh_command("b", "true"))
    wait_for(lambda: len(vault.events("bind")) == 2)
    waiting = vault.last_filter()
    wait_for(lambda: processes.children_of(waiting.pid))  # the one that waits for the lock
    second.kill()
    second.wait()
    assert waiting.wait(TIMEOUT) == 0
    vault.release()
    assert first.wait(TIMEOUT) == 0
    assert len(vault.asked()) == 1
    assert sorted(vault.whys()) == ["-", "prompt-cancelled"]


def test_C11_filter_killed(vault):
    """Its question goes with it."""
    vault.policy("key = <priv>", confirm="ask")
    vault.hold()
    client = vault.start_command(*vault.ssh_command("a", "true"))
    wait_for(vault.asked)
    helper = int(vault.read("helper.pid"))
    wait_for(lambda: any(vault.path("hold") in command_of(pid) for pid in processes.children_of(helper)))
    vault.last_filter().kill()
    assert client.wait(TIMEOUT) == 255
    wait_for(lambda: not os.path.exists("/proc/%d" % helper))
    vault.release()  # what the helper has started is its own to end


def test_C11_half_closed(vault):
    """A client that asks for nothing more is answered what needs no question."""
    vault.policy("key = *", "sign = raw", confirm="ask")
    vault.hold()
    with vault.connect() as connection:
        connection.socket.sendall(sign_request(vault.blob("work"), b"x") + message(11) +
                                  sign_request(vault.blob("work"), b"x") + message(19))
        wait_for(vault.asked)
        connection.socket.shutdown(socket.SHUT_WR)
        assert [number for number, _ in messages(connection.rest())] == [5, 12, 5, 5]
    assert vault.whys() == ["prompt-cancelled", "prompt-cancelled"] and len(vault.asked()) == 1
    assert vault.statuses() == [0]


def test_C12_hostile_text(vault):
    vault.policy("key = *", confirm="ask")
    data = auth(SESSION, b"x\x1b[31m\ny%\nhost=a", "ssh-ed25519", vault.blob("work"))
    with vault.connect() as connection:
        assert connection.ask(sign_request(vault.blob("work"), data))[0] == 14
    record, = vault.asked()
    assert record["user"] == "x%1B[31m%0Ay%25%0Ahost=a" and record["host"] == ""
    assert vault.events("sign")[0]["user"] == "x%1B[31m%0Ay%25%0Ahost%3Da"


def test_C13_no_grants_for_other_kinds(vault):
    vault.policy("key = *", "sign = probe raw", confirm="grant:60")
    for n in (1, 2):
        assert vault.run("ssh-add", "-T", "work.pub")[0] == 0
        assert len(vault.asked()) == n
    assert {record["grant"] for record in vault.asked()} == {"0"}


def test_C14_no_grant_for_an_unknown_server(vault):
    """A claimed host is none: only a grant of the whole key is remembered."""
    request = sign_request(vault.blob("work"), auth(SESSION, "root", "ssh-ed25519", vault.blob("work")))
    for scope, expect in [("host", 2), ("exact", 2), ("key", 1)]:
        vault.policy("key = *", "grant-scope = " + scope, confirm="grant:30")
        vault.forget()
        with vault.connect() as connection:
            assert [connection.ask(request)[0] for _ in range(2)] == [14, 14]
        assert len(vault.asked()) == expect
