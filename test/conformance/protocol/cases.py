# SPDX-License-Identifier: Apache-2.0
"""What peers say that they should not, or that is merely odd, and what exactly comes of it.

A table for each socket that a program of ours has. The first column is the case; then what the peer says, what it hears before
its connection is closed or another is served, with what status the program ends (GOES_ON: it does not), and what is in its log
of it: a part of its one line, or None, no line. A number such as A20 is that of a line of protocol-facts.txt.
"""

import struct
from collections import namedtuple

from vchan import (
    ACCOUNT,
    CONNECTION_TERMINATED,
    EXEC_CMDLINE,
    EXIT_CODE,
    HELLO,
    HOST,
    JUST_EXEC,
    OTHER,
    OWN,
    SERVICE_CONNECT,
    SERVICE_REFUSED,
    STDERR,
    STDIN,
    STDOUT,
    TRIGGER2,
    TRIGGER3,
    TRIGGER4,
    message,
    params,
    trigger4,
)

Case = namedtuple("Case", "name says hears ends log")

GOES_ON = None
PORT = 1024
IDENT = b"SOCKET9".ljust(32, b"\0")


def hello(version, *more):
    return message(HELLO, struct.pack("<%dI" % (1 + len(more)), version, *more))


def header(kind, length):
    """A message that is announced and does not come."""
    return struct.pack("<II", kind, length)


def exit_code(status):
    return EXIT_CODE, struct.pack("<i", status)


def command(text):
    return ("%s:%s" % (ACCOUNT, text)).encode() + b"\0"


# --- the agent, as its daemon meets it

TOO_OLD = "speaks a version of the protocol that is too old"
NO_HELLO = "the daemon's first message is no HELLO"
NO_DAEMON = "what no daemon sends"
NOBODY_WAITS = "that nobody waits for"

# Its HELLO was heard, nothing was said yet.
AGENT_HELLO = [
    Case("A09 version 1", hello(1), [], 1, TOO_OLD),
    Case("version 0", hello(0), [], 1, TOO_OLD),
    Case("A10 HELLO of 8 bytes", hello(4, 0), [], 1, NO_HELLO),
    Case("HELLO of 3 bytes", message(HELLO, b"\4\0\0"), [], 1, NO_HELLO),
    Case("HELLO of 4 GiB", header(HELLO, 0xFFFFFFFF), [], 1, NO_HELLO),
    Case("a command", message(EXEC_CMDLINE, params(OTHER, PORT, command("true"))), [], 1, NO_HELLO),
    Case("type 0", message(0, b"\4\0\0\0"), [], 1, NO_HELLO),
    Case("version 2", hello(2), [], GOES_ON, "speaks version 2"),
    Case("version 3", hello(3), [], GOES_ON, "speaks version 3"),
    Case("A08 version 5", hello(5), [], GOES_ON, "speaks version 4"),
    Case("the highest version", hello(0xFFFFFFFF), [], GOES_ON, "speaks version 4"),
]

# The handshake is over.
AGENT_ORDERS = [
    Case("A41 EXEC_CMDLINE of 8 bytes", message(EXEC_CMDLINE, params(OTHER, PORT)), [], 1, NO_DAEMON),
    Case("JUST_EXEC of 8 bytes", message(JUST_EXEC, params(OTHER, PORT)), [], 1, NO_DAEMON),
    Case("SERVICE_CONNECT of 8 bytes", message(SERVICE_CONNECT, params(OTHER, PORT)), [], 1, NO_DAEMON),
    Case("A42 SERVICE_REFUSED of 31 bytes", message(SERVICE_REFUSED, IDENT[:31]), [], 1, NO_DAEMON),
    Case("SERVICE_REFUSED of 33 bytes", message(SERVICE_REFUSED, IDENT + b"\0"), [], 1, NO_DAEMON),
    Case("SERVICE_REFUSED of nothing", message(SERVICE_REFUSED), [], 1, NO_DAEMON),
    Case("a command that is too long", header(EXEC_CMDLINE, 65544), [], 1, NO_DAEMON),
    Case("a command of 2 GiB", header(EXEC_CMDLINE, 0x80000000), [], 1, NO_DAEMON),
    Case("a command of 4 GiB", header(EXEC_CMDLINE, 0xFFFFFFFF), [], 1, NO_DAEMON),
    Case("a second HELLO", hello(4), [], 1, NO_DAEMON),
    Case("what only agents say", message(CONNECTION_TERMINATED, params(OTHER, PORT)), [], 1, NO_DAEMON),
    Case("a trigger", message(TRIGGER4, trigger4(b"work", b"test\0")), [], 1, NO_DAEMON),
    Case("data", message(STDIN, b"x"), [], 1, NO_DAEMON),
    Case("what is ours on local links", message(0x401, b"\0" * 4), [], 1, NO_DAEMON),
    Case("type 0", message(0), [], 1, NO_DAEMON),
    Case("the highest type", message(0xFFFFFFFF), [], 1, NO_DAEMON),
    Case("A42 a refusal for nobody", message(SERVICE_REFUSED, IDENT), [], GOES_ON, NOBODY_WAITS),
    Case("a refusal without an ident", message(SERVICE_REFUSED, bytes(32)), [], GOES_ON, NOBODY_WAITS),
    Case("a refusal that is no text", message(SERVICE_REFUSED, b"\xff" * 32), [], GOES_ON, NOBODY_WAITS),
    Case("a connection for nobody", message(SERVICE_CONNECT, params(OTHER, PORT, IDENT)),
         [(CONNECTION_TERMINATED, params(OTHER, PORT))], GOES_ON, NOBODY_WAITS),
    Case("a connection of one byte for nobody", message(SERVICE_CONNECT, params(OTHER, 0, b"x")),
         [(CONNECTION_TERMINATED, params(OTHER, 0))], GOES_ON, NOBODY_WAITS),
]

# --- a callee: what a caller says once it was dialled. The service copies its input.

# Before the caller's HELLO; the callee's own has been heard.
CALLEE_HELLO = [
    Case("A09 version 1", hello(1), [], GOES_ON, "too old"),
    Case("A10 HELLO of 8 bytes", hello(4, 0), [], GOES_ON, "no HELLO"),
    Case("HELLO of nothing", message(HELLO), [], GOES_ON, "no HELLO"),
    Case("data first", message(STDIN, b"x") + hello(4), [], GOES_ON, "no HELLO"),
    Case("an end first", message(STDIN) + hello(4), [], GOES_ON, "no HELLO"),
    Case("garbage", bytes(range(200)), [], GOES_ON, "no HELLO"),
]

ECHO_END = [(STDOUT, b""), (STDERR, b""), exit_code(0)]
BROKE = "the caller broke the protocol"
NOT_FOR_CALLERS = "which is not for callers to send"

# After it.
CALLEE_DATA = [
    Case("A85 a type that is none", message(0x999, b"x"), [], GOES_ON, BROKE),
    Case("A85 a type of the control connection", message(EXEC_CMDLINE, b"x"), [], GOES_ON, BROKE),
    Case("a second HELLO", hello(4), [], GOES_ON, BROKE),
    Case("A15 a chunk of 65537 bytes", header(STDIN, 65537), [], GOES_ON, BROKE),
    Case("a chunk of 4 GiB", header(STDIN, 0xFFFFFFFF), [], GOES_ON, BROKE),
    Case("A83 stderr of a caller", message(STDERR, b"x" * 9) + message(STDIN), ECHO_END, GOES_ON, NOT_FOR_CALLERS),
    Case("A83 the end of a caller's stderr", message(STDERR) + message(STDIN), ECHO_END, GOES_ON, NOT_FOR_CALLERS),
    Case("A83 an exit code of a caller", message(*exit_code(7)) + message(STDIN), ECHO_END, GOES_ON, NOT_FOR_CALLERS),
    Case("A83 an exit code of one byte", message(EXIT_CODE, b"\7") + message(STDIN), ECHO_END, GOES_ON, NOT_FOR_CALLERS),
    Case("stdout of a caller is its stdin", message(STDOUT, b"x") + message(STDIN), [(STDOUT, b"x"), *ECHO_END], GOES_ON,
         NOT_FOR_CALLERS),
    Case("stdout's end of a caller is stdin's", message(STDOUT), ECHO_END, GOES_ON, NOT_FOR_CALLERS),
    Case("two ends", message(STDIN) * 2, ECHO_END, GOES_ON, None),
    Case("data behind the end", message(STDIN) + message(STDIN, b"x" * 65536), ECHO_END, GOES_ON, None),
    Case("a thousand ends", message(STDIN) * 1000, ECHO_END, GOES_ON, None),
]

# --- qrexec-host-call, a callee on the host: its caller has been dialled, nothing was said. The service copies its input.
# It ends with the status that it has told its caller, and a last word of the service goes to the log.

HOST_HELLO = (HELLO, struct.pack("<I", 4))
HOST_BEGIN = [HOST_HELLO, (STDERR, b"")]  # A61
HOST_END = [*HOST_BEGIN, (STDOUT, b""), exit_code(0)]

HOST_CALLEE = [
    # A16: without a HELLO there is no answer.
    Case("A09 version 1", hello(1), [], 0, "too old"),
    Case("A10 HELLO of 8 bytes", hello(4, 0), [], 0, "no HELLO"),
    Case("HELLO of nothing", message(HELLO), [], 0, "no HELLO"),
    Case("data first", message(STDIN, b"x") + hello(4), [], 0, "no HELLO"),
    Case("an end first", message(STDIN) + hello(4), [], 0, "no HELLO"),
    Case("an exit code first", message(*exit_code(0)) + hello(4), [], 0, "no HELLO"),
    Case("garbage", bytes(range(200)), [], 0, "no HELLO"),
    Case("version 2", hello(2) + message(STDIN), HOST_END, 0, None),
    Case("A14 version 2, a chunk of 4096 bytes", hello(2) + message(STDIN, b"x" * 4096) + message(STDIN),
         [*HOST_BEGIN, (STDOUT, b"x" * 4096), (STDOUT, b""), exit_code(0)], 0, None),
    Case("A14 version 2, a chunk of 4097 bytes", hello(2) + header(STDIN, 4097), HOST_BEGIN, 0, BROKE),
    Case("the highest version", hello(0xFFFFFFFF) + message(STDIN), HOST_END, 0, None),
    Case("A85 a type that is none", hello(4) + message(0x999, b"x"), HOST_BEGIN, 0, BROKE),
    Case("A85 a type of the control connection", hello(4) + message(EXEC_CMDLINE, b"x"), HOST_BEGIN, 0, BROKE),
    Case("a second HELLO", hello(4) + hello(4), HOST_BEGIN, 0, BROKE),
    Case("A15 a chunk of 65537 bytes", hello(4) + header(STDIN, 65537), HOST_BEGIN, 0, BROKE),
    Case("a chunk of 4 GiB", hello(4) + header(STDIN, 0xFFFFFFFF), HOST_BEGIN, 0, BROKE),
    Case("A83 stderr of a caller", hello(4) + message(STDERR, b"x" * 9) + message(STDIN), HOST_END, 0, NOT_FOR_CALLERS),
    Case("A83 the end of a caller's stderr", hello(4) + message(STDERR) + message(STDIN), HOST_END, 0, NOT_FOR_CALLERS),
    Case("A83 an exit code of a caller", hello(4) + message(*exit_code(7)) + message(STDIN), HOST_END, 0, NOT_FOR_CALLERS),
    Case("stdout of a caller is its stdin", hello(4) + message(STDOUT, b"x") + message(STDIN),
         [*HOST_BEGIN, (STDOUT, b"x"), (STDOUT, b""), exit_code(0)], 0, NOT_FOR_CALLERS),
    Case("two ends", hello(4) + message(STDIN) * 2, HOST_END, 0, None),
    Case("data behind the end", hello(4) + message(STDIN) + message(STDIN, b"x" * 65536), HOST_END, 0, None),
    Case("a thousand ends", hello(4) + message(STDIN) * 1000, HOST_END, 0, None),
]

NO_SERVICE = 'there is no service "test.None" here'

# The same for a service that is not there: the answer does not wait for input, and nothing but HELLO gets one.
HOST_NO_SERVICE = [
    Case("A63 a good caller", hello(4), [*HOST_BEGIN, (STDOUT, b""), exit_code(127)], 127, None),
    Case("data of a caller", hello(4) + message(STDIN, b"x" * 65536), [*HOST_BEGIN, (STDOUT, b""), exit_code(127)], 127, None),
    Case("A09 version 1", hello(1), [], 127, "too old"),
    Case("A10 HELLO of 8 bytes", hello(4, 0), [], 127, "no HELLO"),
    Case("data first", message(STDIN, b"x") + hello(4), [], 127, "no HELLO"),
]

# --- the agent's trigger socket: what a local client says

NO_REQUEST = "a local client sent no request"

TRIGGERS = [
    Case("a trigger of version 3", message(TRIGGER3, b"x" * 200), [], GOES_ON, NO_REQUEST),
    Case("a trigger of version 2", message(TRIGGER2, b"x" * 128), [], GOES_ON, NO_REQUEST),
    Case("A46 160 bytes", message(TRIGGER4, b"x" * 160), [], GOES_ON, NO_REQUEST),
    Case("A46 65161 bytes", header(TRIGGER4, 65161), [], GOES_ON, NO_REQUEST),
    Case("A46 4 GiB", header(TRIGGER4, 0xFFFFFFFF), [], GOES_ON, NO_REQUEST),
    Case("HELLO", hello(4), [], GOES_ON, NO_REQUEST),
    Case("what daemons say", message(EXEC_CMDLINE, params(OTHER, PORT, b"x\0")), [], GOES_ON, NO_REQUEST),
    Case("garbage", bytes(range(256)) * 16, [], GOES_ON, NO_REQUEST),
]

# --- a caller: what a callee says to qrexec-client-vm, and the status that it ends with

# Before the callee's HELLO.
CALLER_HELLO = [
    Case("A09 version 1", hello(1), b"", 1, "too old"),
    Case("A10 HELLO of 8 bytes", hello(4, 0), b"", 1, "no HELLO"),
    Case("output first", message(STDOUT, b"x"), b"", 1, "no HELLO"),
    Case("an exit code first", message(*exit_code(0)), b"", 1, "no HELLO"),
]

END = message(STDOUT) + message(STDERR) + message(*exit_code(0))

# After it; what it hears is its standard output.
CALLER_DATA = [
    Case("A85 a type that is none", message(0x999, b"x"), b"", 1, "unknown type"),
    Case("a second HELLO", hello(4) + END, b"", 1, "unknown type"),
    Case("a chunk of 65537 bytes", header(STDOUT, 65537), b"", 1, "above the limit"),
    Case("a chunk of 4 GiB", header(STDERR, 0xFFFFFFFF), b"", 1, "above the limit"),
    Case("A84 stdin of a callee is its output", message(STDIN, b"x") + END, b"x", 0, "sent standard input"),
    Case("A81 an exit code of one byte", message(STDOUT) + message(EXIT_CODE, b"\1"), b"", 255, None),
    Case("an exit code of no byte", message(STDOUT) + message(EXIT_CODE), b"", 255, None),
    Case("an exit code of 8 bytes", message(STDOUT) + message(EXIT_CODE, struct.pack("<ii", 3, 9)), b"", 3, None),
    Case("an exit code of -1", message(STDOUT) + message(*exit_code(-1)), b"", 255, None),
    Case("an exit code of 256", message(STDOUT) + message(*exit_code(256)), b"", 255, None),
    Case("A74 output behind the exit code", message(*exit_code(4)) + message(STDOUT, b"late") + message(STDOUT), b"late", 4, None),
    Case("output behind its end", message(STDOUT, b"x") + message(STDOUT) + message(STDOUT, b"y") + END, b"x", 0, None),
    Case("a thousand ends", message(STDOUT) * 1000 + END, b"", 0, None),
    Case("A78 no exit code", message(STDOUT, b"x") + message(STDOUT) + message(STDERR), b"x", 255, None),
]

# --- qrexec-daemon, as its agent meets it

NO_AGENT = "what no agent sends"

# Nothing was said yet.
DAEMON_HELLO = [
    Case("A09 version 1", hello(1), [], 1, "too old"),
    Case("version 0", hello(0), [], 1, "too old"),
    Case("A10 HELLO of 8 bytes", hello(4, 0), [], 1, NO_AGENT),
    Case("HELLO of nothing", message(HELLO), [], 1, NO_AGENT),
    Case("a trigger", message(TRIGGER4, trigger4(b"work", b"test\0")), [], 1, NO_AGENT),
    Case("type 0", message(0, b"\4\0\0\0"), [], 1, NO_AGENT),
]

# The version that was agreed upon is a column of its own here.
VersionCase = namedtuple("VersionCase", "version case")
LONGEST = b"a" * 64999 + b"\0"


def refused(ident=IDENT):
    return [(SERVICE_REFUSED, ident)]


DAEMON_MESSAGES = [
    VersionCase(version, Case(*columns))
    for version, *columns in [
        (3, "A18 TRIGGER_SERVICE4 in version 3", message(TRIGGER4, trigger4(b"target", b"a\0")), [], 1, NO_AGENT),
        (3, "A19 TRIGGER_SERVICE in version 3", message(TRIGGER2, bytes(128)), [], 1, NO_AGENT),
        (4, "TRIGGER_SERVICE in version 4", message(TRIGGER2, bytes(128)), [], 1, NO_AGENT),
        (2, "TRIGGER_SERVICE3 in version 2", message(TRIGGER3, bytes(97)), [], 1, NO_AGENT),
        (2, "TRIGGER_SERVICE of 127 bytes", message(TRIGGER2, bytes(127)), [], 1, NO_AGENT),
        (2, "TRIGGER_SERVICE of 129 bytes", message(TRIGGER2, bytes(129)), [], 1, NO_AGENT),
        (3, "TRIGGER_SERVICE3 of 96 bytes", message(TRIGGER3, bytes(96)), [], 1, NO_AGENT),
        (3, "TRIGGER_SERVICE3 of 65097 bytes", header(TRIGGER3, 65097), [], 1, NO_AGENT),
        (4, "A20 TRIGGER_SERVICE4 of 160 bytes", message(TRIGGER4, bytes(160)), [], 1, NO_AGENT),
        (4, "TRIGGER_SERVICE4 of 65161 bytes", header(TRIGGER4, 65161), [], 1, NO_AGENT),
        (4, "TRIGGER_SERVICE4 of 4 GiB", header(TRIGGER4, 0xFFFFFFFF), [], 1, NO_AGENT),
        (4, "an end of 7 bytes", message(CONNECTION_TERMINATED, bytes(7)), [], 1, NO_AGENT),
        (4, "an end of 9 bytes", message(CONNECTION_TERMINATED, bytes(9)), [], 1, NO_AGENT),
        (4, "A30 the end of port 512", message(CONNECTION_TERMINATED, params(OTHER, 512)), [], 1, "a port is free which is none"),
        (4, "A30 the end of port 769", message(CONNECTION_TERMINATED, params(OTHER, 769)), [], 1, "a port is free which is none"),
        (4, "the end of the highest port", message(CONNECTION_TERMINATED, params(OTHER, 0xFFFFFFFF)), [], 1,
         "a port is free which is none"),
        (4, "a second HELLO", hello(4), [], 1, NO_AGENT),
        (4, "what daemons say", message(EXEC_CMDLINE, params(OTHER, 513, b"x\0")), [], 1, NO_AGENT),
        (4, "a refusal", message(SERVICE_REFUSED, IDENT), [], 1, NO_AGENT),
        (4, "data", message(STDIN, b"x"), [], 1, NO_AGENT),
        (4, "what is ours on local links", message(0x402), [], 1, NO_AGENT),
        (4, "the highest type", message(0xFFFFFFFF), [], 1, NO_AGENT),
        (4, "A30 the end of a port that nobody has", message(CONNECTION_TERMINATED, params(OTHER, 600)), [], GOES_ON, None),
        (4, "A30 a thousand of them", message(CONNECTION_TERMINATED, params(OTHER, 768)) * 1000, [], GOES_ON, None),
        (4, "A20 an empty service", message(TRIGGER4, trigger4(b"x", b"\0", IDENT)), refused(), GOES_ON, None),
        (4, "A21 a service without its end", message(TRIGGER4, trigger4(b"x", b"a", IDENT)), refused(), GOES_ON, None),
        (4, "A21 a service with two ends", message(TRIGGER4, trigger4(b"x", b"a\0\0", IDENT)), refused(), GOES_ON, None),
        (4, "A21 an argument alone", message(TRIGGER4, trigger4(b"x", b"+a\0", IDENT)), refused(), GOES_ON, None),
        (4, "A22 A23 an ident without end", message(TRIGGER4, trigger4(b"x", b"a\0", b"x" * 32)), refused(b"x" * 32), GOES_ON, None),
        (4, "A22 A24 bytes behind an ident", message(TRIGGER4, trigger4(b"x", b"a\0", b"a\0b")), refused(b"a\0b".ljust(32, b"\0")),
         GOES_ON, None),
        (4, "A22 an ident that is a path", message(TRIGGER4, trigger4(b"x", b"a\0", b"../a")), refused(b"../a".ljust(32, b"\0")),
         GOES_ON, None),
        (4, "one ident twice", message(TRIGGER4, trigger4(b"x", b"a\0", IDENT)) * 2, refused() * 2, GOES_ON, None),
        (4, "the longest service", message(TRIGGER4, trigger4(b"x", LONGEST, IDENT)), refused(), GOES_ON, None),
        (4, "a reserved name", message(TRIGGER4, trigger4(b"Domain-0", b"a\0", IDENT)), refused(), GOES_ON, None),
        (3, "the longest target of version 3", message(TRIGGER3, b"t" * 64 + IDENT + b"a\0"), refused(), GOES_ON, None),
        (2, "all fields of version 2 are full", message(TRIGGER2, b"s" * 64 + b"t" * 32 + IDENT), refused(), GOES_ON, None),
    ]
]

# --- the daemon's socket: what qrexec-client or a worker says, having heard HELLO

NOT_ALLOWED = "a client of the domain's socket said what it may not"

# Before the client's HELLO.
SOCKET_HELLO = [
    Case("version 2", hello(2), [], GOES_ON, None),
    Case("HELLO of 8 bytes", hello(3, 0), [], GOES_ON, NOT_ALLOWED),
    Case("a command first", message(EXEC_CMDLINE, params(HOST, 0, b"x\0")), [], GOES_ON, NOT_ALLOWED),
    Case("type 0", message(0, b"\3\0\0\0"), [], GOES_ON, NOT_ALLOWED),
]

# After it.
SOCKET_COMMANDS = [
    Case("8 bytes", message(EXEC_CMDLINE, params(HOST, 0)), [], GOES_ON, NOT_ALLOWED),
    Case("7 bytes", message(EXEC_CMDLINE, bytes(7)), [], GOES_ON, NOT_ALLOWED),
    Case("A57 no NUL", message(EXEC_CMDLINE, params(HOST, 0, b"no NUL")), [], GOES_ON, None),
    Case("65536 bytes", header(EXEC_CMDLINE, 65536), [], GOES_ON, NOT_ALLOWED),
    Case("4 GiB", header(JUST_EXEC, 0xFFFFFFFF), [], GOES_ON, NOT_ALLOWED),
    Case("HELLO twice", hello(3), [], GOES_ON, NOT_ALLOWED),
    Case("a refusal", message(SERVICE_REFUSED, IDENT), [], GOES_ON, NOT_ALLOWED),
    Case("an end", message(CONNECTION_TERMINATED, params(OTHER, 513)), [], GOES_ON, NOT_ALLOWED),
    Case("a trigger", message(TRIGGER4, trigger4(b"x", b"a\0")), [], GOES_ON, NOT_ALLOWED),
    Case("A35 an ident that nobody has", message(SERVICE_CONNECT, params(OTHER, 600, b"unknown\0")), [], GOES_ON,
         "allows a request that nobody made"),
    Case("port 512", message(EXEC_CMDLINE, params(HOST, 512, b"x\0")), [], GOES_ON, None),
    Case("port 769", message(EXEC_CMDLINE, params(HOST, 769, b"x\0")), [], GOES_ON, None),
]

# --- a daemon, as qrexec-client meets it, and the status that it ends with

HOST_CLIENT = [
    Case("version 2", hello(2), b"", 125, "too old"),
    Case("HELLO of 8 bytes", hello(3, 0), b"", 125, None),
    Case("an answer of another type", hello(3) + message(JUST_EXEC, params(OWN, 513)), b"", 125, None),
    Case("an answer of 12 bytes", hello(3) + message(EXEC_CMDLINE, params(OWN, 513, b"abcd")), b"", 125, None),
    Case("an answer of 4 bytes", hello(3) + message(EXEC_CMDLINE, b"\0\0\0\0"), b"", 125, None),
    Case("no answer", hello(3), b"", 125, None),
]
