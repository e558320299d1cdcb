# SPDX-License-Identifier: Apache-2.0
"""The policy agent on a desktop: real windows on a real X server, real keys and clicks, a real notification daemon.

Pictures of what was on the screen are kept in BUILD/screenshots.
"""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

import processes
import pytest
import wire
from waiting import wait_for
from world import LIBEXEC, REFUSED

AGENT = LIBEXEC + "/qrexec-policy-agent"
WINDOW = LIBEXEC + "/qrexec-policy-window"
ACCESSIBLE = os.path.join(os.path.dirname(__file__), "accessible.py")

NEEDED = ("Xvfb", "xdotool", "openbox", "dbus-daemon")
pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="%s are not all installed" % (NEEDED,)),
    pytest.mark.skipif(not os.path.exists(WINDOW), reason="built without GTK"),
]

QUESTION = {
    "source": "work", "service": "my.Sign", "argument": "+release", "targets": ["vault", "other", "@dispvm:other"],
    "default_target": "vault",
    "icons": {"dom0": "adminvm-black", "work": "appvm-red", "vault": "appvm-black", "other": "appvm-blue",
              "@dispvm:other": "dispvm-blue"},
}


class Desktop:
    """An X server, a window manager, and the policy agent of `desktop` in its session."""

    def __init__(self, host):
        self.host = host
        self.uid = pwd.getpwnam("desktop").pw_uid
        self.runtime = "/run/user/%d" % self.uid
        self.processes = []
        self.agent = None
        self.environment = {"XDG_RUNTIME_DIR": self.runtime, "LANG": "C.UTF-8", "NO_AT_BRIDGE": "1",
                            "GSETTINGS_BACKEND": "memory"}
        os.makedirs(self.runtime, mode=0o700)
        os.chown(self.runtime, self.uid, self.uid)
        os.makedirs("/tmp/.X11-unix", mode=0o1777, exist_ok=True)

    def _start(self, *command, account="desktop", **settings):
        process = self.host.popen_as(account, command, environment=self.environment, stdin=subprocess.DEVNULL,
                                     **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **settings})
        self.processes.append(process)
        return process

    def start_display(self):
        reader, writer = os.pipe()
        self._start("Xvfb", "-displayfd", str(writer), "-screen", "0", "1000x700x24", "-ac", "-noreset", "-nolisten", "tcp",
                    account="root", pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader) as file:
            self.environment["DISPLAY"] = ":" + file.readline().strip()
        self._start("openbox")
        # It is there once it has said that it supports what we ask it.
        wait_for(lambda: "0x" in self.run("xprop", "-root", "-notype", "_NET_SUPPORTING_WM_CHECK"))

    def start_bus(self):
        bus = self._start("dbus-daemon", "--session", "--nofork", "--print-address", stdout=subprocess.PIPE)
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()

    def start_agent(self):
        for name in ("policy-agent.sock", "policy-prompts.sock"):
            if os.path.exists(self.runtime + "/qubes/" + name):
                os.remove(self.runtime + "/qubes/" + name)
        self.agent = self._start(AGENT, stderr=subprocess.PIPE)
        wait_for(lambda: os.path.exists(self.runtime + "/qubes/policy-prompts.sock"))

    def run(self, *command):
        return self.host.run_as("desktop", command, self.environment).stdout.decode(errors="replace")

    def windows(self, program=None):
        """Those that are to be seen; only PROGRAM's, if it is given, for a number may be another window's later."""
        which = ["--all", "--pid", str(program.pid)] if program else []
        return self.run("xdotool", "search", "--onlyvisible", *which, "--name", "^Operation execution$").split()

    def wait_windows(self, n, program=None):
        """Return: them."""
        found = []

        def are_there():
            found[:] = self.windows(program)
            return len(found) == n

        wait_for(are_there, "%d windows" % n)
        return found

    def wait_focus(self, window):
        wait_for(lambda: self.run("xdotool", "getactivewindow").strip() == window)

    def key(self, *keys):
        self.run("xdotool", "key", "--clearmodifiers", *keys)

    def key_until_answered(self, connection, *keys):
        """Again, as a person would, where a key may go elsewhere first: to the window manager, to a list of completions."""
        wait_for(lambda: not is_open(connection) or self.key(*keys))

    def size(self, window):
        text = self.run("xdotool", "getwindowgeometry", "--shell", window)
        values = dict(line.split("=") for line in text.split())
        return int(values["WIDTH"]), int(values["HEIGHT"])

    def click(self, window, button):
        """Allow and Deny are in the lower right corner."""
        width, height = self.size(window)
        x = width - {"allow": 60, "deny": 152}[button]
        self.run("xdotool", "mousemove", "--window", window, str(x), str(height - 34), "click", "1")

    def believed(self, window):
        """Wait as a person would: until the window has had the focus for a second."""
        self.wait_focus(window)
        time.sleep(1.2)

    def ask(self, **changes):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(wire.TIMEOUT_SEC)
        connection.connect(self.runtime + "/qubes/policy-agent.sock")
        connection.sendall(b"policy.Ask dom0\0" + json.dumps({**QUESTION, **changes}).encode())
        connection.shutdown(socket.SHUT_WR)
        return connection

    def picture(self, name):
        folder = os.path.join(os.environ["QAIR_BUILD"], "screenshots")
        if shutil.which("import"):
            os.makedirs(folder, exist_ok=True)
            subprocess.run(["import", "-window", "root", os.path.join(folder, name + ".png")], check=False,
                           env={**os.environ, "DISPLAY": self.environment["DISPLAY"]})

    def close(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


@pytest.fixture
def host(world):
    world.add_domain("desktop", label="black")
    world.add_domain("work", guivm="desktop", label="red")
    world.add_domain("vault", guivm="desktop", label="black")
    world.add_domain("other", guivm="desktop", label="blue")
    world.add_service("my.Sign", "exec cat")
    world.set_policy("my.Sign * work vault ask default_target=vault\nmy.Sign * work other ask\n")
    return world


@pytest.fixture
def desktop(host):
    result = Desktop(host)
    try:
        result.start_display()
        result.start_agent()
        yield result
    finally:
        result.close()


def is_open(connection):
    """Nothing has been answered."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(wire.TIMEOUT_SEC)


def test_from_call_to_window_and_back(host, desktop):
    host.write("/etc/qubes/ask.conf", "[ask]\nquiet_for = 300\n[my.Sign]\nallow_for = 60 3600\n")
    host.start()
    call = host.start_call("work", "vault", "my.Sign+release")
    (window,) = desktop.wait_windows(1)
    desktop.believed(window)
    desktop.picture("question")
    desktop.click(window, "allow")
    assert call.communicate(b"hello", wire.TIMEOUT_SEC)[0] == b"hello"
    desktop.wait_windows(0)
    (start,) = host.wait_audit(event="start", service="my.Sign")
    assert (start["asked"], start["target"]) == ("desktop", "vault")


def test_deny_by_click(desktop):
    with desktop.ask() as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        desktop.click(window, "deny")
        assert connection.recv(100) == b"deny"


@pytest.mark.parametrize("keys, expect", [
    (["Return"], b"allow:vault"),
    (["KP_Enter"], b"allow:vault"),
    (["Escape"], b"deny"),
    (["alt+a"], b"allow:vault"),
    (["alt+d"], b"deny"),
    (["alt+F4"], b"deny"),
])
def test_keys(desktop, keys, expect):
    with desktop.ask() as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        desktop.key(*keys)
        if keys == ["alt+F4"]:
            # The window manager's, which listens to keys some time after it says that it is there.
            desktop.key_until_answered(connection, *keys)
        assert connection.recv(100) == expect
        desktop.wait_windows(0)


@pytest.mark.parametrize("text, expect", [
    ("other", b"allow:other"),
    ("Disposable VM (other)", b"allow:@dispvm:other"),
])
def test_a_target_is_typed(desktop, text, expect):
    with desktop.ask(default_target="") as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        desktop.key("Return")  # nothing is chosen
        desktop.run("xdotool", "type", text[:3])
        desktop.key("Return")  # nor is this a name
        assert is_open(connection)
        desktop.run("xdotool", "type", text[3:])
        desktop.picture("typed")
        desktop.key_until_answered(connection, "Return")  # the first may close the list of completions
        assert connection.recv(100) == expect


def test_completions_contain_what_is_typed(desktop):
    """Upper and lower case the same; the arrow chooses."""
    with desktop.ask(default_target="") as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        desktop.run("xdotool", "type", "OSABLE")
        time.sleep(0.5)
        desktop.picture("completion")
        desktop.key("Down", "Return")
        desktop.key("Return")
        assert connection.recv(100) == b"allow:@dispvm:other"


def test_allow_for_a_while_by_keyboard(desktop):
    with desktop.ask(allow_for=[60, 3600]) as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        desktop.key("alt+f")
        desktop.key("Down")
        desktop.picture("allow-for")
        desktop.key("alt+a")
        assert connection.recv(100) == b"allow-for:60:vault"


def test_be_quiet_by_keyboard(desktop):
    with desktop.ask(quiet_for=[300]) as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        desktop.key("alt+q")
        desktop.key("Down")
        desktop.key("Escape")
        assert connection.recv(100) == b"deny-for:300"


@pytest.mark.parametrize("keys", [["Return"], ["Escape"], ["alt+a"], ["alt+d"], "click allow", "click deny"])
def test_too_early(desktop, keys):
    """Pressed from before the window appears until it has had the focus for less than a second: not taken."""
    for attempt in range(5):
        began = time.monotonic()
        with desktop.ask() as connection:
            window = None
            while not window:
                if isinstance(keys, list):
                    desktop.key(*keys)
                window = (desktop.windows() or [None])[0]
            if isinstance(keys, list):
                desktop.key(*keys)
            else:
                desktop.click(window, keys.split()[1])
            in_time = time.monotonic() - began < 1
            if in_time:
                assert is_open(connection)
                desktop.believed(window)
                assert is_open(connection)
                desktop.key("Return")
                assert connection.recv(100) == b"allow:vault"
                return
        desktop.wait_windows(0)
    pytest.skip("this machine is too slow just now to press anything within a second")


def test_focus_is_stolen(desktop):
    """A second window comes just when the first could be answered: neither takes what was meant for the other."""
    with desktop.ask() as first:
        (one,) = desktop.wait_windows(1)
        desktop.believed(one)
        with desktop.ask(service="my.Other") as second:
            windows = desktop.wait_windows(2)
            (two,) = [window for window in windows if window != one]
            desktop.run("xdotool", "windowactivate", "--sync", two)
            began = time.monotonic()
            desktop.key("Return")
            if time.monotonic() - began < 1:
                assert is_open(first) and is_open(second)
            desktop.picture("two-questions")
            # Back to the first, which has to be looked at anew.
            for _ in range(5):
                began = time.monotonic()
                desktop.run("xdotool", "windowactivate", "--sync", one)
                desktop.key("Return")
                if time.monotonic() - began < 1:
                    assert is_open(first)
                    break
                desktop.run("xdotool", "windowactivate", "--sync", two)
            assert is_open(second)
            desktop.run("xdotool", "windowactivate", "--sync", one)
            desktop.believed(one)
            desktop.key("Return")
            assert first.recv(100) == b"allow:vault"
            assert is_open(second)


def test_the_window_moves(desktop):
    with desktop.ask() as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        for attempt in range(5):
            began = time.monotonic()
            desktop.run("xdotool", "windowmove", "--sync", window, str(20 + attempt), "30", "key", "Return")
            if time.monotonic() - began < 1:
                assert is_open(connection)
                break
            assert is_open(connection), "the machine is too slow"
        desktop.believed(window)
        desktop.key("Return")
        assert connection.recv(100) == b"allow:vault"


def test_long_and_odd_texts_do_not_distort_it(desktop):
    with desktop.ask() as connection:
        (window,) = desktop.wait_windows(1)
        usual = desktop.size(window)
        desktop.believed(window)
        desktop.key("Escape")
        assert connection.recv(100) == b"deny"
    name = "n" * 3000
    with desktop.ask(source=name, service="s" * 1000 + "." + "t" * 1000,
                     argument="+<b>&amp;\n\t\x1b[2J\u202e" + "x" * 60000, targets=["vault", name],
                     default_target=name + "y",
                     icons={**QUESTION["icons"], name: "appvm-red"}) as connection:
        (window,) = desktop.wait_windows(1)
        desktop.believed(window)
        desktop.picture("long-and-odd")
        width, height = desktop.size(window)
        assert width <= usual[0] + 150 and height <= usual[1] + 200, (usual, width, height)
        desktop.click(window, "deny")
        assert connection.recv(100) == b"deny"


def test_the_window_disappears_with_the_caller(host, desktop):
    host.start()
    call = host.start_call("work", "vault", "my.Sign")
    desktop.wait_windows(1)
    call.kill()
    desktop.wait_windows(0)
    (record,) = host.wait_audit(event="refused", service="my.Sign")
    assert record["reason"] == "the caller hung up while a person was asked"


def test_ten_requests_are_one_window(host, desktop):
    """Its picture is the one in the README."""
    host.write("/etc/qubes/ask.conf", "[ask]\nquiet_for = 300\n[my.Sign]\nallow_for = 60 3600\n")
    host.start()
    calls = [host.start_call("work", "vault", "my.Sign+release") for _ in range(10)]
    (window,) = desktop.wait_windows(1)
    wait_for(lambda: len(host.audit(event="end", service="policy.AskCount")) >= 1 and
                 len(host.audit(event="end", service="policy.AskCount")) ==
                 len(host.audit(event="start", service="policy.AskCount")))
    desktop.believed(window)
    desktop.picture("ten-requests")
    desktop.key("Return")
    for call in calls:
        assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"


def test_a_window_program_that_dies_is_started_again(desktop):
    with desktop.ask() as connection:
        desktop.wait_windows(1)
        (program,) = processes.running(WINDOW)
        program.kill()
        assert program.wait(5)
        # The X server, which may not know that yet, may still show the window of the first; of the same number, perhaps.
        (program,) = wait_for(lambda: processes.running(WINDOW))
        (window,) = desktop.wait_windows(1, program)
        desktop.believed(window)
        desktop.key("Return")
        assert connection.recv(100) == b"allow:vault"


def test_a_window_program_that_dies_always(host, desktop):
    host.start()
    call = host.start_call("work", "vault", "my.Sign")
    for _ in range(3):
        (program,) = wait_for(lambda: processes.running(WINDOW))
        program.kill()
        assert program.wait(5)
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    (record,) = host.wait_audit(event="refused", service="my.Sign")
    assert record["reason"].startswith("nobody could be asked: the policy agent in desktop: ")


def test_no_display(host, desktop):
    desktop.agent.terminate()
    desktop.agent.wait(wire.TIMEOUT_SEC)
    desktop.environment["DISPLAY"] = ":4711"
    desktop.start_agent()
    with desktop.ask() as connection:
        assert connection.recv(100) == b""


@pytest.mark.skipif(not shutil.which("dunst"), reason="dunst is not installed")
def test_notifications(host):
    """A real daemon has got them, with the texts escaped."""
    host.add_service("my.Wake", "exec cat", domain="desktop")
    host.set_policy("my.Wake * work desktop allow\nmy.Sign +x work vault allow notify=yes\nmy.Sign * work vault deny\n")
    desktop = Desktop(host)
    try:
        desktop.start_display()
        desktop.start_bus()
        desktop._start("dunst")
        wait_for(lambda: "org.freedesktop.Notifications" in desktop.run(
            "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/",
            "org.freedesktop.DBus.ListNames"))
        desktop.start_agent()
        host.start()
        assert host.call("work", "desktop", "my.Wake").returncode == 0
        host.assert_refused(host.call("work", "vault", "my.Sign+release"))

        def shown():
            # What is on the screen is in no list: put it into the history, which is one.
            desktop.run("dunstctl", "close-all")
            history = json.loads(desktop.run("dunstctl", "history") or "{}")
            return [(entry["summary"]["data"], entry["body"]["data"]) for entry in history.get("data", [[]])[0]]

        wait_for(lambda: ("Denied: my.Sign", "Denied <b>my.Sign+release</b> from <b>work</b> to <b>vault</b>") in shown())
        assert host.call("work", "vault", "my.Sign+x").returncode == 0
        wait_for(lambda: ("Allowed: my.Sign", "Allowed <b>my.Sign+x</b> from <b>work</b> to <b>vault</b>") in shown())
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(desktop.runtime + "/qubes/policy-agent.sock")
            connection.sendall(b'policy.Notify dom0\0{"resolution": "fail", "service": "a.B", "argument": "+", '
                               b'"source": "<i>&", "target": "web"}')
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(10) == b""
        wait_for(lambda: any(summary == "Failed: a.B" and "&lt;i&gt;&amp;" in body for summary, body in shown()))
        desktop.picture("notifications")
    finally:
        desktop.close()


# What a screen reader is told


@pytest.fixture
def screen_reader(host):
    """A desktop with a bus on which programs say what they show."""
    if subprocess.run(["/usr/bin/python3", ACCESSIBLE, "--check"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("at-spi2-core, gir1.2-atspi-2.0 and python3-gi are not all installed")
    result = Desktop(host)
    try:
        result.start_display()
        result.start_bus()
        del result.environment["NO_AT_BRIDGE"]
        result.start_agent()
        yield result
    finally:
        result.close()


def accessible(desktop):
    lines = desktop.run("/usr/bin/python3", ACCESSIBLE).splitlines()
    return [thing for thing in map(json.loads, lines) if thing["window"] == "Operation execution" and thing["shown"]]


TOLD = {
    ("label", "work", "Source:"), ("icon", "label red"), ("label", "my.Sign+release", "Operation:"),
    ("combo box", "this once", "Allow for:"),
    ("combo box", "ask again next time", "If denied, be quiet for:"), ("push button", "Deny"), ("push button", "Allow"),
}


def told(things):
    return {(thing["role"], thing["name"] or thing["description"], *thing["labels"]) for thing in things}


def is_sensitive(things, name):
    return [thing["sensitive"] for thing in things if thing["name"] == name] == [True]


def test_what_a_screen_reader_is_told(screen_reader):
    """All that is shown, with the name of its row, colours by their names, and whether Allow is to be had."""
    desktop = screen_reader
    with desktop.ask(default_target="", allow_for=[60], quiet_for=[60]) as connection:
        (window,) = desktop.wait_windows(1)
        wait_for(lambda: TOLD | {("text", "", "Target:")} <= told(accessible(desktop)))
        desktop.believed(window)
        things = accessible(desktop)
        assert [thing["role"] for thing in things if thing["focused"]] == ["text"]
        assert is_sensitive(things, "Deny") and not is_sensitive(things, "Allow")
        desktop.run("xdotool", "type", "vault")
        wait_for(lambda: is_sensitive(accessible(desktop), "Allow"))
        assert TOLD | {("text", "label black", "Target:")} <= told(accessible(desktop))
        desktop.key_until_answered(connection, "Return")  # the first may close the list of completions
        assert connection.recv(100) == b"allow:vault"
