/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libqair: call services in other domains from C. See libqair(3).
 *
 *      qair_client *client;
 *      qair_call *call;
 *      int status;
 *
 *      qair_client_new(NULL, 0, &client);
 *      qair_call_new(client, "vault", "qubes.GetDate", &call);
 *      if (qair_call_open(call) == 0) {
 *              qair_call_close_stdin(call);
 *              read(qair_call_stdout(call), …);
 *              qair_call_wait(call, &status);
 *      }
 *      qair_call_free(call);
 *      qair_client_free(client);
 *
 * The life of a call:
 *
 *   ASKING -- allowed --> RUNNING -- exit code --> ENDED
 *      |                     '------ nobody will tell it --> LOST
 *      |-- refused --> REFUSED
 *      '-- the broker is gone --> LOST
 *
 * Functions return 0, or a negative errno. An object must not be used by two threads at a time; different objects may be,
 * but for a client and its calls that are ASKING, which count as one. The library has no state of its own, touches no
 * signal (nor does it raise SIGPIPE), starts nothing, prints nothing; every descriptor is close-on-exec.
 */
#ifndef QAIR_H
#define QAIR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A way to the broker, as the domain whose account we are. */
typedef struct qair_client qair_client;

/** One call of one service. */
typedef struct qair_call qair_call;

typedef enum qair_flags {
        /**
         * One call is all that will be made: the connection to the broker is not kept for the next. In a virtual machine
         * whose agent has a link over vsock the call comes in frames, for qair_call_take_channel() alone.
         */
        QAIR_ONCE = 1 << 0,
        /** Never wait for the broker to take a connection: qair_call_new() says -EAGAIN where it would. */
        QAIR_NONBLOCK = 1 << 1,
} qair_flags;

typedef enum qair_state {
        QAIR_STATE_ASKING,  /* the broker owes the answer */
        QAIR_STATE_RUNNING, /* the service runs, or is over and has not told its exit code */
        QAIR_STATE_ENDED,   /* the exit code is there; what the service wrote before may still be read */
        QAIR_STATE_REFUSED, /* the answer was no: qair_call_reason() */
        QAIR_STATE_LOST     /* whoever owed us something is gone: qair_call_error() */
} qair_state;

/** Why a call was refused: all that a caller is told. The administrator finds more in the audit log. */
typedef enum qair_reason {
        QAIR_REASON_NONE = 0,          /* not refused, or not said */
        QAIR_REASON_REFUSED = 1,       /* the policy does not allow it, or there is no such target */
        QAIR_REASON_NOT_A_DOMAIN = 2,  /* our account is no domain */
        QAIR_REASON_TOO_MANY = 3,      /* too many calls of ours are open */
        QAIR_REASON_UNAVAILABLE = 4,   /* allowed, but it could not be started */
        QAIR_REASON_NOT_UNDERSTOOD = 5 /* the name of the service is none */
} qair_reason;

/**
 * qair_client_new() - make a client; nothing is connected yet
 * @path:  the broker's socket; NULL: dom0's own for root on the host, everybody's for everybody else
 * @flags: of qair_flags
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int qair_client_new(const char *path, unsigned flags, qair_client **ret_client);

/**
 * qair_client_set_source() - whom further calls are made for; only relays may
 * @source: copied; NULL or "": ourselves
 *
 * Return: 0, -ENOMEM.
 */
int qair_client_set_source(qair_client *client, const char *source);

/** qair_client_path() - the broker's socket; the client's */
const char *qair_client_path(const qair_client *client);

/** qair_client_free() - after its calls that are ASKING; others do not need it any more. NULL is harmless */
void qair_client_free(qair_client *client);

/**
 * qair_call_new() - ask for a call; do not wait for the answer
 * @target:   name of a domain, @default, @dispvm, @dispvm:NAME or @adminvm
 * @service:  NAME or NAME+ARGUMENT
 * @ret_call: to be freed with qair_call_free(), whatever becomes of it
 *
 * The connection of the last call is used again if no other call is ASKING on it; else another is made, which may wait until
 * the broker takes it (QAIR_NONBLOCK). A service whose name is none makes a call that is REFUSED.
 *
 * Return: 0; -ENOENT, -ECONNREFUSED, -EACCES … where nobody listens; -EAGAIN, see QAIR_NONBLOCK; -ENAMETOOLONG; -ENOMEM.
 */
int qair_call_new(qair_client *client, const char *target, const char *service, qair_call **ret_call);

/**
 * qair_call_open() - wait, without limit, until the call is not ASKING any more
 *
 * Return: 0: RUNNING, or ENDED; -EACCES: REFUSED; what qair_call_error() says if it is LOST.
 */
int qair_call_open(qair_call *call);

/**
 * qair_call_wait() - wait, without limit, until the call is over
 * @ret_status: the service's exit code, 0 to 255; 127: there is no such service; 125: it could not be started
 *
 * Calls qair_call_open() first. A service that writes blocks until somebody reads: read what it writes, or free the call,
 * before waiting for its end; close its stdin if it reads that to the end.
 *
 * Return: 0, or as qair_call_open(); -ECONNRESET: LOST, the exit code will never be known.
 */
int qair_call_wait(qair_call *call, int *ret_status);

/**
 * qair_call_fd() - the descriptor to poll for POLLIN, in an event loop; then call qair_call_dispatch()
 *
 * It is another one in each state, so ask again after each dispatch. -1: nothing is due, the call is over.
 */
int qair_call_fd(const qair_call *call);

/**
 * qair_call_dispatch() - do what can be done without waiting, and change state
 *
 * Return: 0, also where nothing could be done; else as qair_call_open().
 */
int qair_call_dispatch(qair_call *call);

/** qair_call_state() - where it is */
qair_state qair_call_state(const qair_call *call);

/** qair_call_error() - LOST: -ECONNRESET, -EPROTO, or what else failed; -ECONNRESET does not mean that it was not served */
int qair_call_error(const qair_call *call);

/** qair_call_id() - what the call is in the audit log; 0: it never became one, or is ASKING */
unsigned qair_call_id(const qair_call *call);

/** qair_call_reason() - why it was refused */
qair_reason qair_call_reason(const qair_call *call);

/** qair_reason_text() - the same in a few words */
const char *qair_reason_text(qair_reason reason);

/** qair_call_status() - ENDED: the exit code; else -1 */
int qair_call_status(const qair_call *call);

/**
 * qair_call_stdin(), qair_call_stdout() - our ends of the pipes to the service's stdin and from its stdout
 *
 * Blocking, ours alone (setting O_NONBLOCK concerns nobody else), and the call's to close. Writing to a service that does not
 * read any more raises SIGPIPE as any pipe does. -1: not there yet, or closed, or taken. What the service wrote can be read
 * when the call is over, too.
 */
int qair_call_stdin(const qair_call *call);
int qair_call_stdout(const qair_call *call);

/** qair_call_close_stdin() - the service sees the end of its input */
void qair_call_close_stdin(qair_call *call);

/** qair_call_take_stdin(), qair_call_take_stdout() - the same descriptors, from now on the caller's to close */
int qair_call_take_stdin(qair_call *call);
int qair_call_take_stdout(qair_call *call);

/**
 * qair_call_on_stderr() - have what the service writes to its stderr, in pieces, from qair_call_dispatch() and _wait()
 * @function: must not free the call; NULL, the default: it is dropped
 */
void qair_call_on_stderr(qair_call *call, void (*function)(void *userdata, const void *data, size_t n), void *userdata);

/**
 * qair_call_take_channel() - take everything, for who speaks the protocol (doc/protocol.md, 7) without this library
 * @ret_fds: 3: the status stream, stdin, stdout; 1: a stream in frames, as services of the broker itself (qair.*) have it
 *
 * The only way to data that comes in frames: for such a call the functions above give -1, and to dispatch it or to wait for its
 * end is -EPROTONOSUPPORT. The call is LOST to the library afterwards.
 *
 * Return: how many descriptors, 1 or 3, now the caller's; or -EINVAL: not RUNNING, or something was taken already.
 */
int qair_call_take_channel(qair_call *call, int ret_fds[3]);

/**
 * qair_call_free() - be done with it; NULL is harmless
 *
 * A call that is ASKING is cancelled. One that is RUNNING loses us: the service sees the end of its input, and SIGPIPE or EPIPE
 * when it writes.
 */
void qair_call_free(qair_call *call);

#ifdef __cplusplus
}
#endif

#endif
