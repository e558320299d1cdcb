/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent protocol (split-ssh specification, 4.1 to 4.3; RFC 9987): frames, and the few messages that the filter reads
 * and writes. Pure; what is decoded points into the message. Contents must be consumed exactly, else they are malformed.
 */
#pragma once

#include <stdbool.h>

#include "wire/reader.h"

/** Longest message, without its length: 256 KiB. */
#define SSH_MESSAGE_MAX 262144
#define SSH_FRAME_MAX   (4 + SSH_MESSAGE_MAX)
/** Most identities of an answer. */
#define SSH_IDENTITIES_MAX 2048
/** Longest session id. */
#define SSH_SESSION_ID_MAX 128

/** Those that the filter handles one by one; the specification has the others (4.2). */
typedef enum SshMessageType {
        SSH_MESSAGE_FAILURE = 5,
        SSH_MESSAGE_SUCCESS = 6,
        SSH_MESSAGE_REQUEST_IDENTITIES = 11,
        SSH_MESSAGE_IDENTITIES_ANSWER = 12,
        SSH_MESSAGE_SIGN_REQUEST = 13,
        SSH_MESSAGE_SIGN_RESPONSE = 14,
        SSH_MESSAGE_ADD_IDENTITY = 17,                  /* from here … */
        SSH_MESSAGE_ADD_SMARTCARD_KEY_CONSTRAINED = 26, /* … to here: keys, PINs and passphrases */
        SSH_MESSAGE_EXTENSION = 27,
        SSH_MESSAGE_EXTENSION_FAILURE = 28,
        SSH_MESSAGE_EXTENSION_RESPONSE = 29,
} SshMessageType;

#define SSH_SIGN_SHA256 UINT32_C(0x02)
#define SSH_SIGN_SHA512 UINT32_C(0x04)

#define SSH_EXTENSION_BIND  "session-bind@openssh.com"
#define SSH_EXTENSION_QUERY "query"

enum {
        _SSH_MESSAGE_E_SUCCESS,
        SSH_MESSAGE_E_MORE,      /* the message is not all there yet */
        SSH_MESSAGE_E_LENGTH,    /* its length is 0, or above SSH_MESSAGE_MAX: the stream cannot go on */
        SSH_MESSAGE_E_MALFORMED, /* the contents are not what the type says */
};

/**
 * ssh_frame_decode() - the message at the beginning of @untrusted_data
 * @ret_message: type and contents, without the length; at least one byte
 *
 * It takes 4 + ret_message->n bytes. Return: 0, SSH_MESSAGE_E_MORE or SSH_MESSAGE_E_LENGTH.
 */
int ssh_frame_decode(const uint8_t *untrusted_data, size_t n, WireSlice *ret_message);

typedef struct SshSignRequest {
        WireSlice blob, data;
        uint32_t flags;
} SshSignRequest;

typedef struct SshBinding {
        WireSlice host_key, session_id, signature;
        bool is_forwarding;
} SshBinding;

/** ssh_sign_request_decode() - a whole message of type 13. Return: 0 or SSH_MESSAGE_E_MALFORMED */
int ssh_sign_request_decode(WireSlice untrusted_message, SshSignRequest *ret_request);
/** ssh_sign_request_encode() - as a frame of at most SSH_FRAME_MAX bytes. Return: its size, 0: it is too long */
size_t ssh_sign_request_encode(const SshSignRequest *request, uint8_t *ret_frame);

/** ssh_extension_decode() - a whole message of type 27: the name, and what follows. Return: as above */
int ssh_extension_decode(WireSlice untrusted_message, WireSlice *ret_name, WireSlice *ret_contents);

/** ssh_binding_decode() - the contents of SSH_EXTENSION_BIND; session id of 1 to SSH_SESSION_ID_MAX. Return: as above */
int ssh_binding_decode(WireSlice untrusted_contents, SshBinding *ret_binding);
size_t ssh_binding_encode(const SshBinding *binding, uint8_t *ret_frame);

/** ssh_signature_decode() - a whole message of type 14, and the name of the signature's format. Return: as above */
int ssh_signature_decode(WireSlice message, WireSlice *ret_signature, WireSlice *ret_format);
size_t ssh_signature_encode(WireSlice signature, uint8_t *ret_frame);

/** ssh_query_encode() - the answer to SSH_EXTENSION_QUERY (7.1) */
size_t ssh_query_encode(uint8_t *ret_frame);

/** ssh_type_encode() - a message that is only its type */
size_t ssh_type_encode(SshMessageType type, uint8_t *ret_frame);

/** Goes through the entries of an answer of type 12; see ssh_identities_next(). */
typedef struct SshIdentitiesReader {
        WireReader reader;
        uint32_t n_left;
} SshIdentitiesReader;

/**
 * ssh_identities_decode() - check a whole message of type 12
 *
 * All of it is read once, so that ssh_identities_next() cannot fail afterwards.
 * Return: 0, or SSH_MESSAGE_E_MALFORMED, also for more than SSH_IDENTITIES_MAX entries.
 */
int ssh_identities_decode(WireSlice message, SshIdentitiesReader *ret_reader);
/** ssh_identities_next() - the next entry. Return: false at the end */
bool ssh_identities_next(SshIdentitiesReader *reader, WireSlice *ret_blob, WireSlice *ret_comment);
