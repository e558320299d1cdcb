# SPDX-License-Identifier: Apache-2.0
"""qubes-policy and qubes-policy-editor: policy files changed as root on the host, and by a domain that may."""

import os
import shutil
import stat
import subprocess

import pytest

POLICY = "/etc/qubes/policy.d"
RULES = POLICY + "/30-user.policy"
TEMPORARY = "/run/test/tmp"


def run(world, account, program, *arguments, input="", **environment):
    return world.run_as(account, ["/usr/bin/" + program, *arguments], environment, input.encode())


def policy(world, *arguments, account="root", input=""):
    return run(world, account, "qubes-policy", *arguments, input=input)


def done(world, *arguments, **options):
    result = policy(world, *arguments, **options)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout.decode()


def opt_in():
    """What qubes-policy-admin(8) tells an administrator who wants domains to change policy."""
    for folder in (POLICY, POLICY + "/include"):
        shutil.chown(folder, group="qubes")
        os.chmod(folder, 0o2775)


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault", services={"my.Secret": "echo secret"})
    world.set_policy("")
    world.start()
    return world


def test_without_a_broker(world):
    """Root mends a policy when nothing else works."""
    world.set_policy("broken\n")
    assert "30-user" in done(world, "--list").splitlines()
    assert done(world, "--get", "30-user") == "broken\n"
    assert done(world, "--replace", "30-user", input="my.Secret * work vault allow\n") == ""
    assert open(RULES).read() == "my.Secret * work vault allow\n"
    assert stat.S_IMODE(os.stat(RULES).st_mode) == 0o644


def test_a_change_is_in_force_for_the_next_call(host):
    host.assert_refused(host.call("work", "vault", "my.Secret"))
    done(host, "-r", "40-mine", input="my.Secret * work vault allow\n")
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"
    assert done(host, "-g", "40-mine") == "my.Secret * work vault allow\n"
    done(host, "-d", "40-mine")
    host.assert_refused(host.call("work", "vault", "my.Secret"))
    result = policy(host, "-g", "40-mine")
    assert (result.returncode, result.stderr) == (1, "Not found: %s/40-mine.policy\n" % POLICY)


def test_what_does_not_load_is_refused(host):
    done(host, "-r", "40-mine", input="my.Secret * work vault allow\n")
    result = policy(host, "-r", "40-mine", input="my.Secret * work vault\n")
    assert result.returncode == 1
    assert result.stderr == "Policy change validation failed: %s/40-mine.policy:1: wrong number of fields\n" % POLICY
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"
    assert not [name for name in os.listdir(POLICY) if name.startswith(".")]


def test_files_for_include(host):
    done(host, "-r", "include/mine", input="work vault allow\n")
    assert "mine" in done(host, "-l", "include").splitlines()
    assert done(host, "-g", "include/mine") == "work vault allow\n"
    done(host, "-r", "40-mine", input="!include-service my.Secret * include/mine\n")
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"
    result = policy(host, "-d", "include/mine")
    assert result.returncode == 1
    assert "including a file that will be removed" in result.stderr


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["-l", "x"], "--list doesn't work with a file name"),
        (["-g"], "you need to provide a file name"),
        (["-r", "include/"], "you need to provide a file name"),
        (["-g", "../x/a?"], "invalid character(s) in RPCNAME: '/?'"),
        (["-x"], "unrecognized arguments: -x"),
        (["-g", "a", "b"], "unrecognized arguments: b"),
    ],
)
def test_wrong_command_lines(world, arguments, complaint):
    result = policy(world, *arguments)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.splitlines()[1] == "qubes-policy: error: " + complaint


def test_a_domain_needs_permission(host):
    result = policy(host, "-g", "30-user", account="work")
    assert result.returncode == 1
    assert result.stderr.startswith("Command failed\nRequest refused\n")


def test_a_domain_that_may_read(host):
    host.set_policy("policy.Get * work @adminvm allow\n")
    assert done(host, "-g", "30-user", account="work") == "policy.Get * work @adminvm allow\n"
    assert policy(host, "-l", account="work").returncode == 1


def test_shipped_include_files_give_the_rights(host):
    """Appendix C of the specification: who is in admin-policy-ro may read, who is in admin-policy-rwx may do all."""
    host.write(POLICY + "/include/admin-policy-ro", "!include include/admin-policy-rwx\nvault @adminvm allow\n")
    host.write(POLICY + "/include/admin-policy-rwx", "work @adminvm allow\n")
    assert "90-default" in done(host, "-l", account="vault").splitlines()
    assert "admin-policy-ro" in done(host, "-l", "include", account="work").splitlines()
    assert policy(host, "-r", "40-mine", account="vault").stderr.startswith("Command failed\nRequest refused\n")


def test_a_domain_may_write_only_if_the_administrator_opts_in(host):
    host.write(POLICY + "/include/admin-policy-rwx", "work @adminvm allow\n")
    result = policy(host, "-r", "40-mine", account="work", input="my.Secret * work vault allow\n")
    assert result.returncode == 1
    assert result.stderr.startswith("Command failed\nInternal error."), result
    assert not os.path.exists(POLICY + "/40-mine.policy")

    opt_in()
    done(host, "-r", "40-mine", account="work", input="my.Secret * work vault allow\n")
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"
    done(host, "-r", "include/mine", account="work", input="# mine\n")
    done(host, "-d", "include/mine", account="work")
    done(host, "-d", "40-mine", account="work")
    host.assert_refused(host.call("work", "vault", "my.Secret"))


def test_doctor_knows_the_opt_in(host):
    opt_in()
    done(host, "-r", "40-mine", input="# by root\n")
    host.set_policy("policy.Replace * work @adminvm allow\n")
    done(host, "-r", "50-mine", account="work", input="# by work\n")
    findings = host.qair("doctor").stdout.decode()
    assert "may be written by" not in findings and "belongs to user" not in findings, findings
    assert "policy.* services can change the policy" in findings


def test_every_change_is_in_the_log(host):
    os.makedirs("/var/log/qubes", exist_ok=True)
    done(host, "-r", "40-mine", input="# mine\n")
    policy(host, "-g", "none")
    lines = open("/var/log/qubes/policy-admin.log").read().splitlines()
    assert lines[0].endswith(" policy.Replace+40-mine (dom0)")
    assert lines[1].endswith(" policy.Get+none (dom0): error: Not found: %s/none.policy" % POLICY)


# policy.RegisterArgument


def test_register_argument(host):
    """vault, the backend, lets work call it with one argument, once."""
    host.add_service("my.Perform", 'echo "performed $QREXEC_SERVICE_ARGUMENT"', domain="vault")
    host.set_policy("policy.RegisterArgument +my.Perform vault @anyvm allow target=dom0\n")
    opt_in()
    host.assert_refused(host.call("work", "vault", "my.Perform+key-1"))
    registered = host.call("vault", "work", "policy.RegisterArgument+my.Perform", input="key-1")
    assert (registered.returncode, registered.stdout, registered.stderr) == (0, b"", "")
    assert host.call("work", "vault", "my.Perform+key-1").stdout == b"performed key-1\n"
    host.assert_refused(host.call("work", "vault", "my.Perform+key-2"))
    assert open(POLICY + "/60-registered-arguments.policy").read() == "my.Perform +key-1 work vault allow\n"

    assert host.call("vault", "work", "policy.RegisterArgument+my.Perform", input="key-1").returncode == 1
    assert host.call("vault", "work", "policy.RegisterArgument+my.Perform", input="key-1\n").returncode == 1
    assert host.call("vault", "@default", "policy.RegisterArgument+my.Perform", input="key-2").returncode == 1
    host.assert_refused(host.call("vault", "work", "policy.RegisterArgument+my.Secret", input="key-2"))
    host.assert_refused(host.call("work", "vault", "policy.RegisterArgument+my.Perform", input="key-2"))
    assert open(POLICY + "/60-registered-arguments.policy").read() == "my.Perform +key-1 work vault allow\n"


# The editor


def editor(world, script, *arguments, account="root", answers=""):
    """Run the editor, in which SCRIPT, a shell script, is what a person does to the file $1."""
    world.write("/run/test/editor", '#!/bin/sh\n[ "$1" = -- ] && shift\n%s\n' % script, mode=0o755)
    os.makedirs(TEMPORARY, exist_ok=True)
    os.chmod(TEMPORARY, 0o1777)
    environment = {"EDITOR": "/run/test/editor", "TMPDIR": TEMPORARY}
    return run(world, account, "qubes-policy-editor", *arguments, input=answers, **environment)


def test_editor(host):
    result = editor(host, 'echo "$1" >/run/test/name; echo my.Secret "*" work vault allow >>"$1"')
    assert (result.returncode, result.stderr) == (0, ""), result
    assert open("/run/test/name").read().endswith("_30-user.policy\n")
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"
    assert os.listdir(TEMPORARY) == []


def test_editor_makes_new_files(host):
    assert editor(host, 'echo "# new" >"$1"', "41-new.policy").returncode == 0
    assert open(POLICY + "/41-new.policy").read() == "# new\n"
    assert editor(host, 'echo work vault allow >"$1"', "include/new").returncode == 0
    assert editor(host, 'echo s.Go "*" work vault allow >"$1"', "include/new").returncode == 0
    assert open(POLICY + "/include/new").read() == "s.Go * work vault allow\n"


def test_editor_asks_about_errors(host):
    script = 'if grep -q broken "$1"; then echo "# mended" >"$1"; else echo broken >"$1"; fi'
    result = editor(host, script, answers="what?\ne\n")
    assert result.returncode == 0, result
    assert b"30-user.policy:1: error: wrong number of fields" in result.stdout
    assert result.stdout.count(b"What now? ") == 2
    assert open(RULES).read() == "# mended\n"

    result = editor(host, 'echo broken >"$1"', answers="q\n")
    assert result.returncode == 0
    assert open(RULES).read() == "# mended\n"
    assert os.listdir(TEMPORARY) == []


def test_editor_does_not_overwrite_what_somebody_else_has_saved(host):
    result = editor(host, 'echo "# mine" >"$1"; echo "# theirs" >%s' % RULES)
    assert result.returncode == 1
    assert "Token mismatch" in result.stderr
    assert open(RULES).read() == "# theirs\n"
    (left,) = os.listdir(TEMPORARY)
    assert open("%s/%s/policy_30-user.policy" % (TEMPORARY, left)).read() == "# mine\n"


def test_editor_that_fails(host):
    result = editor(host, "exit 3")
    assert (result.returncode, result.stderr) == (1, "Failed to open editor: it failed\n")
    result = editor(host, "exit 0", "a:b")
    assert (result.returncode, result.stderr) == (1, "invalid character(s) in the file name: ':'\n")
    assert os.listdir(TEMPORARY) == []


def test_editor_in_a_domain(host):
    """Who may Get but not Replace keeps what was written."""
    result = editor(host, "exit 0", account="work")
    assert result.returncode == 1
    assert result.stderr.startswith("Failed to get policy '30-user': Request refused")
    host.set_policy("policy.Get * work @adminvm allow\n")
    result = editor(host, 'echo "# mine" >>"$1"', account="work")
    assert result.returncode == 1
    assert result.stderr.startswith("Failed to replace policy '30-user' with file ")
    assert len(os.listdir(TEMPORARY)) == 1


def test_help_fits_a_screen(world):
    for program in ("qubes-policy", "qubes-policy-editor"):
        result = run(world, "root", program, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert len(result.stdout.splitlines()) <= 24
        assert subprocess.run([program, "--h"], capture_output=True).returncode == 0
