/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds doc/protocol.md (the argument) to what the code does, so that the document cannot drift:
 *   - a `hex` block is decoded, rendered as one line and compared with the block's last line, which begins with "= ";
 *     what was accepted encodes to the same bytes again;
 *   - a line of a `command` block is "TEXT = WHAT IT MEANS", parsed and rendered likewise;
 *   - in a table row "| `NAME` | NUMBER |" the number is that of the constant NAME.
 * Every message and every constant below must be there at least once, but with --partial.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/file.h"
#include "wire/call.h"
#include "wire/command.h"
#include "wire/data.h"
#include "wire/exec.h"
#include "wire/forkserver.h"
#include "wire/header.h"
#include "wire/hello.h"
#include "wire/refusal.h"
#include "wire/reply.h"
#include "wire/supervise.h"
#include "wire/trigger.h"

#define DOCUMENT_MAX (1024 * 1024)

static const char *document_path;
static bool document_is_partial; /* it has examples, and need not have all */

/* One example: the bytes, their meaning rendered, and the bytes that it encodes to. */
typedef struct Example {
        uint8_t bytes[4096];
        size_t n;
        FILE *meaning;
        uint8_t again[4096];
        size_t n_again; /* 0: nothing was accepted, or its encoding is not the only one */
} Example;

static void render_quoted(FILE *out, const char *text) {
        fprintf(out, "\"%s\"", ESCAPED(text, strlen(text)));
}

static void render_params(FILE *out, const ExecParams *params) {
        if (params->connect_domain == WIRE_DOMAIN_FRAMED)
                fprintf(out, "framed call %u", params->connect_port);
        else if (params->connect_domain == WIRE_DOMAIN_DIRECT)
                fprintf(out, "direct call %u", params->connect_port);
        else
                fprintf(out, "domain %u port %u", params->connect_domain, params->connect_port);
}

static void decode_hello(Example *e, const uint8_t *payload, size_t n) {
        Hello hello;

        switch (hello_decode(payload, n, WIRE_VERSION_MIN, &hello)) {
        case 0:
                fprintf(e->meaning, "version %u", hello.version);
                hello_encode(&hello, e->again + WIRE_HEADER_SIZE);
                e->n_again = WIRE_HEADER_SIZE + HELLO_SIZE;
                break;
        case HELLO_E_VERSION:
                fprintf(e->meaning, "too old");
                break;
        default:
                fprintf(e->meaning, "malformed");
        }
}

static void decode_exec(Example *e, uint32_t type, const uint8_t *payload, size_t n) {
        ExecParams params;
        Exec exec;

        if (exec_params_decode(payload, n, &params) == 0) {
                render_params(e->meaning, &params);
                if (type != WIRE_TYPE_CONNECTION_TERMINATED)
                        fprintf(e->meaning, ", no text");
                exec_params_encode(&params, e->again + WIRE_HEADER_SIZE);
                e->n_again = WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE;
        } else if (exec_decode(payload, n, &exec) == 0) {
                render_params(e->meaning, &exec.params);
                fprintf(e->meaning, type == WIRE_TYPE_SERVICE_CONNECT ? " ident " : " ");
                render_quoted(e->meaning, exec.text);
                assert_int_equal(exec_encode(type, &exec, e->again, sizeof(e->again), &e->n_again), 0);
        } else {
                fprintf(e->meaning, "malformed");
        }
}

static void decode_refusal(Example *e, const uint8_t *payload, size_t n) {
        Ident ident;

        if (ident_decode(payload, n, &ident)) {
                fprintf(e->meaning, "malformed");
                return;
        }
        fprintf(e->meaning, "ident ");
        render_quoted(e->meaning, ident.text);
        refusal_encode(payload, e->again);
        e->n_again = WIRE_HEADER_SIZE + IDENT_SIZE;
}

static void decode_trigger(Example *e, uint32_t type, const uint8_t *payload, size_t n) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        uint8_t field[IDENT_SIZE];
        int r = trigger_decode(type, payload, n, field, &trigger);

        if (r) {
                fprintf(e->meaning, r == TRIGGER_E_REFUSED ? "refused" : "malformed");
                return;
        }
        if (trigger->has_source) {
                fprintf(e->meaning, "source ");
                render_quoted(e->meaning, trigger->source.text);
                fputc(' ', e->meaning);
        }
        fprintf(e->meaning, "target ");
        render_quoted(e->meaning, trigger->target.text);
        fprintf(e->meaning, " ident ");
        render_quoted(e->meaning, trigger->ident.text);
        fprintf(e->meaning, " service ");
        render_quoted(e->meaning, trigger->service);
        assert_int_equal(trigger_encode(type, trigger, e->again, sizeof(e->again), &e->n_again), 0);
}

static void decode_data(Example *e, uint32_t type, const uint8_t *payload, size_t n) {
        if (type == WIRE_TYPE_DATA_EXIT_CODE) {
                int32_t status = data_exit_code_decode(payload, n);

                fprintf(e->meaning, "%d", status);
                data_exit_code_encode(status, e->again + WIRE_HEADER_SIZE);
                if (status != 255)
                        e->n_again = WIRE_HEADER_SIZE + DATA_EXIT_CODE_SIZE;
        } else if (n == 0) {
                fprintf(e->meaning, "end-of-file");
        } else {
                fprintf(e->meaning, "\"%s\"", ESCAPED(payload, n));
        }
}

static void decode_call(Example *e, uint32_t type, const uint8_t *payload, size_t n) {
        static uint32_t ids[CALL_LIST_MAX];
        size_t n_ids;
        CallEnded ended;
        uint32_t id;

        if (type == WIRE_TYPE_CALL_ENDED && call_ended_decode(payload, n, &ended) == 0) {
                fprintf(e->meaning, "%u %s %d after %ju µs", ended.id, call_how_text(ended.how), ended.status,
                        (uintmax_t)ended.run_usec);
                call_ended_encode(&ended, e->again);
                e->n_again = WIRE_HEADER_SIZE + CALL_ENDED_SIZE;
        } else if (type == WIRE_TYPE_CALL_KILL && call_kill_decode(payload, n, &id) == 0) {
                fprintf(e->meaning, "%u", id);
                call_kill_encode(id, e->again);
                e->n_again = WIRE_HEADER_SIZE + CALL_KILL_SIZE;
        } else if ((type == WIRE_TYPE_CALL_LIST || type == WIRE_TYPE_CALL_DRAIN) &&
                   call_list_decode(payload, n, ids, &n_ids) == 0) {
                for (size_t i = 0; i < n_ids; ++i)
                        fprintf(e->meaning, i ? " %u" : "%u", ids[i]);
                if (type == WIRE_TYPE_CALL_LIST)
                        assert_int_equal(call_list_encode(ids, n_ids, e->again, sizeof(e->again), &e->n_again), 0);
                else
                        assert_int_equal(call_drain_encode(ids, n_ids, e->again, sizeof(e->again), &e->n_again), 0);
        } else {
                fprintf(e->meaning, "malformed");
        }
}

static void decode_reply(Example *e) {
        Reply reply;

        fprintf(e->meaning, "REPLY ");
        if (reply_decode(e->bytes, e->n, &reply)) {
                fprintf(e->meaning, "malformed");
                return;
        }
        switch (reply.connect_domain) {
        case WIRE_DOMAIN_REFUSED:
                fprintf(e->meaning, "refused call %u: %s", reply.connect_port, reply_reason_text(reply.reason));
                break;
        case WIRE_DOMAIN_FRAMED:
                fprintf(e->meaning, "framed call %u", reply.connect_port);
                break;
        case WIRE_DOMAIN_DIRECT:
                fprintf(e->meaning, "direct call %u", reply.connect_port);
                break;
        default:
                fprintf(e->meaning, "dial domain %u port %u", reply.connect_domain, reply.connect_port);
        }
        e->n_again = reply_encode(&reply, e->again);
}

static const struct {
        SuperviseType type;
        const char *name;
} supervise_names[] = {
        { SUPERVISE_TYPE_SHARED, "shared" },   { SUPERVISE_TYPE_DOMAIN, "domain" },
        { SUPERVISE_TYPE_GONE, "gone" },       { SUPERVISE_TYPE_READY, "ready" },
        { SUPERVISE_TYPE_ENDED, "ended" },     { SUPERVISE_TYPE_RELOAD, "reload" },
        { SUPERVISE_TYPE_START, "start" },     { SUPERVISE_TYPE_STOP, "stop" },
        { SUPERVISE_TYPE_SERVING, "serving" }, { SUPERVISE_TYPE_AUDIT, "audit" },
        { SUPERVISE_TYPE_IDS, "ids" },         { SUPERVISE_TYPE_MORE_IDS, "more ids" },
        { SUPERVISE_TYPE_REOPEN, "reopen" },   { SUPERVISE_TYPE_BOOK, "book" },
        { SUPERVISE_TYPE_STORE, "store" },     { SUPERVISE_TYPE_STORES, "stores" },
        { SUPERVISE_TYPE_FOLDER, "folder" },   { SUPERVISE_TYPE_STOPPED, "stopped" },
        { SUPERVISE_TYPE_REREAD, "reread" },
};
static bool supervise_seen[ARRAY_SIZE(supervise_names)];

static void decode_supervise(Example *e) {
        Supervise message;
        size_t n_fds;

        fprintf(e->meaning, "SUPERVISE ");
        if (supervise_decode(e->bytes, e->n, &message)) {
                fprintf(e->meaning, "malformed");
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(supervise_names); ++i)
                if (supervise_names[i].type == message.type) {
                        fputs(supervise_names[i].name, e->meaning);
                        supervise_seen[i] = true;
                }
        if (message.domain.text[0])
                fprintf(e->meaning, " \"%s\"", message.domain.text);
        if (message.instance.text[0])
                fprintf(e->meaning, " instance \"%s\"", message.instance.text);
        if (message.number)
                fprintf(e->meaning, " number %u", message.number);
        n_fds = supervise_n_fds(message.type);
        if (n_fds > 0)
                fprintf(e->meaning, ", %zu descriptor%s", n_fds, n_fds > 1 ? "s" : "");
        supervise_encode(&message, e->again);
        e->n_again = SUPERVISE_SIZE;
}

static const struct {
        uint32_t type;
        const char *name;
} forkserver_names[] = {
        { WIRE_TYPE_EXEC_CMDLINE, "EXEC_CMDLINE" },
        { WIRE_TYPE_JUST_EXEC, "JUST_EXEC" },
        { WIRE_TYPE_CALL_KILL, "CALL_KILL" },
};

static void render_setting(FILE *out, const char *what, const char *value) {
        if (!value)
                return;
        fprintf(out, " %s ", what);
        render_quoted(out, value);
}

/* A request, a CALL_KILL, or an answer, which alone is as short as that. */
static void decode_forkserver(Example *e) {
        ForkserverAnswer answer;
        ForkserverHeader header;
        ForkserverRequest request;

        fprintf(e->meaning, "FORKSERVER ");
        if (e->n == FORKSERVER_ANSWER_SIZE && forkserver_answer_decode(e->bytes, e->n, &answer) == 0) {
                fprintf(e->meaning, "answer: how %u, status %d", answer.how, answer.status);
                forkserver_answer_encode(&answer, e->again);
                e->n_again = e->n;
                return;
        }
        if (e->n < FORKSERVER_HEADER_SIZE || forkserver_header_decode(e->bytes, FORKSERVER_HEADER_SIZE, &header)) {
                fprintf(e->meaning, "malformed");
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(forkserver_names); ++i)
                if (forkserver_names[i].type == header.type)
                        fprintf(e->meaning, "%s ", forkserver_names[i].name);
        if (header.type == WIRE_TYPE_CALL_KILL) {
                fprintf(e->meaning, "%u", header.params.connect_port);
                forkserver_kill_encode(header.params.connect_port, e->again);
                e->n_again = FORKSERVER_HEADER_SIZE;
                return;
        }
        if (forkserver_request_decode(e->bytes, e->n, &request)) {
                fprintf(e->meaning, "malformed");
                return;
        }
        render_params(e->meaning, &request.params);
        fputc(' ', e->meaning);
        render_quoted(e->meaning, request.command);
        render_setting(e->meaning, "services in", request.service_path);
        render_setting(e->meaning, "configuration in", request.config_path);
        assert_int_equal(forkserver_request_encode(&request, e->again, sizeof(e->again), &e->n_again), 0);
}

static const struct {
        uint32_t type;
        const char *name;
} message_names[] = {
        { WIRE_TYPE_DATA_STDIN, "DATA_STDIN" },
        { WIRE_TYPE_DATA_STDOUT, "DATA_STDOUT" },
        { WIRE_TYPE_DATA_STDERR, "DATA_STDERR" },
        { WIRE_TYPE_DATA_EXIT_CODE, "DATA_EXIT_CODE" },
        { WIRE_TYPE_EXEC_CMDLINE, "EXEC_CMDLINE" },
        { WIRE_TYPE_JUST_EXEC, "JUST_EXEC" },
        { WIRE_TYPE_SERVICE_CONNECT, "SERVICE_CONNECT" },
        { WIRE_TYPE_SERVICE_REFUSED, "SERVICE_REFUSED" },
        { WIRE_TYPE_TRIGGER_SERVICE2, "TRIGGER_SERVICE" },
        { WIRE_TYPE_CONNECTION_TERMINATED, "CONNECTION_TERMINATED" },
        { WIRE_TYPE_TRIGGER_SERVICE3, "TRIGGER_SERVICE3" },
        { WIRE_TYPE_TRIGGER_SERVICE4, "TRIGGER_SERVICE4" },
        { WIRE_TYPE_HELLO, "HELLO" },
        { WIRE_TYPE_CALL_ENDED, "CALL_ENDED" },
        { WIRE_TYPE_CALL_KILL, "CALL_KILL" },
        { WIRE_TYPE_CALL_LIST, "CALL_LIST" },
        { WIRE_TYPE_CALL_DRAIN, "CALL_DRAIN" },
};
static bool message_seen[ARRAY_SIZE(message_names)];

static void decode_message(Example *e) {
        const uint8_t *payload = e->bytes + WIRE_HEADER_SIZE;
        size_t n = e->n - WIRE_HEADER_SIZE, i = 0;
        WireHeader header;

        assert_int_equal(wire_header_decode(e->bytes, e->n, &header), 0);
        assert_int_equal(header.length, n);
        while (i < ARRAY_SIZE(message_names) && message_names[i].type != header.type)
                ++i;
        assert_true(i < ARRAY_SIZE(message_names));
        message_seen[i] = true;
        fputs(message_names[i].name, e->meaning);
        if ((header.type != WIRE_TYPE_CALL_LIST && header.type != WIRE_TYPE_CALL_DRAIN) || n > 0)
                fputc(' ', e->meaning);

        wire_header_encode(header, e->again); /* some encoders write the payload alone */
        switch (header.type) {
        case WIRE_TYPE_HELLO:
                decode_hello(e, payload, n);
                break;
        case WIRE_TYPE_EXEC_CMDLINE:
        case WIRE_TYPE_JUST_EXEC:
        case WIRE_TYPE_SERVICE_CONNECT:
        case WIRE_TYPE_CONNECTION_TERMINATED:
                decode_exec(e, header.type, payload, n);
                break;
        case WIRE_TYPE_SERVICE_REFUSED:
                decode_refusal(e, payload, n);
                break;
        case WIRE_TYPE_TRIGGER_SERVICE2:
        case WIRE_TYPE_TRIGGER_SERVICE3:
        case WIRE_TYPE_TRIGGER_SERVICE4:
                decode_trigger(e, header.type, payload, n);
                break;
        case WIRE_TYPE_CALL_ENDED:
        case WIRE_TYPE_CALL_KILL:
        case WIRE_TYPE_CALL_LIST:
        case WIRE_TYPE_CALL_DRAIN:
                decode_call(e, header.type, payload, n);
                break;
        default:
                assert_true(data_type_is_known(header.type));
                decode_data(e, header.type, payload, n);
        }
}

/* @said: the block's last line, without "= ". Its first word names what has no header; a header names itself. */
static void check_example(Example *e, const char *said, unsigned line) {
        _cleanup_free_ char *meaning = NULL;
        size_t n_meaning;

        e->n_again = 0;
        e->meaning = open_memstream(&meaning, &n_meaning);
        assert_non_null(e->meaning);
        if (strncmp(said, "REPLY ", 6) == 0)
                decode_reply(e);
        else if (strncmp(said, "SUPERVISE ", 10) == 0)
                decode_supervise(e);
        else if (strncmp(said, "FORKSERVER ", 11) == 0)
                decode_forkserver(e);
        else
                decode_message(e);
        fclose(e->meaning);

        if (strcmp(meaning, said) != 0)
                fail_msg("line %u: the bytes mean \"%s\", the document says \"%s\"", line, meaning, said);
        if (e->n_again && (e->n_again != e->n || memcmp(e->again, e->bytes, e->n) != 0))
                fail_msg("line %u: other bytes when encoded", line);
}

/* "00 1f  # comment" */
static void read_hex(Example *e, const char *text, unsigned line) {
        for (;;) {
                char digits[3] = "";
                char *end;

                text += strspn(text, " ");
                if (*text == '\0' || *text == '#')
                        return;
                if (strspn(text, "0123456789abcdef") != 2 || !strchr(" ", text[2]) || e->n == sizeof(e->bytes))
                        fail_msg("line %u: not a byte: \"%s\"", line, text);
                memcpy(digits, text, 2);
                e->bytes[e->n++] = (uint8_t)strtoul(digits, &end, 16);
                text += 2;
        }
}

static void render_part(FILE *out, const char *what, CommandPart part) {
        fprintf(out, "%s \"%.*s\"", what, (int)part.n, part.text ?: "");
}

static void check_command(char *text, unsigned line) {
        _cleanup_free_ char *meaning = NULL;
        size_t n_meaning;
        char *said = strstr(text, " = ");
        FILE *out = open_memstream(&meaning, &n_meaning);
        Command command;

        if (!said)
                fail_msg("line %u: no \" = \"", line);
        assert_non_null(out);
        *said = '\0';
        said += 3;
        for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; --n)
                text[n - 1] = '\0';

        if (command_parse(text, true, &command)) {
                fprintf(out, "malformed");
        } else {
                render_part(out, "user", command.user);
                if (command.nogui)
                        fprintf(out, " nogui");
                if (command.is_service) {
                        render_part(out, " service", command.name);
                        if (command.has_argument)
                                render_part(out, " argument", command.argument);
                        else
                                fprintf(out, " no argument");
                        render_part(out, " source", command.source);
                        fprintf(out, " tokens %u", command.n_tokens);
                        if (command.type.n > 0) {
                                fprintf(out, " asked %.*s", (int)command.type.n, command.type.text);
                                render_part(out, "", command.requested);
                        }
                } else {
                        render_part(out, " shell", command.shell);
                }
        }
        fclose(out);
        if (strcmp(meaning, said) != 0)
                fail_msg("line %u: it is \"%s\", the document says \"%s\"", line, meaning, said);
}

static const struct {
        const char *name;
        unsigned long value;
} constants[] = {
#define CONSTANT(_name) \
        { #_name, _name }
        CONSTANT(WIRE_VERSION),
        CONSTANT(WIRE_VERSION_DAEMON),
        CONSTANT(WIRE_VERSION_MIN),
        CONSTANT(WIRE_DOMAIN_REFUSED),
        CONSTANT(WIRE_DOMAIN_FRAMED),
        CONSTANT(WIRE_DOMAIN_DIRECT),
        CONSTANT(WIRE_DATA_MAX_V2),
        CONSTANT(WIRE_DATA_MAX),
        CONSTANT(WIRE_LINK_PAYLOAD_MAX),
        CONSTANT(EXEC_COMMAND_MAX),
        CONSTANT(TRIGGER2_SIZE),
        CONSTANT(TRIGGER3_SIZE_MIN),
        CONSTANT(TRIGGER3_SIZE_MAX),
        CONSTANT(TRIGGER4_SIZE_MIN),
        CONSTANT(TRIGGER4_SIZE_MAX),
        CONSTANT(SERVICE_DESCRIPTOR_MAX),
        CONSTANT(SERVICE_NAME_MAX),
        CONSTANT(REQUEST_NAME_MAX),
        CONSTANT(DOMAIN_NAME_MAX),
        CONSTANT(IDENT_SIZE),
        CONSTANT(CALL_LIST_MAX),
        CONSTANT(REPLY_REASON_REFUSED),
        CONSTANT(REPLY_REASON_NOT_A_DOMAIN),
        CONSTANT(REPLY_REASON_TOO_MANY),
        CONSTANT(REPLY_REASON_UNAVAILABLE),
        CONSTANT(REPLY_REASON_NOT_UNDERSTOOD),
        CONSTANT(CALL_HOW_EXITED),
        CONSTANT(CALL_HOW_SIGNALLED),
        CONSTANT(CALL_HOW_NOT_FOUND),
        CONSTANT(CALL_HOW_NOT_STARTED),
        CONSTANT(CALL_HOW_DETACHED),
        CONSTANT(CALL_HOW_KILLED),
        CONSTANT(CALL_HOW_ABANDONED),
        CONSTANT(SUPERVISE_TYPE_SHARED),
        CONSTANT(SUPERVISE_TYPE_FOLDER),
        CONSTANT(SUPERVISE_TYPE_STOPPED),
        CONSTANT(SUPERVISE_TYPE_DOMAIN),
        CONSTANT(SUPERVISE_TYPE_GONE),
        CONSTANT(SUPERVISE_TYPE_READY),
        CONSTANT(SUPERVISE_TYPE_ENDED),
        CONSTANT(SUPERVISE_TYPE_RELOAD),
        CONSTANT(SUPERVISE_TYPE_START),
        CONSTANT(SUPERVISE_TYPE_STOP),
        CONSTANT(SUPERVISE_TYPE_SERVING),
        CONSTANT(SUPERVISE_TYPE_AUDIT),
        CONSTANT(SUPERVISE_TYPE_IDS),
        CONSTANT(SUPERVISE_TYPE_BOOK),
        CONSTANT(SUPERVISE_TYPE_STORE),
        CONSTANT(SUPERVISE_TYPE_STORES),
        CONSTANT(SUPERVISE_TYPE_MORE_IDS),
        CONSTANT(SUPERVISE_TYPE_REOPEN),
        CONSTANT(SUPERVISE_TYPE_REREAD),
        CONSTANT(SUPERVISE_AUDIT_JOURNAL),
        CONSTANT(SUPERVISE_AUDIT_FILE),
        CONSTANT(SUPERVISE_IDS_BLOCK),
        CONSTANT(SUPERVISE_IDS_MAX),
        CONSTANT(SUPERVISE_BOOK_SIZE),
        CONSTANT(FORKSERVER_SETTINGS_MAX),
#undef CONSTANT
};
static bool constant_seen[ARRAY_SIZE(constants)], message_number_seen[ARRAY_SIZE(message_names)];

/* "| `NAME` | NUMBER | …"; rows whose second column does not begin with a digit are of other tables. */
static void check_row(const char *row, unsigned line) {
        char name[64], number[32];
        unsigned long value;
        char *end;

        if (sscanf(row, "| `%63[^`]` | %31[0-9a-fx] |", name, number) != 2 || number[0] < '0' || number[0] > '9')
                return;
        value = strtoul(number, &end, 0);
        assert_int_equal(*end, '\0');
        for (size_t i = 0; i < ARRAY_SIZE(constants); ++i)
                if (strcmp(constants[i].name, name) == 0) {
                        if (constants[i].value != value)
                                fail_msg("line %u: %s is %lu, the document says %lu", line, name, constants[i].value,
                                         value);
                        constant_seen[i] = true;
                        return;
                }
        for (size_t i = 0; i < ARRAY_SIZE(message_names); ++i)
                if (strcmp(message_names[i].name, name) == 0) {
                        if (message_names[i].type != value)
                                fail_msg("line %u: %s is %#x", line, name, message_names[i].type);
                        message_number_seen[i] = true;
                        return;
                }
        fail_msg("line %u: nobody knows the constant %s", line, name);
}

static void test_document(void **state) {
        static Example example;
        enum { TEXT, HEX, COMMAND, OTHER } where = TEXT;
        _cleanup_free_ char *document = NULL;
        unsigned line = 0, n_hex = 0, n_commands = 0;
        bool said = true;
        size_t n;

        assert_int_equal(file_read(AT_FDCWD, document_path, DOCUMENT_MAX, &document, &n), 0);
        assert_int_equal(strlen(document), n);

        for (char *text = document, *next; text; text = next) {
                next = strchr(text, '\n');
                if (next)
                        *next++ = '\0';
                ++line;

                if (strncmp(text, "```", 3) == 0) {
                        if (where == HEX && !said)
                                fail_msg("line %u: the block does not say what it means", line);
                        where = where != TEXT                     ? TEXT
                                : strcmp(text, "```hex") == 0     ? HEX
                                : strcmp(text, "```command") == 0 ? COMMAND
                                                                  : OTHER;
                        said = false;
                        example.n = 0;
                } else if (where == HEX && strncmp(text, "= ", 2) == 0) {
                        check_example(&example, text + 2, line);
                        said = true;
                        ++n_hex;
                } else if (where == HEX) {
                        assert_false(said);
                        read_hex(&example, text, line);
                } else if (where == COMMAND) {
                        check_command(text, line);
                        ++n_commands;
                } else if (where == TEXT) {
                        check_row(text, line);
                }
        }

        assert_int_equal(where, TEXT);
        print_message("%u messages, %u commands\n", n_hex, n_commands);
        assert_true(n_hex > 0);
        if (document_is_partial)
                return;
        assert_true(n_commands > 0);
        for (size_t i = 0; i < ARRAY_SIZE(message_names); ++i)
                if (!message_seen[i] || !message_number_seen[i])
                        fail_msg("%s has no example, or no number", message_names[i].name);
        for (size_t i = 0; i < ARRAY_SIZE(supervise_names); ++i)
                if (!supervise_seen[i])
                        fail_msg("SUPERVISE %s has no example", supervise_names[i].name);
        for (size_t i = 0; i < ARRAY_SIZE(constants); ++i)
                if (!constant_seen[i])
                        fail_msg("%s is not in the document", constants[i].name);
}

int main(int argc, char **argv) {
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_document) };

        document_is_partial = argc == 3 && strcmp(argv[1], "--partial") == 0;
        if (argc != 2 && !document_is_partial) {
                fprintf(stderr, "usage: %s [--partial] DOCUMENT\n", argv[0]);
                return 2;
        }
        document_path = argv[argc - 1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
