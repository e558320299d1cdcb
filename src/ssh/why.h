/* SPDX-License-Identifier: Apache-2.0 */
/* Why a request was refused, in the words of the log (split-ssh specification, 7.3, 9.2, 10). */
#pragma once

#include <stdbool.h>

typedef enum SshWhy {
        SSH_WHY_NONE, /* it was not */
        SSH_WHY_MALFORMED,
        SSH_WHY_ACCESS,
        SSH_WHY_UNKNOWN_KEY,
        SSH_WHY_FLAGS,
        SSH_WHY_RSA_SHA1,
        SSH_WHY_KIND,
        SSH_WHY_KEY_MISMATCH,
        SSH_WHY_ALG,
        SSH_WHY_BIND_FAILED,
        SSH_WHY_SESSION_MISMATCH,
        SSH_WHY_FORWARD_SIGN,
        SSH_WHY_FORWARDED,
        SSH_WHY_VIA,
        SSH_WHY_HOSTKEY_MISMATCH,
        SSH_WHY_HOST,
        SSH_WHY_USER,
        SSH_WHY_NAMESPACE,
        SSH_WHY_RATE,
        SSH_WHY_COOLDOWN,
        SSH_WHY_PROMPT_RATE,
        SSH_WHY_DENIED,
        SSH_WHY_PROMPT_TIMEOUT,
        SSH_WHY_PROMPT_CANCELLED,
        SSH_WHY_PROMPT_FAILED,
        SSH_WHY_AGENT_REFUSED,
        SSH_WHY_AGENT_ERROR,
        SSH_WHY_TYPE,      /* a request that is never forwarded */
        SSH_WHY_EXTENSION, /* an extension that is not */
        SSH_WHY_BOUND,     /* a binding behind one without forwarding, … */
        SSH_WHY_OTHER_KEY, /* … for a session of another host key, … */
        SSH_WHY_FULL,      /* … or one too many */
        _SSH_WHY_N,
} SshWhy;

/** ssh_why_name() - as the log has it; `-` for SSH_WHY_NONE */
const char *ssh_why_name(SshWhy why);

/** ssh_why_is_notified() - is a person told of such a refusal (12)? */
bool ssh_why_is_notified(SshWhy why);

/** ssh_why_is_suspicious() - malformed, a mismatch, too often: logged as a warning (12) */
bool ssh_why_is_suspicious(SshWhy why);
