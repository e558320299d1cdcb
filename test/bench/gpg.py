# SPDX-License-Identifier: Apache-2.0
"""split-gpg, beside the same gpg run by the account that has the keys: a large message each way, and signatures."""

import hashlib
import json
import os
import statistics
import subprocess
import time

from host import CALLS, HERE, STREAM, identity
from table import Section
import split_gpg

SIZE = 1 << 30
SIGNATURES = 100
GPG, CLIENT, SERVER = split_gpg.GPG, split_gpg.CLIENT, split_gpg.SERVER
TARGET_STREAM = (">=", 0.7)
TARGET_SIGNATURE = ("<=", 1.5)
CHUNK = 1 << 20
assert HERE  # host.py has put the end-to-end tests' folder into the path

LOCAL, OURS = "gpg, by the account with the keys", "qubes-gpg-client"


def gpg(host):
    world = host.world
    split_gpg.grant("vault", "work")
    split_gpg.make_key(world, "vault")
    try:
        return [*_streams(world), _signatures(world)]
    finally:
        split_gpg.stop_agents(world, "vault")


def _settings(account):
    settings = identity(account)
    settings["env"]["QUBES_GPG_DOMAIN"] = "vault"
    return settings


def _ways():
    return {LOCAL: ("vault", [GPG, "--batch"]), OURS: ("work", [CLIENT])}


# Without compression, which would be most of the time: what is measured is what carries the bytes.
def _streams(world):
    encrypt = Section("gpg-encrypt", "%d MiB through --encrypt" % (SIZE >> 20), "gpg")
    decrypt = Section("gpg-decrypt", "%d MiB through --decrypt, compared by SHA-256" % (SIZE >> 20), "gpg")
    memory = Section("gpg-memory", "Most memory that the two ends had meanwhile (VmHWM)")
    rates, back = {}, {}
    for way, (account, command) in _ways().items():
        split_gpg.grant("vault", "work")
        path = "/run/bench/" + account + ".gpg"
        options = ["--encrypt", "-r", "user@localhost", "--compress-algo", "none"]
        rates[way], peaks = _encrypt(account, [*command, *options], path)
        back[way] = _decrypt(account, [*command, "--decrypt"], path)
        os.unlink(path)
    encrypt.add(LOCAL, rates[LOCAL], "MB/s", 1.0)
    encrypt.add(OURS, rates[OURS], "MB/s", rates[OURS] / rates[LOCAL], TARGET_STREAM)
    decrypt.add(LOCAL, back[LOCAL], "MB/s", 1.0)
    decrypt.add(OURS, back[OURS], "MB/s", back[OURS] / back[LOCAL], TARGET_STREAM)
    for name, kib in peaks.items():
        memory.add(name, kib, "KiB")
    return encrypt, decrypt, memory


def _encrypt(account, command, path):
    begin = time.perf_counter()
    with open(path, "wb") as file:
        writer = subprocess.Popen([STREAM, "write", str(SIZE)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  **_settings(account))
        call = subprocess.Popen(command, stdin=writer.stdout, stdout=file, stderr=subprocess.DEVNULL, **_settings(account))
        writer.stdout.close()
        peaks = {}
        while writer.poll() is None:
            peaks = _peaks() or peaks
            time.sleep(0.1)
        statuses = writer.wait(), call.wait()
    if any(statuses) or os.path.getsize(path) < SIZE:
        raise RuntimeError("%r: %r" % (command, statuses))
    return SIZE / (time.perf_counter() - begin) / 1e6, peaks


def _decrypt(account, command, path):
    expected = _sum(subprocess.Popen([STREAM, "write", str(SIZE)], stdout=subprocess.PIPE))
    begin = time.perf_counter()
    with open(path, "rb") as file:
        found = _sum(subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      **_settings(account)))
    if found != expected:
        raise RuntimeError("%r: not what was encrypted" % command)
    return SIZE / (time.perf_counter() - begin) / 1e6


def _sum(process):
    digest = hashlib.sha256()
    while True:
        chunk = process.stdout.read(CHUNK)
        if not chunk:
            break
        digest.update(chunk)
    if process.wait() != 0:
        raise RuntimeError("%r: status %d" % (process.args, process.returncode))
    return digest.hexdigest()


def _peaks():
    """The peak of each of our programs that run now."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            program = os.readlink("/proc/%s/exe" % pid)
            with open("/proc/%s/status" % pid) as file:
                (line,) = [line for line in file if line.startswith("VmHWM")]
        except (OSError, ValueError):
            continue
        if program in (CLIENT, SERVER):
            found[os.path.basename(program)] = int(line.split()[1])
    return found


def _signatures(world):
    section = Section("gpg-sign", "One signature of %d, one after the other" % SIGNATURES, "gpg")
    figures = {}
    for way, (account, command) in _ways().items():
        split_gpg.grant("vault", "work")
        for n in (5, SIGNATURES):  # the first few warm everything up
            said = subprocess.run([CALLS, "1", "1", str(n), *command, "--detach-sign"], stdin=subprocess.DEVNULL,
                                  capture_output=True, check=True, **_settings(account))
            report = json.loads(said.stdout)
            if report.get("error") or report["lost"]:
                raise RuntimeError("%s: %r" % (way, report))
        figures[way] = statistics.median(report["times"]) / 1000
    section.add(LOCAL, figures[LOCAL], "ms", 1.0)
    section.add(OURS, figures[OURS], "ms", figures[OURS] / figures[LOCAL], TARGET_SIGNATURE)
    return section
