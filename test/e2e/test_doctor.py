# SPDX-License-Identifier: Apache-2.0
"""`qair doctor`: one thing is broken at a time, it is found, and the command that is printed mends it."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import processes
import pytest
from world import AGENT, supervisor

QAIR = "/usr/bin/qair"
PAM = "/etc/pam.d/qrexec"
PIPE_PAGES = "/proc/sys/fs/pipe-user-pages-soft"
POLICY = """\
my.Open   *  work  vault  allow
qubes.GetDate  *  work  vault  allow
"""


def doctor(*arguments):
    return subprocess.run([QAIR, "doctor", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def findings():
    result = doctor("--json")
    assert result.stderr == ""
    report = json.loads(result.stdout)
    counts = [sum(finding["level"] == level for finding in report["findings"]) for level in ("error", "warning", "note")]
    assert counts == [report["errors"], report["warnings"], report["notes"]]
    assert result.returncode == (1 if report["errors"] or report["warnings"] else 0)
    # What the kernel of this machine lacks is not this test's business.
    return [finding for finding in report["findings"] if finding["check"] != "kernel"]


@pytest.fixture
def host(world, tmp_path):
    """A host in order: two domains, a service each, all of it running."""
    # That setting is the machine's, not the world's: the world gets a file of its own there.
    pages = tmp_path / "pages"
    pages.write_text("262144\n")
    subprocess.run(["mount", "--bind", pages, PIPE_PAGES], check=True)
    world.add_domain("work")
    world.add_domain("vault", services={"my.Open": "echo open"})
    world.set_policy(POLICY)
    world.start()
    assert findings() == []
    yield world
    subprocess.run(["umount", PIPE_PAGES], check=True)
    if not os.path.exists(PAM) or os.stat(PAM).st_mode & 0o022:
        shutil.copyfile("/usr/share/qair/pam.d/qrexec", PAM)
        os.chmod(PAM, 0o644)


def run(command, **environment):
    result = subprocess.run(
        ["sh", "-c", command], env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert result.returncode == 0, (command, result.stderr)


def forget_account(name):
    """As userdel(8), which would refuse because processes run under it."""
    for path in ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"):
        subprocess.run(["sed", "--in-place", "/^%s:/d" % name, path], check=True)


def shell(command):
    return lambda: subprocess.run(["sh", "-ec", command], check=True)


def open_file(path, text, mode=0o644):
    def write():
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    return write


BREAKAGES = {
    "no account of the broker": (lambda: forget_account("qrexec"), "error", "no account 'qrexec' for the broker"),
    "no account of dom0": (lambda: forget_account("qrexec-dom0"), "error", "dom0: the account 'qrexec-dom0' does not exist"),
    "no account of a domain": (lambda: forget_account("work"), "error", "domain work: the account 'work' does not exist"),
    "dom0 not in its group": (shell("gpasswd --delete qrexec-dom0 qubes"), "warning", "not in the group 'qubes'"),
    "a domain in dom0's group": (shell("gpasswd --add vault qubes"), "error", "domain vault: .* in the group 'qubes'"),
    "no policy folder of this boot": (shell("rmdir /run/qubes/policy.d"), "error", "/run/qubes/policy.d: .* missing"),
    "a policy folder for everybody": (shell("chmod 0777 /etc/qubes/policy.d"), "error", "policy.d: .* written by everybody"),
    "a policy of the group": (shell("chmod g+w /etc/qubes/policy.d/*.policy"), "error", "policy: may be written by its group"),
    "a policy for root alone": (
        shell("chmod 0600 /etc/qubes/policy.d/30-user.policy"),
        "error",
        "30-user.policy: the broker cannot read it",
    ),
    "a closed folder of domains": (shell("chmod 0700 /etc/qubes/domains.d"), "error", "domains.d: the broker cannot read it"),
    "a domain that it owns itself": (shell("chown vault /etc/qubes/domains.d/vault.conf"), "error", "vault.conf: belongs to"),
    "a domain that others may write": (shell("chmod o+w /etc/qubes/domains.d/vault.conf"), "error", "vault.conf: .* everybody"),
    "rules of SSH keys that others may write": (
        open_file("/etc/split-ssh/filter.d/keys.conf", "[source work]\nkey = *\n", 0o646),
        "error",
        "keys.conf: may be written",
    ),
    "a service that others may write": (shell("chmod o+w /etc/qubes-rpc/qubes.GetDate"), "error", "GetDate: .* everybody"),
    "a link of a domain": (
        shell("ln -s /bin/true /etc/qubes-rpc/my.Open && chown -h vault /etc/qubes-rpc/my.Open"),
        "error",
        "/etc/qubes-rpc/my.Open: belongs to",
    ),
    "a name that is a command": (
        open_file("/etc/qubes-rpc/$(touch oops);\n'`touch oops`", "", 0o666),
        "error",
        r"touch oops\);\\n.*everybody",
    ),
    "no session": (shell("rm " + PAM), "error", "pam.d/qrexec: is missing"),
    "a session for everybody": (shell("chmod o+w " + PAM), "error", "pam.d/qrexec: may be written"),
    "a policy with a bad name": (open_file("/etc/qubes/policy.d/31-Mine.policy", ""), "error", "31-Mine.policy: this name"),
    "a service that cannot run": (shell("chmod a-x /etc/qubes-rpc/qubes.GetDate"), "warning", "GetDate: is not executable"),
    "a private service that cannot run": (
        shell("chmod a-x /etc/qubes/domains.d/vault.rpc/my.Open"),
        "warning",
        "vault.rpc/my.Open: is not executable",
    ),
    "few pages for pipes": (open_file(PIPE_PAGES, "16384\n"), "warning", "pipe-user-pages-soft is 16384: with 512 calls"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_is_found_and_mended(host, name, monkeypatch):
    monkeypatch.chdir("/run/test")
    breaks, level, text = BREAKAGES[name]
    breaks()
    found = findings()
    assert {finding["level"] for finding in found} == {level}, found
    assert all(re.search(text, finding["text"]) for finding in found), found
    assert found and not any("\n" in finding["text"] + finding["command"] for finding in found)
    for finding in found:
        run(finding["command"])
    assert findings() == []
    assert os.listdir("/run/test").count("oops") == 0


@pytest.mark.parametrize(
    "path, good, bad, text",
    [
        ("/etc/qubes/policy.d/30-user.policy", POLICY, POLICY + "what is this\n", r"30-user.policy:3: "),
        ("/etc/qubes/domains.d/work.conf", None, "[domain]\nuser = work\nlabel = pink\n", r"work.conf:3: label: 'pink'"),
        ("/etc/qubes/domains.d/work.conf", None, "[domain]\nlabel = red\nuser = root\n", r"work.*root"),
        ("/etc/split-ssh/filter.conf", "[source work]\n", "[source work]\nkey = *\nconfirm = soon\n", r"filter.conf:3.*confirm"),
    ],
)
def test_a_broken_file_is_opened_in_the_editor_where_it_is_broken(host, tmp_path, path, good, bad, text):
    good = good or open(path).read()
    open_file(path, bad)()
    (finding,) = findings()
    assert re.search(text, finding["text"])
    editor = tmp_path / "editor"
    (tmp_path / "good").write_text(good)
    open_file(editor, '#!/bin/sh\n[ "$1" = +3 ] && cat %s >"$2"\n' % (tmp_path / "good"), 0o755)()
    run(finding["command"], EDITOR=str(editor))
    assert findings() == []


def test_of_a_very_broken_policy_the_first_errors_are_shown(host):
    host.set_policy("broken\n" * 50)
    found = findings()
    assert len(found) == 6
    assert all("30-user.policy:%d: " % line in found[line - 1]["text"] for line in range(1, 6))
    assert "45 errors more" in found[5]["text"]
    host.set_policy(POLICY)


def test_gnupg_is_needed_once_somebody_may_call(host):
    os.rename("/usr/bin/gpg", "/usr/bin/gpg.away")
    try:
        assert findings() == []
        host.set_policy(POLICY + "qubes.Gpg  *  work  vault  allow\n")
        (finding,) = findings()
        assert finding["level"] == "warning" and "/etc/qubes-rpc/qubes.Gpg: needs /usr/bin/gpg" in finding["text"]
        assert finding["command"] == "apt-get install gnupg"
    finally:
        os.rename("/usr/bin/gpg.away", "/usr/bin/gpg")
    assert findings() == []


def test_a_service_that_nobody_may_call_is_a_note(host):
    host.add_service("my.New", "echo new")
    (finding,) = findings()
    assert finding["level"] == "note"
    assert finding["text"].startswith("/etc/qubes-rpc/my.New: no rule")
    run(finding["command"].replace("SOURCE", "work").replace("TARGET", "vault"))
    assert findings() == []
    assert host.call("work", "vault", "my.New").stdout == b"new\n"


@pytest.mark.parametrize(
    "rules, is_callable",
    [
        ("my.New * work vault allow", True),
        ("my.New * work vault ask default_target=vault", True),
        ("my.New +one work vault allow", True),
        ("* * @anyvm vault allow", True),
        ("my.New * work vault deny", False),
        ("my.New * * * deny\nmy.New * work vault allow", False),
        ("my.New +one * * deny\nmy.New * work vault allow", True),
        ("my.New * * @anyvm deny\nmy.New * work vault allow", True),
        ("my.Newer * work vault allow", False),
    ],
)
def test_which_rules_make_a_service_callable(host, rules, is_callable):
    host.add_service("my.New", "echo new")
    host.set_policy(POLICY + rules)
    assert [finding["check"] for finding in findings()] == ([] if is_callable else ["services"])


def test_a_text_among_the_services_is_no_broken_service(host):
    open_file("/etc/qubes-rpc/README", "Services are here.\n")()
    assert [finding for finding in findings() if finding["level"] != "note"] == []


def test_a_virtual_machine_needs_the_kernels_help(host):
    host.add_domain("machine", link="vsock:7")
    report = json.loads(doctor("--json").stdout)
    found = [finding for finding in report["findings"] if "/dev/vhost-vsock" in finding["text"]]
    if os.path.exists("/dev/vhost-vsock"):
        assert not found
    else:
        assert [(one["level"], one["check"], one["command"]) for one in found] == [("warning", "kernel", "modprobe vhost_vsock")]


def test_a_new_account_is_not_in_force_until_the_reload(host):
    """Files of the inventory are watched; accounts, which may come from anywhere, are not."""
    mark = host.logfile.mark()
    host.write("/etc/qubes/domains.d/late.conf", "[domain]\nuser = late\n")
    host.wait_log("there is no account 'late'", mark=mark)
    host.add_account("late")
    (finding,) = findings()
    assert (finding["level"], finding["check"]) == ("warning", "running")
    mark = host.logfile.mark()
    run(finding["command"])
    host.wait_log("serving 4 domains", mark=mark)
    assert findings() == []


def test_an_agent_that_does_not_answer(host):
    assert host.call("work", "vault", "my.Open").returncode == 0
    (agent,) = processes.running(AGENT)
    assert findings() == []
    agent.kill(signal.SIGSTOP)
    (finding,) = findings()
    assert (finding["level"], finding["check"]) == ("error", "agents")
    assert "vault" in finding["text"]
    agent.kill(signal.SIGCONT)
    assert findings() == []


def test_a_domain_that_should_run(host):
    mark = host.logfile.mark()
    host.write("/etc/qubes/domains.d/vault.conf", "[domain]\nuser = vault\nautostart = yes\n")
    host.wait_log("serving 3 domains", mark=mark)
    (finding,) = findings()
    assert (finding["level"], finding["check"]) == ("warning", "agents")
    run(finding["command"])
    assert findings() == []


def may_raise_limits():
    with open("/proc/self/status") as status:
        capabilities = [line.split()[1] for line in status if line.startswith("CapEff:")]
    return bool(int(capabilities[0], 16) >> 24 & 1)


def test_a_broker_with_few_files(host):
    host.stop()
    limit = ["prlimit", "--nofile=1024:1024"]
    host.supervisor = supervisor.start(host.logfile.path, limit + [supervisor.SUPERVISOR], {"PATH": "/usr/bin:/bin"})
    found = findings()
    if may_raise_limits() and not found:
        # That supervisor could raise the limit again.
        (broker,) = processes.running("/usr/lib/qubes/qrexecd")
        subprocess.run(["prlimit", "--pid=%d" % broker.pid, "--nofile=1024:"], check=True)
        found = findings()
    (finding,) = found
    assert re.search("may open 1024 files only", finding["text"])
    if may_raise_limits():
        run(finding["command"])
        assert findings() == []


def test_a_broker_that_hangs(host):
    (broker,) = processes.running("/usr/lib/qubes/qrexecd")
    broker.kill(signal.SIGSTOP)
    (finding,) = findings()
    assert finding["text"] == "the broker does not answer"
    mark = host.logfile.mark()
    host._n_killed_brokers += 1
    run(finding["command"])
    host.wait_log("serving 3 domains", mark=mark)
    assert findings() == []
    assert host.call("work", "vault", "my.Open").stdout == b"open\n"


def stop_started():
    """What a command started that the harness knows nothing of."""
    for supervisor in processes.running("/usr/lib/qubes/qair-supervisor"):
        supervisor.kill(signal.SIGTERM)
        assert supervisor.wait(20)


def wait_until_content():
    """There is no event to wait for when something starts by itself: ask, until the test's own deadline."""
    while findings():
        time.sleep(0.05)


def test_nothing_runs(host):
    host.stop()
    (finding,) = findings()
    assert finding["text"].startswith("the supervisor does not run")
    run(finding["command"])
    wait_until_content()
    assert host.call("work", "vault", "my.Open").stdout == b"open\n"
    stop_started()


@pytest.mark.parametrize("program", ["qrexecd", "qair-supervisor"])
def test_programs_that_were_replaced(host, program):
    path = "/usr/lib/qubes/" + program
    shutil.copy2(path, path + ".new")
    os.rename(path + ".new", path)
    (finding,) = findings()
    assert re.search("has been replaced", finding["text"])
    command = subprocess.Popen(["sh", "-c", finding["command"]], stdin=subprocess.DEVNULL)
    # The supervisor is our child: as long as nobody asks how it ended it is still there.
    assert host.supervisor.wait(20) == 0
    host.supervisor = None
    assert command.wait(20) == 0
    wait_until_content()
    stop_started()


def test_what_may_be_granted_is_broken(host):
    host.write("/etc/qubes/ask.conf", "[my.Open]\nallow_for = soon\n")
    (finding,) = findings()
    assert (finding["level"], finding["check"]) == ("warning", "ask")
    assert finding["text"].startswith("/etc/qubes/ask.conf:2: soon")
    assert finding["text"].endswith(": until it is mended, what people answer holds once")
    assert finding["command"].endswith(" /etc/qubes/ask.conf")
    host.write("/etc/qubes/ask.conf", "[my.Open]\nallow_for = 60\n")
    assert findings() == []


def test_a_machine_where_nothing_is_left(world):
    """Checks do not depend on each other, and none of them fails."""
    shutil.rmtree("/etc/qubes")
    shutil.rmtree("/etc/qubes-rpc")
    found = findings()
    assert [finding["text"] for finding in found if finding["check"] == "files"] == [
        path + ": this folder is missing"
        for path in ("/etc/qubes", "/etc/qubes/domains.d", "/etc/qubes/policy.d", "/etc/qubes-rpc")
    ]
    assert [finding["check"] for finding in found if finding["check"] not in ("files", "sysctl")] == ["running"]


def test_text_has_the_command_below_the_finding(host):
    os.chmod("/etc/qubes/policy.d", 0o775)
    result = doctor()
    assert (result.returncode, result.stderr) == (1, "")
    lines = [line for line in result.stdout.splitlines() if not line.startswith("note: this kernel")]
    assert lines[:2] == ["error: /etc/qubes/policy.d: may be written by its group", "    chmod go-w -- /etc/qubes/policy.d"]
    assert re.fullmatch(r"1 error, 0 warnings, \d notes?", lines[2])
    os.chmod("/etc/qubes/policy.d", 0o755)
    assert doctor().returncode == 0


def test_only_root_can_see_enough(host):
    process = host.popen_as("work", [QAIR, "doctor"])
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (1, b"")
    assert b"run it as root" in stderr


@pytest.mark.parametrize("arguments", [["--jsn"], ["now"], ["--json=yes"]])
def test_usage(arguments):
    result = doctor(*arguments)
    assert (result.returncode, result.stdout) == (2, "")


def test_help():
    result = doctor("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 100
