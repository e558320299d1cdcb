/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/option.h"

#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

#define PLAIN(_name) \
        { .name = _name }
#define LETTER(_name, _letter) \
        { .name = _name, .letter = _letter }
#define VALUE(_name) \
        { .name = _name, .has_value = true }
#define BOTH(_name, _letter) \
        { .name = _name, .letter = _letter, .has_value = true }
#define COMMAND(_name, _letter, _kind, _operation) \
        { .name = _name, .letter = _letter, .kind = GPG_OPTION_KIND_##_kind, .operation = GPG_OPERATION_##_operation }
#define FD(_name) \
        { .name = _name, .has_value = true, .kind = GPG_OPTION_KIND_FD }
#define LIST(_name, _list) \
        { .name = _name, .has_value = true, .kind = GPG_OPTION_KIND_LIST, .list = GPG_LIST_KIND_##_list }
#define FORBIDDEN(_name, _value) \
        { .name = _name, .has_value = _value, .kind = GPG_OPTION_KIND_FORBIDDEN }

/* In the specification's order. */
// clang-format off
static const GpgOption options[] = {
        COMMAND("sign",             's', FILE_COMMAND, SIGN),
        COMMAND("clearsign",        0,   FILE_COMMAND, SIGN),
        COMMAND("clear-sign",       0,   FILE_COMMAND, SIGN),
        COMMAND("detach-sign",      'b', FILE_COMMAND, SIGN),
        COMMAND("encrypt",          'e', FILE_COMMAND, ENCRYPT),
        COMMAND("symmetric",        'c', FILE_COMMAND, ENCRYPT),
        COMMAND("store",            0,   FILE_COMMAND, OTHER),
        COMMAND("decrypt",          'd', FILE_COMMAND, DECRYPT),
        COMMAND("verify",           0,   VERIFY,       VERIFY),
        COMMAND("list-keys",        'k', USER_COMMAND, LIST),
        COMMAND("list-key",         0,   USER_COMMAND, LIST),
        COMMAND("list-public-keys", 0,   USER_COMMAND, LIST),
        COMMAND("list-secret-keys", 'K', USER_COMMAND, LIST),
        COMMAND("list-sigs",        0,   USER_COMMAND, LIST),
        COMMAND("list-sig",         0,   USER_COMMAND, LIST),
        COMMAND("fingerprint",      0,   USER_COMMAND, LIST),
        COMMAND("export",           0,   USER_COMMAND, EXPORT),
        COMMAND("export-ssh-key",   0,   USER_COMMAND, EXPORT),
        COMMAND("export-ownertrust", 0,  FILE_COMMAND, EXPORT),
        COMMAND("list-config",      0,   FILE_COMMAND, LIST),
        PLAIN("version"),
        LETTER("armor", 'a'),
        PLAIN("no-armor"),
        LETTER("textmode", 't'),
        LETTER("dry-run", 'n'),
        LETTER("quiet", 'q'),
        PLAIN("verbose"),
        PLAIN("no-verbose"),
        PLAIN("batch"),
        PLAIN("always-trust"),
        PLAIN("default-recipient-self"),
        PLAIN("no-default-recipient"),
        PLAIN("no-encrypt-to"),
        PLAIN("throw-keyids"),
        PLAIN("no-throw-keyids"),
        PLAIN("skip-hidden-recipients"),
        PLAIN("no-skip-hidden-recipients"),
        PLAIN("try-all-secrets"),
        PLAIN("show-session-key"),
        PLAIN("unwrap"),
        PLAIN("list-only"),
        PLAIN("fixed-list-mode"),
        PLAIN("with-colons"),
        PLAIN("with-fingerprint"),
        PLAIN("with-keygrip"),
        PLAIN("with-secret"),
        PLAIN("no-auto-check-trustdb"),
        PLAIN("no-greeting"),
        PLAIN("no-secmem-warning"),
        PLAIN("no-comments"),
        PLAIN("emit-version"),
        PLAIN("no-emit-version"),
        PLAIN("enable-progress-filter"),
        PLAIN("exit-on-status-write-error"),
        PLAIN("no-force-v3-sigs"),
        PLAIN("no-force-v4-certs"),
        PLAIN("gnupg"),
        PLAIN("openpgp"),
        PLAIN("rfc2440"),
        PLAIN("rfc4880"),
        PLAIN("pgp6"),
        PLAIN("pgp7"),
        PLAIN("pgp8"),
        { .name = "output", .letter = 'o', .has_value = true, .kind = GPG_OPTION_KIND_OUTPUT },
        BOTH("recipient", 'r'),
        BOTH("hidden-recipient", 'R'),
        BOTH("local-user", 'u'),
        VALUE("encrypt-to"),
        VALUE("hidden-encrypt-to"),
        VALUE("default-key"),
        VALUE("trusted-key"),
        VALUE("try-secret-key"),
        VALUE("sender"),
        VALUE("trust-model"),
        VALUE("keyid-format"),
        VALUE("max-output"),
        VALUE("comment"),
        VALUE("set-filename"),
        BOTH("set-notation", 'N'),
        VALUE("sig-notation"),
        VALUE("cert-notation"),
        VALUE("compress-algo"),
        VALUE("digest-algo"),
        VALUE("personal-cipher-preferences"),
        VALUE("personal-digest-preferences"),
        VALUE("personal-compress-preferences"),
        VALUE("s2k-cipher-algo"),
        VALUE("s2k-digest-algo"),
        VALUE("s2k-mode"),
        VALUE("s2k-count"),
        LIST("list-options", LIST),
        LIST("verify-options", VERIFY),
        LIST("export-options", EXPORT),
        FD("status-fd"),
        FD("logger-fd"),
        FD("attribute-fd"),

        FORBIDDEN("command-fd", true),          /* GnuPG obeys what arrives there */
        FORBIDDEN("cipher-algo", true),         /* could weaken encryption in silence */
        FORBIDDEN("cert-digest-algo", true),
        FORBIDDEN("disable-cipher-algo", true),
        FORBIDDEN("disable-pubkey-algo", true),
        FORBIDDEN("default-recipient", true),
        FORBIDDEN("charset", true),             /* the other side works in UTF-8 */
        FORBIDDEN("display-charset", true),
        FORBIDDEN("utf8-strings", false),
        FORBIDDEN("display", true),             /* belongs to the other domain */
        FORBIDDEN("no-tty", false),             /* the server says so itself */
        FORBIDDEN("use-agent", false),
        FORBIDDEN("disable-mdc", false),
        FORBIDDEN("force-mdc", false),
        FORBIDDEN("force-v3-sigs", false),
        FORBIDDEN("force-v4-certs", false),
        FORBIDDEN("no-sk-comments", false),
};
// clang-format on

const GpgOption *gpg_option_find(const char *untrusted_name, size_t n) {
        for (size_t i = 0; i < ARRAY_SIZE(options); ++i)
                if (strlen(options[i].name) == n && memcmp(options[i].name, untrusted_name, n) == 0)
                        return &options[i];
        return NULL;
}

const GpgOption *gpg_option_find_letter(char untrusted_letter) {
        for (size_t i = 0; i < ARRAY_SIZE(options); ++i)
                if (untrusted_letter != '\0' && options[i].letter == untrusted_letter)
                        return &options[i];
        return NULL;
}

const GpgOption *gpg_option_get(size_t i) {
        return i < ARRAY_SIZE(options) ? &options[i] : NULL;
}

const char *gpg_option_hint(const char *untrusted_name, size_t n) {
#define HINT_CARD "smart cards are managed where the keys are: run gpg there"
#define HINT_NETWORK \
        "nothing is fetched for the keys' domain: run gpg here, and give it the key with qubes-gpg-import-key"
#define HINT_SECRET "secret keys never leave their domain"
#define HINT_EDIT   "keys are made, changed and deleted where they are: run gpg there"
#define HINT_PLACE  "which files GnuPG uses is decided where the keys are: in its configuration there"
#define HINT_PASS   "passphrases are asked for where the keys are"
        static const struct {
                const char *name, *hint;
        } hints[] = {
                { "card-status", HINT_CARD },
                { "card-edit", HINT_CARD },
                { "edit-card", HINT_CARD },
                { "change-pin", HINT_CARD },
                { "recv-keys", HINT_NETWORK },
                { "receive-keys", HINT_NETWORK },
                { "send-keys", HINT_NETWORK },
                { "search-keys", HINT_NETWORK },
                { "refresh-keys", HINT_NETWORK },
                { "locate-keys", HINT_NETWORK },
                { "fetch-keys", HINT_NETWORK },
                { "keyserver", HINT_NETWORK },
                { "keyserver-options", HINT_NETWORK },
                { "auto-key-locate", HINT_NETWORK },
                { "export-secret-keys", HINT_SECRET },
                { "export-secret-subkeys", HINT_SECRET },
                { "export-secret-key", HINT_SECRET },
                { "import", "run qubes-gpg-import-key, which policy decides about" },
                { "delete-keys", HINT_EDIT },
                { "delete-secret-keys", HINT_EDIT },
                { "edit-key", HINT_EDIT },
                { "sign-key", HINT_EDIT },
                { "lsign-key", HINT_EDIT },
                { "gen-key", HINT_EDIT },
                { "generate-key", HINT_EDIT },
                { "full-generate-key", HINT_EDIT },
                { "full-gen-key", HINT_EDIT },
                { "gen-revoke", HINT_EDIT },
                { "quick-generate-key", HINT_EDIT },
                { "quick-gen-key", HINT_EDIT },
                { "quick-add-uid", HINT_EDIT },
                { "quick-add-key", HINT_EDIT },
                { "quick-sign-key", HINT_EDIT },
                { "passwd", HINT_EDIT },
                { "homedir", HINT_PLACE },
                { "options", HINT_PLACE },
                { "keyring", HINT_PLACE },
                { "secret-keyring", HINT_PLACE },
                { "no-default-keyring", HINT_PLACE },
                { "primary-keyring", HINT_PLACE },
                { "log-file", "name a descriptor of yours with --logger-fd, or use qubes-gpg-client-wrapper" },
                { "passphrase", HINT_PASS },
                { "passphrase-fd", HINT_PASS },
                { "passphrase-file", HINT_PASS },
                { "pinentry-mode", HINT_PASS },
        };

        for (size_t i = 0; i < ARRAY_SIZE(hints); ++i)
                if (strlen(hints[i].name) == n && memcmp(hints[i].name, untrusted_name, n) == 0)
                        return hints[i].hint;
        return NULL;
}

const char *gpg_operation_text(GpgOperation operation) {
        static const char *const texts[_GPG_OPERATION_N] = {
                [GPG_OPERATION_OTHER] = "other",     [GPG_OPERATION_LIST] = "list",
                [GPG_OPERATION_VERIFY] = "verify",   [GPG_OPERATION_EXPORT] = "export",
                [GPG_OPERATION_ENCRYPT] = "encrypt", [GPG_OPERATION_DECRYPT] = "decrypt",
                [GPG_OPERATION_SIGN] = "sign",       [GPG_OPERATION_IMPORT] = "import",
        };

        return texts[operation];
}
