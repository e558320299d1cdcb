# SPDX-License-Identifier: Apache-2.0
"""`qair policy`, the real program, on folders of its own. QAIR_BUILD names the build directory."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

REALISTIC = Path(__file__).resolve().parents[1] / "data/realistic"
QAIR = Path(os.environ["QAIR_BUILD"]).resolve() / "src/tools/qair"

DOMAINS = {
    "work": "[domain]\nuser=daemon\ntags=office\n",
    "vault": "[domain]\nuser=bin\n",
}


def run(*arguments, program=QAIR, **options):
    return subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


class Host:
    """Folders of domains and rules, and the program that looks at them."""

    def __init__(self, root):
        self.root = root
        self.domains = root / "domains.d"
        self.policy = root / "policy.d"
        for folder in (self.domains, self.policy):
            folder.mkdir(mode=0o755)
        for name, text in DOMAINS.items():
            self.write(self.domains / f"{name}.conf", text)

    def write(self, path, text):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        return path

    def rules(self, text):
        return self.write(self.policy / "30-user.policy", text)

    def qair(self, verb, *arguments):
        return run("policy", verb, f"--policy-dir={self.policy}", f"--inventory={self.domains}", *arguments)

    def done(self, verb, *arguments, status=0):
        result = self.qair(verb, *arguments)
        assert (result.returncode, result.stderr) == (status, "")
        return result.stdout


@pytest.fixture
def host(tmp_path):
    tmp_path.chmod(0o755)
    return Host(tmp_path)


def test_explain(host):
    path = host.rules("s.Go +x work vault deny\ns.Go * @tag:office vault allow user=keys\n")
    text = host.done("explain", "work", "vault", "s.Go")
    assert text.startswith(f"allow target=vault user=keys\n  {path}:2: s.Go * @tag:office vault allow user=keys\n")
    assert "no: its argument is '+x', the call has none" in text


def test_explain_all(host):
    host.rules("s.Go * work vault allow\n")
    lines = [line.split() for line in host.done("explain", "--all", "s.Go").splitlines()]
    assert lines[0] == ["SOURCE", "dom0", "vault", "work", "@dispvm", "@default"]
    assert ["work", "-", "allow", "-", "-", "-"] in lines
    assert ["vault", "-", "-", "-", "-", "-"] in lines


def test_explain_with_system_information(host):
    host.rules("s.Go * a b allow\n")
    domain = {"type": "AppVM", "tags": [], "template_for_dispvms": False, "power_state": "Running"}
    file = host.write(
        host.root / "system.json",
        json.dumps({"domains": {name: {**domain, "uuid": f"0000000{i}-0000-4000-8000-000000000000"} for i, name in enumerate("ab")}}),
    )
    assert host.done("explain", f"--system-info={file}", "a", "b", "s.Go").startswith("allow target=b\n")
    file.write_text("{}")
    result = host.qair("explain", f"--system-info={file}", "a", "b", "s.Go")
    assert (result.returncode, result.stdout) == (1, "")
    assert str(file) in result.stderr


def test_a_broken_policy(host):
    path = host.rules("s.Go * work vault\n")
    result = host.qair("explain", "work", "vault", "s.Go")
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{path}:1:1: wrong number of fields" in result.stderr


REMOTES = {
    "net": "[domain]\nuser=sys\nunknown_source=stranger\n",
    "far-work": "[domain]\ntype=RemoteVM\nrelayvm=net\ntransport_rpc=t.T\nremote_name=office\n",
    "stranger": "[domain]\ntype=RemoteVM\nrelayvm=net\ntransport_rpc=t.T\n",
    "behind": "[domain]\ntype=RemoteVM\nrelayvm=far-work\ntransport_rpc=t.T\n",
}


def test_names_of_other_hosts(host):
    """As the broker takes them, in whatever is explained, asserted or found."""
    for name, text in REMOTES.items():
        host.write(host.domains / f"{name}.conf", text)
    host.rules("s.Go * far-work vault allow\ns.Go * work behind allow\n")
    said = host.done("explain", "net", "vault", "s.Go", "--for=office")
    assert said.startswith("allow target=vault\n") and "note: 'office' is what 'net' calls far-work\n" in said
    said = host.done("explain", "net", "vault", "s.Go", "--for=nobody")
    assert said.startswith("deny\n")
    assert "note: nothing here has the name 'nobody', so that it counts as stranger\n" in said
    assert host.done("explain", "work", "behind", "s.Go").startswith(
        "allow target=behind relay=net service=t.T+far-work+t.T+behind+s.Go+\n"
    )
    file = host.write(host.root / "t", "net for office -> vault s.Go: allow\nwork -> behind s.Go: allow relay=net\n")
    assert host.done("test", file) == "2 of 2 assertions hold\n"
    host.rules("s.Go * office vault allow\n")
    assert "source 'office' is what another host calls 'far-work', and no domain of this host" in host.done("lint", status=1)


def test_the_first_folder_has_precedence(host):
    host.rules("s.Go * work vault deny\n")
    other = host.write(host.root / "other" / "30-user.policy", "s.Go * work vault allow\n").parent
    result = run(
        *["policy", "explain", f"--policy-dir={other}", f"--policy-dir={host.policy}", f"--inventory={host.domains}"],
        *["work", "vault", "s.Go"],
    )
    assert result.stdout.startswith("allow ")


def test_folders_may_be_named_from_where_one_is(host):
    host.rules("!include include/x\n")
    host.write(host.policy / "include" / "x", "s.Go * work vault allow\n")
    result = run(
        *["policy", "explain", "--policy-dir=policy.d", "--inventory=domains.d", "work", "vault", "s.Go"], cwd=host.root
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("allow target=vault\n")


def test_test(host):
    host.rules("s.Go * work vault allow user=keys\n")
    file = host.write(host.root / "t", "# all of these hold\nwork -> vault s.Go: allow user=keys\nvault -> work s.Go: deny\n")
    assert host.done("test", file) == "2 of 2 assertions hold\n"


def test_test_shows_what_differs(host):
    path = host.rules("s.Go * work vault allow user=keys\n")
    file = host.write(host.root / "t", "\nwork -> vault s.Go: allow user=root\nvault -> work s.Go: deny\n")
    assert host.done("test", file, status=1) == (
        f"{file}:2: work -> vault s.Go\n- allow user=root\n+ allow target=vault user=keys\n"
        f"  {path}:1: s.Go * work vault allow user=keys\n1 of 2 assertions hold\n"
    )


def test_test_of_nothing_is_no_success(host):
    host.rules("")
    assert host.qair("test", host.write(host.root / "t", "# nothing\n")).returncode == 1
    assert host.qair("test", host.root / "missing").returncode == 2
    broken = host.qair("test", host.write(host.root / "t", "work vault s.Go allow\n"))
    assert broken.returncode == 2
    assert f"{host.root / 't'}:1: write 'SOURCE -> TARGET" in broken.stderr


def test_lint(host):
    service = host.write(host.domains / "vault.rpc" / "s.Go+x", "#!/bin/sh\n").parent
    service.chmod(0o755)
    path = host.rules("s.Go * work vault deny\ns.Go * work vault allow\ns.Other * work vault allow\n")
    assert host.done("lint", status=1) == (
        f"{path}:2: never decides anything: what it matches is decided before, by line 1\n"
        f"{path}:3: no domain of this host has a service 's.Other'\n"
    )
    host.rules("s.Go * work vault allow\n")
    assert host.done("lint") == ""


def test_diff(host):
    old = host.write(host.root / "old" / "a.policy", "s.Go * work vault deny\ns.Go * vault work allow\n").parent
    new = host.write(host.root / "new" / "b.policy", "s.Go * vault work allow\ns.Go * work vault allow\n").parent
    assert host.done("diff", old, new, status=1) == "work -> vault s.Go+*\n- deny\n+ allow\n"
    assert host.done("diff", old, old) == ""
    assert host.qair("diff", old, host.root / "missing").returncode == 2


@pytest.fixture
def realistic(tmp_path):
    """A host as people have them, with the rules that its owner wrote and those of packages."""
    tmp_path.chmod(0o755)
    host = Host.__new__(Host)
    host.root, host.domains, host.policy = tmp_path, tmp_path / "domains.d", tmp_path / "policy.d"
    for folder in (host.domains, host.policy):
        shutil.copytree(REALISTIC / folder.name, folder)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return host


def test_realistic_policy_does_what_its_owner_relies_on(realistic):
    assert realistic.done("test", REALISTIC / "assertions").endswith(" assertions hold\n")
    assert realistic.done("diff", realistic.policy, realistic.policy) == ""


def test_realistic_policy_has_surprises(realistic):
    findings = realistic.done("lint", status=1).replace(str(realistic.policy) + "/", "").splitlines()
    assert [line for line in findings if "has a service" not in line] == [
        "include/backup:4: its source is dom0, whose calls no policy is asked about",
        "80-general.policy:6: allows everything but what is denied before, as by 30-user.policy:16: a domain made later is "
        "allowed. Say who may instead",
        "80-general.policy:10: qubes.VMShell gives full control of the target, and the rule is for every caller",
        "80-general.policy:18: its source is dom0, whose calls no policy is asked about",
    ]
    services = [line.split("'")[1] for line in findings if "has a service" in line]
    assert len(services) == len(set(services))
    assert "build.Start" not in services  # which only another host is asked for


def test_a_change_of_a_realistic_policy(realistic):
    """One word of one rule; told in the few entries that it is."""
    new = realistic.root / "new"
    shutil.copytree(realistic.policy, new)
    rules = (new / "30-user.policy").read_text()
    (new / "30-user.policy").write_text(rules.replace("@tag:office        @tag:office allow", "@tag:office        @tag:office deny"))
    differences = realistic.done("diff", realistic.policy, new, status=1)
    assert "work -> work-mail, work-ssh qubes.Filecopy+*\n- allow\n+ deny\n" in differences
    assert "work, work-mail, work-ssh -> office-server qubes.Filecopy+*\n- allow relay=sys-relay\n+ deny\n" in differences
    assert len(differences.splitlines()) < 60


def test_lint_of_ten_thousand_rules_is_quick(realistic):
    """Each is tried with every pair of domains; what is the same for many is tried once."""
    for i in range(300):
        realistic.write(realistic.domains / f"d{i}.conf", f"[domain]\nuser = d{i}\ntags = office\n")
    sides = ["@tag:office", "@anyvm", "work", "vault", "personal"]
    rules = (f"my.N{i % 500} * {sides[i % 5]} {sides[i // 5 % 5]} {('allow', 'ask', 'deny')[i % 3]}\n" for i in range(10000))
    realistic.rules("".join(rules))
    before = time.monotonic()
    assert "more" in realistic.done("lint", status=1)
    assert time.monotonic() - before < 20  # a tenth of a second, on a machine that does nothing else; 20 s before


def test_errors_are_shown_where_they_are(host):
    path = host.rules("# fine\n  s.Go * work vault permit\ns.Go * work vault deny user=x\n")
    result = host.qair("lint")
    assert result.returncode == 1
    assert result.stderr == (
        f"{path}:2:21: invalid action: permit\n"
        "    s.Go * work vault permit\n"
        "                      ^~~~~~\n"
        "    it is allow, ask or deny; parameters follow after a blank, not a comma\n"
        f"{path}:3:24: invalid parameters for action Deny: ['user=x']\n"
        "    s.Go * work vault deny user=x\n"
        "                           ^~~~~~\n"
        "    deny has notify= alone\n"
        "qair: the policy is unusable: every call would be refused\n"
    )


def policy_restore(source, dest):
    return run("--dest", dest, source, program=QAIR.parent / "qrexec-policy-restore")


def test_policy_restore(realistic):
    """A copy of the folder, put where half of it still is."""
    dest = realistic.root / "dest"
    assert (policy_restore(realistic.policy, dest).returncode, policy_restore(realistic.policy, dest).returncode) == (0, 0)
    (dest / "30-user.policy").unlink()
    (dest / "80-general.policy").write_text("# mine\n")
    result = policy_restore(realistic.policy, dest)
    assert (result.returncode, result.stdout) == (0, "")
    assert f"not overwriting {dest}/80-general.policy\n" in result.stderr
    assert (dest / "30-user.policy").read_text() == (realistic.policy / "30-user.policy").read_text()
    assert (dest / "80-general.policy").read_text() == "# mine\n"
    (realistic.policy / "99-bad.policy").write_text("junk\n")
    result = policy_restore(realistic.policy, dest)
    assert (result.returncode, (dest / "99-bad.policy").exists()) == (1, False)
    assert f"{dest}/99-bad.policy:1: wrong number of fields" in result.stderr
    assert run(program=QAIR.parent / "qrexec-policy-restore").returncode == 2


def test_qubes_policy_lint(tmp_path):
    program = QAIR.parent / "qubes-policy-lint"
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.write_text("s.Go * a\tb\ns.Go * a b allow\n")
    good.write_text("!compat-4.0\n")
    missing = tmp_path / "missing"
    result = run("-s", good, missing, bad, program=program)
    assert result.stdout == f"{missing}:0: error: File does not exist.\n{bad}:1: error: wrong number of fields: s.Go * a\tb\n"
    assert result.returncode == 1
    assert result.stderr == f"warning: !compat-4.0 directive in file {good} line 1 is transitional and will be deprecated\n"
    assert run(good, program=program).returncode == 0
    assert run("--include-service", good, program=program).returncode == 1
    with open(bad) as stream:
        result = subprocess.run([program, "-"], stdin=stream, stdout=subprocess.PIPE, text=True)
    assert (result.returncode, result.stdout) == (1, "-:1: error: wrong number of fields\n")
    assert run(program=program).returncode == 2
    assert run("--bogus", program=program).returncode == 2
    assert run("--help", program=program).returncode == 0


def graph(host, *arguments):
    return run(f"--policy-dir={host.policy}", f"--inventory={host.domains}", *arguments, program=QAIR.parent / "qrexec-policy-graph")


def test_graph_of_any_service_and_of_some(host):
    host.rules("* * vault work allow\ns.Go * work vault allow\n")
    assert '"vault" -> "work" [label="None" color=red];' in graph(host).stdout
    some = graph(host, "--source", "work", "vault", "--service", "s.Go")
    assert '"work" -> "vault" [label="s.Go" color=red];' in some.stdout
    assert "None" not in some.stdout


def test_graph_in_a_file(host):
    host.rules("s.Go * work vault allow\n")
    file = host.root / "graph"
    result = graph(host, "--output", file)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert file.read_text() == graph(host).stdout
    host.rules("s.Go\n")
    assert graph(host, "--output", file).returncode == 1
    assert '"work" -> "vault"' in file.read_text()  # nothing is overwritten with half a graph


def test_graph_without_graphviz(host):
    result = run(
        *[f"--policy-dir={host.policy}", f"--inventory={host.domains}", "--format=svg"],
        program=QAIR.parent / "qrexec-policy-graph",
        env={"PATH": "/nonexistent"},
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "needs Graphviz" in result.stderr


needs_graphviz = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")


@needs_graphviz
def test_graph_drawn_by_graphviz(host):
    host.rules("s.Go * work @default allow target=vault\n")
    drawing = graph(host, "--format=svg")
    assert (drawing.returncode, drawing.stderr) == (0, "")
    nodes = ElementTree.fromstring(drawing.stdout).iter("{http://www.w3.org/2000/svg}title")
    assert {"work", "vault", "work->vault"} <= {node.text for node in nodes}
    file = host.root / "graph.png"
    assert (graph(host, "--format=png", "--output", file).stdout, file.read_bytes()[:8]) == ("", b"\x89PNG\r\n\x1a\n")
    wrong = graph(host, "--format=nothing")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "nothing" in wrong.stderr


def policy_exec(host, *arguments):
    return run(f"--path={host.policy}", f"--inventory={host.domains}", *arguments, program=QAIR.parent / "qrexec-policy-exec")


def test_policy_exec(host):
    host.rules("s.Go * work vault allow user=keys\ns.Ask * work vault ask\n")
    allowed = policy_exec(host, "work", "vault", "s.Go")
    assert (allowed.returncode, allowed.stderr) == (0, "")
    lines = allowed.stdout.splitlines()
    assert lines[:3] == ["user=keys", "result=allow", "target=vault"]
    assert lines[4:] == ["autostart=True", "requested_target=vault"]
    refused = policy_exec(host, "vault", "work", "s.Go")
    assert (refused.returncode, refused.stdout) == (1, "result=deny\n")
    silent = policy_exec(host, "--just-evaluate", "work", "vault", "s.Go")
    assert (silent.returncode, silent.stdout) == (0, "")
    assert policy_exec(host, "work", "vault", "s.Ask").returncode == 1
    assert policy_exec(host, "--assume-yes-for-ask", "work", "vault", "s.Ask").returncode == 0
    wrong = policy_exec(host, "work", "vault")
    assert wrong.returncode == 2
    assert "Must have 3 or 5 positional arguments, not 2" in wrong.stderr


def serve_system_info(path, domains, times):
    """As qubesd: one question a connection, answered after its NUL."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen()

    def serve():
        for _ in range(times):
            with server.accept()[0] as connection:
                question = connection.makefile("rb").read()
                assert question == b"internal.GetSystemInfo+ dom0 name dom0\0"
                connection.sendall(b"0\0" + json.dumps({"domains": domains}).encode())
        server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.skipif(os.environ.get("QAIR_WORLD") != "1", reason="needs a /run of its own")
def test_programs_of_qubes_ask_qubesd_where_it_is(host):
    host.rules("s.Go * red blue allow\n")
    domain = {"type": "AppVM", "tags": [], "template_for_dispvms": False, "power_state": "Running", "label": "0xff0000"}
    domains = {name: {**domain, "uuid": f"0000000{i}-0000-4000-8000-000000000000"} for i, name in enumerate(("red", "blue"))}
    path = "/run/qubesd.internal.sock"
    thread = serve_system_info(path, domains, 2)
    try:
        answer = run(f"--path={host.policy}", "red", "blue", "s.Go", program=QAIR.parent / "qrexec-policy-exec")
        drawing = run(f"--policy-dir={host.policy}", program=QAIR.parent / "qrexec-policy-graph")
        told = policy_exec(host, "red", "blue", "s.Go")
        thread.join(10)
        assert not thread.is_alive()
    finally:
        os.unlink(path)
    assert "target_uuid=uuid:00000001-0000-4000-8000-000000000000" in answer.stdout.splitlines()
    assert '"red" -> "blue"' in drawing.stdout
    assert told.stdout == "result=deny\n"  # the folder that it was told has no such domains


@pytest.mark.skipif(os.environ.get("QAIR_WORLD") != "1", reason="needs an installation")
def test_policy_exec_has_another_name(host):
    host.rules("s.Go * work vault allow\n")
    arguments = [f"--path={host.policy}", f"--inventory={host.domains}", "work", "vault", "s.Go"]
    assert run(*arguments, program="/usr/bin/qrexec-policy").stdout == policy_exec(host, "work", "vault", "s.Go").stdout != ""


def test_policy_exec_refuses_with_a_broken_policy(host):
    host.rules("s.Go * work vault\n")
    assert policy_exec(host, "work", "vault", "s.Go").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["explian"], ["explain"], ["explain", "a", "b"], ["explain", "--all", "a", "b", "c"], ["explain", "a", "b", "+x"], ["diff", "a"]],
)
def test_wrong_command_lines(arguments):
    result = run("policy", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("qair: ")


def test_help():
    result = run("policy", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("explain", "test", "diff", "--policy-dir", "--system-info"):
        assert word in result.stdout
