# SPDX-License-Identifier: Apache-2.0
"""split-gpg through qrexec: real GnuPG homes in two domains. Names are those of the specification's cases (13)."""

import os
import re
import shutil
import signal
import subprocess

import pytest
import split_gpg
from inside import IN_WORLD
from split_gpg import CLIENT, IMPORT, USER_ID, WRAPPER, run_as
from waiting import wait_for

POLICY = """
qubes.Gpg           *  work   vault     allow
qubes.Gpg           *  work   vault2    allow
qubes.Gpg           *  work   @default  allow  target=vault
qubes.GpgImportKey  *  work   vault     allow
qubes.GetDate       *  work   vault     allow
"""
HERE = os.path.dirname(__file__)
SERVICE = "/etc/qubes/domains.d/vault.rpc/qubes.Gpg"


@pytest.fixture(scope="module")
def host():
    """One host for all: work, which calls; vault, with a key, and vault2 with another; denied, which may nothing."""
    if not IN_WORLD:
        pytest.skip("needs a private world")
    from world import World

    world = World()
    try:
        for name in ("work", "vault", "vault2", "denied"):
            world.add_domain(name)
        world.set_policy(POLICY)
        world.start()
        for name in ("vault", "vault2"):
            split_gpg.grant(name, "work")  # first: where GnuPG's own agent listens depends on /run/user
        world.key = split_gpg.make_key(world, "vault")
        world.other_key = split_gpg.make_key(world, "vault2", "Other test", "other@localhost")
        for name, content in (("FILE", b"some text\n"), ("CHANGED", b"some text!\n")):
            with open("/home/work/" + name, "wb") as file:
                file.write(content)
        with open("/home/work/SIG", "wb") as file:
            split_gpg.grant("vault", "work")
            signature = run_as(world, "work", [CLIENT, "-b", "FILE"], environment={"QUBES_GPG_DOMAIN": "vault"})
            assert signature.returncode == 0, signature
            file.write(signature.stdout)
        yield world
    finally:
        split_gpg.stop_agents(world, "vault", "vault2", "work")
        world.close()


@pytest.fixture(autouse=True)
def consented(host):
    for name in ("vault", "vault2"):
        split_gpg.forget(name)
        split_gpg.grant(name, "work")


def run(host, command, input=b"", account="work", **environment):
    return run_as(host, account, command, input, {"QUBES_GPG_DOMAIN": "vault", **environment})


def client(host, *arguments, input=b"", **environment):
    return run(host, [CLIENT, *arguments], input, **environment)


def wrapper(host, *arguments, input=b"", **environment):
    return run(host, [WRAPPER, *arguments], input, **environment)


def shell(host, script, input=b"", **environment):
    """A line as a person would type it, with c for the client and w for the wrapper."""
    script = 'c() { qubes-gpg-client "$@"; }; w() { qubes-gpg-client-wrapper "$@"; }\n' + script
    return run(host, ["/bin/bash", "-c", script], input, **environment)


def contacts(host):
    """How often the keys' domain has been called."""
    return len(host.audit(service="qubes.Gpg", event="start"))


# 13.1 and 13.3: commands, what they end with, and whether the keys' domain hears of them

YES, NO = True, False

COMMANDS = [
    # ID, command, contact, status, in stdout, in stderr
    ("B-1", "w --list-keys", YES, 0, USER_ID, ""),
    ("B-2", "echo hi | w --sign --armor | w", YES, 0, "hi\n", "Good signature"),
    ("B-3", "w --card-status", NO, 1, "", "unrecognized option '--card-status': smart cards are managed"),
    ("B-4", "w --recv-keys 88823A75ECAA786B0FF38B148E401478A3FBEF72", NO, 1, "", "unrecognized option '--recv-keys'"),
    ("B-5", "w --export-secret-keys", NO, 1, "", "unrecognized option '--export-secret-keys': secret keys never leave"),
    ("O-1", "unset QUBES_GPG_DOMAIN; c -k", NO, 1, "", "QUBES_GPG_DOMAIN"),
    ("O-1-empty", "QUBES_GPG_DOMAIN= c -k", NO, 1, "", "QUBES_GPG_DOMAIN"),
    ("O-2", "c -v", NO, 1, "", "invalid option"),
    ("O-3", "c --verbose -k", YES, 0, USER_ID, ""),
    ("O-4", "c --decry", NO, 1, "", "unrecognized option '--decry'"),
    ("O-5", "c --command-fd 3", NO, 1, "", "Forbidden option: --command-fd"),
    ("O-6-utf8", "c --utf8-strings -k", NO, 1, "", "Forbidden option: --utf8-strings"),
    ("O-6-tty", "c --no-tty", NO, 1, "", "Forbidden option: --no-tty"),
    ("O-6-agent", "c --use-agent", NO, 1, "", "Forbidden option: --use-agent"),
    ("O-6-cipher", "c --cipher-algo AES", NO, 1, "", "Forbidden option: --cipher-algo"),
    ("O-7", "c -o out -s", NO, 1, "", "Only '-'"),
    ("O-7-long", "c --output=out -s; s=$?; test ! -e out && exit $s", NO, 1, "", "Only '-'"),
    ("O-8", "c -o - -sa FILE", YES, 0, "BEGIN PGP MESSAGE", ""),
    ("O-8-joined", "c -o- -sa FILE", YES, 0, "BEGIN PGP MESSAGE", ""),
    ("O-9", "c -k --sign", NO, 1, "", "conflicting commands"),
    ("O-10", "c -k --export", YES, 2, "", "conflicting commands"),
    ("O-11", "c -s -e -r user@localhost -a FILE", YES, 0, "BEGIN PGP MESSAGE", ""),
    ("O-12", "c --status-fd 1 --status-fd 2 -k", NO, 1, "", "only once"),
    ("O-13-zero", "c --status-fd 01 -k", NO, 1, "", "Invalid fd argument"),
    ("O-13-hex", "c --status-fd 0x1 -k", NO, 1, "", "Invalid fd argument"),
    ("O-13-large", "c --status-fd 1024 -k", NO, 1, "", "Invalid fd argument"),
    ("O-13-input", "c --status-fd 0 -k", NO, 1, "", "Invalid fd argument"),
    ("O-13-sign", "c --status-fd -1 -k", NO, 1, "", "Invalid fd argument"),
    ("O-13-empty", "c --status-fd '' -k", NO, 1, "", "Invalid fd argument"),
    ("O-14", "c --status-fd 7 -k 7>&-", NO, 1, "", "Invalid fd argument '7'"),
    ("O-15", "c --status-fd 3 -s -a FILE 3>st >/dev/null && ! grep -v '^.GNUPG:. ' st && grep -c SIG_CREATED st",
     YES, 0, "1\n", ""),
    ("O-16", "c --status-fd=1 -s -a FILE", YES, 0, ["[GNUPG:] SIG_CREATED", "BEGIN PGP MESSAGE"], ""),
    ("O-17", "c --status-fd 5 --logger-fd 5 --verbose -s -a FILE 5>x >/dev/null; cat x", YES, 0,
     ["[GNUPG:] SIG_CREATED", "signature from"], ""),
    ("O-18", "c --verify SIG FILE", YES, 0, "=", "Good signature"),
    ("O-19", "c --verify SIG CHANGED", YES, 1, "=", "BAD signature"),
    ("O-20-sig", "c --verify - FILE < SIG", YES, 0, "=", "Good signature"),
    ("O-20-data", "c --verify SIG - < FILE", YES, 0, "=", "Good signature"),
    ("O-21", "c --verify SIG </dev/null", YES, 2, "=", "no signed data"),
    ("O-22", "c --verify SIG FILE FILE", NO, 1, "", "too many filename arguments"),
    ("O-22-sign", "c --sign FILE FILE", NO, 1, "", "too many filename arguments"),
    ("O-23", "c --sign missing-file", NO, 1, "", "missing-file"),
    ("O-23-folder", "c --sign .", NO, 1, "", "directory"),
    ("O-24", "c -k -- -foo", YES, 2, "", "No public key"),
    ("O-25", "c -k user -foo", NO, 1, "", "before all other arguments"),
    ("O-26", "c -u '' -s FILE", YES, 2, "", "nvalid user ID"),
    ("O-27-control", "c -k $'\\x01'", NO, 1, "", "printable"),
    ("O-27-ff", "c -k $'\\xff'", NO, 1, "", "printable"),
    ("O-27-lead", "c -k $'\\xc3'", NO, 1, "", "printable"),
    ("O-28", "c -k é", YES, 2, "", "No public key"),
    ("O-29", "c -k $(printf %1019s | tr ' ' a)", YES, 2, "", "No public key"),
    ("O-29-long", "c -k $(printf %1020s | tr ' ' a)", NO, 1, "", "too long"),
    ("O-30", "c --list-options show-photos,no-show-keyring -k", YES, 0, USER_ID, ""),
    ("O-31", "c --list-options show-keyring -k", NO, 1, "", "show-keyring"),
    ("O-32", "c --list-options 'show-sig-subpackets=\"1,2 3\",SHOW-USAGE' --list-sigs", YES, 0, USER_ID, ""),
    ("O-33", "c --list-options show-sig-subpackets=1+1 -k", NO, 1, "",
     "=qubes-gpg-client: Invalid character + following subpacket number\n"),
    ("O-34", "c --list-options help", YES, 0, "show-usage", ""),
    ("O-35", "c --export-options export-dane --export x", NO, 1, "", "export-dane"),
    ("O-36", "c --export-options backup --export -a user@localhost", YES, 0, "BEGIN PGP PUBLIC KEY BLOCK", ""),
    ("O-39", "c -c FILE", YES, 2, "", "agent"),
    ("O-40", "QREXEC_CLIENT_PATH=/bin/false c -k", NO, 1, "", ""),
    ("O-41", "c -k >&-", NO, 1, "", ""),
    ("version", "w --version", YES, 0, "gpg (GnuPG)", ""),
]
COMMANDS += [("O-33-%d" % i, "c --list-options '%s' -k" % value, NO, 1, "", "qubes-gpg-client: ")
             for i, value in enumerate(("show-sig-subpackets=0", "show-sig-subpackets=128", 'show-sig-subpackets="1',
                                        'show-sig-subpackets="1"x', "show-sig-subpackets=1x",
                                        "no-show-sig-subpackets=1", "show-usage=1", "=1", "foo"))]
COMMANDS += [("O-37-" + command.split()[0], "c --" + command, NO, 1, "", "unrecognized option '--" + command.split()[0])
             for command in ("export-secret-subkeys", "delete-secret-keys X", "homedir /x", "options f", "log-file f",
                             "photo-viewer x", "keyserver x", "passphrase x", "gen-key")]


def has(text, wanted):
    """Is WANTED in TEXT? All of a list; with "=" before it, TEXT is no more than that."""
    if isinstance(wanted, list):
        return all(part in text for part in wanted)
    return text == wanted[1:] if wanted.startswith("=") else wanted in text


@pytest.mark.parametrize("command, contact, status, out, err", [row[1:] for row in COMMANDS],
                         ids=[row[0] for row in COMMANDS])
def test_command(host, command, contact, status, out, err):
    before = contacts(host)
    done = shell(host, command)
    assert done.returncode == status, done
    assert has(done.stdout.decode(errors="replace"), out), done
    assert has(done.stderr, err), done
    if not contact:
        assert done.stdout == b"" and contacts(host) == before, done
    else:
        assert contacts(host) > before


def test_b6_service_call(host):
    """B-6: what is underneath."""
    done = host.call("work", "vault", "qubes.GetDate")
    assert done.returncode == 0 and done.stdout.endswith(b"+00:00\n"), done


def test_o38_large(host):
    """O-38: 10 MB that nothing compresses, signed, encrypted, and back."""
    data = os.urandom(10 << 20)
    sealed = client(host, "-s", "-e", "-r", "user@localhost", input=data)
    assert sealed.returncode == 0, sealed
    opened = client(host, "-d", input=sealed.stdout)
    assert opened.returncode == 0 and opened.stdout == data and "Good signature" in opened.stderr


def test_o39_no_hang(host):
    """O-39: a passphrase that nobody can be asked for is an error, and no wait."""
    assert client(host, "-c", "/home/work/FILE").returncode == 2


def test_o90_arity(host):
    """O-90: GnuPG must take the values that our table says, else a value becomes an option or a file.

    An option that takes a value swallows the first of two bogus options behind it; the complaint names the one left."""
    with open(os.path.join(HERE, "../../src/gpg/option.c")) as file:
        source = file.read()
    listed = run(host, ["/usr/bin/gpg", "--dump-options"]).stdout.decode().split()
    checked = 0
    for option in listed:
        arity = table_arity(source, option[2:])
        if arity is None or option == "--version":  # which prints, whatever else there is
            continue
        done = run(host, ["/usr/bin/gpg", "--batch", "--no-tty", option, "--bogus-one", "--bogus-two"])
        # It complains about the first that it does not know, unless before about a value that it cannot use.
        took = any(part in done.stderr for part in ('invalid option "--bogus-two"', "invalid argument for option", " options\n"))
        assert ('invalid option "--bogus-one"' in done.stderr, took) == (arity == 0, arity == 1), (option, done)
        checked += 1
    assert checked >= 80, checked


def table_arity(source, name):
    """What src/gpg/option.c says of NAME: 0, 1, or None."""
    for line in source.splitlines():
        if '("%s"' % name not in line and '"%s"' % name not in line:
            continue
        word = line.strip().split("(")[0]
        if word in ("PLAIN", "LETTER", "COMMAND"):
            return 0
        if word in ("VALUE", "BOTH", "FD", "LIST"):
            return 1
        if word == "FORBIDDEN":
            return None
        if line.strip().startswith("{ .name"):
            return 1
    return None


# 13.2: consent


@pytest.fixture
def person(host):
    """A dialog and notifications that write down what they show; the dialog answers what is in the file answer."""
    folder = "/usr/local/bin"
    scripts = {
        "zenity": 'printf "%s\\n" "$*" >>/run/test/questions\nread answer </run/test/answer\nexit "$answer"\n',
        "notify-send": 'printf "%s\\n" "$*" >>/run/test/notices\n',
        "qubes.WaitForSession": "cat >>/run/test/sessions\n",
    }
    for name, script in scripts.items():
        host.write(os.path.join(folder, name), "#!/bin/sh\n" + script, mode=0o755)
    # A domain without a display has nobody who sees a dialog.
    host.write(SERVICE, "#!/bin/sh\nexport DISPLAY=:7\nexec /usr/lib/qubes-gpg-split/qubes.Gpg\n", mode=0o755)
    person = Person(host)
    yield person
    os.unlink(SERVICE)
    for name in scripts:
        os.unlink(os.path.join(folder, name))


class Person:
    FILES = ("questions", "notices", "sessions", "answer")

    def __init__(self, host):
        self.host = host
        for name in self.FILES:
            path = "/run/test/" + name
            with open(path, "w"):
                pass
            os.chmod(path, 0o666)
        split_gpg.forget("vault")
        self.says(yes=True)

    def says(self, yes):
        with open("/run/test/answer", "w") as file:
            file.write("%d\n" % (not yes))

    @staticmethod
    def lines(name):
        with open("/run/test/" + name) as file:
            return file.read().splitlines()

    def notices(self, n):
        """Wait for the N-th notification: it is shown by a process that nobody waits for."""
        wait_for(lambda: len(self.lines("notices")) >= n, "notice %d" % n)
        return self.lines("notices")


def marker():
    return os.path.join(split_gpg.grant_directory("vault"), "stat.work")


def test_c1_yes(host, person):
    assert client(host, "-k").returncode == 0
    (question,) = person.lines("questions")
    assert "'work'" in question and "5 minutes?" in question, question
    for option in ("--no-markup", "--default-cancel", "--timeout=60"):
        assert option in question
    assert person.lines("sessions") == ["vault"]
    assert os.path.exists(marker())
    # C-3: the next one is not asked about, but told.
    assert client(host, "--sign", input=b"x").returncode == 0
    assert len(person.lines("questions")) == 1
    notices = person.notices(2)
    assert sorted(notice.rpartition(" ")[2] for notice in notices) == ["list", "sign"]
    assert all("Keyring access from domain: work" in notice and "--expire-time=1000" in notice for notice in notices)


def test_c2_no(host, person):
    person.says(yes=False)
    done = client(host, "-k")
    assert (done.returncode, done.stdout) == (1, b"") and "refused" in done.stderr, done
    assert not os.path.exists(marker())
    # A no answers for a while, so that nobody is flooded.
    assert client(host, "-k").returncode == 1
    assert len(person.lines("questions")) == 1 and person.lines("notices") == []


def test_c2_no_dialog(host):
    split_gpg.forget("vault")
    done = client(host, "-k")
    assert done.returncode == 1 and "nobody can be asked" in done.stderr, done
    assert not os.path.exists(marker())


@pytest.mark.parametrize("age, asked", [(290, 0), (310, 1), (-3600, 1)], ids=["C-4-young", "C-4-old", "C-9"])
def test_marker_age(host, person, age, asked):
    """C-4, C-9; the very second is test-grant.c's."""
    split_gpg.grant("vault", "work", age)
    assert client(host, "-k").returncode == 0
    assert len(person.lines("questions")) == asked


def test_c8_touched_by_hand(host, person):
    split_gpg.grant("vault", "work")
    assert client(host, "-k").returncode == 0
    assert person.lines("questions") == []


@pytest.mark.parametrize("value, words", [("86400", "the following 1 day?"), ("abc", "5 minutes?"), ("0", "keys now?")],
                         ids=["C-5", "C-6", "never"])
def test_autoaccept(host, person, value, words):
    profile = "/home/vault/.profile"
    with open(profile, "w") as file:
        file.write("echo noise\nexport QUBES_GPG_AUTOACCEPT=%s\n" % value)
    try:
        split_gpg.grant("vault", "work", 1000)
        assert client(host, "-k").returncode == 0
        questions = person.lines("questions")
        if value == "86400":
            assert questions == []  # 1000 seconds are less than a day
            split_gpg.forget("vault")
            assert client(host, "-k").returncode == 0
            questions = person.lines("questions")
        assert len(questions) == 1 and words in questions[0], questions
    finally:
        os.unlink(profile)


@pytest.mark.parametrize("end, remembered", [(" &", "1 minute 17 seconds?"), ("", "5 minutes?")], ids=["background", "foreground"])
def test_a_profile_that_does_not_end(host, person, end, remembered):
    """What ~/.profile starts, or waits for, neither holds a call nor gets a descriptor of the service."""
    profile, started = "/home/vault/.profile", "/home/vault/started"
    with open(profile, "w") as file:
        file.write("export QUBES_GPG_AUTOACCEPT=77\nsh -c 'echo $$ >%s; exec sleep 1000'%s\n" % (started, end))
    try:
        assert client(host, "-k").returncode == 0
        questions = person.lines("questions")
        assert len(questions) == 1 and remembered in questions[0], questions
        wait_for(lambda: os.path.exists(started) and open(started).read(), "gpg")
        with open(started) as file:
            pid = int(file.read())
        opened = {os.readlink("/proc/%d/fd/%s" % (pid, name)) for name in os.listdir("/proc/%d/fd" % pid)}
        os.kill(pid, signal.SIGKILL)
        assert opened == {"/dev/null"}, opened
    finally:
        os.unlink(profile)
        os.unlink(started)


def test_c7_parallel(host, person):
    """C-7: five calls, one question: which waits until all five are there."""
    answer = "/run/test/answer"
    os.unlink(answer)
    os.mkfifo(answer, 0o666)
    os.chmod(answer, 0o666)
    environment = {"QUBES_GPG_DOMAIN": "vault"}
    before = contacts(host)
    calls = [host.popen_as("work", [CLIENT, "-k"], environment, stdin=subprocess.DEVNULL) for _ in range(5)]
    try:
        wait_for(lambda: len(person.lines("questions")) == 1 and contacts(host) == before + 5)
        with open(answer, "w") as file:
            file.write("0\n")
        results = [call.communicate(timeout=60) + (call.returncode,) for call in calls]
    finally:
        for call in calls:
            call.kill()
            call.wait()
        os.unlink(answer)
    assert [status for _, _, status in results] == [0] * 5, results
    assert len(person.lines("questions")) == 1


def test_caller_gone_takes_its_question_along(host, person):
    answer = "/run/test/answer"
    os.unlink(answer)
    os.mkfifo(answer, 0o666)
    os.chmod(answer, 0o666)
    host.write("/usr/local/bin/zenity", "#!/bin/sh\necho $$ >>/run/test/questions\nexec cat /run/test/answer\n",
               mode=0o755)
    call = host.popen_as("work", [CLIENT, "-k"], {"QUBES_GPG_DOMAIN": "vault"})
    wait_for(lambda: person.lines("questions"))
    (pid,) = person.lines("questions")
    call.kill()
    call.communicate()
    wait_for(lambda: not os.path.exists("/proc/" + pid))
    os.unlink(answer)
    assert not os.path.exists(marker())


def test_c10_denied(host):
    done = run(host, [CLIENT, "-k"], account="denied")
    assert done.returncode == 1 and "Request refused" in done.stderr and done.stdout == b"", done


def test_nothing_of_the_call_reaches_gnupg(host):
    """7, item 6. A GnuPG that prints its environment and descriptors, in the place of the real one."""
    host.write("/run/test/gpg", "#!/bin/sh\nenv\nls -l /proc/self/fd >&2\n", mode=0o755)
    # The service's lock of a slot is such a descriptor, and whatever it was started with may be.
    host.write(SERVICE, "#!/bin/sh\nexec 5</etc/passwd 9>/dev/null\nexec %s /run/test/gpg work\n" % split_gpg.SERVER, mode=0o755)
    try:
        done = client(host, "-k")
    finally:
        os.unlink(SERVICE)
    variables = [line for line in done.stdout.decode().splitlines() if line.startswith("QREXEC")]
    assert variables == ["QREXEC_REMOTE_DOMAIN=work"], done
    assert len(done.stderr.splitlines()) == 5, done  # "total", 0, 1, 2, and that of ls itself


# 13.4: the wrapper. What it runs the client, the import or the own gpg with


@pytest.fixture(scope="module")
def fakes(host):
    """Programs with the names of those that the wrapper runs, which say what they were given."""
    folder = "/run/test/fakes"
    for name in ("qubes-gpg-client", "qubes-gpg-import-key"):
        host.write("%s/%s" % (folder, name), '#!/bin/sh\nprintf "%s" "${0##*/}"; printf " <%s>" "$@"; echo\n'
                   'echo "to $QUBES_GPG_DOMAIN" >&2\n', mode=0o755)
    return folder


REWRITTEN = [
    ("X-3", "-o - -s", "<-o-> <-s>"),
    ("X-8-server", "--keyserver-options x -k", "<-k>"),
    ("X-8-viewer", "--photo-viewer rm -k", "<-k>"),
    ("X-8-command", "--command-fd 3 -k", "<-k>"),
    ("X-8-tty", "--ttyname /dev/x -k", "<-k>"),
    ("X-8-pin", "--pinentry-mode loopback --passphrase-fd 0 -k", "<-k>"),
    ("X-8-yes", "--yes --expert --no-tty -k", "<-k>"),
    ("X-9", "--charset UTF-8 -k", "<-k>"),
    ("X-9-display", "--display-charset=utf8 -k", "<-k>"),
    ("X-10", "--detach f", "<--detach-sign> <f>"),
    ("X-10-sig", "--detach-sig f", "<--detach-sign> <f>"),
    ("X-11", "--sign-with K -s", "<-u> <K> <-s>"),
    ("X-12", "--quiet -k", "<-q> <-k>"),
    ("X-13", "--auto-key-locate local,wkd -k", "<-k>"),
    ("X-14", "-er user f", "<-er> <user> <f>"),
    ("X-15", "--enable-special-filenames -- '-&5' x", "<--> </proc/self/fd/5> <x>"),
    ("X-16", "-- --import", "<--> <--import>"),
    ("X-17", "--recipient", "<--recipient>"),
]


@pytest.mark.parametrize("arguments, expected", [row[1:] for row in REWRITTEN], ids=[row[0] for row in REWRITTEN])
def test_rewritten(host, fakes, arguments, expected):
    done = shell(host, "w " + arguments, PATH=fakes + ":/usr/bin:/bin")
    assert (done.returncode, done.stdout.decode()) == (0, "qubes-gpg-client %s\n" % expected), done
    assert done.stderr == "to vault\n"


def test_x1_output(host, fakes):
    done = shell(host, "rm -f out; w -abo out f; cat out", PATH=fakes + ":/usr/bin:/bin")
    assert done.stdout == b"qubes-gpg-client <-o-> <-ab> <f>\n", done


def test_x6_import(host, fakes):
    done = shell(host, "w --yes --import k1 k2", PATH=fakes + ":/usr/bin:/bin")
    assert done.stdout == b"qubes-gpg-import-key <k1> <k2>\n", done


@pytest.mark.parametrize(
    "name, command",
    [("X-2", "w --output a --output b"), ("X-9-latin1", "w --charset latin1 -k"), ("X-13-wkd", "w --auto-key-locate wkd -k"),
     ("X-17-client", "w --recipient"), ("X-output", "w --output"), ("X-log", "w --log-file /nowhere/log -k")],
)
def test_wrapper_refuses(host, name, command):
    before = contacts(host)
    done = shell(host, command)
    assert (done.returncode, done.stdout) == (1, b"") and done.stderr, done
    assert contacts(host) == before


@pytest.mark.parametrize(
    "command, out",
    [("w --gen-rand 1 16 | wc -c", "16\n"), ("w --enarmor FILE; cat FILE.asc", "BEGIN PGP ARMORED FILE"),
     ("w --help | head -1", "gpg (GnuPG)"), ("w --no-default-keyring -k", ""), ("w --print-md SHA256 FILE", "FILE: ")],
    ids=["X-7-rand", "X-7-armor", "X-7-help", "X-7-keyring", "X-7-md"],
)
def test_x7_local(host, command, out):
    before = contacts(host)
    done = shell(host, command)
    assert done.returncode == 0 and out in done.stdout.decode(), done
    assert contacts(host) == before


def test_x4_status_beside_a_file(host):
    done = shell(host, "rm -f F; w -a --sign --status-fd 1 --output F; s=$?; echo ==; cat F; exit $s", input=b"hi\n")
    status, _, message = done.stdout.decode().partition("==\n")
    assert done.returncode == 0 and "SIG_CREATED" in status, done
    assert all(line.startswith("[GNUPG:] ") for line in status.splitlines()), status
    assert message.startswith("-----BEGIN PGP MESSAGE-----"), message


def test_x5_log_file(host):
    done = shell(host, "rm -f F; w -a --sign --log-file L --verbose --output F; cat L", input=b"hi\n")
    assert done.returncode == 0 and b"signature from" in done.stdout and done.stderr == "", done


GIT = """
set -e
rm -rf repository && git init -q repository && cd repository
git config user.name 'Qubes test'
git config user.email user@localhost
git config gpg.program qubes-gpg-client-wrapper
git commit -q -S --allow-empty -m one
git verify-commit HEAD
git tag -s -m tag v1
git verify-tag v1
git log --format=%G?%GS -1
"""


def test_x18_git(host):
    """X-18: commits and tags, signed and verified."""
    done = shell(host, GIT)
    assert done.returncode == 0 and done.stdout == b"G" + USER_ID.encode() + b"\n", done
    assert done.stderr.count("Good signature") == 2


def test_x18_git_tampered(host):
    done = shell(host, GIT + "git cat-file commit HEAD | sed s/one/two/ >c; git verify-commit "
                 "$(git hash-object -t commit -w c)")
    assert done.returncode == 1 and "BAD signature" in done.stderr, done


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", None])
def test_x19_file_wins(host, variable):
    """X-19: for the wrapper, not for the bare client. (Where several accounts share a host, each has the file.)"""
    settings = {"XDG_CONFIG_HOME": "/home/work/elsewhere"} if variable else {}
    folder = (settings.get(variable) or "/home/work/.config") + "/qubes"
    os.makedirs(folder, exist_ok=True)
    for path in (os.path.dirname(folder), folder):
        shutil.chown(path, "work", "work")
    host.write(folder + "/gpg-split-domain", "vault2\n")
    try:
        listed = wrapper(host, "-k", **settings)
        assert listed.returncode == 0 and host.other_key.encode() in listed.stdout, listed
        listed = client(host, "-k", **settings)
        assert listed.returncode == 0 and host.key.encode() in listed.stdout, listed
    finally:
        os.unlink(folder + "/gpg-split-domain")


def test_x20_neither(host, fakes):
    done = shell(host, "unset QUBES_GPG_DOMAIN; w -k", PATH=fakes + ":/usr/bin:/bin")
    assert done.stderr == "to @default\n", done
    done = shell(host, "unset QUBES_GPG_DOMAIN; w -k")
    assert done.returncode == 0 and host.key.encode() in done.stdout, done


def test_profile(host):
    """3.1: the snippet for login shells; its three rules."""
    read = ". /etc/profile.d/qubes-gpg.sh; echo $QUBES_GPG_DOMAIN; "
    done = shell(host, "mkdir -p .config/qubes; f=.config/qubes/gpg-split-domain; rm -f $f; unset QUBES_GPG_DOMAIN; "
                 + read + "QUBES_GPG_DOMAIN=mine; " + read + "QUBES_GPG_DOMAIN=; " + read
                 + ": >$f; " + read + "echo vault2 >$f; " + read + "rm $f")
    assert done.stdout.decode().split() == ["@default", "mine", "@default", "@default", "vault2"], done


# 13.6: import


@pytest.fixture
def strangers(host):
    """Two keys of somebody else's, exported, armoured and not, and a secret one."""
    home = "/home/work/strangers"
    if not os.path.isdir(home):
        os.mkdir(home, 0o700)
        shutil.chown(home, "work", "work")
    fingerprints = [split_gpg.make_key(host, "work", "Stranger %s" % name, "%s@elsewhere" % name, home) for name in "ab"]
    done = shell(host, "cd %s && gpg --homedir . --export -a %s >k1 && gpg --homedir . --export %s >k2 && "
                 "gpg --homedir . --export-secret-keys -a %s >secret; gpgconf --homedir . --kill all"
                 % (home, *fingerprints, fingerprints[1]))
    assert done.returncode == 0, done
    yield home, fingerprints
    run_as(host, "vault", ["/usr/bin/gpg", "--batch", "--yes", "--delete-keys", *fingerprints])
    shutil.rmtree(home)


def test_i1_standard_input(host, strangers):
    home, (first, second) = strangers
    done = shell(host, "qubes-gpg-import-key <%s/k1" % home)
    assert done.returncode == 0 and "imported" in done.stderr, done
    listed = wrapper(host, "--list-keys").stdout.decode()
    assert first in listed and second not in listed


def test_i2_files(host, strangers):
    """I-2, one armoured, the other not; and through the wrapper, as programs would."""
    home, fingerprints = strangers
    done = shell(host, "cd %s && w --import k1 k2" % home)
    assert done.returncode == 0, done
    listed = wrapper(host, "--list-keys").stdout.decode()
    assert all(fingerprint in listed for fingerprint in fingerprints)


@pytest.mark.parametrize("script", ["unset QUBES_GPG_DOMAIN;", "export QUBES_GPG_DOMAIN=;"])
def test_i3_unset(host, script):
    done = shell(host, script + " qubes-gpg-import-key </dev/null")
    assert done.returncode == 1 and "QUBES_GPG_DOMAIN" in done.stderr, done


def test_i3_missing_file(host):
    before = len(host.audit(service="qubes.GpgImportKey"))
    assert shell(host, "qubes-gpg-import-key FILE nothing").returncode == 1
    assert len(host.audit(service="qubes.GpgImportKey")) == before


def test_i4_denied(host):
    done = run(host, [IMPORT], account="denied")
    assert done.returncode == 126, done


@pytest.mark.parametrize("name", ["secret", "FILE", "SIG"])
def test_i5_refused(host, strangers, name):
    """I-5: a secret key; and what is no key at all."""
    home, (_, second) = strangers
    path = home + "/secret" if name == "secret" else name
    done = shell(host, "qubes-gpg-import-key <" + path)
    if name != "SIG":  # a signature could be a revocation: GnuPG decides
        assert done.returncode == 1 and "refused" in done.stderr, done
    assert second not in wrapper(host, "-K", "--with-colons").stdout.decode()


def test_i5_configured(host, strangers):
    home, (_, second) = strangers
    with open("/home/vault/.profile", "w") as file:
        file.write("QUBES_GPG_IMPORT_SECRET=yes\n")
    try:
        assert shell(host, "qubes-gpg-import-key <%s/secret" % home).returncode == 0
        assert second in wrapper(host, "-K", "--with-colons").stdout.decode()
    finally:
        os.unlink("/home/vault/.profile")
        run_as(host, "vault", ["/usr/bin/gpg", "--batch", "--yes", "--delete-secret-keys", second])


def test_import_of_too_much(host):
    done = shell(host, "head -c 16777217 /dev/zero | qubes-gpg-import-key")
    assert done.returncode == 1 and "16 MiB" in done.stderr, done


# What else is installed


def test_completion_offers_the_table(host):
    """What completion offers is what the client takes, all of it."""
    with open("/usr/share/bash-completion/completions/qubes-gpg-client") as file:
        offered = set(re.findall(r" --([a-z0-9-]+)", file.read()))
    with open(os.path.join(HERE, "../../src/gpg/option.c")) as file:
        table = file.read()
    allowed = set(re.findall(r'^ +(?:PLAIN|LETTER|VALUE|BOTH|COMMAND|FD|LIST)\("([a-z0-9-]+)"', table, re.M)) | {"output"}
    assert offered == allowed and len(offered) == 96


# Programs that run gpg by themselves

MESSAGE = "Hello Bob,\nthis is a mail.\n"

MAIL = [
    # What mutt's own gpg.rc says, with our program's name.
    ("mutt-sign", "w --no-verbose --batch --quiet --output - --armor --textmode --detach-sign -u user@localhost m.txt >m.sig",
     "w --no-verbose --quiet --batch --output - --verify m.sig m.txt", "Good signature"),
    ("mutt-clearsign", "w --no-verbose --batch --quiet --output - --armor --textmode --clearsign -u user@localhost m.txt >m.asc",
     "w --status-fd=2 --no-verbose --quiet --batch --output - m.asc", "[GNUPG:] GOODSIG"),
    ("mutt-encrypt", "w --batch --quiet --no-verbose --output - --textmode --encrypt --always-trust -r user@localhost -- m.txt >m.gpg",
     "w --status-fd=2 --no-verbose --quiet --batch --output - --decrypt m.gpg", "[GNUPG:] DECRYPTION_OKAY"),
    # And gpgme's, for programs built on it; the descriptors are what it would pass.
    ("gpgme-sign", "w --enable-special-filenames --batch --no-sk-comments --lc-messages C --lc-ctype C --status-fd 5 --no-tty "
     "--charset utf8 --enable-progress-filter --exit-on-status-write-error --display :0 --ttyname /dev/pts/0 --ttytype xterm "
     "--logger-fd 6 --sign --detach --armor -u user@localhost -- '-&7' 5>st 6>log 7<m.txt >m.sig && grep -q SIG_CREATED st",
     "w --enable-special-filenames --batch --no-sk-comments --status-fd 5 --no-tty --charset utf8 --enable-progress-filter "
     "--exit-on-status-write-error --logger-fd 6 --verify -- '-&8' '-&7' 5>&2 6>log 7<m.txt 8<m.sig", "[GNUPG:] GOODSIG"),
    ("gpgme-list", "w --batch --no-sk-comments --status-fd 5 --no-tty --charset utf8 --with-colons --fixed-list-mode "
     "--with-fingerprint --with-fingerprint --with-keygrip --list-options show-sig-subpackets=\\\"20,26\\\" --list-sigs -- "
     "user@localhost 5>st | grep -q ^uid:", "true", ""),
]


@pytest.mark.parametrize("first, second, told", [row[1:] for row in MAIL], ids=[row[0] for row in MAIL])
def test_mail_readers(host, first, second, told):
    with open("/home/work/m.txt", "w") as file:
        file.write(MESSAGE)
    done = shell(host, first)
    assert done.returncode == 0, done
    done = shell(host, second)
    assert done.returncode == 0 and told in done.stderr, done


GPGME = """
import gpg, sys
context = gpg.Context(armor=True)
context.set_engine_info(gpg.constants.PROTOCOL_OpenPGP, "/usr/bin/qubes-gpg-client-wrapper", None)
(key,) = context.keylist("user@localhost")
context.signers = [key]
signature, made = context.sign(b"data", mode=gpg.constants.sig.mode.DETACH)
_, verified = context.verify(b"data", signature)
sealed, _, _ = context.encrypt(b"secret", recipients=[key], sign=False, always_trust=True)
opened, _, _ = context.decrypt(sealed)
assert opened == b"secret" and verified.signatures[0].fpr == made.signatures[0].fpr
print(verified.signatures[0].fpr)
"""


def test_gpgme(host):
    """The library itself, if it is there."""
    if run(host, ["/usr/bin/python3", "-c", "import gpg"]).returncode != 0:
        pytest.skip("python3-gpg is not installed")
    done = run(host, ["/usr/bin/python3", "-c", GPGME])
    assert done.returncode == 0 and done.stdout.decode().strip() == host.key, done


KEYS = [("ed25519", "Key-Type: EDDSA\nKey-Curve: Ed25519\nKey-Usage: sign\nSubkey-Type: ECDH\nSubkey-Curve: Curve25519\n"),
        ("nistp256", "Key-Type: ECDSA\nKey-Curve: NIST P-256\nKey-Usage: sign\nSubkey-Type: ECDH\nSubkey-Curve: NIST P-256\n"),
        ("dsa", "Key-Type: DSA\nKey-Length: 2048\nKey-Usage: sign\nSubkey-Type: ELG-E\nSubkey-Length: 2048\n")]


@pytest.mark.parametrize("name, kind", KEYS, ids=[row[0] for row in KEYS])
def test_kinds_of_keys(host, name, kind):
    made = run_as(host, "vault", ["/usr/bin/gpg", "--batch", "--gen-key"],
                  ("%%no-protection\n%sName-Email: %s@kinds\n%%commit\n" % (kind, name)).encode())
    assert made.returncode == 0, made
    sealed = client(host, "-s", "-e", "-u", name + "@kinds", "-r", name + "@kinds", input=b"data")
    assert sealed.returncode == 0, sealed
    opened = client(host, "-d", input=sealed.stdout)
    assert opened.stdout == b"data" and "Good signature" in opened.stderr, opened
