# SPDX-License-Identifier: Apache-2.0
"""A person decides over uses of SSH keys: at a terminal, in dialogs, by a program of his own; and is told of them."""

import json
import os
import re
import shutil
import subprocess

import pytest
import wire
from splitssh import COMMAND, LIBEXEC, SplitSsh
from test_desktop import Desktop
from test_prompts import Terminal, answer
from waiting import wait_for
from world import QAIR

ASK = "[host a]\nlabel = \"Server A\"\nkey = %s\n[source work]\nnotify = no\nconfirm = %s\ndeny-cooldown = 30\n"
PROMPT = LIBEXEC + "/split-ssh-prompt"
RECORD = """v=1
source=work
agent=work
kind=auth
key=SHA256:uL2kFqDKBSf8FR4GBFqZIsv4mVMtE6DSYsGQSTLjNWE
comment=alice & <b>bob</b>
user=git
host=GitHub
hostkey=SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU
proof=signature
grant=300
timeout=60
"""

needs_tmux = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason="%s not installed" % ", ".join(missing))


@pytest.fixture
def keys(world, syslog):
    keys = SplitSsh(world)
    os.chmod("/run/test", 0o1777)
    keys.syslog = syslog
    syslog.forget()
    world.start()
    keys.public = keys.install_key("id")
    keys.start_agent()
    keys.forward("--service", "qubes.SshAgent+work", "--target", "vault")
    keys.start_servers(keys.public)
    yield keys
    keys.close()


def ask(keys, confirm):
    said = subprocess.run(["ssh-keygen", "-lf", keys.folder + "/ha.pub"], stdout=subprocess.PIPE, check=True).stdout
    keys.set_filter(ASK % (said.split()[1].decode(), confirm))


def log_in(keys):
    """`ssh a`, begun and not waited for."""
    environment = {**keys.environment(keys.work), "SSH_AUTH_SOCK": keys.path}
    return keys.world.popen_as("work", ["ssh", "-F", keys.folder + "/config", "a", "echo", "in"], environment=environment)


def ended(process):
    stdout, stderr = process.communicate(timeout=wire.TIMEOUT_SEC)
    return process.returncode, stdout


@pytest.fixture
def terminal(keys):
    terminal = Terminal(keys.world, "vault", QAIR, "prompts")
    terminal.wait("Ctrl-D leaves")
    yield terminal
    terminal.close()


@needs_tmux
def test_yes_at_a_terminal(keys, terminal):
    ask(keys, "ask")
    process = log_in(keys)
    terminal.wait(r"^Question 1: work calls qubes\.SshAgent\+work$")
    terminal.wait(r"^  \| work wants to use the key id$")
    terminal.wait(r"^  \| SHA256:\S+$")
    terminal.wait(r"^  \| Log in as server at Server A \(host key verified\)$")
    terminal.wait(r"^  1    vault  <- suggested$")
    answer(terminal, "y")
    assert ended(process) == (0, b"in\n")
    (event,) = keys.syslog.wait(ev="sign")
    assert event["consent"] == "asked" and event["verdict"] == "allow"


@needs_tmux
def test_no_at_a_terminal(keys, terminal):
    """And not asked again for a while."""
    ask(keys, "ask")
    process = log_in(keys)
    answer(terminal, "n")
    assert ended(process) == (255, b"")
    assert keys.ssh("a", "true").returncode == 255
    assert [event["why"] for event in keys.syslog.wait(2, ev="sign")] == ["denied", "cooldown"]
    assert "Question 2" not in terminal.screen()


@needs_tmux
def test_a_yes_that_holds(keys, terminal):
    ask(keys, "grant:300")
    process = log_in(keys)
    terminal.wait(r"^  \| A yes holds for 5 minutes, for uses like this one$")
    answer(terminal, "y")
    assert ended(process) == (0, b"in\n")
    assert keys.ssh("a", "echo", "in").stdout == b"in\n"
    assert [event["consent"] for event in keys.syslog.wait(2, ev="sign")] == ["asked", "grant"]
    shown = keys.run("vault", COMMAND, "grants").stdout.decode()
    assert re.fullmatch(r"work +work +(300|2\d\d) s  Log in as server at Server A, with the key id\n", shown), shown
    # Another server is another question.
    process = keys.world.popen_as("work", ["ssh", "-F", keys.folder + "/config", "b", "echo", "in"],
                                  environment={**keys.environment(keys.work), "SSH_AUTH_SOCK": keys.path})
    terminal.wait(r"^  \| Log in as server at unlisted server SHA256:")
    answer(terminal, "n")
    assert ended(process)[0] == 255


@needs_tmux
def test_a_yes_that_is_taken_back(keys, terminal):
    ask(keys, "grant:300")
    process = log_in(keys)
    answer(terminal, "y")
    assert ended(process) == (0, b"in\n")
    assert keys.run("vault", COMMAND, "revoke", "other").returncode == 0
    assert len(keys.run("vault", COMMAND, "grants").stdout.splitlines()) == 1
    assert keys.run("vault", COMMAND, "revoke", "work").returncode == 0
    assert keys.run("vault", COMMAND, "grants").stdout == b""
    assert not os.listdir(keys.agents + "/filter/grants")
    process = log_in(keys)
    terminal.wait("^Question 2: work calls")
    answer(terminal, "y")
    assert ended(process) == (0, b"in\n")
    assert keys.run("vault", COMMAND, "revoke").returncode == 0
    assert keys.run("vault", COMMAND, "grants").stdout == b""


@needs_tmux
def test_the_client_gives_up(keys, terminal):
    """The question disappears with whoever wanted to know."""
    ask(keys, "ask")
    process = log_in(keys)
    terminal.wait("^Question 1: work calls")
    process.kill()
    process.communicate()
    terminal.wait("^Question 1 is gone: whoever asked has given up")
    (event,) = keys.syslog.wait(ev="sign")
    assert event["why"] == "prompt-cancelled"


def test_nobody_can_be_asked(keys):
    ask(keys, "ask")
    assert keys.ssh("a", "true").returncode == 255
    (event,) = keys.syslog.wait(ev="sign")
    assert event["why"] == "prompt-failed"


@pytest.mark.parametrize("status, expect", [(0, 0), (1, 255), (2, 255)])
def test_a_program_of_ones_own(keys, status, expect):
    ask(keys, "ask")
    keys.make_folder("/home/vault/.config/qubes/split-ssh", keys.vault)
    script = '#!/bin/sh\nprintf "%%s\\n" "$SSH_ASKPASS_PROMPT" "$1" >/home/vault/asked\nexit %d\n' % status
    keys.write_as(keys.vault, "/home/vault/.config/qubes/split-ssh/askpass", script, mode=0o700)
    assert keys.ssh("a", "true").returncode == expect
    with open("/home/vault/asked") as file:
        lines = file.read().splitlines()
    assert lines[:2] == ["confirm", "work wants to use the key id"] and lines[3] == "Log in as server at Server A (host key verified)"


#
# Dialogs
#


@pytest.fixture
def desktop(world):
    world.add_domain("desktop", label="black")
    desktop = Desktop(world)
    try:
        desktop.start_display()
        yield desktop
    finally:
        desktop.close()


def start_prompt(desktop, mode, record=RECORD):
    prompt = desktop.host.popen_as("desktop", [PROMPT, mode], environment=desktop.environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
    desktop.processes.append(prompt)
    prompt.stdin.write(record.encode())
    prompt.stdin.close()
    return prompt


def shown(desktop, name):
    return wait_for(lambda: desktop.run("xdotool", "search", "--onlyvisible", "--name", name).split())


@needs("Xvfb", "xdotool", "openbox", "zenity")
@pytest.mark.parametrize("key, status", [("alt+y", 0), ("alt+n", 1), ("Return", 1), ("Escape", 1)])
def test_zenity(desktop, key, status):
    prompt = start_prompt(desktop, "confirm")
    (window,) = shown(desktop, "work .* git@GitHub .host key verified")
    desktop.wait_focus(window)
    desktop.picture("ssh-zenity")
    desktop.key(key)
    assert prompt.wait(wire.TIMEOUT_SEC) == status


@needs("Xvfb", "xdotool", "openbox")
@pytest.mark.parametrize("key, status", [("alt+a", 0), ("Escape", 1)])
def test_the_policy_agents_window(desktop, key, status):
    desktop.start_agent()
    prompt = start_prompt(desktop, "confirm")
    (window,) = desktop.wait_windows(1)
    desktop.believed(window)
    desktop.picture("ssh-window")
    desktop.key(key)
    assert prompt.wait(wire.TIMEOUT_SEC) == status


@needs("Xvfb", "dbus-daemon", "dunst", "notify-send")
@pytest.mark.parametrize("verdict, summary, end", [
    ("verdict=allow\n", "SSH key used by work", ""),
    ("verdict=deny\nwhy=host\n", "SSH key refused to work", "refused: host"),
])
def test_a_notification(desktop, verdict, summary, end):
    desktop.start_bus()
    desktop._start("dunst")
    wait_for(lambda: "org.freedesktop.Notifications" in desktop.run(
        "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus",
        "org.freedesktop.DBus.ListNames"))
    assert start_prompt(desktop, "notify", RECORD + verdict).wait(wire.TIMEOUT_SEC) == 0

    def told():
        desktop.run("dunstctl", "close-all")
        history = json.loads(desktop.run("dunstctl", "history") or "{}")
        return history.get("data", [[]])[0]

    (notice,) = wait_for(told)
    assert notice["summary"]["data"] == summary
    body = notice["body"]["data"]
    # The names are text, whatever markup the daemon knows.
    assert "Log in as git at GitHub" in body and "&lt;b&gt;bob&lt;/b&gt;" in body and body.endswith(end)


@pytest.mark.parametrize("arguments, record", [
    ([], RECORD), (["ask"], RECORD), (["confirm", "more"], RECORD), (["confirm"], ""), (["confirm"], "v=2\nsource=work\n"),
    (["confirm"], RECORD + "user=again\n"), (["confirm"], RECORD + "via=\x1b[2J\n"), (["confirm"], RECORD[:-1]),
    (["confirm"], RECORD), (["notify"], RECORD),
])
def test_no_record_or_nobody_there(world, arguments, record):
    world.add_domain("vault")
    process = world.popen_as("vault", [PROMPT, *arguments])
    stdout, _ = process.communicate(record.encode(), wire.TIMEOUT_SEC)
    assert process.returncode == 2 and stdout == b""
