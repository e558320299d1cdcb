# SPDX-License-Identifier: Apache-2.0
"""What the build installs besides programs: accounts, directories, the PAM service, the unit, the first service."""

import ctypes
import grp
import os
import pwd
import resource
import shutil
import stat
import subprocess

import pytest


@pytest.fixture(autouse=True)
def own_limits():
    """A PAM session sets limits for the process that opens it, and here that is the one of all tests."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    before = {name: resource.getrlimit(getattr(resource, name)) for name in names}
    yield
    for name, (soft, hard) in before.items():
        if resource.getrlimit(getattr(resource, name)) != (soft, hard):
            resource.setrlimit(getattr(resource, name), (soft, hard))


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="needs systemd's tools")


@pytest.mark.parametrize(
    "path, mode",
    [
        ("/etc/qubes", 0o755),
        ("/etc/qubes/domains.d", 0o755),
        ("/etc/qubes/policy.d", 0o755),
        ("/etc/qubes/policy.d/include", 0o755),
        ("/etc/qubes/policy.d/35-compat.policy", 0o644),
        ("/etc/qubes/policy.d/90-admin-policy-default.policy", 0o644),
        ("/etc/qubes/policy.d/90-default.policy", 0o644),
        ("/etc/qubes/policy.d/90-qubes-split-gpg.policy", 0o644),
        ("/etc/profile.d/qubes-gpg.sh", 0o644),
        ("/etc/qubes/policy.d/include/admin-policy-ro", 0o644),
        ("/etc/qubes/policy.d/include/admin-policy-rwx", 0o644),
        ("/etc/qubes-rpc/policy/include", 0o755),
        ("/etc/qubes/relay", 0o755),
        ("/etc/qubes/relay/ssh_config", 0o644),
        ("/etc/qubes/rpc-config", 0o755),
        ("/etc/qubes-rpc", 0o755),
        ("/etc/qubes-rpc/qubes.GetDate", 0o755),
        ("/etc/apparmor.d/usr.lib.qubes.qrexecd", 0o644),
        ("/etc/pam.d/qrexec", 0o644),
        ("/usr/lib/systemd/system/qair.service", 0o644),
        ("/usr/lib/systemd/system/qair-domain.socket", 0o644),
        ("/usr/lib/systemd/system/qair-domain@.service", 0o644),
        ("/usr/lib/systemd/user/qair.service", 0o644),
        ("/usr/lib/sysctl.d/60-qair.conf", 0o644),
        ("/usr/lib/sysusers.d/qair.conf", 0o644),
        ("/usr/lib/tmpfiles.d/qair.conf", 0o644),
        ("/usr/share/bash-completion/completions/qrexec-client-vm", 0o644),
        ("/usr/share/qair/pam.d/qrexec", 0o644),
    ],
)
def test_installed_is_roots_and_nobody_elses(world, path, mode):
    entry = os.stat(path)
    assert (entry.st_uid, entry.st_gid, oct(stat.S_IMODE(entry.st_mode))) == (0, 0, oct(mode))


def test_default_policy_is_one_refusal(world):
    with open("/etc/qubes/policy.d/90-default.policy") as file:
        rules = [line.split() for line in file if line.strip() and not line.startswith("#")]
    assert rules == [["*", "*", "*", "*", "deny"]]


@needs_systemd
def test_sysusers_makes_the_accounts(world, tmp_path):
    """On a machine without them; the result is what the private world makes by hand."""
    os.makedirs(tmp_path / "etc")
    subprocess.run(["systemd-sysusers", "--root", tmp_path, "/usr/lib/sysusers.d/qair.conf"], check=True)
    passwd = dict(line.split(":", 1) for line in (tmp_path / "etc/passwd").read_text().splitlines())
    group = dict(line.split(":", 1) for line in (tmp_path / "etc/group").read_text().splitlines())
    assert sorted(passwd) == ["qrexec", "qrexec-dom0"]
    assert sorted(group) == ["qrexec", "qrexec-dom0", "qubes"]
    assert group["qubes"].endswith(":qrexec-dom0")
    assert all(line.endswith("/nologin") for line in passwd.values())

    assert grp.getgrnam("qubes").gr_mem == ["qrexec-dom0"]
    assert grp.getgrnam("qrexec").gr_mem == []
    assert all(pwd.getpwnam(name).pw_shell.endswith("/nologin") for name in passwd)


@needs_systemd
def test_tmpfiles_makes_the_directories(world):
    subprocess.run(["systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/qair.conf"], check=True)
    for path in ("/run/qubes", "/run/qubes/policy.d", "/run/qubes-rpc"):
        entry = os.stat(path)
        assert (entry.st_uid, entry.st_gid) == (0, grp.getgrnam("qubes").gr_gid)
        assert stat.S_IMODE(entry.st_mode) == 0o755


@needs_systemd
@pytest.mark.parametrize("kind, unit", [("system", "qair"), ("system", "qrexec-agent-vsock"), ("user", "qair")])
def test_unit_is_sound(world, kind, unit, tmp_path):
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--" + kind, "/usr/lib/systemd/%s/%s.service" % (kind, unit)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    ours = [line for line in result.stderr.splitlines() if "qair" in line or unit in line]
    assert (result.returncode, ours) == (0, []), result.stderr


@needs_systemd
def test_the_agent_of_a_virtual_machine_is_never_given_up(world):
    """A host that breaks the protocol again and again ends it each time; systemd would stop after five of them."""
    with open("/usr/lib/systemd/system/qrexec-agent-vsock.service") as unit:
        lines = unit.read().splitlines()
    assert "Restart=always" in lines
    assert "StartLimitIntervalSec=0" in lines[lines.index("[Unit]"):lines.index("[Service]")]


def test_supervisor_and_broker_are_hardly_exposed(world):
    """At most 2.5 of 10. What a domain runs in is a session, and confines nothing."""
    command = ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=25"]
    result = subprocess.run([*command, "/usr/lib/systemd/system/qair.service"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, ""), result


@needs_systemd
def test_sysctl_says_what_it_should(world):
    """As systemd reads it: one setting, and it raises the kernel's default (16384 pages)."""
    result = subprocess.run(
        ["systemd-analyze", "cat-config", "/usr/lib/sysctl.d/60-qair.conf"], capture_output=True, text=True
    )
    settings = [line.split("=") for line in result.stdout.splitlines() if line and not line.startswith("#")]
    assert [[part.strip() for part in setting] for setting in settings] == [["fs.pipe-user-pages-soft", "262144"]]


@pytest.mark.skipif(not shutil.which("apparmor_parser"), reason="needs apparmor_parser")
def test_apparmor_profile_parses_and_is_about_the_broker(world):
    profile = "/etc/apparmor.d/usr.lib.qubes.qrexecd"
    subprocess.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", profile], check=True)
    names = subprocess.run(["apparmor_parser", "--names", profile], capture_output=True, text=True, check=True)
    assert names.stdout.split() == ["usr.lib.qubes.qrexecd"]
    with open(profile) as file:
        assert " /usr/lib/qubes/qrexecd " in file.read()
    assert os.access("/usr/lib/qubes/qrexecd", os.X_OK)


def test_pam_opens_a_session_for_root_only(world):
    """As the supervisor would, for an account whose password is locked; and as nobody else could."""
    world.add_account("work")
    assert pam_session("qrexec", "work") == []

    child = os.fork()
    if child == 0:
        os.setgid(pwd.getpwnam("work").pw_gid)
        os.setuid(pwd.getpwnam("work").pw_uid)
        os._exit(0 if pam_session("qrexec", "work") == ["authenticate"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "an ordinary account could authenticate"


def test_pam_refuses_an_expired_account(world):
    world.add_account("work")
    subprocess.run(["usermod", "--expiredate", "2020-01-01", "work"], check=True)
    assert pam_session("qrexec", "work") == ["acct_mgmt"]


class _Conversation(ctypes.Structure):
    _fields_ = [("converse", ctypes.c_void_p), ("data", ctypes.c_void_p)]


def pam_session(service, account):
    """Authenticate, check the account, open and close a session: the step that was refused, if any."""
    pam = ctypes.CDLL("libpam.so.0")
    handle = ctypes.c_void_p()
    # A conversation that cannot be had: whatever asks for a password fails.
    refuse = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 19)
    conversation = _Conversation(ctypes.cast(refuse, ctypes.c_void_p), None)
    assert pam.pam_start(service.encode(), account.encode(), ctypes.byref(conversation), ctypes.byref(handle)) == 0
    refused = []
    for step in ("authenticate", "acct_mgmt", "open_session", "close_session"):
        if getattr(pam, "pam_" + step)(handle, 0) != 0:
            refused.append(step)
            break
    pam.pam_end(handle, 0)
    return refused
