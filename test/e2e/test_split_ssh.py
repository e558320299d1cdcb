# SPDX-License-Identifier: Apache-2.0
"""split-ssh as people use it: OpenSSH's own programs in one domain, the keys in another, and the whole way between them."""

import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess

import processes
import pytest
from splitssh import COMMAND, FILTER, LIBEXEC, SplitSsh, forwarders, listens
from waiting import wait_for
from world import NO_SERVICE, REFUSED

EXAMPLES = "/usr/share/doc/qair/examples/split-ssh/"
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00\n"

# What the tests do without questions.
NEVER = "[source work]\nconfirm = never\nnotify = no\nmax-connections = 64\nrate = off\n"


@pytest.fixture
def keys(world, syslog):
    keys = SplitSsh(world)
    keys.syslog = syslog
    syslog.forget()
    world.start()
    yield keys
    keys.close()


@pytest.fixture
def work(keys):
    """The agent `work` of the vault has a key, and work has a forwarder to it, and two servers that know the key."""
    keys.public = keys.install_key("id")
    keys.start_agent()
    keys.set_filter(NEVER)
    keys.forward("--service", "qubes.SshAgent+work", "--target", "vault")
    keys.start_servers(keys.public)
    return keys


def example(name):
    with open(EXAMPLES + name) as file:
        return file.read()


#
# The blog's commands, word for word (specification, 1.2)
#


def make_gpg_key(keys):
    """A key of gpg-agent that is for logins; its public half as SSH has it."""
    keys.make_folder("/home/vault/.gnupg", keys.vault)
    keys.write_as(keys.vault, "/home/vault/.gnupg/gpg-agent.conf", "enable-ssh-support\n")
    made = keys.run("vault", "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key",
                    "vault <vault@example.org>", "ed25519", "auth", "never")
    assert made.returncode == 0, made
    listed = keys.run("vault", "gpg", "--batch", "--with-colons", "--with-keygrip", "--list-secret-keys").stdout.decode()
    keys.write_as(keys.vault, "/home/vault/.gnupg/sshcontrol", re.search(r"^grp:*([0-9A-F]{40}):", listed, re.M)[1] + "\n")
    exported = keys.run("vault", "gpg", "--batch", "--export-ssh-key", "vault@example.org")
    assert exported.returncode == 0, exported
    return exported.stdout.decode().strip()


def stop_gpg_agent(keys):
    keys.run("vault", "gpgconf", "--kill", "gpg-agent")
    # It looks at its socket every now and then; what is left of it is the world's to count.
    for process in processes.running("/usr/bin/gpg-agent"):
        process.kill()
        process.wait(10)


def shell(keys, command, **environment):
    return keys.run("work", "/bin/sh", "-c", command, environment=environment)


@pytest.fixture
def blog(keys):
    keys.world.set_policy("qubes.Ssh * work vault allow\nqubes.GetDate * work vault allow\n")
    keys.public = make_gpg_key(keys)
    keys.world.write("/etc/split-ssh/filter.d/blog.conf", example("blog.conf"))
    yield keys
    stop_gpg_agent(keys)


def test_B1_the_date(blog):
    result = shell(blog, "qrexec-client-vm vault qubes.GetDate")
    assert result.returncode == 0 and re.fullmatch(TIMESTAMP, result.stdout.decode())


def test_B2_a_byte_that_is_no_message(blog):
    result = shell(blog, "echo | qrexec-client-vm vault qubes.Ssh; echo $?")
    assert result.stdout == b"0\n" and result.stderr == ""


def test_B2_refused(blog):
    blog.world.set_policy("qubes.Ssh * work vault deny")
    assert shell(blog, "echo | qrexec-client-vm vault qubes.Ssh; echo $?").stdout == b"%d\n" % REFUSED


def test_B2_no_service(blog):
    os.unlink("/etc/qubes-rpc/qubes.Ssh")
    assert shell(blog, "echo | qrexec-client-vm vault qubes.Ssh; echo $?").stdout == b"%d\n" % NO_SERVICE


SOCAT = ('mkdir -p -m 0700 "${XDG_RUNTIME_DIR}/ssh"; '
         'exec socat "UNIX-LISTEN:${XDG_RUNTIME_DIR}/ssh/S.ssh-agent,fork" '
         '"EXEC:qrexec-client-vm ${QUBES_GPG_DOMAIN:-vault} qubes.Ssh"')
LIST = 'SSH_AUTH_SOCK="${XDG_RUNTIME_DIR}/ssh/S.ssh-agent" ssh-add -L; echo $?'


@pytest.mark.parametrize("forwarder", ["socat", "forward", "Accept=yes"])
def test_B3_B4_B5_list_and_log_in(blog, forwarder):
    if forwarder == "socat":
        blog.start("work", "/bin/sh", "-c", SOCAT)
    elif forwarder == "forward":
        blog.forward("--target", "vault")
    else:
        blog.make_folder(os.path.dirname(blog.path), blog.work)
        blog.start("work", "systemd-socket-activate", "--accept", "--inetd", "-l", blog.path,
                   "/usr/bin/qrexec-client-vm", "vault", "qubes.Ssh")
    wait_for(lambda: os.path.exists(blog.path), "the forwarder")
    result = shell(blog, LIST)
    lines = result.stdout.decode().splitlines()
    assert lines[-1] == "0" and lines[0].split()[:2] == blog.public.split()[:2], result
    blog.start_servers(blog.public)
    assert blog.ssh("a", "echo", "in").stdout == b"in\n"
    (event,) = blog.syslog.wait(ev="sign")
    assert (event["src"], event["agent"], event["verdict"], event["user"]) == ("work", "gpg", "allow", "server")


def test_B3_nothing_there(blog):
    assert shell(blog, LIST).stdout == b"2\n"
    blog.forward("--target", "vault")
    blog.world.set_policy("qubes.Ssh * work vault deny")
    assert shell(blog, LIST).stdout == b"1\n"


def test_gpg_agent_is_started_when_it_is_needed(blog):
    stop_gpg_agent(blog)
    blog.forward("--target", "vault")
    assert blog.ssh_add("-l").returncode == 0


#
# The official package (specification, 3.6)
#


@pytest.fixture
def official(keys):
    keys.public = keys.install_key("id")
    keys.set_filter(example("compat.conf"))
    keys.start_agent()
    keys.make_folder("/home/work/.config/qubes", keys.work)
    keys.write_as(keys.work, "/home/work/.config/qubes/split-ssh-vault", "vault\n")
    keys.start("work", LIBEXEC + "/start-forwarder", "work")
    keys.path = "/home/work/.split-ssh/work.sock"
    wait_for(lambda: os.path.exists(keys.path), "the forwarder")
    return keys


def split_ssh(keys, *arguments, account="vault", **settings):
    return keys.run(account, COMMAND, *arguments, **settings)


def test_official_list(official):
    there, here = split_ssh(official, "list", "work"), official.ssh_add("-l")
    assert there.returncode == 0 and here.returncode == 0
    assert there.stdout.split()[1] == here.stdout.split()[1]
    assert os.stat(official.path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(official.path)).st_mode & 0o777 == 0o700
    assert os.stat(official.socket_of()).st_mode & 0o777 == 0o600


def test_official_test_signature(official):
    public = official.ssh_add("-L")
    assert public.returncode == 0 and public.stdout.startswith(b"ssh-")
    official.write_as(official.work, "/home/work/id.pub", public.stdout.decode())
    assert official.ssh_add("-T", "/home/work/id.pub").returncode == 0
    found = subprocess.run(["grep", "-rl", "PRIVATE KEY-----", "/home/work", "/run/user/%d" % official.work.pw_uid],
                           stdout=subprocess.PIPE, check=False)
    assert found.stdout == b""


def test_official_reload(official):
    before = official.ssh_add("-l").stdout
    assert split_ssh(official, "reload", "work").returncode == 0
    assert official.ssh_add("-l").stdout == before


def test_official_add(official):
    private = official.make_key("more", "-t", "ed25519")
    assert split_ssh(official, "add", "work", private).returncode == 0
    assert len(official.ssh_add("-l").stdout.splitlines()) == 2
    # Those of the folder, again.
    assert split_ssh(official, "add", "work").returncode == 0
    assert split_ssh(official, "reload", "work").returncode == 0
    assert len(official.ssh_add("-l").stdout.splitlines()) == 1


@pytest.mark.parametrize("arguments, words", [
    ([], "Usage"),
    (["list"], "Usage"),
    (["nonsense", "work"], "Usage"),
    (["list", "../etc"], "is no name of an agent"),
    (["list", "-l"], "is no name of an agent"),
    (["list", "a" * 65], "is no name of an agent"),
    (["list", "other"], 'no agent "other" runs'),
    (["add", "other"], 'no agent "other" runs'),
])
def test_official_failures(official, arguments, words):
    result = split_ssh(official, *arguments)
    assert result.returncode == 1 and words in result.stderr and result.stdout == b""


def test_official_status_is_ssh_adds(official):
    assert split_ssh(official, "add", "work", "-D").returncode == 0
    empty = split_ssh(official, "list", "work")
    assert empty.returncode == 1 and empty.stdout == b"The agent has no identities.\n"
    shutil.rmtree("/home/vault/.ssh/identities.d/work")
    missing = split_ssh(official, "add", "work")
    assert missing.returncode == 1 and "no private key is there" in missing.stderr


@pytest.mark.parametrize("argument", ["", "../x", "-x", "a/b", ".a", "x" * 65])
def test_T6_names_of_agents(official, argument):
    result = official.run("vault", FILTER, "--service", environment={
        "QREXEC_REMOTE_DOMAIN": "work", "QREXEC_SERVICE_ARGUMENT": argument,
        "QREXEC_SERVICE_FULL_NAME": "qubes.SshAgent+" + argument,
    })
    assert result.returncode == 1 and result.stdout == b"" and len(result.stderr.splitlines()) == 1


def test_default_agent_of_a_login(official):
    official.write_as(official.work, "/home/work/.config/qubes/split-ssh-default-agent", "work\n")
    script = ". /etc/profile.d/qubes-ssh.sh; echo $QUBES_SSH_AGENT; exec ssh-add -l"
    result = official.run("work", "/bin/sh", "-eu", "-c", script)
    assert result.returncode == 0 and result.stdout.startswith(b"work\n256 SHA256:"), result


def test_the_forwarders_socket_in_a_login(work):
    result = work.run("work", "/bin/sh", "-eu", "-c", ". /etc/profile.d/qubes-ssh.sh; echo $SSH_AUTH_SOCK")
    assert result.stdout.decode().strip() == work.path
    other = work.run("work", "/bin/sh", "-eu", "-c", ". /etc/profile.d/qubes-ssh.sh; echo $SSH_AUTH_SOCK",
                     environment={"SSH_AUTH_SOCK": "/nonexistent"})
    assert other.stdout.decode().strip() == work.path


def test_start_forwarder_wants_a_vault(keys):
    result = keys.run("work", LIBEXEC + "/start-forwarder", "work")
    assert result.returncode == 1 and "split-ssh-vault" in result.stderr
    assert keys.run("work", LIBEXEC + "/start-forwarder", "../x").returncode == 1
    assert keys.run("vault", LIBEXEC + "/start-agent", "../x").returncode == 1
    assert keys.run("vault", LIBEXEC + "/start-agent").returncode == 1


#
# The vault's agents, and options of keys
#


def test_options_of_a_key(keys):
    """-h is kept by the agent itself: the key serves one server alone."""
    public = keys.install_key("id", options="-h [127.0.0.1]:2201\n")
    keys.start_servers(public)
    keys.make_folder("/home/vault/.ssh", keys.vault)
    shutil.copy(keys.folder + "/known_hosts", "/home/vault/.ssh/known_hosts")
    keys.set_filter(NEVER)
    keys.start_agent()
    keys.forward("--service", "qubes.SshAgent+work", "--target", "vault")
    assert keys.ssh("a", "echo in").stdout == b"in\n"
    assert keys.ssh("b", "echo in").returncode == 255


@pytest.mark.parametrize("mode, options, options_mode, words", [
    (0o620, None, None, "work/bad: may be written by"),
    (0o600, "-c", 0o622, "work/bad.ssh-add-option: may be written by"),
    (0o600, "-D", 0o600, '-D is no option that may stand there'),
    (0o600, "-s /usr/lib/x.so", 0o600, '-s is no option that may stand there'),
    (0o600, "-t", 0o600, '-t lacks its value'),
])
def test_keys_that_are_left_out(keys, mode, options, options_mode, words):
    keys.install_key("bad", options=options)
    path = "/home/vault/.ssh/identities.d/work/bad"
    os.chmod(path, mode)
    if options:
        os.chmod(path + ".ssh-add-option", options_mode)
    good = keys.install_key("good")
    keys.start("vault", LIBEXEC + "/start-agent", "work")
    wait_for(lambda: keys.count() == 1, "the good key")
    listed = keys.run("vault", "ssh-add", "-L", environment={"SSH_AUTH_SOCK": keys.socket_of()})
    assert listed.stdout.decode().strip() == good
    keys.world.wait_log(re.escape(words))
    # By hand, the first that cannot be loaded ends it.
    assert split_ssh(keys, "add", "work").returncode == 1


def test_a_key_with_a_passphrase_does_not_hang_the_start(keys):
    keys.install_key("id")
    keys.make_key("locked", "-t", "ed25519", account="root")
    path = "/home/vault/.ssh/identities.d/work/a-locked"
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", keys.folder + "/locked"], check=True)
    shutil.move(keys.folder + "/locked", path)
    shutil.chown(path, "vault", "vault")
    keys.start("vault", LIBEXEC + "/start-agent", "work")
    wait_for(lambda: keys.count() == 1, "the other key")


def test_an_agent_ends_with_its_starter(keys):
    process = keys.start_agent()
    assert listens(keys.socket_of())
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert not os.path.exists(keys.socket_of())
    assert not processes.running("/usr/bin/ssh-agent")


#
# What goes through
#


def test_log_in(work):
    assert work.ssh("a", "echo", "in").stdout == b"in\n"
    (event,) = work.syslog.wait(ev="sign")
    assert event["verdict"] == "allow" and event["src"] == "work" and event["agent"] == "work"
    assert event["user"] == "server" and event["proof"] == "signature" and event["key"].startswith("SHA256:")
    (opened,) = work.syslog.wait(ev="open")
    assert opened["service"] == "qubes.SshAgent+work"
    assert work.syslog.wait(ev="close")[0]["signed"] == "1"


def test_log_in_unbound(work):
    assert work.ssh("-o", "PubkeyAuthentication=unbound", "a", "echo", "in").stdout == b"in\n"
    assert work.syslog.wait(ev="sign")[0]["proof"] == "session"


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_log_in_with_other_keys(keys, key_type):
    public = keys.install_key("id", key_type=key_type)
    keys.start_agent()
    keys.set_filter(NEVER)
    keys.forward("--service", "qubes.SshAgent+work", "--target", "vault")
    keys.start_servers(public)
    assert keys.ssh("a", "echo", "in").stdout == b"in\n"


def test_files(work):
    work.write_as(work.work, "/home/work/file", "content")
    config = work.folder + "/config"
    assert work.as_work("scp", "-q", "-F", config, "/home/work/file", "a:copied").returncode == 0
    with open("/home/server/copied") as file:
        assert file.read() == "content"
    result = work.as_work("sftp", "-q", "-F", config, "-b", "-", "a", input=b"ls copied\n")
    assert result.returncode == 0 and b"copied" in result.stdout


def git(keys, *arguments, **settings):
    environment = {"GIT_SSH_COMMAND": "ssh -F %s/config" % keys.folder, "GIT_CONFIG_NOSYSTEM": "1"}
    return keys.run("work", "git", *arguments, environment={"SSH_AUTH_SOCK": keys.path, **environment}, **settings)


def make_repository(keys):
    settings = {"user.name": "Work", "user.email": "work@example.org", "gpg.format": "ssh",
                "user.signingkey": "key::" + keys.public, "gpg.ssh.allowedSignersFile": "/home/work/signers",
                "init.defaultBranch": "main"}
    for name, value in settings.items():
        assert git(keys, "config", "--global", name, value).returncode == 0
    keys.write_as(keys.work, "/home/work/signers", "work@example.org " + keys.public + "\n")
    assert git(keys, "init", "-q", "/home/work/repository").returncode == 0


def test_git_push(work):
    make_repository(work)
    assert work.ssh("a", "git", "init", "-q", "--bare", "there.git").returncode == 0
    folder = "/home/work/repository"
    assert git(work, "-C", folder, "commit", "-q", "--allow-empty", "-m", "first").returncode == 0
    pushed = git(work, "-C", folder, "push", "-q", "a:there.git", "HEAD:main")
    assert pushed.returncode == 0, pushed
    assert git(work, "-C", folder, "ls-remote", "a:there.git").stdout.split()[1] == b"refs/heads/main"


def test_git_commit_signed(work):
    make_repository(work)
    folder = "/home/work/repository"
    committed = git(work, "-C", folder, "commit", "-q", "-S", "--allow-empty", "-m", "signed")
    assert committed.returncode == 0, committed
    verified = git(work, "-C", folder, "verify-commit", "HEAD")
    assert verified.returncode == 0 and 'Good "git" signature' in verified.stderr
    (event,) = work.syslog.wait(ev="sign")
    assert event["kind"] == "sshsig" and event["namespace"] == "git"


def test_git_commit_signed_for_another_namespace_only(work):
    make_repository(work)
    work.set_filter(NEVER + "namespace = file\n")
    committed = git(work, "-C", "/home/work/repository", "commit", "-q", "-S", "--allow-empty", "-m", "signed")
    assert committed.returncode == 128 and "agent refused operation" in committed.stderr
    assert work.syslog.wait(ev="sign")[0]["why"] == "namespace"


def test_forwarded_agent(work):
    """`ssh -A`: whoever is root on the first server could use the key; so it is refused unless wanted."""
    refused = work.ssh("-A", "a", "ssh -F %s/config b echo in" % work.folder)
    assert refused.returncode == 255 and refused.stdout == b""
    assert "forwarded" in [event["why"] for event in work.syslog.wait(2, ev="sign")]
    work.set_filter(NEVER + "forwarded = yes\n")
    work.syslog.forget()
    assert work.ssh("-A", "a", "ssh -F %s/config b echo in" % work.folder).stdout == b"in\n"
    # The first is of `ssh` here, the second comes from there.
    assert [event["via"] != "-" for event in work.syslog.wait(2, ev="sign")] == [False, True]


def test_jump(work):
    assert work.ssh("-J", "a", "b", "echo", "in").stdout == b"in\n"
    events = work.syslog.wait(2, ev="sign")
    assert [event["via"] for event in events] == ["-", "-"] and events[0]["hostkey"] != events[1]["hostkey"]


def test_certificate(keys):
    """The server trusts the authority, not the key."""
    keys.install_key("id")
    folder = "/home/vault/.ssh/identities.d/work/"
    keys.start_servers()
    shutil.copy(keys.folder + "/id.pub", folder + "id.pub")
    subprocess.run(["ssh-keygen", "-q", "-s", keys.folder + "/ca", "-I", "test", "-n", "server", folder + "id.pub"],
                   check=True)
    shutil.chown(folder + "id-cert.pub", "vault", "vault")
    keys.set_filter(NEVER)
    keys.start_agent()
    wait_for(lambda: keys.count() == 2, "the certificate")
    keys.forward("--service", "qubes.SshAgent+work", "--target", "vault")
    assert keys.ssh("a", "echo", "in").stdout == b"in\n"
    # `ssh` has the plain key sign, and embeds the certificate.
    assert keys.syslog.wait(ev="sign")[0]["alg"] == "ssh-ed25519-cert-v01@openssh.com"


MODULE = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.mark.skipif(not os.path.exists(MODULE), reason="softhsm2 is not installed")
def test_H1_pkcs11(keys):
    """A key on a token that the vault's agent has loaded; the client cannot load one."""
    keys.make_folder("/home/vault/tokens", keys.vault)
    keys.write_as(keys.vault, "/home/vault/softhsm.conf", "directories.tokendir = /home/vault/tokens\n")
    softhsm = {"SOFTHSM2_CONF": "/home/vault/softhsm.conf"}

    def hsm(*command, **settings):
        result = keys.run("vault", *command, environment=softhsm, **settings)
        assert result.returncode == 0, result

    hsm("softhsm2-util", "--init-token", "--free", "--label", "token", "--so-pin", "1234", "--pin", "1234")
    hsm("pkcs11-tool", "--module", MODULE, "--login", "--pin", "1234", "--keypairgen", "--key-type", "EC:prime256v1",
        "--id", "01", "--label", "on-token")
    keys.start("vault", LIBEXEC + "/start-agent", "work", environment=softhsm)
    wait_for(lambda: listens(keys.socket_of()), "the agent")
    keys.write_as(keys.vault, "/home/vault/pin", "#!/bin/sh\necho 1234\n", mode=0o700)
    hsm("env", "SSH_ASKPASS=/home/vault/pin", "SSH_ASKPASS_REQUIRE=force", COMMAND, "add", "work", "-s", MODULE)
    keys.set_filter(NEVER)
    keys.forward("--service", "qubes.SshAgent+work", "--target", "vault")
    listed = keys.ssh_add("-L")
    assert listed.returncode == 0 and b"on-token" in listed.stdout
    keys.start_servers(listed.stdout.decode().strip())
    assert keys.ssh("a", "echo", "in").stdout == b"in\n"
    loaded = keys.ssh_add("-s", MODULE, input=b"1234\n")
    assert loaded.returncode == 1 and "Could not add card" in loaded.stderr
    (event,) = keys.syslog.wait(ev="req")
    assert event["type"] == "20" and event["verdict"] == "deny"


#
# What does not
#


@pytest.mark.parametrize("arguments, words, types", [
    (["-D"], "Failed to remove all identities.", ["19", "9"]),
    (["-d", "/home/work/id.pub"], "Could not remove identity", ["18"]),
    (["/home/work/other"], "Could not add identity", ["17"]),
    (["-t", "60", "-c", "/home/work/other"], "Could not add identity", ["25"]),
    (["-s", "/usr/lib/x86_64-linux-gnu/libc.so.6"], "Could not add card", ["20"]),
    (["-e", "/usr/lib/x86_64-linux-gnu/libc.so.6"], "Could not remove card", ["21"]),
    (["-T", "/home/work/id.pub"], "agent refused operation", []),
])
def test_the_agent_is_not_the_clients(work, arguments, words, types):
    work.write_as(work.work, "/home/work/id.pub", work.public + "\n")
    shutil.move(work.make_key("other", "-t", "ed25519"), "/home/work/other")
    shutil.chown("/home/work/other", "work", "work")
    before = split_ssh(work, "list", "work").stdout
    result = work.ssh_add(*arguments, input=b"1234\n")
    assert result.returncode == 1 and words in result.stderr, result
    assert [event["type"] for event in work.syslog.wait(len(types), ev="req")] == types
    assert split_ssh(work, "list", "work").stdout == before
    assert work.ssh_add("-l").returncode == 0


def test_every_source_has_its_own_keys(work):
    mark = work.world.logfile.mark()
    work.world.add_domain("other")
    work.world.wait_log("serving 4 domains", mark=mark)
    work.world.set_policy("qubes.SshAgent +work work vault allow\nqubes.SshAgent +work other vault allow")
    work.set_filter(NEVER + "[source other]\nkey = type:ssh-rsa\n")
    asked = work.world.call("other", "vault", "qubes.SshAgent+work", input=b"\0\0\0\1\x0b")
    assert asked.returncode == 0 and asked.stdout == b"\0\0\0\5\x0c\0\0\0\0"
    assert work.ssh_add("-l").returncode == 0
    # Another agent is another service to the policy.
    work.world.assert_refused(work.world.call("other", "vault", "qubes.SshAgent+more", input=b""))


def test_a_broken_policy_of_the_filter(work):
    work.set_filter("[source work]\nconfirm = sometimes\n")
    result = work.ssh_add("-l")
    assert result.returncode == 1 and "communication with agent failed" in result.stderr
    work.world.wait_log("qubes.SshAgent\\+work in vault ended with status 2")
    shown = split_ssh(work, "policy", "work", "work")
    assert shown.returncode == 2 and "filter.conf:2" in shown.stderr
    work.set_filter(NEVER)
    assert work.ssh_add("-l").returncode == 0


def test_split_ssh_policy(work):
    shown = split_ssh(work, "policy", "work", "work")
    assert shown.returncode == 0 and b"confirm = never" in shown.stdout
    assert split_ssh(work, "policy", "work").returncode == 1


#
# When the agent is not well
#


def agent_process():
    (process,) = processes.running("/usr/bin/ssh-agent")
    return process


def test_agent_gone_and_back(work):
    work.processes[0].send_signal(signal.SIGTERM)
    work.processes[0].wait(10)
    result = work.ssh_add("-l")
    assert result.returncode == 1 and "communication with agent failed" in result.stderr
    work.start_agent()
    assert work.ssh_add("-l").returncode == 0
    assert len(forwarders()) == 1


def test_agent_locked(work):
    # Without a terminal, ssh-add asks a program.
    work.write_as(work.vault, "/home/vault/password", "#!/bin/sh\necho secret\n", mode=0o700)
    ask = {"SSH_AUTH_SOCK": work.socket_of(), "SSH_ASKPASS": "/home/vault/password", "SSH_ASKPASS_REQUIRE": "force"}
    assert work.run("vault", "ssh-add", "-x", environment=ask).returncode == 0
    result = work.ssh_add("-l")
    assert result.returncode == 1 and result.stdout == b"The agent has no identities.\n"
    assert work.ssh("a", "true").returncode == 255
    assert work.run("vault", "ssh-add", "-X", environment=ask).returncode == 0
    assert work.ssh("a", "true").returncode == 0


def test_agent_that_stalls(work):
    """Whoever waits, waits; others are served by other processes of the filter, when the agent goes on."""
    process = agent_process()
    process.kill(signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = [pool.submit(work.ssh_add, "-l") for _ in range(5)]
        wait_for(lambda: len(processes.running(FILTER)) == 5, "the filters")
        assert not any(answer.done() for answer in answers)
        process.kill(signal.SIGCONT)
        assert [answer.result().returncode for answer in answers] == [0] * 5


def test_agent_dies_in_the_middle(work):
    """On a connection that stays open: a failure for what was asked, then the end."""
    import socket

    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(20)
        client.connect(work.path)
        client.sendall(b"\0\0\0\1\x0b")
        assert client.recv(4)
        client.recv(65536)
        agent_process().kill()
        client.sendall(b"\0\0\0\1\x0b")
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65536):
                answer += piece
        assert answer in (b"", b"\0\0\0\1\5")


def test_N5_many_at_once(work):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: work.ssh_add("-l").returncode, range(50)))
    assert answers == [0] * 50
    assert len(forwarders()) == 1
    work.syslog.wait(50, ev="list")


def test_connections_are_counted(work):
    import socket

    work.set_filter(NEVER.replace("64", "2"))
    held = []
    for _ in range(2):
        client = socket.socket(socket.AF_UNIX)
        client.connect(work.path)
        client.sendall(b"\0\0\0\1\x0b")
        assert client.recv(1) == b"\0"
        held.append(client)
    assert work.ssh_add("-l").returncode == 1
    held.pop().close()
    wait_for(lambda: work.ssh_add("-l").returncode == 0, "room")
    held.pop().close()


def test_many_requests_on_one_connection(work):
    import socket

    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(30)
        client.connect(work.path)
        client.sendall(b"\0\0\0\1\x0b" * 200)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    one = answer[:4 + int.from_bytes(answer[:4], "big")]
    assert one[4] == 12 and answer == one * 200
