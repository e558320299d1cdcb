/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/filter.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/number.h"

typedef struct Text {
        const char *data;
        size_t n;
} Text;

void filter_init(Filter *filter, const FilterOptions *options) {
        *filter = (Filter){ .options = *options, .state = FILTER_STATE_GREETING };
}

bool filter_wants_client(const Filter *filter) {
        return filter->state == FILTER_STATE_COMMAND || filter->state == FILTER_STATE_INQUIRY;
}

bool filter_wants_agent(const Filter *filter) {
        return filter->state == FILTER_STATE_GREETING || filter->state == FILTER_STATE_ANSWER ||
               filter->state == FILTER_STATE_DESCRIBE;
}

static bool text_is(Text text, const char *word) {
        return text.n == strlen(word) && memcmp(text.data, word, text.n) == 0;
}

static bool text_begins(Text text, const char *prefix) {
        return text.n >= strlen(prefix) && memcmp(text.data, prefix, strlen(prefix)) == 0;
}

static Text text_from(Text text, size_t i) {
        return (Text){ text.data + i, text.n - i };
}

/* The next word; blanks are single, as gpg writes them. */
static Text text_word(Text *text) {
        Text word = { text->data, 0 };

        while (word.n < text->n && text->data[word.n] != ' ')
                ++word.n;
        *text = text_from(*text, word.n < text->n ? word.n + 1 : word.n);
        return word;
}

static bool is_upper_hex(Text text, size_t n) {
        if (text.n != n)
                return false;
        for (size_t i = 0; i < n; ++i)
                if (!((text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'A' && text.data[i] <= 'F')))
                        return false;
        return true;
}

static bool is_grip(Text text) {
        return is_upper_hex(text, GPG2_GRIP_SIZE);
}

/* What may stand in an argument that goes on, whatever its own grammar says: the last check (12.1). */
static bool is_forwardable(const char *line) {
        for (; *line != '\0'; ++line)
                if (!((*line >= '0' && *line <= '9') || (*line >= 'A' && *line <= 'Z') ||
                      (*line >= 'a' && *line <= 'z') || strchr("_=. -", *line)))
                        return false;
        return true;
}

static void answer(Filter *filter, FilterAction *action, const char *line) {
        filter->state = FILTER_STATE_COMMAND;
        action->to_client = line;
        action->n_to_client = strlen(line);
}

#define LINE_(_number, _text)      "ERR " #_number " " _text " <qair>\n"
#define ERROR_LINE(_number, _text) LINE_(_number, _text)

static void refuse(Filter *filter, FilterAction *action) {
        answer(filter, action, ERROR_LINE(GPG2_ERROR_FILTERED, "not allowed by split-gpg2"));
        filter->state = FILTER_STATE_CLOSED;
        action->closes = true;
        action->refused = true;
}

static void ignore(Filter *filter, FilterAction *action) {
        answer(filter, action, "OK\n");
}

/* What goes on is written anew from what was understood. */
static void forward(Filter *filter, FilterAction *action, const char *format, ...) _printf_(3, 4);
static void forward(Filter *filter, FilterAction *action, const char *format, ...) {
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(filter->line, sizeof(filter->line), format, arguments);
        va_end(arguments);
        if (n < 0 || n > ASSUAN_LINE_MAX || !is_forwardable(filter->line)) {
                refuse(filter, action);
                return;
        }
        filter->line[n] = '\n';
        filter->state = FILTER_STATE_ANSWER;
        action->to_agent = filter->line;
        action->n_to_agent = (size_t)n + 1;
}

/* The command waits for a person, who has to be told with which key: without one nobody is asked. */
static void forward_if_allowed(Filter *filter, FilterAction *action, FilterOperation operation, Text nonce) {
        if (filter->grip[0] == '\0') {
                answer(filter, action,
                       ERROR_LINE(GPG2_ERROR_NO_SECRET_KEY, "no key was named")); /* as the agent has it */
                return;
        }
        (void)snprintf(filter->pending, sizeof(filter->pending), "%s%s%.*s\n",
                       operation == FILTER_OPERATION_SIGN ? "PKSIGN" : "PKDECRYPT", nonce.n > 0 ? " -- " : "",
                       (int)nonce.n, nonce.data);
        filter->operation = operation;
        filter->state = FILTER_STATE_CONSENT;
        action->ask = operation;
}

static void forget_key(Filter *filter) {
        filter->key = NULL;
        filter->grip[0] = '\0';
}

static void on_reset(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        if (arguments.n > 0) {
                refuse(filter, action);
                return;
        }
        forget_key(filter);
        filter->hash = 0;
        forward(filter, action, "RESET");
}

static void on_nop(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)arguments;
        (void)now_sec;
        ignore(filter, action);
}

static void on_bye(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        if (arguments.n > 0) {
                refuse(filter, action);
                return;
        }
        answer(filter, action, "OK closing connection\n");
        action->to_agent = "BYE\n";
        action->n_to_agent = strlen(action->to_agent);
        action->closes = true;
        filter->state = FILTER_STATE_CLOSED;
}

/*
 * No option of a client's reaches the agent but the one that says which of its answers the client understands. The others
 * name the client's terminal and how it would like to be asked; that is for the vault to say.
 */
static void on_option(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        static const char *const unheeded[] = {
                "ttyname", "ttytype", "display", "lc-ctype", "lc-messages", "putenv", "allow-pinentry-notify"
        };
        /* Of later releases of GnuPG, and with no effect but on questions and caches. */
        static const char *const harmless[] = { "xauthority", "pinentry-user-data", "use-cache-for-signing",
                                                "allow-external-password-cache" };
        Text name = arguments;

        (void)now_sec;
        for (name.n = 0; name.n < arguments.n && arguments.data[name.n] != '=' && arguments.data[name.n] != ' ';)
                ++name.n;

        for (size_t i = 0; i < ARRAY_SIZE(unheeded); ++i)
                if (text_is(name, unheeded[i])) {
                        ignore(filter, action);
                        return;
                }
        for (size_t i = 0; i < ARRAY_SIZE(harmless); ++i)
                if (text_is(name, harmless[i])) {
                        ignore(filter, action);
                        action->ignored = true;
                        return;
                }
        if (text_is(arguments, "pinentry-mode=ask"))
                ignore(filter, action);
        else if (text_begins(arguments, "pinentry-mode="))
                answer(filter, action, ERROR_LINE(GPG2_ERROR_NOT_SUPPORTED, "the vault asks in its own way"));
        else if (text_is(arguments, "agent-awareness=2.1.0"))
                forward(filter, action, "OPTION agent-awareness=2.1.0");
        else
                refuse(filter, action);
}

static void on_agent_id(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)arguments;
        (void)now_sec;
        answer(filter, action, ERROR_LINE(GPG2_ERROR_UNKNOWN_COMMAND, "unknown command"));
}

static void on_getinfo(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        static const char *const known[] = { "version", "restricted", "s2k_count" };

        (void)now_sec;
        for (size_t i = 0; i < ARRAY_SIZE(known); ++i)
                if (text_is(arguments, known[i])) {
                        forward(filter, action, "GETINFO %s", known[i]);
                        return;
                }
        refuse(filter, action);
}

/* `--list` or `--list=N`. */
static bool list_parse(Text arguments, char *ret_text, size_t n_text) {
        uint64_t n = 0;

        if (text_is(arguments, "--list")) {
                (void)snprintf(ret_text, n_text, "--list");
                return true;
        }
        if (!text_begins(arguments, "--list="))
                return false;
        arguments = text_from(arguments, strlen("--list="));
        if (number_parse(arguments.data, arguments.n, 1, GPG2_LIST_MAX, &n))
                return false;
        (void)snprintf(ret_text, n_text, "--list=%u", (unsigned)n);
        return true;
}

static void on_havekey(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        char list[32];
        size_t n_grips = 0;

        (void)now_sec;
        if (list_parse(arguments, list, sizeof(list))) {
                forward(filter, action, "HAVEKEY %s", list);
                action->lists = true;
                return;
        }
        for (Text rest = arguments; rest.n > 0 || n_grips == 0; ++n_grips)
                if (n_grips == GPG2_GRIPS_MAX || !is_grip(text_word(&rest))) {
                        refuse(filter, action);
                        return;
                }
        if (arguments.data[arguments.n - 1] == ' ')
                refuse(filter, action);
        else
                forward(filter, action, "HAVEKEY %.*s", (int)arguments.n, arguments.data);
}

static void on_keyinfo(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        char list[32];

        (void)now_sec;
        if (list_parse(arguments, list, sizeof(list))) {
                forward(filter, action, "KEYINFO %s", list);
                action->lists = true;
        } else if (is_grip(arguments)) {
                forward(filter, action, "KEYINFO %.*s", (int)arguments.n, arguments.data);
        } else {
                refuse(filter, action);
        }
}

static const FilterKey *find_key(const Filter *filter, Text grip) {
        for (size_t i = 0; i < filter->options.n_keys; ++i)
                if (text_is(grip, filter->options.keys[i].grip))
                        return &filter->options.keys[i];
        return NULL;
}

static void name_key(Filter *filter, Text arguments, FilterAction *action, const char *command) {
        const FilterKey *key = find_key(filter, arguments);

        if (!is_grip(arguments) || (!key && !filter->options.allow_keygen)) {
                refuse(filter, action);
                return;
        }
        filter->key = key;
        memcpy(filter->grip, arguments.data, GPG2_GRIP_SIZE);
        filter->grip[GPG2_GRIP_SIZE] = '\0';
        filter->names_key = true;
        forward(filter, action, "%s %s", command, filter->grip);
}

static void on_sigkey(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        name_key(filter, arguments, action, "SIGKEY");
}

static void on_setkey(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        name_key(filter, arguments, action, "SETKEY");
}

/* The words of the agent's question are ours: a client could make a signature look like another. */
static void on_setkeydesc(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)arguments;
        (void)now_sec;
        ignore(filter, action);
}

static void on_sethash(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        static const struct {
                const char *number;
                unsigned algorithm;
                size_t n_digits;
        } hashes[] = { { "2", 2, 40 }, { "3", 3, 40 },    { "8", 8, 64 },
                       { "9", 9, 96 }, { "10", 10, 128 }, { "11", 11, 56 } };
        Text number = text_word(&arguments);

        (void)now_sec;
        for (size_t i = 0; i < ARRAY_SIZE(hashes); ++i)
                if (text_is(number, hashes[i].number) && is_upper_hex(arguments, hashes[i].n_digits)) {
                        filter->hash = hashes[i].algorithm;
                        forward(filter, action, "SETHASH %s %.*s", hashes[i].number, (int)arguments.n, arguments.data);
                        return;
                }
        refuse(filter, action);
}

/* A nonce of the agent's cache of passphrases: twelve bytes. */
#define NONCE_DIGITS 24

static void on_pksign(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        if (arguments.n == 0) {
                forward_if_allowed(filter, action, FILTER_OPERATION_SIGN, arguments);
                return;
        }
        if (text_begins(arguments, "-- ") && is_upper_hex(text_from(arguments, 3), NONCE_DIGITS))
                forward_if_allowed(filter, action, FILTER_OPERATION_SIGN, text_from(arguments, 3));
        else
                refuse(filter, action);
}

static void on_pkdecrypt(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        if (arguments.n > 0)
                refuse(filter, action);
        else
                forward_if_allowed(filter, action, FILTER_OPERATION_DECRYPT, arguments);
}

static void on_readkey(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        if (text_begins(arguments, "-- "))
                arguments = text_from(arguments, 3);
        if (!filter->options.allow_keygen || !is_grip(arguments))
                refuse(filter, action);
        else
                forward(filter, action, "READKEY -- %.*s", (int)arguments.n, arguments.data);
}

static void on_genkey(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        const char *protection = "";
        bool has_timestamp = false, has_nonce = false;
        time_t now = (time_t)now_sec;
        char timestamp[64] = "";
        struct tm tm;

        while (filter->options.allow_keygen && arguments.n > 0) {
                Text word = text_word(&arguments);

                if (text_is(word, "--no-protection") && protection[0] == '\0')
                        protection = " --no-protection";
                else if (text_is(word, "--inq-passwd") && protection[0] == '\0')
                        protection = " --inq-passwd";
                else if (text_begins(word, "--timestamp=") && !has_timestamp)
                        has_timestamp = true;
                else if (is_upper_hex(word, NONCE_DIGITS) && !has_nonce)
                        has_nonce = true;
                else {
                        refuse(filter, action);
                        return;
                }
        }
        if (!filter->options.allow_keygen || !gmtime_r(&now, &tm)) {
                refuse(filter, action);
                return;
        }
        if (has_timestamp)
                (void)strftime(timestamp, sizeof(timestamp), " --timestamp=%Y%m%dT%H%M%S", &tm);
        filter->generates = true;
        forward(filter, action, "GENKEY%s%s", protection, timestamp);
}

static void on_scd(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action) {
        (void)now_sec;
        if (text_is(arguments, "SERIALNO") || text_is(arguments, "SERIALNO openpgp"))
                answer(filter, action, ERROR_LINE(GPG2_ERROR_NO_CARD_DAEMON, "no card daemon"));
        else
                refuse(filter, action);
}

static const struct {
        const char *name;
        void (*on_command)(Filter *filter, Text arguments, uint64_t now_sec, FilterAction *action);
} commands[] = {
        { "RESET", on_reset },
        { "NOP", on_nop },
        { "BYE", on_bye },
        { "OPTION", on_option },
        { "AGENT_ID", on_agent_id },
        { "GETINFO", on_getinfo },
        { "HAVEKEY", on_havekey },
        { "KEYINFO", on_keyinfo },
        { "SIGKEY", on_sigkey },
        { "SETKEY", on_setkey },
        { "SETKEYDESC", on_setkeydesc },
        { "SETHASH", on_sethash },
        { "PKSIGN", on_pksign },
        { "PKDECRYPT", on_pkdecrypt },
        { "READKEY", on_readkey },
        { "GENKEY", on_genkey },
        { "SCD", on_scd },
};

static void on_command(Filter *filter, Text line, uint64_t now_sec, FilterAction *action) {
        size_t i_rest, n_word;

        if (line.n == 0 || line.data[0] == '#') /* nobody answers those */
                return;
        filter->operation = FILTER_OPERATION_NONE;
        filter->generates = false;
        filter->names_key = false;
        n_word = assuan_split(line.data, line.n, &i_rest);
        for (size_t i = 0; i < ARRAY_SIZE(commands); ++i)
                if (text_is((Text){ line.data, n_word }, commands[i].name)) {
                        commands[i].on_command(filter, text_from(line, i_rest), now_sec, action);
                        return;
                }
        refuse(filter, action);
}

static bool is_size(const SexpNode *node) {
        uint64_t value;

        return number_parse((const char *)node->data, node->n, 1024, 4096, &value) == 0;
}

/* Which flags go with a curve (12.1): none of them changes what kind of key comes of it, but how it is written. */
static bool is_curve(const Sexp *sexp) {
        static const struct {
                const char *curve, *flag;
        } special[] = {
                { "Ed25519", "eddsa" },
                { "Ed448", "eddsa" },
                { "Curve25519", "djb-tweak" },
                { "X448", "djb-tweak" },
        };
        /* ( genkey ( ecc ( curve NAME ) ( flags … ) ) ) */
        static const char *const head[] = { "genkey", NULL, "ecc", NULL, "curve" };
        const SexpNode *node = sexp->nodes, *curve = NULL;
        const char *flag = NULL;
        size_t n_comp = 0, n_flag = 0, n_nocomp = 0, i = 1;

        if (sexp->n_nodes < 14)
                return false;
        for (size_t k = 0; k < ARRAY_SIZE(head); ++k, ++i)
                if (head[k] ? !sexp_string_is(&node[i], head[k]) : node[i].kind != SEXP_KIND_OPEN)
                        return false;
        curve = &node[i++];
        if (curve->kind != SEXP_KIND_STRING || curve->n == 0 || curve->n > 40)
                return false;
        for (size_t k = 0; k < curve->n; ++k)
                if (!((curve->data[k] >= '0' && curve->data[k] <= '9') ||
                      (curve->data[k] >= 'a' && curve->data[k] <= 'z') ||
                      (curve->data[k] >= 'A' && curve->data[k] <= 'Z') || curve->data[k] == '.' ||
                      curve->data[k] == '-' || curve->data[k] == '_'))
                        return false;
        if (node[i].kind != SEXP_KIND_CLOSE || node[i + 1].kind != SEXP_KIND_OPEN ||
            !sexp_string_is(&node[i + 2], "flags"))
                return false;
        for (size_t k = 0; k < ARRAY_SIZE(special); ++k)
                if (sexp_string_is(curve, special[k].curve))
                        flag = special[k].flag;
        for (i += 3; i < sexp->n_nodes && node[i].kind == SEXP_KIND_STRING; ++i) {
                if (sexp_string_is(&node[i], "comp"))
                        ++n_comp;
                else if (sexp_string_is(&node[i], "nocomp"))
                        ++n_nocomp;
                else if (flag && sexp_string_is(&node[i], flag))
                        ++n_flag;
                else
                        return false;
        }
        for (size_t k = 0; k < 3; ++k, ++i) /* of flags, ecc, genkey */
                if (i >= sexp->n_nodes || node[i].kind != SEXP_KIND_CLOSE)
                        return false;
        if (i != sexp->n_nodes)
                return false;
        return n_nocomp == 1 ? n_comp + n_flag == 0 : n_nocomp == 0 && flag && n_comp == 1 && n_flag <= 1;
}

static bool is_key_parameters(const Sexp *sexp) {
        const SexpNode *size = NULL;

        if (sexp_match(sexp, "(genkey (rsa (nbits ?)))", &size, 1) ||
            sexp_match(sexp, "(genkey (openpgp-elg (nbits ?)))", &size, 1) ||
            sexp_match(sexp, "(genkey (dsa (nbits ?)(qbits 256)))", &size, 1))
                return is_size(size);
        return is_curve(sexp);
}

static bool is_ciphertext(const Sexp *sexp) {
        const SexpNode *values[2];

        return sexp_match(sexp, "(enc-val (rsa (a ?)))", values, 1) ||
               sexp_match(sexp, "(enc-val (elg (a ?)(b ?)))", values, 2) ||
               sexp_match(sexp, "(enc-val (ecdh (s ?)(e ?)))", values, 2);
}

/* The expression that was inquired, understood, and written again: the agent's parser sees nothing that ours did not. */
static void send_data(Filter *filter, FilterAction *action) {
        uint8_t canonical[SEXP_SIZE_MAX];
        size_t n_canonical, n = 0;
        Sexp sexp;

        if (sexp_parse(filter->data, filter->n_data, &sexp) ||
            !(filter->generates ? is_key_parameters(&sexp) : is_ciphertext(&sexp)) ||
            sexp_format(&sexp, canonical, sizeof(canonical), &n_canonical)) {
                refuse(filter, action);
                return;
        }
        for (size_t i = 0; i < n_canonical; i += ASSUAN_DATA_PER_LINE) {
                size_t n_part = n_canonical - i < ASSUAN_DATA_PER_LINE ? n_canonical - i : ASSUAN_DATA_PER_LINE;

                assert(n + ASSUAN_LINE_MAX + 1 + strlen("END\n") <= sizeof(filter->line));
                n += assuan_data_encode(canonical + i, n_part, filter->line + n);
        }
        memcpy(filter->line + n, "END\n", strlen("END\n"));
        filter->state = FILTER_STATE_ANSWER;
        action->to_agent = filter->line;
        action->n_to_agent = n + strlen("END\n");
}

static void on_inquired(Filter *filter, Text line, FilterAction *action) {
        AssuanWord word = assuan_word(line.data, line.n);

        if (word == ASSUAN_WORD_D && filter->inquires_data && line.n >= 2 &&
            assuan_data_decode(line.data + 2, line.n - 2, filter->data, sizeof(filter->data), &filter->n_data) == 0)
                return;
        if (word != ASSUAN_WORD_END || line.n > strlen("END")) {
                refuse(filter, action);
        } else if (filter->inquires_data) {
                send_data(filter, action);
        } else {
                filter->state = FILTER_STATE_ANSWER;
                action->to_agent = "END\n";
                action->n_to_agent = strlen(action->to_agent);
        }
}

void filter_on_client_line(Filter *filter, const char *untrusted_line, size_t n, uint64_t now_sec,
                           FilterAction *ret_action) {
        Text line = { untrusted_line, n };

        *ret_action = (FilterAction){};
        assert(filter_wants_client(filter) && n <= ASSUAN_LINE_MAX);
        if (filter->state == FILTER_STATE_INQUIRY)
                on_inquired(filter, line, ret_action);
        else
                on_command(filter, line, now_sec, ret_action);
}

/* Let it through as it is. */
static void pass(Filter *filter, FilterAction *action, Text line) {
        memcpy(filter->line, line.data, line.n);
        filter->line[line.n] = '\n';
        action->to_client = filter->line;
        action->n_to_client = line.n + 1;
}

/* What the agent was not expected to say: whatever it is, the client gets none of it. */
static void fail(Filter *filter, FilterAction *action) {
        refuse(filter, action);
        action->refused = false;
}

static void describe_key(Filter *filter, FilterAction *action) {
        char description[GPG2_DESCRIPTION_MAX + 1];
        int n;

        if (filter->key)
                (void)snprintf(description, sizeof(description), "%s", filter->key->description);
        else
                (void)snprintf(description, sizeof(description), "a key that was made lately\nkeygrip %s",
                               filter->grip);
        n = snprintf(filter->line, sizeof(filter->line), "SETKEYDESC ");
        if (assuan_text_encode(description, filter->line + n, ASSUAN_LINE_MAX + 1 - (size_t)n)) {
                fail(filter, action);
                return;
        }
        action->n_to_agent = strlen(filter->line);
        filter->line[action->n_to_agent++] = '\n';
        action->to_agent = filter->line;
        filter->state = FILTER_STATE_DESCRIBE;
}

static void on_inquiry(Filter *filter, Text line, FilterAction *action) {
        size_t i_rest;
        Text rest, word;

        (void)assuan_split(line.data, line.n, &i_rest);
        rest = text_from(line, i_rest);
        word = text_word(&rest);

        filter->n_data = 0;
        if (filter->operation == FILTER_OPERATION_DECRYPT && text_is(word, "CIPHERTEXT"))
                filter->inquires_data = true;
        else if (filter->generates && text_is(word, "KEYPARAM"))
                filter->inquires_data = true;
        else if ((filter->generates && text_is(word, "NEWPASSWD")) ||
                 ((filter->generates || filter->operation != FILTER_OPERATION_NONE) &&
                  text_is(word, "PINENTRY_LAUNCHED")))
                filter->inquires_data = false;
        else {
                fail(filter, action);
                return;
        }
        filter->state = FILTER_STATE_INQUIRY;
        pass(filter, action, line);
}

static void on_answer(Filter *filter, Text line, FilterAction *action) {
        switch (assuan_word(line.data, line.n)) {
        case ASSUAN_WORD_OK:
                if (filter->names_key) {
                        filter->names_key = false;
                        describe_key(filter, action);
                        return;
                }
                filter->state = FILTER_STATE_COMMAND;
                pass(filter, action, line);
                break;
        case ASSUAN_WORD_ERR:
                if (filter->names_key)
                        forget_key(filter); /* which one the agent has now is not known */
                filter->state = FILTER_STATE_COMMAND;
                pass(filter, action, line);
                break;
        case ASSUAN_WORD_D:
        case ASSUAN_WORD_S:
                pass(filter, action, line);
                break;
        case ASSUAN_WORD_COMMENT:
                break;
        case ASSUAN_WORD_INQUIRE:
                on_inquiry(filter, line, action);
                break;
        case ASSUAN_WORD_END:
        case ASSUAN_WORD_OTHER:
                fail(filter, action);
                break;
        }
}

void filter_on_agent_line(Filter *filter, const char *line, size_t n, FilterAction *ret_action) {
        Text text = { line, n };
        AssuanWord word = assuan_word(line, n);

        *ret_action = (FilterAction){};
        assert(filter_wants_agent(filter) && n <= ASSUAN_LINE_MAX);
        if (filter->state == FILTER_STATE_ANSWER) {
                on_answer(filter, text, ret_action);
        } else if (word == ASSUAN_WORD_OK || (word == ASSUAN_WORD_ERR && filter->state == FILTER_STATE_DESCRIBE)) {
                if (word == ASSUAN_WORD_ERR)
                        forget_key(filter);
                filter->state = FILTER_STATE_COMMAND;
                pass(filter, ret_action, text);
        } else if (word != ASSUAN_WORD_COMMENT && word != ASSUAN_WORD_S) {
                fail(filter, ret_action);
        }
}

void filter_on_consent(Filter *filter, bool yes, FilterAction *ret_action) {
        *ret_action = (FilterAction){};
        assert(filter->state == FILTER_STATE_CONSENT);
        if (!yes) {
                answer(filter, ret_action, ERROR_LINE(GPG2_ERROR_CANCELED, "nobody in the vault said yes"));
                return;
        }
        filter->state = FILTER_STATE_ANSWER;
        ret_action->to_agent = filter->pending;
        ret_action->n_to_agent = strlen(filter->pending);
}

void filter_on_long_line(Filter *filter, FilterAction *ret_action) {
        *ret_action = (FilterAction){};
        refuse(filter, ret_action);
}
