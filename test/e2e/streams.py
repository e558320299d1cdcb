# SPDX-License-Identifier: Apache-2.0
"""Calls of `work` that carry much, or that are many: for Hosts' run()."""

import hashlib
import os

# For the end of a call, once its streams have ended; what is called may be a machine that is emulated.
PATIENCE_SEC = 120

# The service my.Give: so many bytes, and what they were.
GIVE = """#!/bin/bash
exec 3>&1
head -c "$1" /dev/urandom | tee /dev/fd/3 | sha256sum >&2
"""


def at_once(world, n, target, service):
    """N calls that are all open at the same time: each says something, then all are told to end."""
    calls = [world.start_call("work", target, service) for _ in range(n)]
    outputs = []
    for number, call in enumerate(calls):
        call.stdin.write(b"%d\n" % number)
        call.stdin.flush()
    for call in calls:
        outputs.append(call.stdout.readline())
    for call in calls:
        call.stdin.close()
    return outputs, [call.wait(PATIENCE_SEC) for call in calls]


def stream(world, target, direction, n_bytes):
    """N_BYTES to my.Hash ("there") or from my.Give ("back"); Return: status, and two hashes, of what was sent and what arrived."""
    service = "my.Hash" if direction == "there" else "my.Give+%d" % n_bytes
    call = world.start_call("work", target, service)
    sent = hashlib.sha256()
    if direction == "there":
        block = os.urandom(1 << 20)
        for _ in range(n_bytes >> 20):
            sent.update(block)
            call.stdin.write(block)
        call.stdin.close()
        arrived = call.stdout.read().split()[0].decode()
    else:
        call.stdin.close()
        digest = hashlib.sha256()
        while data := call.stdout.read(1 << 20):
            digest.update(data)
        arrived = digest.hexdigest()
        sent = call.stderr.read().split()[0].decode()
    return call.wait(PATIENCE_SEC), sent if isinstance(sent, str) else sent.hexdigest(), arrived
