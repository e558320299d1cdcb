/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent and a fork server say to each other (protocol specification, 6.10; doc/protocol.md, 11). A connection for
 * each call, a stream; no HELLO.
 *
 *   request, agent to server, and CALL_KILL later:
 *     offset  0  u32   type             EXEC_CMDLINE, JUST_EXEC; CALL_KILL
 *     offset  4  u32   connect_domain   as in exec_params: how the data comes (wire/header.h); CALL_KILL: 0
 *     offset  8  u32   connect_port     the call's id
 *     offset 12  u32   n                bytes that follow; CALL_KILL: 0
 *     offset 16  text  the command without USER and ":", NUL; where connect_domain is one of ours, perhaps settings, each
 *                      NAME=VALUE and NUL, in the order of ForkserverRequest
 *
 *   answer, server to agent, when the call is over (ours; upstream's server only closes):
 *     offset  0  u32   how      a CallHow
 *     offset  4  u32   status   0 to 255
 *
 * The descriptors of the mode come with the first byte of the request.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/call.h"
#include "wire/exec.h"

#define FORKSERVER_HEADER_SIZE 16
#define FORKSERVER_ANSWER_SIZE 8
/** Longest settings, all together: two lists of folders. */
#define FORKSERVER_SETTINGS_MAX 8192
#define FORKSERVER_TEXT_MAX     (EXEC_COMMAND_MAX + FORKSERVER_SETTINGS_MAX)
#define FORKSERVER_REQUEST_MAX  (FORKSERVER_HEADER_SIZE + FORKSERVER_TEXT_MAX)

enum {
        _FORKSERVER_E_SUCCESS,
        FORKSERVER_E_MALFORMED,
        FORKSERVER_E_TOO_LONG, /* a command or settings that no request can carry */
};

typedef struct ForkserverHeader {
        uint32_t type;
        ExecParams params;
        uint32_t n_text; /* at most FORKSERVER_TEXT_MAX */
} ForkserverHeader;

typedef struct ForkserverRequest {
        uint32_t type; /* EXEC_CMDLINE or JUST_EXEC */
        ExecParams params;
        const char *command; /* NUL-terminated */
        /* Where the caller's domain has its services and their configuration; NULL: where the server looks anyway. */
        const char *service_path; /* QREXEC_SERVICE_PATH */
        const char *config_path;  /* QUBES_RPC_CONFIG_PATH */
} ForkserverRequest;

typedef struct ForkserverAnswer {
        CallHow how;
        int status; /* 0 to 255 */
} ForkserverAnswer;

/** forkserver_header_decode() - the first FORKSERVER_HEADER_SIZE bytes of a request. Return: 0 or FORKSERVER_E_MALFORMED */
int forkserver_header_decode(const uint8_t *untrusted_data, size_t n, ForkserverHeader *ret_header);

/**
 * forkserver_request_decode() - a whole request, but no CALL_KILL
 * @ret_request: points into the decoded bytes
 *
 * Return: 0 or FORKSERVER_E_MALFORMED.
 */
int forkserver_request_decode(const uint8_t *untrusted_data, size_t n, ForkserverRequest *ret_request);

/**
 * forkserver_request_encode() - a whole request
 * @n_max: FORKSERVER_REQUEST_MAX is always enough
 *
 * Return: 0, FORKSERVER_E_TOO_LONG, or a negative error (does not fit @n_max).
 */
int forkserver_request_encode(const ForkserverRequest *request, uint8_t *ret_data, size_t n_max, size_t *ret_n);

/** forkserver_kill_encode() - CALL_KILL */
void forkserver_kill_encode(uint32_t call_id, uint8_t ret_data[static FORKSERVER_HEADER_SIZE]);

/** forkserver_answer_decode() - Return: 0 or FORKSERVER_E_MALFORMED */
int forkserver_answer_decode(const uint8_t *untrusted_data, size_t n, ForkserverAnswer *ret_answer);
void forkserver_answer_encode(const ForkserverAnswer *answer, uint8_t ret_data[static FORKSERVER_ANSWER_SIZE]);
