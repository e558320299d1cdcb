/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/optionlist.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

/* Longest that any GnuPG knows is half of that. */
#define NAME_MAX_LENGTH 63
/* Of OpenPGP's signature subpackets. */
#define SUBPACKET_MAX 127

typedef struct ListName {
        const char *name; /* NULL: the table ends */
        bool only_negative;
        bool has_argument;
} ListName;

/* Not there on purpose: what uses the network, what would disclose a path, what touches passphrases. */
static const ListName list_names[] = {
        { .name = "show-keyring", .only_negative = true },
        { .name = "show-keyserver-urls" },
        { .name = "show-notations" },
        { .name = "show-photos" },
        { .name = "show-policy-urls" },
        { .name = "show-sig-expire" },
        { .name = "show-std-notations" },
        { .name = "show-standard-notations" },
        { .name = "show-uid-validity" },
        { .name = "show-unusable-uids" },
        { .name = "show-unusable-subkeys" },
        { .name = "show-usage" },
        { .name = "show-user-notations" },
        { .name = "show-sig-subpackets", .has_argument = true },
        { .name = "show-only-fpr-mbox" },
        { .name = "sort-sigs" },
        {},
};

static const ListName verify_names[] = {
        { .name = "show-keyserver-urls" },
        { .name = "show-notations" },
        { .name = "show-photos" },
        { .name = "show-policy-urls" },
        { .name = "show-std-notations" },
        { .name = "show-standard-notations" },
        { .name = "show-uid-validity" },
        { .name = "show-unusable-uids" },
        { .name = "show-user-notations" },
        { .name = "show-primary-key-only" },
        {},
};

static const ListName export_names[] = {
        { .name = "export-local-sigs" },
        { .name = "export-attributes" },
        { .name = "export-sensitive-revkeys" },
        { .name = "export-clean" },
        { .name = "export-minimal" },
        { .name = "backup" },
        { .name = "include-local-sigs" },
        { .name = "include-attributes" },
        { .name = "include-sensitive-revkeys" },
        { .name = "export-unusable-sigs" },
        { .name = "export-clean-sigs" },
        { .name = "export-clean-uids" },
        { .name = "export-dane", .only_negative = true },
        {},
};

static const struct {
        const ListName *names;
        const char *word;
} tables[_GPG_LIST_KIND_N] = {
        [GPG_LIST_KIND_LIST] = { list_names, "list" },
        [GPG_LIST_KIND_VERIFY] = { verify_names, "verify" },
        [GPG_LIST_KIND_EXPORT] = { export_names, "export" },
};

/* Reads and writes the same memory; what is written never overtakes what is read. */
typedef struct Rewriter {
        const char *in;
        char *out;
        GpgListKind kind;
        char *complaint;
} Rewriter;

__attribute__((__format__(__printf__, 2, 3))) static int complain(Rewriter *rewriter, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(rewriter->complaint, GPG_OPTION_LIST_COMPLAINT_MAX, format, arguments);
        va_end(arguments);
        return GPG_OPTION_LIST_E_MALFORMED;
}

static bool is_separator(char byte) {
        return byte == ' ' || byte == ',';
}

static void skip_separators(Rewriter *rewriter) {
        while (is_separator(*rewriter->in))
                ++rewriter->in;
}

static void skip_blanks(Rewriter *rewriter) {
        while (*rewriter->in == ' ')
                ++rewriter->in;
}

static void put(Rewriter *rewriter, const char *text, size_t n) {
        memmove(rewriter->out, text, n);
        rewriter->out += n;
}

static int rewrite_number(Rewriter *rewriter) {
        char text[4];
        unsigned value = 0;
        int n;

        if (*rewriter->in < '0' || *rewriter->in > '9')
                return complain(rewriter, "Subpacket numbers consist of digits alone");
        for (; *rewriter->in >= '0' && *rewriter->in <= '9'; ++rewriter->in) {
                value = value * 10 + (unsigned)(*rewriter->in - '0');
                if (value > SUBPACKET_MAX)
                        return complain(rewriter, "Subpacket numbers are from 1 to %d", SUBPACKET_MAX);
        }
        if (value == 0)
                return complain(rewriter, "Subpacket numbers are from 1 to %d", SUBPACKET_MAX);
        n = snprintf(text, sizeof(text), "%u", value);
        put(rewriter, text, (size_t)n);
        return 0;
}

static int complain_character(Rewriter *rewriter) {
        return complain(rewriter, "Invalid character %c following subpacket number", *rewriter->in);
}

static int rewrite_quoted(Rewriter *rewriter) {
        bool is_first = true;
        int r;

        ++rewriter->in;
        put(rewriter, "\"", 1);
        for (;;) {
                skip_separators(rewriter);
                if (*rewriter->in == '"')
                        break;
                if (*rewriter->in == '\0')
                        return complain(rewriter, "A quote is not closed");
                if (!is_first)
                        put(rewriter, ",", 1);
                r = rewrite_number(rewriter);
                if (r)
                        return r;
                if (*rewriter->in == '\0')
                        return complain(rewriter, "A quote is not closed");
                if (*rewriter->in != '"' && !is_separator(*rewriter->in))
                        return complain_character(rewriter);
                is_first = false;
        }
        if (is_first)
                return complain(rewriter, "There is no subpacket number between the quotes");
        ++rewriter->in;
        put(rewriter, "\"", 1);
        return 0;
}

/* Behind the `=`. */
static int rewrite_argument(Rewriter *rewriter) {
        int r = 0;

        skip_blanks(rewriter);
        put(rewriter, "=", 1);
        if (*rewriter->in == '"')
                r = rewrite_quoted(rewriter);
        else if (*rewriter->in != '\0' && *rewriter->in != ',')
                r = rewrite_number(rewriter);
        if (r)
                return r;
        if (*rewriter->in != '\0' && !is_separator(*rewriter->in))
                return complain_character(rewriter);
        return 0;
}

static const ListName *find_name(GpgListKind kind, const char *name) {
        for (const ListName *entry = tables[kind].names; entry->name; ++entry)
                if (strcmp(entry->name, name) == 0)
                        return entry;
        return NULL;
}

static int rewrite_item(Rewriter *rewriter) {
        size_t n = strcspn(rewriter->in, " ,=");
        char folded[NAME_MAX_LENGTH + 1];
        const ListName *entry;
        bool is_negative;

        if (n == 0)
                return complain(rewriter, "There is no name before the =");
        if (n > NAME_MAX_LENGTH)
                return complain(rewriter, "Unknown %s option %s", tables[rewriter->kind].word,
                                ESCAPED(rewriter->in, n));
        for (size_t i = 0; i < n; ++i)
                folded[i] = (char)(rewriter->in[i] >= 'A' && rewriter->in[i] <= 'Z' ? rewriter->in[i] | 0x20
                                                                                    : rewriter->in[i]);
        folded[n] = '\0';
        is_negative = strncmp(folded, "no-", 3) == 0;
        entry = find_name(rewriter->kind, folded + (is_negative ? 3 : 0));
        if (!entry)
                return complain(rewriter, "Unknown %s option %s", tables[rewriter->kind].word, ESCAPED(folded, n));
        if (entry->only_negative && !is_negative)
                return complain(rewriter, "Forbidden %s option %s: only no-%s may be asked for",
                                tables[rewriter->kind].word, folded, folded);
        rewriter->in += n;
        put(rewriter, folded, n);
        skip_blanks(rewriter);
        if (*rewriter->in != '=')
                return 0;
        if (!entry->has_argument || is_negative)
                return complain(rewriter, "The %s option %s takes no value", tables[rewriter->kind].word, folded);
        ++rewriter->in;
        return rewrite_argument(rewriter);
}

int gpg_option_list_rewrite(GpgListKind kind, char *untrusted_text,
                            char reterr_text[static GPG_OPTION_LIST_COMPLAINT_MAX]) {
        Rewriter rewriter = { .in = untrusted_text, .out = untrusted_text, .kind = kind, .complaint = reterr_text };
        bool is_first = true;
        int r;

        if (strcmp(untrusted_text, "help") == 0)
                return 0;
        for (const char *byte = untrusted_text; *byte; ++byte)
                if (*byte < 0x20 || *byte > 0x7e)
                        return complain(&rewriter, "Only printable ASCII may be in %s options", tables[kind].word);
        for (;;) {
                skip_separators(&rewriter);
                if (*rewriter.in == '\0')
                        break;
                if (!is_first)
                        put(&rewriter, ",", 1);
                r = rewrite_item(&rewriter);
                if (r)
                        return r;
                is_first = false;
        }
        *rewriter.out = '\0';
        return 0;
}
