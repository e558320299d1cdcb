/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define GRIP    "001A050A2B66E31DFDA4AC45A80C3C509F7EDDEA"
#define UNKNOWN "0F4CB85D2AB5E8F20F465FDC36143891610F8636"
#define HEX_40  "0123456789ABCDEF0123456789ABCDEF01234567"
#define HEX_64  HEX_40 "0123456789ABCDEF01234567"
#define NONCE   "0123456789ABCDEF01234567"
#define NOW     UINT64_C(1700000000) /* 2023-11-14 22:13:20 */

#define FILTERED      "ERR 67109888 not allowed by split-gpg2 <qair>\n"
#define KEY_DESCRIBED "SETKEYDESC A+person%0Akey+0123\n"

static const FilterKey keys[] = { { .grip = GRIP, .fingerprint = "0123", .description = "A person\nkey 0123" } };

/* A key has been named already. */
static Filter filter_at(FilterState state, bool allow_keygen) {
        Filter filter;

        filter_init(&filter, &(FilterOptions){ .keys = keys, .n_keys = 1, .allow_keygen = allow_keygen });
        filter.state = state;
        filter.key = &keys[0];
        memcpy(filter.grip, GRIP, sizeof(GRIP));
        return filter;
}

/* What came of it: the text for the agent, or `<` and the one for the client, or `?` and the operation. */
static const char *said(const FilterAction *action, char *buffer, size_t n_buffer) {
        if (action->ask != FILTER_OPERATION_NONE)
                (void)snprintf(buffer, n_buffer, "?%s", action->ask == FILTER_OPERATION_SIGN ? "sign" : "decrypt");
        else if (action->n_to_agent > 0 && action->n_to_client > 0)
                (void)snprintf(buffer, n_buffer, "%.*s<%.*s", (int)action->n_to_agent, action->to_agent,
                               (int)action->n_to_client, action->to_client);
        else if (action->n_to_agent > 0)
                (void)snprintf(buffer, n_buffer, "%s%.*s", action->lists ? "list: " : "", (int)action->n_to_agent,
                               action->to_agent);
        else
                (void)snprintf(buffer, n_buffer, "<%.*s", (int)action->n_to_client, action->to_client ?: "");
        return buffer;
}
#define SAID(_action) said((_action), (char[4096]){ 0 }, 4096)

/* Every row of the table of commands (split-gpg specification, 12.1): what is allowed, and what is almost that. */
static void test_commands(void **state) {
        static const struct {
                const char *line, *expect;
                bool allow_keygen;
        } cases[] = {
                { "RESET", "RESET\n" },
                { "RESET x", "<" FILTERED },
                { "NOP", "<OK\n" },
                { "NOP anything at all", "<OK\n" },
                { "BYE", "BYE\n<OK closing connection\n" },
                { "BYE x", "<" FILTERED },
                { "OPTION ttyname=/dev/pts/1", "<OK\n" },
                { "OPTION ttytype=xterm", "<OK\n" },
                { "OPTION display=:0", "<OK\n" },
                { "OPTION lc-ctype=C", "<OK\n" },
                { "OPTION lc-messages=C", "<OK\n" },
                { "OPTION putenv=LD_PRELOAD=/tmp/x.so", "<OK\n" },
                { "OPTION allow-pinentry-notify", "<OK\n" },
                { "OPTION pinentry-mode=ask", "<OK\n" },
                { "OPTION pinentry-mode=loopback", "<ERR 67108924 the vault asks in its own way <qair>\n" },
                { "OPTION agent-awareness=2.1.0", "OPTION agent-awareness=2.1.0\n" },
                { "OPTION agent-awareness=2.1.1", "<" FILTERED },
                { "OPTION use-cache-for-signing=0", "<OK\n" },
                { "OPTION xauthority=/x", "<OK\n" },
                { "OPTION s2k-count=1", "<" FILTERED },
                { "OPTION ttynam=x", "<" FILTERED },
                { "OPTION", "<" FILTERED },
                { "AGENT_ID", "<ERR 67109139 unknown command <qair>\n" },
                { "GETINFO version", "GETINFO version\n" },
                { "GETINFO restricted", "GETINFO restricted\n" },
                { "GETINFO s2k_count", "GETINFO s2k_count\n" },
                { "GETINFO pid", "<" FILTERED },
                { "GETINFO", "<" FILTERED },
                { "HAVEKEY " GRIP, "HAVEKEY " GRIP "\n" },
                { "HAVEKEY " GRIP " " UNKNOWN, "HAVEKEY " GRIP " " UNKNOWN "\n" },
                { "HAVEKEY " GRIP " ", "<" FILTERED },
                { "HAVEKEY " GRIP "  " UNKNOWN, "<" FILTERED },
                { "HAVEKEY", "<" FILTERED },
                { "HAVEKEY 001a050a2b66e31dfda4ac45a80c3c509f7eddea", "<" FILTERED },
                { "HAVEKEY --list", "list: HAVEKEY --list\n" },
                { "HAVEKEY --list=1", "list: HAVEKEY --list=1\n" },
                { "HAVEKEY --list=1000", "list: HAVEKEY --list=1000\n" },
                { "HAVEKEY --list=1001", "<" FILTERED },
                { "HAVEKEY --list=0", "<" FILTERED },
                { "HAVEKEY --list=", "<" FILTERED },
                { "HAVEKEY --info " GRIP, "<" FILTERED },
                { "KEYINFO " GRIP, "KEYINFO " GRIP "\n" },
                { "KEYINFO --list", "list: KEYINFO --list\n" },
                { "KEYINFO --list=7", "list: KEYINFO --list=7\n" },
                { "KEYINFO --ssh-list", "<" FILTERED },
                { "KEYINFO --data " GRIP, "<" FILTERED },
                { "KEYINFO " GRIP " " GRIP, "<" FILTERED },
                { "SIGKEY " GRIP, "SIGKEY " GRIP "\n" },
                { "SIGKEY " UNKNOWN, "<" FILTERED },
                { "SIGKEY " UNKNOWN, "SIGKEY " UNKNOWN "\n", true },
                { "SIGKEY x", "<" FILTERED, true },
                { "SETKEY " GRIP, "SETKEY " GRIP "\n" },
                { "SETKEY " UNKNOWN, "<" FILTERED },
                { "SETKEY", "<" FILTERED },
                { "SETKEYDESC anything+%0A", "<OK\n" },
                { "SETHASH 2 " HEX_40, "SETHASH 2 " HEX_40 "\n" },
                { "SETHASH 3 " HEX_40, "SETHASH 3 " HEX_40 "\n" },
                { "SETHASH 8 " HEX_64, "SETHASH 8 " HEX_64 "\n" },
                { "SETHASH 8 " HEX_40, "<" FILTERED },
                { "SETHASH 9 " HEX_64 "0123456789ABCDEF0123456789ABCDEF",
                  "SETHASH 9 " HEX_64 "0123456789ABCDEF0123456789ABCDEF\n" },
                { "SETHASH 10 " HEX_64 HEX_64, "SETHASH 10 " HEX_64 HEX_64 "\n" },
                { "SETHASH 11 " HEX_40 "0123456789ABCDEF", "SETHASH 11 " HEX_40 "0123456789ABCDEF\n" },
                { "SETHASH 1 0123456789ABCDEF0123456789ABCDEF", "<" FILTERED },
                { "SETHASH 08 " HEX_64, "<" FILTERED },
                { "SETHASH --hash=sha256 " HEX_64, "<" FILTERED },
                { "SETHASH 2 0123456789abcdef0123456789abcdef01234567", "<" FILTERED },
                { "PKSIGN", "?sign" },
                { "PKSIGN -- " NONCE, "?sign" },
                { "PKSIGN " NONCE, "<" FILTERED },
                { "PKSIGN --hash=sha256", "<" FILTERED },
                { "PKDECRYPT", "?decrypt" },
                { "PKDECRYPT --kem=PQC-PGP", "<" FILTERED },
                { "READKEY " GRIP, "<" FILTERED },
                { "READKEY " GRIP, "READKEY -- " GRIP "\n", true },
                { "READKEY -- " GRIP, "READKEY -- " GRIP "\n", true },
                { "READKEY --card 1", "<" FILTERED, true },
                { "GENKEY", "<" FILTERED },
                { "GENKEY", "GENKEY\n", true },
                { "GENKEY --no-protection --timestamp=19700101T000000 " NONCE,
                  "GENKEY --no-protection --timestamp=20231114T221320\n", true },
                { "GENKEY --inq-passwd", "GENKEY --inq-passwd\n", true },
                { "GENKEY --inq-passwd --no-protection", "<" FILTERED, true },
                { "GENKEY " NONCE " " NONCE, "<" FILTERED, true },
                { "GENKEY --preset", "<" FILTERED, true },
                { "SCD SERIALNO", "<ERR 67108983 no card daemon <qair>\n" },
                { "SCD SERIALNO openpgp", "<ERR 67108983 no card daemon <qair>\n" },
                { "SCD LEARN --force", "<" FILTERED },
                { "reset", "<" FILTERED },
                { "RESETX", "<" FILTERED },
                { " RESET", "<" FILTERED },
                { "D x", "<" FILTERED },
                { "END", "<" FILTERED },
                { "CAN", "<" FILTERED },
                { "# a comment", "<" },
                { "", "<" },
                /* by name, what must never get through, with key generation, too */
                { "GET_PASSPHRASE x X X X", "<" FILTERED, true },
                { "PRESET_PASSPHRASE " GRIP " -1 00", "<" FILTERED, true },
                { "EXPORT_KEY " GRIP, "<" FILTERED, true },
                { "IMPORT_KEY", "<" FILTERED, true },
                { "KEYWRAP_KEY --export", "<" FILTERED, true },
                { "DELETE_KEY " GRIP, "<" FILTERED, true },
                { "PASSWD " GRIP, "<" FILTERED, true },
                { "LEARN", "<" FILTERED, true },
                { "KEYTOCARD x", "<" FILTERED, true },
                { "MARKTRUSTED x", "<" FILTERED, true },
                { "LISTTRUSTED", "<" FILTERED, true },
                { "ISTRUSTED x", "<" FILTERED, true },
                { "CLEAR_PASSPHRASE x", "<" FILTERED, true },
                { "GET_CONFIRMATION x", "<" FILTERED, true },
                { "UPDATESTARTUPTTY", "<" FILTERED, true },
                { "KILLAGENT", "<" FILTERED, true },
                { "RELOADAGENT", "<" FILTERED, true },
                { "GET_SECRET x", "<" FILTERED, true },
                { "PUT_SECRET x", "<" FILTERED, true },
                { "KEYATTR " GRIP, "<" FILTERED, true },
                { "ISTRUSTED", "<" FILTERED, true },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Filter filter = filter_at(FILTER_STATE_COMMAND, cases[i].allow_keygen);
                FilterAction action;
                bool is_filtered = strcmp(cases[i].expect, "<" FILTERED) == 0;

                filter_on_client_line(&filter, cases[i].line, strlen(cases[i].line), NOW, &action);
                if (strcmp(SAID(&action), cases[i].expect) != 0)
                        fail_msg("%s: %s, not %s", cases[i].line, SAID(&action), cases[i].expect);
                if (action.refused != is_filtered || (is_filtered && (!action.closes || filter_wants_client(&filter))))
                        fail_msg("%s: a command that is filtered ends the connection, no other", cases[i].line);
        }
}

static void test_havekey_takes_200(void **state) {
        static char line[8 + 201 * (GPG2_GRIP_SIZE + 1)];
        Filter filter = filter_at(FILTER_STATE_COMMAND, false);
        FilterAction action;
        size_t n = (size_t)snprintf(line, sizeof(line), "HAVEKEY");

        (void)state;
        /* A line takes no more than these. */
        while (n + 1 + GPG2_GRIP_SIZE <= ASSUAN_LINE_MAX)
                n += (size_t)snprintf(line + n, sizeof(line) - n, " " GRIP);
        filter_on_client_line(&filter, line, n, NOW, &action);
        assert_int_equal(action.n_to_agent, n + 1);
}

static void step(Filter *filter, const char *who, const char *line, const char *expect) {
        FilterAction action;

        if (strcmp(who, "client") == 0) {
                assert_true(filter_wants_client(filter) && !filter_wants_agent(filter));
                filter_on_client_line(filter, line, strlen(line), NOW, &action);
        } else if (strcmp(who, "agent") == 0) {
                assert_true(filter_wants_agent(filter) && !filter_wants_client(filter));
                filter_on_agent_line(filter, line, strlen(line), &action);
        } else {
                assert_true(!filter_wants_agent(filter) && !filter_wants_client(filter));
                filter_on_consent(filter, strcmp(line, "yes") == 0, &action);
        }
        if (strcmp(SAID(&action), expect) != 0)
                fail_msg("%s: %s leads to %s, not to %s", who, line, SAID(&action), expect);
}

static void test_a_signature(void **state) {
        Filter filter = filter_at(FILTER_STATE_GREETING, false);

        (void)state;
        step(&filter, "agent", "OK Pleased to meet you", "<OK Pleased to meet you\n");
        step(&filter, "client", "SIGKEY " GRIP, "SIGKEY " GRIP "\n");
        step(&filter, "agent", "OK", KEY_DESCRIBED);
        step(&filter, "agent", "OK", "<OK\n");
        assert_ptr_equal(filter.key, &keys[0]);
        step(&filter, "client", "SETHASH 8 " HEX_64, "SETHASH 8 " HEX_64 "\n");
        step(&filter, "agent", "OK", "<OK\n");
        assert_int_equal(filter.hash, 8);
        step(&filter, "client", "PKSIGN -- " NONCE, "?sign");
        step(&filter, "person", "yes", "PKSIGN -- " NONCE "\n");
        step(&filter, "agent", "# a comment", "<");
        step(&filter, "agent", "S PROGRESS x", "<S PROGRESS x\n");
        step(&filter, "agent", "D (7:sig-val)", "<D (7:sig-val)\n");
        step(&filter, "agent", "OK", "<OK\n");
        step(&filter, "client", "PKSIGN", "?sign");
        step(&filter, "person", "no", "<ERR 67108963 nobody in the vault said yes <qair>\n");
        step(&filter, "client", "RESET", "RESET\n");
        assert_null(filter.key);
}

static void test_a_key_is_refused_by_the_agent(void **state) {
        Filter filter = filter_at(FILTER_STATE_COMMAND, false);

        (void)state;
        step(&filter, "client", "SIGKEY " GRIP, "SIGKEY " GRIP "\n");
        step(&filter, "agent", "ERR 67108881 No secret key", "<ERR 67108881 No secret key\n");
        step(&filter, "client", "SETKEY " GRIP, "SETKEY " GRIP "\n");
        step(&filter, "agent", "OK", KEY_DESCRIBED);
        step(&filter, "agent", "ERR 1 no", "<ERR 1 no\n");
        step(&filter, "client", "NOP", "<OK\n");
}

#define NO_KEY "<ERR 67108881 no key was named <qair>\n"

/* A person would be asked to allow the use of nothing, and say yes for all keys. */
static void test_nobody_is_asked_without_a_key(void **state) {
        static const char *const refused[][2] = {
                { "ERR 67108881 No secret key", NULL }, /* the name */
                { "OK", "ERR 1 no" },                   /* its description */
        };
        Filter filter;

        (void)state;
        filter_init(&filter, &(FilterOptions){ .keys = keys, .n_keys = 1, .allow_keygen = true });
        step(&filter, "agent", "OK", "<OK\n");
        step(&filter, "client", "PKSIGN", NO_KEY);
        step(&filter, "client", "PKDECRYPT", NO_KEY);
        step(&filter, "client", "PKSIGN -- " NONCE, NO_KEY);
        for (size_t i = 0; i < ARRAY_SIZE(refused); ++i) {
                FilterAction action;

                filter = filter_at(FILTER_STATE_COMMAND, true);
                step(&filter, "client", "SIGKEY " UNKNOWN, "SIGKEY " UNKNOWN "\n");
                for (size_t k = 0; k < 2 && refused[i][k]; ++k)
                        filter_on_agent_line(&filter, refused[i][k], strlen(refused[i][k]), &action);
                step(&filter, "client", "PKSIGN", NO_KEY);
        }
        filter = filter_at(FILTER_STATE_COMMAND, false);
        step(&filter, "client", "RESET", "RESET\n");
        step(&filter, "agent", "OK", "<OK\n");
        step(&filter, "client", "PKDECRYPT", NO_KEY);
}

static void test_a_new_key_is_described(void **state) {
        Filter filter = filter_at(FILTER_STATE_COMMAND, true);

        (void)state;
        step(&filter, "client", "SIGKEY " UNKNOWN, "SIGKEY " UNKNOWN "\n");
        step(&filter, "agent", "OK", "SETKEYDESC a+key+that+was+made+lately%0Akeygrip+" UNKNOWN "\n");
        step(&filter, "agent", "OK", "<OK\n");
}

static Filter inquired(const char *inquiry) {
        Filter filter = filter_at(FILTER_STATE_COMMAND, true);
        FilterAction action;
        bool generates = strcmp(inquiry, "INQUIRE CIPHERTEXT") != 0;

        if (generates) {
                step(&filter, "client", "GENKEY", "GENKEY\n");
        } else {
                step(&filter, "client", "PKDECRYPT", "?decrypt");
                step(&filter, "person", "yes", "PKDECRYPT\n");
                step(&filter, "agent", "S INQUIRE_MAXLEN 4096", "<S INQUIRE_MAXLEN 4096\n");
        }
        filter_on_agent_line(&filter, inquiry, strlen(inquiry), &action);
        assert_true(filter.state == FILTER_STATE_INQUIRY && action.n_to_client == strlen(inquiry) + 1);
        return filter;
}

static void test_inquiries(void **state) {
        static const struct {
                const char *inquiry, *data, *expect;
        } cases[] = {
#define CIPHERTEXT "INQUIRE CIPHERTEXT"
#define KEYPARAM   "INQUIRE KEYPARAM"
                { CIPHERTEXT, "(7:enc-val(3:rsa(1:a2:xy)))",
                  "D %287%3Aenc%2Dval%283%3Arsa%281%3Aa2%3Axy%29%29%29\nEND\n" },
                { CIPHERTEXT, "(enc-val(rsa(a 2:%0A%25)))",
                  "D %287%3Aenc%2Dval%283%3Arsa%281%3Aa2%3A%0A%25%29%29%29\nEND\n" },
                { CIPHERTEXT, "(enc-val(elg(a x)(b y)))",
                  "D %287%3Aenc%2Dval%283%3Aelg%281%3Aa1%3Ax%29%281%3Ab1%3Ay%29%29%29\nEND\n" },
                { CIPHERTEXT, "(enc-val(ecdh(s x)(e y)))",
                  "D %287%3Aenc%2Dval%284%3Aecdh%281%3As1%3Ax%29%281%3Ae1%3Ay%29%29%29\nEND\n" },
                { CIPHERTEXT, "(enc-val(ecdh(e x)(s y)))", "<" FILTERED },
                { CIPHERTEXT, "(enc-val(rsa(a x))(flags raw))", "<" FILTERED },
                { CIPHERTEXT, "(enc-val(rsa(a x)", "<" FILTERED },
                { CIPHERTEXT, "(genkey(rsa(nbits 2048)))", "<" FILTERED },
                { CIPHERTEXT, "", "<" FILTERED },
                { KEYPARAM, "(genkey(rsa(nbits 4:2048)))",
                  "D %286%3Agenkey%283%3Arsa%285%3Anbits4%3A2048%29%29%29\nEND\n" },
                { KEYPARAM, "(genkey(rsa(nbits 4:1024)))",
                  "D %286%3Agenkey%283%3Arsa%285%3Anbits4%3A1024%29%29%29\nEND\n" },
                { KEYPARAM, "(genkey(rsa(nbits 4:1023)))", "<" FILTERED },
                { KEYPARAM, "(genkey(rsa(nbits 4:4097)))", "<" FILTERED },
                { KEYPARAM, "(genkey(rsa(nbits 5:02048)))", "<" FILTERED },
                { KEYPARAM, "(genkey(openpgp-elg(nbits 4:4096)))",
                  "D %286%3Agenkey%2811%3Aopenpgp%2Delg%285%3Anbits4%3A4096%29%29%29\nEND\n" },
                { KEYPARAM, "(genkey(dsa(nbits 4:2048)(qbits 3:256)))",
                  "D %286%3Agenkey%283%3Adsa%285%3Anbits4%3A2048%29%285%3Aqbits3%3A256%29%29%29\nEND\n" },
                { KEYPARAM, "(genkey(dsa(nbits 4:2048)(qbits 3:160)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve 10:NIST P-256)(flags nocomp)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve nistp256)(flags nocomp)))",
                  "D %286%3Agenkey%283%3Aecc%285%3Acurve8%3Anistp256%29%285%3Aflags6%3Anocomp%29%29%29\nEND\n" },
                { KEYPARAM, "(genkey(ecc(curve Ed25519)(flags eddsa comp)))",
                  "D %286%3Agenkey%283%3Aecc%285%3Acurve7%3AEd25519%29%285%3Aflags5%3Aeddsa4%3Acomp%29%29%29\nEND\n" },
                { KEYPARAM, "(genkey(ecc(curve Ed448)(flags comp)))",
                  "D %286%3Agenkey%283%3Aecc%285%3Acurve5%3AEd448%29%285%3Aflags4%3Acomp%29%29%29\nEND\n" },
                { KEYPARAM, "(genkey(ecc(curve Curve25519)(flags djb-tweak comp)))",
                  "D "
                  "%286%3Agenkey%283%3Aecc%285%3Acurve10%3ACurve25519%29%285%3Aflags9%3Adjb%2Dtweak4%3Acomp%29%29%"
                  "29\nEND\n" },
                { KEYPARAM, "(genkey(ecc(curve Curve25519)(flags djb-tweak)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve Curve25519)(flags eddsa comp)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve Ed25519)(flags nocomp comp)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve nistp256)(flags comp)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve nistp256)(flags)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve Ed25519)(flags comp transient-key)))", "<" FILTERED },
                { KEYPARAM, "(genkey(ecc(curve Ed25519)(flags comp))(x))", "<" FILTERED },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Filter filter = inquired(cases[i].inquiry);
                FilterAction action;
                char line[ASSUAN_LINE_MAX + 1];
                int n = snprintf(line, sizeof(line), "D %s", cases[i].data);

                filter_on_client_line(&filter, line, (size_t)n, NOW, &action);
                assert_int_equal(action.n_to_agent + action.n_to_client, 0); /* not before it is whole */
                filter_on_client_line(&filter, "END", 3, NOW, &action);
                if (strcmp(SAID(&action), cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].data, SAID(&action));
        }
}

static void test_other_inquiries(void **state) {
        static const char *const unexpected[] = { "INQUIRE PASSPHRASE", "INQUIRE NEEDPIN", "INQUIRE",
                                                  "INQUIRE KEYDATA" };
        Filter filter;

        (void)state;
        filter = inquired("INQUIRE NEWPASSWD");
        step(&filter, "client", "END", "END\n");
        filter = inquired("INQUIRE NEWPASSWD");
        step(&filter, "client", "D secret", "<" FILTERED);
        filter = inquired("INQUIRE PINENTRY_LAUNCHED 123 gnome3");
        step(&filter, "client", "END", "END\n");
        step(&filter, "agent", "OK", "<OK\n");
        filter = inquired("INQUIRE CIPHERTEXT");
        step(&filter, "client", "CAN", "<" FILTERED);
        filter = inquired("INQUIRE CIPHERTEXT");
        step(&filter, "client", "END x", "<" FILTERED);
        for (size_t i = 0; i < ARRAY_SIZE(unexpected); ++i) {
                filter = filter_at(FILTER_STATE_COMMAND, true);
                step(&filter, "client", "GENKEY", "GENKEY\n");
                step(&filter, "agent", unexpected[i], "<" FILTERED);
                assert_int_equal(filter.state, FILTER_STATE_CLOSED);
        }
        filter = filter_at(FILTER_STATE_COMMAND, false);
        step(&filter, "client", "GETINFO version", "GETINFO version\n");
        step(&filter, "agent", "INQUIRE CIPHERTEXT", "<" FILTERED);
}

static void test_too_much_data(void **state) {
        Filter filter = inquired("INQUIRE CIPHERTEXT");
        char line[ASSUAN_LINE_MAX];
        FilterAction action;
        size_t n = 0;

        (void)state;
        memset(line, 'x', sizeof(line));
        memcpy(line, "D ", 2);
        do {
                filter_on_client_line(&filter, line, sizeof(line), NOW, &action);
                n += sizeof(line) - 2;
        } while (n + sizeof(line) - 2 <= SEXP_SIZE_MAX);
        assert_int_equal(filter.state, FILTER_STATE_INQUIRY);
        filter_on_client_line(&filter, line, sizeof(line), NOW, &action);
        assert_int_equal(filter.state, FILTER_STATE_CLOSED);
}

static void test_an_agent_that_misbehaves(void **state) {
        static const struct {
                FilterState state;
                const char *line;
        } cases[] = {
                { FILTER_STATE_GREETING, "ERR 1 no" }, { FILTER_STATE_GREETING, "D x" },
                { FILTER_STATE_ANSWER, "END" },        { FILTER_STATE_ANSWER, "anything" },
                { FILTER_STATE_ANSWER, "" },           { FILTER_STATE_DESCRIBE, "INQUIRE X" },
                { FILTER_STATE_DESCRIBE, "D x" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Filter filter = filter_at(cases[i].state, true);
                FilterAction action;

                filter_on_agent_line(&filter, cases[i].line, strlen(cases[i].line), &action);
                if (!action.closes || action.refused || action.n_to_agent > 0 || filter.state != FILTER_STATE_CLOSED)
                        fail_msg("in state %d: %s", cases[i].state, cases[i].line);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commands),
                cmocka_unit_test(test_havekey_takes_200),
                cmocka_unit_test(test_a_signature),
                cmocka_unit_test(test_a_key_is_refused_by_the_agent),
                cmocka_unit_test(test_nobody_is_asked_without_a_key),
                cmocka_unit_test(test_a_new_key_is_described),
                cmocka_unit_test(test_inquiries),
                cmocka_unit_test(test_other_inquiries),
                cmocka_unit_test(test_too_much_data),
                cmocka_unit_test(test_an_agent_that_misbehaves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
