# SPDX-License-Identifier: Apache-2.0
"""bash completion as installed: what is offered for a line, up to the cursor at its end."""

import os
import pty
import re
import select
import shutil
import subprocess

import pytest

FOLDER = "/usr/share/bash-completion/completions/"
pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


def complete(*words):
    """What bash is given for WORDS, as it would split them, the last being completed."""
    script = """
        . "$1"
        function=$(complete -p "${1##*/}"); function=${function#*-F }; function=${function%% *}
        shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
    """
    result = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", FOLDER + words[0], *words], capture_output=True, text=True, cwd="/"
    )
    assert (result.returncode, result.stderr) == (0, ""), result
    # Readline sorts, and shows each once.
    return sorted(set(result.stdout.splitlines()))


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault", services={"my.Secret": "echo secret"})
    world.add_domain("vault-2")
    world.add_service("my.Open", "echo open")
    world.add_service("my.Open+one", "echo one")
    return world


@pytest.mark.parametrize(
    "line, offered",
    [
        ("qrexec-client-vm v", ["vault", "vault-2"]),
        ("qrexec-client-vm @d", ["@default", "@dispvm"]),
        ("qrexec-client-vm do", ["dom0"]),
        ("qvm-run v", ["vault", "vault-2"]),
        ("split-ssh re", ["reload", "revoke"]),
        ("split-ssh forward --ta", ["--target"]),
        ("split-ssh forward --target v", ["vault", "vault-2"]),
        ("split-ssh forward --service qubes.SshA", ["qubes.SshAgent+"]),
        ("split-ssh policy v", ["vault", "vault-2"]),
        ("qvm-run -p -u vault v", ["vault", "vault-2"]),
        ("qvm-run --se", ["--service"]),
        ("qrexec-client-vm vault my.", ["my.Open", "my.Open+one", "my.Secret"]),
        ("qrexec-client-vm work my.", ["my.Open", "my.Open+one"]),
        ("qrexec-client-vm @default my.Open+", ["my.Open+one"]),
        ("qrexec-client-vm -t vault qubes.Ge", ["qubes.GetDate"]),
        ("qrexec-client-vm -p text vault qubes.Ge", ["qubes.GetDate"]),
        ("qrexec-client-vm --prefix-data = text vault qubes.Ge", ["qubes.GetDate"]),
        ("qrexec-client-vm -- vault qubes.Ge", ["qubes.GetDate"]),
        ("qrexec-client-vm -p v", []),
        ("qrexec-client-vm -s v", ["vault", "vault-2"]),
        ("qrexec-client-vm --use", ["--use-stdin-socket"]),
        ("qrexec-client-vm vault my.Open setpri", ["setpriv"]),
        ("qrexec-client -d v", ["vault", "vault-2"]),
        ("qrexec-client -l setpri", ["setpriv"]),
        ("qrexec-client -d vault --no", ["--no-exit-code"]),
        ("qair d", ["doctor", "domain"]),
        ("qair p", ["policy", "prompts"]),
        ("qair doctor --j", ["--json"]),
        ("qair status --t", ["--timing"]),
        ("qair log --domain = w", ["work"]),
        ("qair log --outcome = r", ["refused"]),
        ("qair log --o", ["--outcome="]),
        ("qair policy e", ["explain"]),
        ("qair policy explain v", ["vault", "vault-2"]),
        ("qair policy explain work vault qubes.Ge", ["qubes.GetDate"]),
        ("qair policy lint --in", ["--inventory="]),
        ("qair domain s", ["set", "show", "start", "stop"]),
        ("qair --user domain s", ["set", "show", "start", "stop"]),
        ("qair --user do", ["doctor", "domain"]),
        ("qair domain show v", ["vault", "vault-2"]),
        ("qair domain show d", ["dom0"]),
        ("qair domain remove d", []),
        ("qair domain add v", []),
        ("qair domain add new lab", ["label="]),
        ("qair domain set vault label = bl", ["black", "blue"]),
        ("qair domain set vault user = qrexec-", ["qrexec-dom0"]),
        ("qair domain set vault template = wo", ["work"]),
        ("qair domain check --no", ["--no-accounts"]),
        ("qair domain list --j", ["--json"]),
        ("qair relay a", ["add", "authorize"]),
        ("qair relay add --rem", ["--remote-name="]),
        ("qair relay add --relay = wo", ["work"]),
        ("qair relay authorize --k", ["--key="]),
        ("qair nothing x", []),
        ("qubes-policy --g", ["--get"]),
        ("qubes-policy --get 90", ["90-admin-policy-default", "90-default", "90-qubes-split-gpg", "90-qubes-split-ssh"]),
        ("qubes-policy -r inc", ["include/admin-policy-ro", "include/admin-policy-rwx"]),
        ("qubes-policy-editor 35", ["35-compat"]),
        ("qubes-policy-editor --h", ["--help"]),
        ("qubes-policy-lint --s", ["--show-line"]),
        ("qubes-policy-lint /etc/qubes/policy.d/35", ["/etc/qubes/policy.d/35-compat.policy"]),
        ("qrexec-policy-exec v", ["vault", "vault-2"]),
        ("qrexec-policy-exec --just-evaluate work @d", ["@default", "@dispvm"]),
        ("qrexec-policy-exec --path /etc/qubes/policy.d work vault my.", ["my.Open", "my.Open+one", "my.Secret"]),
        ("qrexec-policy-exec --path /etc/qubes/pol", ["/etc/qubes/policy.d"]),
        ("qrexec-policy-exec --assume", ["--assume-yes-for-ask"]),
        ("qrexec-policy-graph --source work v", ["vault", "vault-2"]),
        ("qrexec-policy-graph --service my.", ["my.Open", "my.Open+one"]),
        ("qrexec-policy-graph --format s", ["svg"]),
        ("qrexec-policy-graph --skip-labels v", []),
        ("qrexec-policy-graph --full", ["--full-output"]),
        ("qrexec-policy-restore --d", ["--dest"]),
        ("qrexec-policy-restore /etc/qubes/pol", ["/etc/qubes/policy.d"]),
        ("qrexec-legacy-convert --leg", ["--legacy-dir"]),
        ("qrexec-legacy-convert --legacy-dir /etc/qubes-rpc/pol", ["/etc/qubes-rpc/policy"]),
    ],
)
def test_offers(host, line, offered):
    assert complete(*line.split()) == offered


@pytest.mark.parametrize("line", ["qair domain set vault label =", "qrexec-client-vm vault", "qrexec-client -d"])
def test_nothing_typed_yet_offers_everything(host, line):
    words = line.split()
    offered = complete(*words) if words[-1] == "=" else complete(*words, "")
    assert {"=": "red", "vault": "my.Secret", "-d": "work"}[words[-1]] in offered


def test_every_key_is_offered(host):
    listed = subprocess.run(["qair", "domain", "--help"], capture_output=True, text=True, check=True).stdout
    keys = [line.split()[0] + "=" for line in listed.partition("Keys:\n")[2].partition("\n\n")[0].splitlines()]
    assert len(keys) > 10
    assert complete("qair", "domain", "add", "new", "") == sorted(keys)


def test_every_command_is_offered(host):
    listed = subprocess.run(["qair", "--help"], capture_output=True, text=True, check=True).stdout
    commands = {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}
    assert set(complete("qair", "")) == commands


@pytest.mark.parametrize(
    "program",
    [
        "qrexec-legacy-convert",
        "qrexec-policy-exec",
        "qrexec-policy-graph",
        "qrexec-policy-restore",
        "qubes-policy",
        "qubes-policy-editor",
        "qubes-policy-lint",
    ],
)
def test_every_option_is_offered(host, program):
    listed = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    assert set(complete(program, "--")) == set(re.findall(r"--[a-z-]+", listed)) | {"--help"}


def test_names_of_files_are_not_run(host):
    for name in ("$(touch ran)", "`touch ran`", "a b", "x;touch ran"):
        for path in ("/etc/qubes-rpc/%s", "/etc/qubes/domains.d/%s.conf"):
            with open(path % name, "w"):
                pass
    assert "a b" not in complete("qrexec-client-vm", "vault", "")
    assert not [name for name in complete("qrexec-client-vm", "") if "touch" in name]
    assert not os.path.exists("/ran")


@pytest.mark.parametrize(
    "typed, becomes",
    [
        (b"qrexec-client-vm wor\tmy.Open+\t", b"qrexec-client-vm work my.Open+one "),
        (b"qrexec-client-vm @def\tmy.Open+\t", b"qrexec-client-vm @default my.Open+one "),
        (b"qrexec-client-vm @dispvm:vault-\tmy.Op\t", b"qrexec-client-vm @dispvm:vault-2 my.Open"),
        (b"qrexec-client-vm --source-qube=wor\tva\t-\t", b"qrexec-client-vm --source-qube=work vault-2 "),
        (b"qair dom\tse\twor\tlab\tred", b"qair domain set work label=red"),
        (b"qair domain set work label=bla\t", b"qair domain set work label=black "),
    ],
)
def test_at_a_terminal(host, typed, becomes):
    """A person and a shell: what bash itself splits and inserts."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "ready>", "HOME": "/", "INPUTRC": "/dev/null"}
        os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    try:
        read_until(terminal, b"ready>")
        os.write(terminal, b"for f in %sq[ar]*; do . $f; done; echo sourc''ed\n" % FOLDER.encode())
        read_until(terminal, b"sourced\r\nready>")
        os.write(terminal, typed)
        read_until(terminal, becomes)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def read_until(terminal, wanted, timeout=20):
    seen = b""
    while wanted not in seen:
        assert select.select([terminal], [], [], timeout)[0], "%r did not come after %r" % (wanted, seen)
        # The bell: there is more than one way to go on.
        seen += os.read(terminal, 4096).replace(b"\a", b"")
