#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Start the supervisor as a service manager does, and wait until it says that it is ready.

As a program: supervisor.py LOG [ARGUMENT…] starts /usr/lib/qubes/qair-supervisor with the arguments, its output going to
the file LOG, waits for READY=1 (sd_notify(3)), prints its process id and ends; the supervisor runs on. If the supervisor
ends first, or says nothing in time, its log is shown and the status is 1.
"""

import os
import select
import socket
import subprocess
import sys
import time

SUPERVISOR = "/usr/lib/qubes/qair-supervisor"

# From exec to READY=1: binding a few sockets. Seconds, for a loaded machine under sanitizers.
READY_TIMEOUT_SEC = 20


class NotReady(Exception):
    """The supervisor ended, or stayed silent, before it was ready."""


def start(log, command=(SUPERVISOR,), environment=None, timeout=READY_TIMEOUT_SEC):
    """Start COMMAND, its output appended to the file LOG, and return its Popen once it has said READY=1.

    Nobody else can answer for it: the notification socket has an abstract name that only this call knows, and messages
    count only from the process that was started (SO_PASSCRED).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(log, "ab", 0) as output:
        ready.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ready.bind("\0qair-ready-%d-%d" % (os.getpid(), time.monotonic_ns()))
        environment = dict(os.environ if environment is None else environment)
        environment["NOTIFY_SOCKET"] = "@" + ready.getsockname()[1:].decode()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        try:
            _wait_ready(process, ready, time.monotonic() + timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process


def _wait_ready(process, ready, deadline):
    pidfd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        while True:
            events = dict(poll.poll(max(0, deadline - time.monotonic()) * 1000))
            if ready.fileno() in events:
                message, ancillary, _, _ = ready.recvmsg(4096, socket.CMSG_SPACE(12))
                if b"READY=1" in message.split(b"\n") and _sender(ancillary) == process.pid:
                    return
            elif pidfd in events:
                raise NotReady("%s ended with status %d" % (process.args[0], process.wait()))
            elif not events:
                raise NotReady("%s did not say READY=1 in time" % process.args[0])
    finally:
        os.close(pidfd)


def _sender(ancillary):
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return int.from_bytes(data[:4], sys.byteorder)
    return None


def main():
    if len(sys.argv) < 2:
        print("usage: supervisor.py LOG [ARGUMENT…]", file=sys.stderr)
        return 2
    try:
        process = start(sys.argv[1], [SUPERVISOR, *sys.argv[2:]])
    except (NotReady, OSError) as error:
        print("supervisor.py: %s" % error, file=sys.stderr)
        if os.path.exists(sys.argv[1]):
            with open(sys.argv[1], errors="replace") as log:
                sys.stderr.write(log.read())
        return 1
    print(process.pid)
    return 0


if __name__ == "__main__":
    sys.exit(main())
