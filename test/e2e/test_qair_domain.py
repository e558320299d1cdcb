# SPDX-License-Identifier: Apache-2.0
"""`qair domain`, the real program, on folders of its own. QAIR_BUILD names the build directory."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

QAIR = Path(os.environ["QAIR_BUILD"]).resolve() / "src/tools/qair"
IS_ROOT = os.geteuid() == 0
# An account that every Linux system has, and one that none has.
ACCOUNT = "daemon"
NO_ACCOUNT = "qair-no-such-account"


def run(*arguments, program=QAIR, **options):
    return subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


class Folder:
    """A folder of domains, and the program that works on it."""

    def __init__(self, path):
        self.path = path
        path.chmod(0o755)

    def write(self, name, text):
        path = self.path / f"{name}.conf"
        path.write_text(text)
        path.chmod(0o644)

    def read(self, name):
        return (self.path / f"{name}.conf").read_text()

    def content(self):
        """Everything in it: what a refused command must leave as it is."""
        return {path.name: path.read_text() for path in self.path.iterdir() if path.is_file()}

    def qair(self, *arguments, **options):
        return run("domain", *arguments, f"--dir={self.path}", **options)

    def done(self, *arguments):
        result = self.qair(*arguments)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def refused(self, *arguments, status=1):
        """Runs a command that must change nothing; returns what it said."""
        before = self.content()
        result = self.qair(*arguments)
        assert result.returncode == status
        assert result.stdout == ""
        assert self.content() == before
        return result.stderr


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="qair-test-") as path:
        yield Folder(Path(path))


# --- the front end


def test_help_fits_a_screen():
    result = run("--help")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:1] == ["domain"] for line in lines)


@pytest.mark.parametrize("arguments", [["domain", "--help"], ["domain", "add", "--help"], ["domain", "list", "-h"]])
def test_help_of_a_command(arguments):
    result = run(*arguments)
    assert result.returncode == 0
    for verb in ("add", "set", "show", "list", "start", "stop", "remove", "check"):
        assert f"\n  {verb} " in result.stdout
    assert "transport_rpc" in result.stdout


def test_the_manual_has_every_key():
    manual = (Path(__file__).parents[2] / "doc/man/domains.d.5.scd").read_text()
    keys = [line.split()[0] for line in run("domain", "--help").stdout.partition("\nKeys:\n")[2].partition("\n\n")[0].splitlines()]
    assert len(keys) > 20
    assert [key for key in keys if f"\n*{key}*" not in manual and f", *{key}*\n" not in manual] == []


def test_version():
    assert run("--version").stdout.startswith("qair 0.")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "'qair --help'"),
        (["domian"], "did you mean 'domain'?"),
        (["frobnicate"], "'qair --help' lists"),
        (["domain"], "'qair domain --help'"),
        (["domain", "lst"], "did you mean 'list'?"),
        (["domain", "add"], "which domain?"),
        (["domain", "list", "--jsn"], "unknown option '--jsn'"),
        (["domain", "list", "--dir"], "--dir needs a value"),
        (["domain", "list", "work"], "'work' is one argument too many"),
        (["domain", "set", "work"], "what shall be set?"),
    ],
)
def test_usage_errors(arguments, words):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert words in result.stderr


def test_output_that_cannot_be_written_is_a_failure(folder):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run([QAIR, "domain", "list", f"--dir={folder.path}"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert b"cannot be written" in result.stderr


# --- add


def test_add(folder):
    out = folder.done("add", "vault", f"user={ACCOUNT}", "label=black", "tags=keys  offline")
    assert "vault: added" in out
    assert "useradd" not in out
    assert folder.read("vault") == f"[domain]\nuser = {ACCOUNT}\nlabel = black\ntags = keys offline\n"
    assert os.stat(folder.path / "vault.conf").st_mode & 0o7777 == 0o644
    assert list(folder.content()) == ["vault.conf"]


def test_add_with_all_defaults(folder):
    folder.done("add", "plain")
    assert folder.read("plain") == "[domain]\n"


def test_add_says_how_to_make_a_missing_account(folder):
    out = folder.done("add", "work", f"user={NO_ACCOUNT}")
    assert f"useradd --create-home {NO_ACCOUNT}\n" in out
    assert "useradd" not in folder.done("add", "far", "user=qair-none-either", "--no-accounts")


@pytest.mark.parametrize(
    "name, assignment, words, status",
    [
        ("work", "user=root", "is root", 1),
        ("work", "user=qrexec", "is the broker's", 1),
        ("work", "user=nobody", "stands for every id", 1),
        ("work", "type=RemoteVM", "needs a relay", 1),
        ("work", "template=valt", "did you mean 'vault'?", 1),
        ("work", "user=taken", "is the account of 'vault' already", 1),
        ("vault", "label=red", "qair domain set vault", 1),
        ("dom0", "label=red", "qair domain set dom0", 1),
        ("disp7", "label=red", "is reserved", 1),
        ("work", "usr=work", "did you mean 'user'?", 2),
        ("work", "colour=red", "unknown key 'colour'", 2),
        ("work", "label=pink", "label: 'pink' is no label", 2),
        ("work", "label=", "label: has no value", 2),
        ("work", "label", "'label' is no KEY=VALUE", 2),
        ("work", "start=a\nuser = x", "control character", 2),
        ("work", "start=a ; b", "begins a comment", 2),
        ("work", "\x1b[2J=x", "unknown key '\\x1b[2J'", 2),
        ("../work", "label=red", "no domain's name", 2),
        ("a/b", "label=red", "no domain's name", 2),
        ("", "label=red", "is empty", 2),
        ("none", "label=red", "is reserved", 2),
        ("\x1b[2J", "label=red", "'\\x1b[2J'", 2),
        ("a" * 32, "label=red", "is too long", 2),
    ],
)
def test_add_refuses(folder, name, assignment, words, status):
    folder.write("vault", "[domain]\nuser = taken\n")
    error = folder.refused("add", name, assignment, status=status)
    assert words in error
    assert "\x1b" not in error


def test_add_refuses_a_key_twice(folder):
    assert "label is given twice" in folder.refused("add", "work", "label=red", "label=blue", status=2)


def test_add_to_a_broken_inventory_says_that_it_was_broken(folder):
    folder.write("old", "[domain]\nlabel = pink\n")
    error = folder.refused("add", "work", "label=red")
    assert "old.conf:2: label: 'pink' is no label" in error
    assert "broken already" in error


def test_add_without_a_folder(folder):
    result = run("domain", "add", "work", f"--dir={folder.path}/none")
    assert result.returncode == 1
    assert f"mkdir -p {folder.path}/none" in result.stderr


def test_of_many_at_once_only_one_gets_the_account(folder):
    commands = [
        subprocess.Popen(
            [QAIR, "domain", "add", f"d{i}", "user=one-account", f"--dir={folder.path}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for i in range(24)
    ]
    statuses = []
    for command in commands:
        command.communicate()
        statuses.append(command.returncode)
    assert sorted(statuses) == [0] + [1] * 23
    assert len(folder.content()) == 1


# --- set


WORK = """\
; what the office uses
[domain]
label = red     ; for now
# the account
user = daemon

; the end
"""


def test_set_changes_one_line_and_leaves_the_others(folder):
    folder.write("work", WORK)
    assert "work: changed" in folder.done("set", "work", "label=blue")
    assert folder.read("work") == WORK.replace("label = red ", "label = blue ")


def test_set_adds_and_removes_lines(folder):
    folder.write("work", WORK)
    folder.done("set", "work", "label=", "tags=a b", "max_calls=3")
    assert folder.read("work") == WORK.replace("label = red     ; for now\n", "").replace(
        "user = daemon\n", "user = daemon\ntags = a b\nmax_calls = 3\n"
    )


def test_set_of_what_is_so_already(folder):
    folder.write("work", WORK)
    assert "nothing to change" in folder.done("set", "work", "label=red", "tags=")
    assert folder.read("work") == WORK


def test_set_refuses_what_would_break_another_file(folder):
    folder.write("dvm", "[domain]\ntemplate_for_dispvms = yes\n")
    folder.write("work", "[domain]\ndefault_dispvm = dvm\n")
    error = folder.refused("set", "dvm", "template_for_dispvms=no")
    assert "work.conf:2: default_dispvm: no disposables can be made from 'dvm'" in error
    assert "would be broken" in error


def test_set_can_mend(folder):
    folder.write("work", "[domain]\nlabel = pink\n")
    folder.done("set", "work", "label=red")
    assert folder.read("work") == "[domain]\nlabel = red\n"


def test_set_of_a_domain_that_is_not_there(folder):
    assert "qair domain add work" in folder.refused("set", "work", "label=red")


def test_set_dom0_makes_its_file(folder):
    folder.done("set", "dom0", "tags=host", "--no-accounts")
    assert folder.read("dom0") == "[domain]\ntags = host\n"
    assert "dom0_user" in folder.refused("set", "dom0", "user=work")


def test_a_file_that_others_may_write_is_not_touched(folder):
    folder.write("work", WORK)
    (folder.path / "work.conf").chmod(0o666)
    assert "may be written by its group or by others" in folder.refused("set", "work", "label=blue")


# --- remove


def test_remove(folder):
    folder.write("work", "[domain]\nuser = daemon\n")
    (folder.path / "work.rpc").mkdir(mode=0o755)
    out = folder.done("remove", "work")
    assert folder.content() == {}
    assert f"{folder.path}/work.rpc" in out
    assert "userdel daemon" in out


def test_remove_names_who_needs_it(folder):
    folder.write("base", "[domain]\n")
    folder.write("work", "[domain]\nlabel = red\ntemplate = base\n")
    folder.write("vault", "[domain]\nguivm = base\n")
    error = folder.refused("remove", "base")
    assert f"{folder.path}/work.conf:3: template of 'work' is 'base'\n" in error
    assert f"{folder.path}/vault.conf:2: guivm of 'vault' is 'base'\n" in error


def test_remove_of_what_is_not_there(folder):
    assert "there is no domain 'work'" in folder.refused("remove", "work")
    assert "cannot be removed" in folder.refused("remove", "dom0")


def test_remove_can_mend(folder):
    folder.write("work", "junk\n")
    folder.done("remove", "work")
    assert folder.content() == {}


# --- show, list, check


def fill(folder):
    folder.write("base", "[domain]\ntype = TemplateVM\nlabel = gray\nmax_calls = 5\n")
    folder.write("work", f"[domain]\nuser = {ACCOUNT}\ntemplate = base\ntags = b a\nidle_timeout = 60\n")
    folder.write("far", "[domain]\ntype = RemoteVM\nrelayvm = work\ntransport_rpc = qubesair.SSHProxy\n")


def test_list(folder):
    fill(folder)
    lines = [line.split() for line in folder.done("list").splitlines()]
    assert lines == [
        ["NAME", "TYPE", "USER", "STATE", "LABEL", "TAGS"],
        ["base", "TemplateVM", "-", "-", "gray", "-"],
        ["dom0", "AdminVM", "qrexec-dom0", "-", "black", "-"],
        ["far", "RemoteVM", "-", "-", "red", "relayvm-work"],
        ["work", "AppVM", ACCOUNT, "-", "gray", "a", "b"],
    ]


def test_list_json(folder):
    fill(folder)
    domains = json.loads(folder.done("list", "--json"))["domains"]
    assert list(domains) == ["base", "dom0", "far", "work"]
    assert domains["work"]["tags"] == ["a", "b"]
    assert domains["work"]["max_calls"] == 5
    assert domains["work"]["autostart"] is False
    assert domains["work"]["start"] is None
    assert domains["far"]["relayvm"] == "work"
    assert domains["far"]["remote_name"] == "far"
    assert "user" not in domains["far"]
    assert len({domain["uuid"] for name, domain in domains.items() if name != "dom0"}) == 3


def test_show(folder):
    fill(folder)
    lines = folder.done("show", "work").splitlines()
    shown = {line.split()[0]: line.split(None, 1)[1] for line in lines[1:]}
    assert lines[0] == "work"
    assert shown["user"] == ACCOUNT
    assert shown["label"] == "gray  (from base)"
    assert shown["type"] == "AppVM  (default)"
    assert shown["tags"] == "a b"
    assert shown["default_dispvm"] == "-"
    assert shown["uuid"].endswith("(derived from the name)")
    assert shown["services"] == (
        f"/run/qubes-rpc:{folder.path}/work.rpc:{folder.path}/base.rpc:/usr/local/etc/qubes-rpc:/etc/qubes-rpc"
    )
    assert "relayvm" not in shown


def test_show_json(folder):
    fill(folder)
    shown = json.loads(folder.done("show", "work", "--json"))
    assert shown["name"] == "work"
    assert shown["file"] == f"{folder.path}/work.conf"
    assert shown["inherited"] == {"label": "base", "max_calls": "base"}
    assert shown["properties"]["idle_timeout"] == 60
    assert shown["properties"] == json.loads(folder.done("list", "--json"))["domains"]["work"]


def test_show_of_what_is_not_there(folder):
    assert "there is no domain 'work'" in folder.refused("show", "work")


@pytest.mark.parametrize("arguments", [["list"], ["show", "good"], ["check"]])
def test_a_broken_inventory_is_not_shown_in_part(folder, arguments):
    folder.write("good", "[domain]\n")
    folder.write("a", "[domain]\nlabel = pink\n")
    folder.write("b", "[domain]\nusr = b\n")
    error = folder.refused(*arguments)
    assert f"{folder.path}/a.conf:2: " in error
    assert f"{folder.path}/b.conf:2: unknown key 'usr': did you mean 'user'?" in error


def test_check(folder):
    folder.write("work", f"[domain]\nuser = {NO_ACCOUNT}\n")
    assert f"{folder.path}: 2 domains, no errors\n" == folder.done("check", "--no-accounts")
    assert f"work.conf:2: user: there is no account '{NO_ACCOUNT}': useradd" in folder.refused("check")


# --- who may


@pytest.mark.skipif(not IS_ROOT, reason="becomes another user")
def test_others_may_look_and_not_touch(folder):
    fill(folder)
    with tempfile.TemporaryDirectory(prefix="qair-test-") as bin_dir:
        os.chmod(bin_dir, 0o755)
        program = shutil.copy(QAIR, bin_dir)
        other = {"program": program, "user": 65534, "group": 65534, "extra_groups": [], "cwd": "/"}
        for arguments in (["list"], ["show", "work"], ["check", "--no-accounts"]):
            result = folder.qair(*arguments, **other)
            assert (result.returncode, result.stderr) == (0, "")
        before = folder.content()
        for arguments in (["add", "new"], ["set", "work", "label=red"], ["remove", "far"]):
            result = folder.qair(*arguments, **other)
            assert result.returncode == 1
            assert "run this as root" in result.stderr
        assert folder.content() == before


@pytest.mark.skipif(not IS_ROOT, reason="mounts in a private namespace")
def test_a_change_of_this_host_says_how_it_comes_into_force(folder):
    script = """
        set -e
        mount -t tmpfs none "$1"
        mkdir "$1/upper" "$1/work"
        mount -t overlay -o lowerdir=/etc,upperdir="$1/upper",workdir="$1/work" none /etc
        rm -rf /etc/qubes/domains.d
        mkdir -p /etc/qubes/domains.d
        chmod 755 /etc/qubes/domains.d
        "$2" domain add work user=daemon
        "$2" domain list
    """
    result = run("-m", "sh", "-c", script, "sh", folder.path, QAIR, program="unshare")
    assert (result.returncode, result.stderr) == (0, "")
    assert "work: added (/etc/qubes/domains.d/work.conf)" in result.stdout
    assert "In force" not in result.stdout
    assert folder.content() == {}
