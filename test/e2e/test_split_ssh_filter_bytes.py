# SPDX-License-Identifier: Apache-2.0
"""The test matrix of split-ssh (specification, 16.2): what callers send, byte by byte."""

import array
import fcntl
import struct
import termios

import pytest
from sshvault import BIND, FAILURE, PW, SESSION, Connection, auth, message, messages, sign_request, string, strings
from waiting import wait_for


# Q, R: bytes


SIGN_BYTES = {
    "R-1": ("0000000101 0000000109 0000000116 00000001ff 0000000100", 5 * "0000000105"),
    "R-3": ("000000020b00", "0000000105"),
    "R-4": ("000000010d 000000050d00000000", 2 * "0000000105"),
    "R-5": ("0000000a1b000000057175657279",
            "000000261d000000057175657279" + "00000018" + b"session-bind@openssh.com".hex()),
    "R-6": ("0000000b1b00000005717565727900 000000091b0000000478797a7a 000000011b", 3 * "0000000105"),
    "R-7": ("00000000", ""),
    "R-7-too-long": ("0004000100", ""),
    "R-7-huge": ("7fffffff00", ""),
}


@pytest.mark.parametrize("name", SIGN_BYTES)
def test_R_bytes(vault, name):
    request, expect = SIGN_BYTES[name]
    assert vault.raw(bytes.fromhex(request)).hex() == expect
    assert vault.statuses() == [3 if name.startswith("R-7") else 0]


def test_Q1_query(vault):
    """As `ssh-add -Q` of OpenSSH 10 asks it."""
    assert strings(vault.raw(message(27, string("query")))[5:]) == [b"query", b"session-bind@openssh.com"]


def test_R2_list(vault):
    assert vault.raw(message(11))[4] == 12


def test_R8_largest(vault):
    with vault.connect() as connection:
        assert connection.ask(struct.pack(">IB", 262144, 13) + 262143 * b"x") == b"\x05"
        assert connection.ask(message(11))[0] == 12


def test_R9_several_at_once(vault):
    answers = messages(vault.raw(3 * message(11) + message(19)))
    assert [number for number, _ in answers] == [12, 12, 12, 5]
    assert vault.statuses() == [0]


def test_R10_byte_by_byte(vault):
    """Each byte alone: the next goes out when the filter has taken the one before."""
    with vault.connect() as connection:
        for byte in message(11):
            connection.socket.sendall(bytes([byte]))
            wait_for(lambda: _unread(connection.socket) == 0)
        assert connection.answer()[0] == 12


def _unread(connection):
    """Bytes that the peer has not read yet (SIOCOUTQ)."""
    n = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, n)
    return n[0]


def bindings(captured):
    """The bindings of a connection, as requests."""
    return [message(27, contents) for number, contents in captured if number == 27 and contents.startswith(BIND)]


def signs(captured):
    """The sign requests of a connection: (blob, data, flags)."""
    return [(*strings(contents[:-4]), struct.unpack(">I", contents[-4:])[0]) for number, contents in captured
            if number == 13]


def host_bound(vault):
    """A binding and the sign request of a real login to a."""
    status, out, (captured,) = vault.capture("a", "true")
    assert status == 0, out
    return bindings(captured)[0], signs(captured)[0]


def test_R11_bad_signature(vault):
    vault.policy(PW, "host = a")
    bind, (blob, data, flags) = host_bound(vault)
    broken = bytearray(bind)
    broken[-10] ^= 1
    with Connection(vault.path("real.sock")) as agent:
        knows = agent.ask(bytes(broken)) == b"\x1c"
    vault.forget()
    with vault.connect() as connection:
        if knows:
            assert connection.ask(bytes(broken)) == b"\x1c"
            assert connection.ask(sign_request(blob, data, flags)) == b"\x05"
        else:
            # OpenSSH 9.2 says the same as an agent that knows of no bindings. So it counts as not verified: what is bound
            # to a server by itself is good for that one, and a session proves nothing.
            assert connection.ask(bytes(broken)) == b"\x06"
            assert connection.ask(sign_request(blob, data, flags))[0] == 14
    if knows:
        assert vault.whys("bind") == ["agent-refused"] and vault.whys() == ["bind-failed"]
    else:
        assert vault.events("bind")[0]["verified"] == "0" and vault.events("sign")[0]["proof"] == "signature"


def test_R11_bad_signature_of_a_session(vault):
    """The plain method rests on the binding alone."""
    vault.policy(PW, "host = a")
    status, out, (captured,) = vault.capture("-o", "PubkeyAuthentication=unbound", "a", "true")
    assert status == 0, out
    bind, sign = bytearray(bindings(captured)[0]), sign_request(*signs(captured)[0])
    with vault.connect() as connection:
        assert connection.ask(bytes(bind)) == b"\x06"
        assert connection.ask(sign)[0] == 14
    bind[-10] ^= 1
    with vault.connect() as connection:
        connection.ask(bytes(bind))
        assert connection.ask(sign) == b"\x05"
    assert vault.whys()[-1] in ("bind-failed", "host")


def test_R11_bad_signature_after_a_good_one(vault):
    """An agent that has taken a binding knows what one is: it refuses the next, whatever it says."""
    vault.policy(PW, "host = a", "forwarded = yes")
    _, forwarded = forwarding(vault)
    bind, (blob, data, flags) = host_bound(vault)
    broken = bytearray(bind)
    broken[-10] ^= 1
    with vault.connect() as connection:
        assert connection.ask(forwarded) == b"\x06"
        assert connection.ask(bytes(broken)) == b"\x1c"
        assert connection.ask(sign_request(blob, data, flags)) == b"\x05"
    assert vault.whys()[-1] == "bind-failed"


def forwarding(vault):
    """A forwarding binding, of a real `ssh -A`; and one without, of the same."""
    status, out, captured = vault.capture("-A", "a", "ssh-add -l")
    assert status == 0, out
    plain, forwarded = [bindings(connection)[0] for connection in captured if connection]
    assert (plain[-1], forwarded[-1]) == (0, 1)
    return plain, forwarded


def other_host_key(vault, bind):
    """The same session id, claimed for host b."""
    key, session, signature = strings(bind[5 + len(BIND):-1])
    assert key == vault.blob("ha")
    return message(27, BIND + string(vault.blob("hb")) + string(session) + string(signature) + bind[-1:])


def test_R12_replayed_bindings(vault):
    plain, forwarded = forwarding(vault)
    with vault.connect() as connection:
        assert connection.ask(forwarded) == b"\x06"
        assert connection.ask(forwarded) == b"\x06"
        assert connection.ask(other_host_key(vault, forwarded)) == b"\x1c"
    with vault.connect() as connection:  # R-12b
        assert connection.ask(plain) == b"\x06"
        assert connection.ask(forwarded) == b"\x1c"
    with vault.connect() as connection:
        assert connection.ask(plain) == b"\x06"
        assert connection.ask(plain) == b"\x1c"
    assert vault.whys("bind")[-4:] == ["-", "bound", "-", "bound"]


def test_R12c_too_many_bindings(vault):
    found = [forwarding(vault)[1] for _ in range(17)]
    with vault.connect() as connection:
        assert [connection.ask(bind) for bind in found] == 16 * [b"\x06"] + [b"\x1c"]
    assert vault.whys("bind")[-1] == "full"


def sshsig(namespace="file", reserved="", hash_name="sha512", digest=64 * b"h"):
    return b"SSHSIG" + string(namespace) + string(reserved) + string(hash_name) + string(digest)


# What is asked to be signed, with which key and flags: the reason of the refusal, or None.
CASES = {
    "good": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work")), 0, None),
    "R-13": ("rsa", lambda v: auth(SESSION, "root", "ssh-rsa", v.blob("rsa")), 0, "rsa-sha1"),
    "R-14-both": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 6, "flags"),
    "R-14-obsolete": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 1, "flags"),
    "R-14-unknown": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 8, "flags"),
    "R-14-not-rsa": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work")), 2, "flags"),
    "R-15-key": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("priv")), 0, "key-mismatch"),
    "R-15-alg": ("work", lambda v: auth(SESSION, "root", "ssh-rsa", v.blob("work")), 0, "alg"),
    "R-15-alg-rsa": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-256", v.blob("rsa")), 4, "alg"),
    "rsa-512": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 4, None),
    "rsa-256": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-256", v.blob("rsa")), 2, None),
    "R-15b-trailing": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work"), tail=b"x"), 0, "kind"),
    "R-15b-service": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work"), service="ssh-other"), 0,
                      "kind"),
    "R-15b-nul": ("work", lambda v: auth(SESSION, "ro\0ot", "ssh-ed25519", v.blob("work")), 0, "kind"),
    "R-15b-no-session": ("work", lambda v: auth(b"", "root", "ssh-ed25519", v.blob("work")), 0, "kind"),
    "sshsig": ("work", lambda v: sshsig(), 0, None),
    "R-15b-reserved": ("work", lambda v: sshsig(reserved="x"), 0, "kind"),
    "R-15b-namespace": ("work", lambda v: sshsig(namespace=""), 0, "kind"),
    "R-15b-digest": ("work", lambda v: sshsig(hash_name="sha256", digest=31 * b"h"), 0, "kind"),
    "raw": ("work", lambda v: b"anything", 0, "kind"),
    "empty": ("work", lambda v: b"", 0, "kind"),
}


@pytest.mark.parametrize("name", CASES)
def test_R_data(vault, name):
    key, data, flags, why = CASES[name]
    answer = vault.raw(sign_request(vault.blob(key), data(vault), flags))
    assert answer[4] == 14 if why is None else answer == FAILURE
    assert vault.whys() == [why or "-"]


def test_R15c_bound_connections(vault):
    vault.policy("key = *", "forwarded = yes")
    plain, forwarded = forwarding(vault)
    session = strings(plain[5 + len(BIND):-1])[1]
    forwarded_session = strings(forwarded[5 + len(BIND):-1])[1]
    work = vault.blob("work")
    vault.forget()
    for bind, data, why in [
            (plain, auth(session, "root", "ssh-ed25519", work, vault.blob("hb")), "hostkey-mismatch"),
            (plain, auth(session, "root", "ssh-ed25519", work, vault.blob("ha")), "-"),
            (plain, auth(session, "root", "ssh-ed25519", work), "-"),
            (plain, auth(SESSION, "root", "ssh-ed25519", work), "session-mismatch"),
            (forwarded, auth(forwarded_session, "root", "ssh-ed25519", work), "forward-sign"),
    ]:
        with vault.connect() as connection:
            assert connection.ask(bind) == b"\x06"
            assert connection.ask(sign_request(work, data))[0] == (14 if why == "-" else 5)
        assert vault.whys()[-1] == why


def test_R16_not_there_or_not_allowed(vault):
    """Nobody can tell."""
    vault.policy(PW)
    data = auth(SESSION, "root", "ssh-ed25519", vault.blob("other"))
    assert vault.raw(sign_request(vault.blob("other"), data)) == FAILURE
    data = auth(SESSION, "root", "ssh-ed25519", vault.blob("priv"))
    assert vault.raw(sign_request(vault.blob("priv"), data)) == FAILURE
    assert vault.whys() == ["unknown-key", "unknown-key"]
