/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/why.h"

static const struct {
        const char *name;
        bool is_notified, is_suspicious;
} whys[_SSH_WHY_N] = {
        [SSH_WHY_NONE] = { "-" },
        [SSH_WHY_MALFORMED] = { "malformed", .is_suspicious = true },
        [SSH_WHY_ACCESS] = { "access" },
        [SSH_WHY_UNKNOWN_KEY] = { "unknown-key" },
        [SSH_WHY_FLAGS] = { "flags" },
        [SSH_WHY_RSA_SHA1] = { "rsa-sha1" },
        [SSH_WHY_KIND] = { "kind", .is_notified = true },
        [SSH_WHY_KEY_MISMATCH] = { "key-mismatch", .is_suspicious = true },
        [SSH_WHY_ALG] = { "alg" },
        [SSH_WHY_BIND_FAILED] = { "bind-failed" },
        [SSH_WHY_SESSION_MISMATCH] = { "session-mismatch", true, true },
        [SSH_WHY_FORWARD_SIGN] = { "forward-sign", .is_suspicious = true },
        [SSH_WHY_FORWARDED] = { "forwarded", .is_notified = true },
        [SSH_WHY_VIA] = { "via" },
        [SSH_WHY_HOSTKEY_MISMATCH] = { "hostkey-mismatch", true, true },
        [SSH_WHY_HOST] = { "host", .is_notified = true },
        [SSH_WHY_USER] = { "user" },
        [SSH_WHY_NAMESPACE] = { "namespace" },
        [SSH_WHY_RATE] = { "rate", true, true },
        [SSH_WHY_COOLDOWN] = { "cooldown" },
        [SSH_WHY_PROMPT_RATE] = { "prompt-rate", .is_suspicious = true },
        [SSH_WHY_DENIED] = { "denied" },
        [SSH_WHY_PROMPT_TIMEOUT] = { "prompt-timeout" },
        [SSH_WHY_PROMPT_CANCELLED] = { "prompt-cancelled" },
        [SSH_WHY_PROMPT_FAILED] = { "prompt-failed" },
        [SSH_WHY_AGENT_REFUSED] = { "agent-refused" },
        [SSH_WHY_AGENT_ERROR] = { "agent-error" },
        [SSH_WHY_TYPE] = { "type" },
        [SSH_WHY_EXTENSION] = { "extension" },
        [SSH_WHY_BOUND] = { "bound" },
        [SSH_WHY_OTHER_KEY] = { "other-key", .is_suspicious = true },
        [SSH_WHY_FULL] = { "full", .is_suspicious = true },
};

const char *ssh_why_name(SshWhy why) {
        return whys[why].name;
}

bool ssh_why_is_notified(SshWhy why) {
        return whys[why].is_notified;
}

bool ssh_why_is_suspicious(SshWhy why) {
        return whys[why].is_suspicious;
}
