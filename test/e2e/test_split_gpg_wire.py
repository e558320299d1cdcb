# SPDX-License-Identifier: Apache-2.0
"""split-gpg's wire protocol, byte for byte: what an odd or a hostile frontend sends to gpg-server (specification, 13.5)."""

import os
import select
import struct

import processes
import pytest
import split_gpg
from inside import IN_WORLD
from split_gpg import GPG, SERVER, frame, frames, joined, request
from waiting import wait_for

END = frame(0)
EXIT_SEC = 30


@pytest.fixture(scope="module")
def vault():
    if not IN_WORLD:
        pytest.skip("needs a private world")
    from world import World

    world = World()
    try:
        world.add_account("vault")
        split_gpg.grant_directory("vault")
        split_gpg.make_key(world, "vault")
        # A GnuPG that says that it was started, and becomes the real one.
        world.write("/run/test/gpg", "#!/bin/sh\necho $$ >>/run/test/gpg-started\nexec %s \"$@\"\n" % GPG, mode=0o755)
        world.write("/run/test/sleeper", "#!/bin/sh\necho $$ >>/run/test/gpg-started\nexec sleep 1000\n", mode=0o755)
        world.write("/run/test/stubborn", "#!/bin/sh\ntrap '' TERM\necho $$ >>/run/test/gpg-started\n"
                    "exec sleep 1000\n", mode=0o755)
        yield world
    finally:
        split_gpg.stop_agents(world, "vault")
        world.close()


@pytest.fixture(autouse=True)
def no_gpg_yet(vault):
    with open("/run/test/gpg-started", "w"):
        pass
    os.chmod("/run/test/gpg-started", 0o666)


def gpg_pids():
    with open("/run/test/gpg-started") as file:
        return [int(line) for line in file.read().split()]


def wait_gone(pid, seconds=EXIT_SEC):
    wait_for(lambda: not os.path.exists("/proc/%d" % pid), "the end of %d" % pid, seconds)


def wait_started():
    return wait_for(gpg_pids, "gpg", EXIT_SEC)[0]


class Session:
    """gpg-server, and the test as its frontend."""

    def __init__(self, vault, gpg="/run/test/gpg", **settings):
        self.process = vault.popen_as("vault", [SERVER, gpg, "src"], bufsize=0, **settings)

    def send(self, data):
        self.process.stdin.write(data)

    def hang_up(self):
        self.process.stdin.close()

    def read_to_end(self):
        """Everything, without closing our side: (status, stdout, stderr)."""
        out = self.process.stdout.read()
        err = self.process.stderr.read()
        return self.process.wait(EXIT_SEC), out, err.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def exchange(vault, data, **settings):
    """Send DATA, keep the stream open, and read to the end."""
    with Session(vault, **settings) as session:
        try:
            session.send(data)
        except BrokenPipeError:
            pass
        return session.read_to_end()


def status_of(found):
    """The exit frame, which is the last one."""
    index, payload = found[-1]
    assert index < 0 and payload == b"", found
    return -(index + 1)


def test_w1_version(vault):
    status, out, _ = exchange(vault, request("--version") + END)
    found = frames(out)
    assert status == 0 and status_of(found) == 0
    assert joined(found, 0).startswith(b"gpg (GnuPG)")
    assert [f for f in found if f == (0, b"")] == [(0, b"")] and (1, b"") in found


def test_worked_exchange(vault):
    """6.6, and the example of doc/protocol.md, to the byte: -k on an empty keyring, and nothing else is sent."""
    with open(os.path.join(os.path.dirname(__file__), "../../doc/protocol.md")) as file:
        text = file.read().partition("## 15 split-gpg")[2].partition("```\n")[2].partition("```")[0]
    example = [(line[0], bytes.fromhex(line[2:20])) for line in text.splitlines()]
    home = "/home/vault/empty"
    os.mkdir(home, 0o700)
    os.chown(home, *[os.stat("/home/vault").st_uid] * 2)
    environment = {"GNUPGHOME": home}
    run = split_gpg.run_as(vault, "vault", [GPG, "-k"], environment=environment)
    assert run.returncode == 0, run
    sent = [data for way, data in example if way == ">"]
    answers = [data for way, data in example if way == "<"]
    assert request("-k") == sent[0] + bytes(1020) and END == sent[1]
    status, out, err = exchange(vault, sent[0] + bytes(1020) + sent[1], environment=environment)
    assert status == 0 and err == "" and out[-8:] == answers[2], (status, out, err)
    assert sorted([out[0:8], out[8:16]]) == answers[:2] and len(out) == 24
    status, out, _ = exchange(vault, request("-k", "nobody") + END, environment=environment)
    assert status == 0 and out[-8:] == bytes.fromhex("fdffffff00000000")


BAD_HEADERS = [
    ("W-2", struct.pack("<I", 1024) + bytes(1024)),
    ("W-2-largest", struct.pack("<I", 0xFFFFFFFF) + bytes(1024)),
    ("W-3", struct.pack("<I", 3) + b"\0-kk" + bytes(1020)),
    ("W-3-inside", struct.pack("<I", 2) + b"\0-k" + bytes(1021)),
    ("W-7", request("")),
    ("W-8-file", request("-d", "/etc/passwd")),
    ("W-8-two", request("-d", "-", "-")),
    ("W-9-path", request("--verify", "/etc/passwd")),
    ("W-9-2", request("--verify", "/dev/fd/2")),
    ("W-9-03", request("--verify", "/dev/fd/03")),
    ("W-9-x", request("--verify", "/dev/fd/x")),
    ("W-9-1024", request("--verify", "/dev/fd/1024")),
    ("W-10-secret", request("--export-secret-keys")),
    ("W-10-card", request("--card-status")),
    ("W-10-import", request("--import")),
    ("W-10-home", request("--homedir=/x", "-k")),
    ("W-10-short", request("--sig")),
    ("W-10-command", request("--command-fd", "0")),
    ("W-10b", request("-o", "/tmp/x", "-s")),
    ("W-11", request("--status-fd", "5", "--verify", "/dev/fd/5")),
    ("control", request(b"-k", b"\x01")),
    ("c1", request(b"-k", b"\xc2\x85")),
    ("latin1", request(b"-k", b"\xe9")),
    ("newline", request("-k", "a\nb")),
]


@pytest.mark.parametrize("data", [row[1] for row in BAD_HEADERS], ids=[row[0] for row in BAD_HEADERS])
def test_bad_header(vault, data):
    """Refused without a word, and GnuPG is not started."""
    assert exchange(vault, data + END) == (1, b"", "")
    assert gpg_pids() == [] and not os.path.exists("/tmp/x")


def test_w4_short_header(vault):
    with Session(vault) as session:
        session.send(bytes(500))
        session.hang_up()
        assert session.read_to_end() == (1, b"", "")


def test_w5_header_in_parts(vault):
    with Session(vault) as session:
        data = request("--version") + END
        session.send(data[:3])
        wait_asleep(session.process.pid)
        session.send(data[3:700])
        wait_asleep(session.process.pid)
        session.send(data[700:])
        status, out, _ = session.read_to_end()
    assert status == 0 and status_of(frames(out)) == 0


def wait_asleep(pid):
    """Until the process waits: it has read all that was there, or cannot write."""
    wait_for(lambda: processes.status_of(pid, "State") in ("S", "Z"), "%d to wait" % pid, EXIT_SEC)


def test_w6_name_first(vault):
    status, out, _ = exchange(vault, request("--version", name=b"gpg") + END)
    assert status == 0 and joined(frames(out), 0).startswith(b"gpg (GnuPG)")


BAD_FRAMES = [
    ("W-12", frame(5, b"x")),
    ("W-12-end", frame(1)),
    ("W-13", struct.pack("<iI", 0, 4097)),
    ("W-14", frame(-1)),
    ("W-14-data", frame(-5, b"x")),
    ("largest", struct.pack("<iI", 0x7FFFFFFF, 0xFFFFFFFF)),
]


@pytest.mark.parametrize("data", [row[1] for row in BAD_FRAMES], ids=[row[0] for row in BAD_FRAMES])
def test_bad_frame(vault, data):
    with Session(vault, gpg="/run/test/sleeper") as session:
        session.send(request("-k"))
        pid = wait_started()
        session.send(frame(0, b"good") + data)
        status, _, err = session.read_to_end()
        assert status == 1 and len(err.splitlines()) == 1, err
    wait_gone(pid)


def test_stubborn_gpg_is_killed(vault):
    with Session(vault, gpg="/run/test/stubborn") as session:
        session.send(request("-k"))
        pid = wait_started()
        session.send(frame(7))
        assert session.read_to_end()[0] == 1
    wait_gone(pid)


def test_truncated_frame(vault):
    with Session(vault, gpg="/run/test/sleeper") as session:
        session.send(request("-k"))
        pid = wait_started()
        session.send(frame(0, b"abcdef")[:-2])
        session.hang_up()
        assert session.read_to_end()[0] == 1
    wait_gone(pid)


def test_w15_data_after_the_end(vault):
    status, out, _ = exchange(vault, request("--sign") + frame(0, b"data") + END + frame(0, b"more") + END)
    found = frames(out)
    assert status == 0 and status_of(found) == 0
    read = split_gpg.run_as(vault, "vault", [GPG, "-d"], joined(found, 0))
    assert read.stdout == b"data", read


def test_w16_signature_in_its_descriptor(vault):
    signature = split_gpg.run_as(vault, "vault", [GPG, "-b"], b"data").stdout
    order = [frame(1, signature), frame(1), frame(0, b"data"), END]
    for parts in (order, [order[2], order[0], order[3], order[1]]):
        status, out, _ = exchange(vault, request("--verify", "/dev/fd/3", "-") + b"".join(parts))
        found = frames(out)
        assert status == 0 and status_of(found) == 0 and b"Good signature" in joined(found, 1), found
        assert joined(found, 0) == b""


def test_w17_hang_up(vault):
    with Session(vault, gpg="/run/test/sleeper") as session:
        session.send(request("-k"))
        pid = wait_started()
        session.hang_up()
        status, out, err = session.read_to_end()
        assert (status, err) == (0, "") and not [f for f in frames(out) if f[0] < 0]
    wait_gone(pid, 2)


def test_w17_hang_up_while_gnupg_reads_nothing(vault):
    """As it does while a passphrase is asked for: what it has still to take does not hide that the frontend is gone."""
    with Session(vault, gpg="/run/test/sleeper") as session:
        session.send(request("-d") + b"".join([frame(0, bytes(4096))] * 40))  # more than both pipes and the server hold
        pid = wait_started()
        session.process.stdout.close()
        session.hang_up()
        assert session.process.wait(EXIT_SEC) == 0
    wait_gone(pid, 2)


def test_w18_killed(vault):
    with Session(vault, gpg="/run/test/sleeper") as session:
        session.send(request("-k"))
        os.kill(wait_started(), 9)
        status, out, _ = session.read_to_end()
    assert status == 0 and status_of(frames(out)) == 137


def test_no_such_gpg(vault):
    status, out, _ = exchange(vault, request("-k"), gpg="/nowhere/gpg")
    assert status == 0 and status_of(frames(out)) == 1


@pytest.mark.parametrize("number", [3, 4, 5, 8, 63, 1023])
def test_w19_descriptors(vault, number):
    """W-19: the number in GnuPG is the number that was said, whatever descriptors the server itself has."""
    status, out, _ = exchange(vault, request("--status-fd", str(number), "-s") + frame(0, b"x") + END)
    found = frames(out)
    assert status == 0 and status_of(found) == 0 and b"[GNUPG:] SIG_CREATED" in joined(found, 2), found
    assert b"GNUPG" not in joined(found, 1)


def test_order_of_outputs(vault):
    """6.4: 1 and 2 never get an entry of their own."""
    options = ["--status-fd", "9", "--logger-fd", "2", "--attribute-fd", "7", "--verbose"]
    status, out, _ = exchange(vault, request(*options, "-s") + frame(0, b"x") + END)
    found = frames(out)
    assert status == 0 and b"SIG_CREATED" in joined(found, 2) and b"signature from" in joined(found, 1)
    assert sorted(index for index, payload in found if payload == b"") == [-1, 0, 1, 2, 3]


def test_w20_byte_by_byte(vault):
    with Session(vault) as session:
        for byte in request("-s")[:20]:
            session.send(bytes([byte]))
        session.send(request("-s")[20:])
        for byte in frame(0, b"some data") + END:
            session.send(bytes([byte]))
            wait_asleep(session.process.pid)
        status, out, _ = session.read_to_end()
    found = frames(out)
    assert status == 0 and status_of(found) == 0
    assert split_gpg.run_as(vault, "vault", [GPG, "-d"], joined(found, 0)).stdout == b"some data"


def test_directions_are_independent(vault):
    """6.5: what GnuPG does not read holds up nothing of what it writes."""
    vault.write("/run/test/talker", "#!/bin/sh\nhead -c 1000000 /dev/zero\nexec cat >/dev/null\n", mode=0o755)
    with Session(vault, gpg="/run/test/talker") as session:
        session.send(request("-d"))
        payload = (frame(0, b"y" * 4096) * 500) + END
        os.set_blocking(session.process.stdin.fileno(), False)
        sent, out = 0, b""
        while True:
            writable = [session.process.stdin] if sent < len(payload) else []
            readable, ready, _ = select.select([session.process.stdout], writable, [], EXIT_SEC)
            assert readable or ready, "nothing moves"
            if ready:
                sent += os.write(session.process.stdin.fileno(), payload[sent:sent + 65536])
            if readable:
                chunk = os.read(session.process.stdout.fileno(), 65536)
                if not chunk:
                    break
                out += chunk
        assert session.process.wait(EXIT_SEC) == 0
    found = frames(out)
    assert status_of(found) == 0 and len(joined(found, 0)) == 1000000


def test_w21_slow_reader(vault):
    """W-21: a megabyte waits for whoever does not read, and arrives whole."""
    with Session(vault) as session:
        data = os.urandom(1 << 20)
        session.send(request("--status-fd", "5", "-s", "--compress-algo", "none"))
        writer = os.fork()
        if writer == 0:
            try:
                session.process.stdout.close()
                for at in range(0, len(data), 4096):
                    session.send(frame(0, data[at:at + 4096]))
                session.send(END)
            finally:
                os._exit(0)
        wait_asleep(writer)  # asleep: there is no room left
        status, out, _ = session.read_to_end()
        os.waitpid(writer, 0)
    found = frames(out)
    assert status == 0 and status_of(found) == 0
    assert split_gpg.run_as(vault, "vault", [GPG, "-d"], joined(found, 0)).stdout == data


def test_usage(vault):
    done = split_gpg.run_as(vault, "vault", [SERVER, GPG])
    assert done.returncode == 1 and "Usage" in done.stderr and done.stdout == b""
