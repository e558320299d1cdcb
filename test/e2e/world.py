# SPDX-License-Identifier: Apache-2.0
"""The harness of the end-to-end tests: a host with Qair, in sentences.

    world.add_domain("work")
    world.add_domain("vault", services={"my.Secret": "echo secret"})
    world.set_policy("my.Secret * work vault allow")
    world.start()
    assert world.call("work", "vault", "my.Secret").stdout == b"secret\\n"

It drives the installed programs, as installed, in the world that test/world/enter made. Every World starts from the
state right after installation and must leave no process behind.
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

import processes
from accounts import Accounts
from logfile import Folder, LogFile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "world"))
import supervisor  # noqa: E402 (it lies beside enter, for the demo uses it too)

LIBEXEC = "/usr/lib/qubes"
BROKER = LIBEXEC + "/qrexecd"
AGENT = LIBEXEC + "/qrexec-agent"
CLIENT = "/usr/bin/qrexec-client-vm"
QAIR = "/usr/bin/qair"

REFUSED = 126
NO_SERVICE = 127

# What test/world/enter installed, as it was.
INSTALLED = "/run/world/installed"
CONFIGURATION = ("/etc/qubes", "/etc/qubes-rpc", "/etc/split-ssh")
EMPTY = ("/var/log/qubes", "/run/qubes", "/run/qubes-rpc", "/run/user", "/run/test", "/usr/local/etc/qubes-rpc")
STARTED = "/run/test/started"
AUDIT = "/var/log/qubes/audit.jsonl"

# Nothing here takes longer than a second; these are for a machine that is busy with something else.
CALL_TIMEOUT_SEC = 30
LOG_TIMEOUT_SEC = 20
STOP_TIMEOUT_SEC = 20
GONE_TIMEOUT_SEC = 5

PATH = "/usr/local/bin:/usr/bin:/bin"
# What a sanitizer needs to be heard; a service manager would pass nothing else of our environment on.
PASSED_ON = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")


class Result:
    """How a call ended: stdout in bytes, stderr in text, and the exit status of the client."""

    def __init__(self, returncode, stdout, stderr):
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr.decode(errors="backslashreplace")

    def __repr__(self):
        return "Result(returncode=%d, stdout=%r, stderr=%r)" % (self.returncode, self.stdout[:200], self.stderr[:2000])


class Start:
    """One start of a service, as the service itself saw it."""

    def __init__(self, account, descriptor, source):
        self.account = account
        self.descriptor = descriptor
        self.source = source

    def __repr__(self):
        return "Start(account=%r, descriptor=%r, source=%r)" % (self.account, self.descriptor, self.source)


class World:
    """One host: its accounts, configuration and processes."""

    def __init__(self):
        if os.environ.get("QAIR_WORLD") != "1":
            raise RuntimeError("this needs a private world: test/world/enter BUILD_DIR COMMAND…")
        self.accounts = Accounts()
        self.supervisor = None
        self._calls = []
        self._n_killed_brokers = 0
        self._audit_inode, self._audit_size, self._audit_records = None, 0, []  # what was read of it so far
        self._account_of = {"dom0": "root"}
        self._reset()
        self.logfile = LogFile("/run/test/log")
        self.auditfile = Folder(os.path.dirname(AUDIT))

    # Configuration

    def add_account(self, name, groups=()):
        """An account that is nobody's domain (yet)."""
        return self.accounts.add(name, groups)

    def add_domain(self, name, user=None, services=None, **properties):
        """Make the account USER (default NAME), declare it the domain NAME, and give it SERVICES of its own.

        PROPERTIES are those of domains.d(5), as they are written there. A RemoteVM has no account.
        """
        if properties.get("type") != "RemoteVM":
            user = user or name
            self.accounts.add(user)
            self._account_of[name] = user
            properties = {"user": user, **properties}
        lines = ["[domain]"] + ["%s = %s" % item for item in properties.items()]
        self.write("/etc/qubes/domains.d/%s.conf" % name, "\n".join(lines) + "\n")
        for service, script in (services or {}).items():
            self.add_service(service, script, domain=name)

    def set_policy(self, text):
        """The user's rules, before the shipped ones."""
        self.write("/etc/qubes/policy.d/30-user.policy", text if text.endswith("\n") else text + "\n")

    def add_service(self, name, script, domain=None, config=None):
        """Install SCRIPT as the service NAME for every domain, or for DOMAIN alone; CONFIG is its rpc-config.

        A SCRIPT without a `#!` line is one for /bin/sh. Shell scripts record that they were started, by whom and as
        whom, before they do anything else: see started().
        """
        if not script.startswith("#!"):
            script = "#!/bin/sh\n" + script
        first, _, rest = script.partition("\n")
        if os.path.basename(first.split()[0]) in ("sh", "bash"):
            # The shell's own echo, no other program: what a service does must not depend on being watched.
            record = 'echo "$QREXEC_SERVICE_FULL_NAME $QREXEC_REMOTE_DOMAIN" >%s/%s.$$' % (STARTED, name)
            script = "\n".join([first, record, rest])
        folder = "/etc/qubes/domains.d/%s.rpc" % domain if domain else "/etc/qubes-rpc"
        self.write(os.path.join(folder, name), script, mode=0o755)
        if config is not None:
            self.write("/etc/qubes/rpc-config/" + name, config)

    @staticmethod
    def write(path, content, mode=0o644):
        """A file of root's, complete from the moment that it has its name."""
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        new = os.path.join(os.path.dirname(path), ".new")
        with open(new, "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        os.rename(new, path)

    # Life of the host

    def start(self, *arguments, under=()):
        """Start the supervisor, as a service manager would, and wait until it is ready; UNDER a program that execs it."""
        assert self.supervisor is None, "the supervisor is running"
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        environment.update((name, os.environ[name]) for name in PASSED_ON if name in os.environ)
        try:
            self.supervisor = supervisor.start(
                self.logfile.path, [*under, supervisor.SUPERVISOR, *arguments], environment=environment
            )
        except supervisor.NotReady as error:
            raise AssertionError("%s\n%s" % (error, self.log())) from None

    def stop(self):
        """Stop the supervisor, as a service manager would; it must end well. Services in the middle of a call go on."""
        process, self.supervisor = self.supervisor, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_TIMEOUT_SEC)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the supervisor did not stop:\n" + self.log()) from None
        assert status == 0, "the supervisor ended with status %d:\n%s" % (status, self.log())

    def reload(self):
        """Tell the supervisor that accounts or domains have changed; what shows that it has noticed is in the log."""
        self.supervisor.send_signal(signal.SIGHUP)

    def restart_broker(self, number=signal.SIGKILL, tracer=None):
        """Kill the broker and wait until it is dead. The supervisor starts another; until then callers wait in the
        backlog of the sockets, so a call may follow at once. A TRACER that holds it, a Popen, ends with it."""
        (broker,) = processes.running(BROKER)
        self.expect_dead_broker()
        broker.kill(number)
        if tracer:
            tracer.kill()
        assert broker.wait(GONE_TIMEOUT_SEC), "the broker outlived signal %d" % number

    def expect_dead_broker(self):
        """The broker will die by what a test does to it."""
        self._n_killed_brokers += 1

    def close(self, patience=GONE_TIMEOUT_SEC):
        """End everything. It is an error that a process is left after PATIENCE seconds, that the broker died by any
        hand but ours, or that a sanitizer had something to say."""
        failures = []
        for call in self._calls:
            call.kill()
            call.wait()
            for stream in (call.stdin, call.stdout, call.stderr):
                if stream:
                    with contextlib.suppress(BrokenPipeError):  # what was not sent to one that is dead
                        stream.close()
        if self.supervisor:
            try:
                self.stop()
            except AssertionError as error:
                failures.append(str(error))
        left = self.leftovers(patience)
        if left:
            failures.append("left behind:\n" + "\n".join(left))
            self.kill_leftovers()
        text = self.log()
        failures += [text for report in SANITIZER_REPORTS if report in text]
        if text.count("the broker died") > self._n_killed_brokers:
            failures.append("the broker died by itself:\n" + text)
        self.logfile.close()
        self.auditfile.close()
        self.accounts.restore()
        assert not failures, "\n".join(failures)

    # Calls

    def call(self, source, target, service, input=b"", options=(), program=(), timeout=CALL_TIMEOUT_SEC, **settings):
        """Call SERVICE in TARGET as domain SOURCE (dom0: root), give it INPUT, and wait for the end."""
        call = self.start_call(source, target, service, options, program, **settings)
        try:
            stdout, stderr = call.communicate(input.encode() if isinstance(input, str) else input, timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s -> %s %s did not end:\n%s" % (source, target, service, self.log())) from None
        return Result(call.returncode, stdout, stderr)

    def start_call(self, source, target, service, options=(), program=(), **settings):
        """The same, without waiting: a Popen whose three streams are pipes (unless SETTINGS, Popen's own, say else)."""
        command = [CLIENT, *options, "--", target, service, *program]
        call = self.popen_as(self._account_of[source], command, **settings)
        self._calls.append(call)
        return call

    def qair(self, *arguments, account="root"):
        """Run qair, and wait for its end."""
        return self.run_as(account, [QAIR, *arguments])

    def run_as(self, account, command, environment=None, input=b"", timeout=CALL_TIMEOUT_SEC):
        """Run COMMAND as popen_as() starts it, and wait for its end."""
        with self.popen_as(account, command, environment) as process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Result(process.returncode, stdout, stderr)

    def popen_as(self, account, command, environment=None, **settings):
        """Start COMMAND as ACCOUNT, in its home, with nothing of ours but the three streams."""
        entry = pwd.getpwnam(account)
        base = {"HOME": entry.pw_dir, "USER": account, "LOGNAME": account, "SHELL": entry.pw_shell, "PATH": PATH}
        base.update((name, os.environ[name]) for name in PASSED_ON if name in os.environ)
        base.update(environment or {})
        if account != "root":
            groups = [group for group in os.getgrouplist(account, entry.pw_gid) if group != entry.pw_gid]
            settings = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups, **settings}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, env=base, cwd=entry.pw_dir, **{**streams, **settings})

    # What has happened

    def log(self):
        """Everything that the supervisor, the broker and the agents have written so far."""
        return self.logfile.text()

    def assert_served(self, service="my.Echo", source="work", target="vault"):
        """SERVICE echoes."""
        result = self.call(source, target, service, input=b"x")
        assert (result.returncode, result.stdout) == (0, b"x"), result

    def wait_log(self, expression, timeout=LOG_TIMEOUT_SEC, mark=0):
        """Wait until a line like EXPRESSION is in the log, after MARK = world.logfile.mark() if given."""
        return self.logfile.wait(expression, timeout, mark)

    def audit(self, **fields):
        """The audit records so far that have all of FIELDS; every line has to be a whole record."""
        if not os.path.exists(AUDIT):
            return []
        deadline = time.monotonic() + LOG_TIMEOUT_SEC
        while True:
            with open(AUDIT, "rb") as file:
                if self._audit_inode != os.fstat(file.fileno()).st_ino:
                    self._audit_inode, self._audit_size, self._audit_records = os.fstat(file.fileno()).st_ino, 0, []
                file.seek(self._audit_size)
                new = file.read()
            whole = new[:new.rfind(b"\n") + 1]
            self._audit_records += [json.loads(line) for line in whole.splitlines()]
            self._audit_size += len(whole)
            if whole == new:
                break  # else it is being written just now
            assert time.monotonic() < deadline, "the last record is not complete"
            self.auditfile.wait_change(deadline)
        return [dict(record) for record in self._audit_records if fields.items() <= record.items()]

    def wait_audit(self, n=1, timeout=LOG_TIMEOUT_SEC, **fields):
        """Wait until N audit records have all of FIELDS; return them. Woken by the log, which has a line for each."""
        deadline = time.monotonic() + timeout
        while True:
            records = self.audit(**fields)
            if len(records) >= n:
                return records
            assert time.monotonic() < deadline, "not %d records with %r:\n%s" % (n, fields, self.audit())
            self.auditfile.wait_change(deadline)

    def started(self, service):
        """Every start of SERVICE so far: a list of Start."""
        starts = []
        for name in sorted(os.listdir(STARTED)):
            if name.rpartition(".")[0] != service:
                continue
            path = os.path.join(STARTED, name)
            with open(path) as file:
                descriptor, _, source = file.read().strip().partition(" ")
            starts.append(Start(pwd.getpwuid(os.stat(path).st_uid).pw_name, descriptor, source))
        return starts

    def leftovers(self, patience=GONE_TIMEOUT_SEC):
        """The processes that are still there although nothing should be, after PATIENCE seconds to notice."""
        return [str(process) for process in processes.wait_all_gone(patience)]

    def kill_leftovers(self):
        for process in processes.others():
            process.kill()
            process.wait(GONE_TIMEOUT_SEC)

    def assert_service_never_started(self, service):
        starts = self.started(service)
        assert not starts, "%s was started: %r" % (service, starts)

    @staticmethod
    def assert_refused(result):
        """Policy (or identity) said no, and the caller was told just that, and got nothing."""
        assert result.returncode == REFUSED, result
        assert result.stdout == b"", result
        assert result.stderr.startswith("Request refused\n"), result

    def _reset(self):
        for path in CONFIGURATION + EMPTY:
            shutil.rmtree(path, ignore_errors=True)
        for path in CONFIGURATION:
            shutil.copytree(INSTALLED + path, path, symlinks=True)
        os.makedirs(STARTED)
        os.makedirs(os.path.dirname(AUDIT), mode=0o750)
        os.chmod(STARTED, 0o1777)


def agent_of(domain):
    """The one agent whose account is DOMAIN: handlers, which are its children and run the same program, are none."""
    uid = pwd.getpwnam(domain).pw_uid
    (agent,) = [process for process in processes.first_of(AGENT) if os.stat("/proc/%d" % process.pid).st_uid == uid]
    return agent
