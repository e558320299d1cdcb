/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is being signed (split-ssh specification, 8.1): the bytes of a sign request say themselves what the signature will
 * be good for. No two kinds can match the same bytes (8.2). Whatever does not parse completely is SSH_KIND_RAW. Pure;
 * slices point into the data.
 */
#pragma once

#include <stdbool.h>

#include "ssh/key.h"
#include "wire/reader.h"

typedef enum SshKind {
        SSH_KIND_AUTH,      /* a login */
        SSH_KIND_SSHSIG,    /* a file, a commit: `ssh-keygen -Y sign` */
        SSH_KIND_CERT,      /* a certificate that this key issues */
        SSH_KIND_HOSTPROOF, /* a server that proves to have a host key */
        SSH_KIND_PAM,       /* pam_ssh_agent_auth */
        SSH_KIND_PROBE,     /* `ssh-add -T` */
        SSH_KIND_RAW,       /* anything else */
        _SSH_KIND_N,
} SshKind;

/** What `ssh-add -T` has signed: so many bytes of noise. */
#define SSH_PROBE_SIZE 1024

typedef struct SshSignData {
        SshKind kind;
        size_t n;             /* bytes in all */
        WireSlice session_id; /* auth */
        WireSlice user;       /* auth, pam */
        WireSlice algorithm;  /* auth, pam */
        SshKey key;           /* auth, pam: the embedded key */
        bool is_host_bound;   /* auth */
        WireSlice host_key;   /* auth, if host-bound; hostproof */
        WireSlice name_space; /* sshsig */
        WireSlice hash;       /* sshsig: `sha256` or `sha512` */
        WireSlice digest;     /* sshsig */
        SshKey certificate;   /* cert */
        WireSlice hostname;   /* pam */
        WireSlice command;    /* pam: string[], each well-formed; may be empty */
        WireSlice start;      /* raw: the first 16 bytes, or all */
} SshSignData;

/** ssh_sign_data_classify() - cannot fail */
SshSignData ssh_sign_data_classify(WireSlice untrusted_data);

/** ssh_kind_name() - as the configuration has it: `auth`, `sshsig` … */
const char *ssh_kind_name(SshKind kind);
