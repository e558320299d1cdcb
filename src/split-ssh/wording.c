/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/wording.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORDING_ELLIPSIS "\342\200\246"
#define WORDING_ARROW    "\342\206\222"

typedef struct Wording {
        char *buffer;
        size_t n;
} Wording;

/* What does not fit is cut; nothing comes near it. */
static void wording_put(Wording *wording, const char *format, ...) _printf_(2, 3);
static void wording_put(Wording *wording, const char *format, ...) {
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(wording->buffer + wording->n, WORDING_MAX - wording->n, format, arguments);
        va_end(arguments);
        if (n > 0)
                wording->n += (size_t)n < WORDING_MAX - wording->n ? (size_t)n : WORDING_MAX - wording->n - 1;
}

static const char *wording_value(const Record *record, RecordField field) {
        return record->values[field];
}

static bool wording_has(const Record *record, RecordField field) {
        return wording_value(record, field)[0] != '\0';
}

static void wording_put_value(Wording *wording, const Record *record, RecordField field) {
        const char *value = wording_value(record, field);

        wording_put(wording, "%.*s%s", WORDING_VALUE_MAX, value,
                    strlen(value) > WORDING_VALUE_MAX ? WORDING_ELLIPSIS : "");
}

/* What the client chose, between quotation marks that it cannot end: a `"` is shown as what escapes it elsewhere. */
static void wording_put_quoted(Wording *wording, const Record *record, RecordField field) {
        const char *value = wording_value(record, field);
        size_t n = 0;

        wording_put(wording, "\"");
        for (; value[n] != '\0' && n < WORDING_VALUE_MAX; ++n)
                if (value[n] == '"')
                        wording_put(wording, "%%22");
                else
                        wording_put(wording, "%c", value[n]);
        wording_put(wording, "%s\"", value[n] != '\0' ? WORDING_ELLIPSIS : "");
}

/*
 * What the client chose, in the middle of our words. One that could pass for more of them is quoted: a user who is called
 * "git at GitHub" would otherwise log in there.
 */
static void wording_put_chosen(Wording *wording, const Record *record, RecordField field) {
        const char *value = wording_value(record, field);

        if (value[0] == '\0' || strpbrk(value, " \""))
                wording_put_quoted(wording, record, field);
        else
                wording_put_value(wording, record, field);
}

static bool wording_is(const Record *record, RecordField field, const char *text) {
        return strcmp(wording_value(record, field), text) == 0;
}

static Wording wording_begin(char *buffer) {
        buffer[0] = '\0';
        return (Wording){ .buffer = buffer };
}

/* Without a proof the key is the client's word alone, and so is the name that goes with it. */
static bool wording_is_proven(const Record *record) {
        return wording_has(record, RECORD_PROOF) && !wording_is(record, RECORD_PROOF, "none");
}

static void wording_put_proof(Wording *wording, const Record *record) {
        if (wording_is_proven(record))
                wording_put(wording, " (host key verified)");
}

static void wording_put_host(Wording *wording, const Record *record) {
        if (!wording_is_proven(record)) {
                wording_put(wording, "a server that is not identified");
                if (wording_has(record, RECORD_HOSTKEY))
                        wording_put(wording, ", claimed to be %s", wording_value(record, RECORD_HOSTKEY));
        } else if (wording_has(record, RECORD_HOST)) {
                wording_put_value(wording, record, RECORD_HOST);
        } else {
                wording_put(wording, "unlisted server %s", wording_value(record, RECORD_HOSTKEY));
        }
}

static void wording_put_via(Wording *wording, const Record *record) {
        if (!wording_has(record, RECORD_VIA))
                return;
        wording_put(wording, " through ");
        for (const char *via = wording_value(record, RECORD_VIA); *via; ++via)
                wording_put(wording, "%c%s", *via, *via == ',' ? " " : "");
}

/*
 * A line for each kind (8.3)
 */

static void wording_put_auth(Wording *wording, const Record *record) {
        wording_put(wording, "Log in as ");
        wording_put_chosen(wording, record, RECORD_USER);
        wording_put(wording, " at ");
        wording_put_host(wording, record);
        wording_put_via(wording, record);
}

static void wording_put_sshsig(Wording *wording, const Record *record) {
        wording_put(wording, "Sign data for ");
        wording_put_quoted(wording, record, RECORD_NAMESPACE);
        wording_put(wording, " (%s%s%s)", wording_value(record, RECORD_HASH),
                    wording_has(record, RECORD_DIGEST) ? ", " : "", wording_value(record, RECORD_DIGEST));
}

static void wording_put_cert(Wording *wording, const Record *record) {
        wording_put(wording, "Issue a %s certificate: ", wording_value(record, RECORD_CERTKIND));
        wording_put_chosen(wording, record, RECORD_CERTID);
        wording_put(wording, ", for ");
        if (wording_has(record, RECORD_PRINCIPALS))
                wording_put_chosen(wording, record, RECORD_PRINCIPALS);
        else
                wording_put(wording, "everybody");
        wording_put(wording, ", valid %s", wording_value(record, RECORD_VALIDITY));
}

static void wording_put_hostproof(Wording *wording, const Record *record) {
        wording_put(wording, "Prove possession of a server host key");
}

static void wording_put_pam(Wording *wording, const Record *record) {
        wording_put(wording, "Authorise ");
        wording_put_quoted(wording, record, RECORD_COMMAND);
        wording_put(wording, " as ");
        wording_put_chosen(wording, record, RECORD_USER);
        wording_put(wording, " on ");
        wording_put_chosen(wording, record, RECORD_HOST);
}

static void wording_put_probe(Wording *wording, const Record *record) {
        wording_put(wording, "Test signature (ssh-add -T)");
}

static void wording_put_raw(Wording *wording, const Record *record) {
        wording_put(wording, "Sign %s bytes of UNIDENTIFIED data", wording_value(record, RECORD_BYTES));
        if (wording_has(record, RECORD_START))
                wording_put(wording, " (they begin with %s)", wording_value(record, RECORD_START));
}

static void wording_put_use(Wording *wording, const Record *record) {
        static const struct {
                const char *kind;
                void (*put)(Wording *wording, const Record *record);
        } kinds[] = {
                { "auth", wording_put_auth }, { "sshsig", wording_put_sshsig },
                { "cert", wording_put_cert }, { "hostproof", wording_put_hostproof },
                { "pam", wording_put_pam },   { "probe", wording_put_probe },
        };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); ++i)
                if (wording_is(record, RECORD_KIND, kinds[i].kind)) {
                        kinds[i].put(wording, record);
                        return;
                }
        /* Also what a later filter may know and we do not. */
        wording_put_raw(wording, record);
}

const char *wording_use(const Record *record, char buffer[static WORDING_MAX]) {
        Wording wording = wording_begin(buffer);

        wording_put_use(&wording, record);
        return buffer;
}

const char *wording_arrow(const Record *record, char buffer[static WORDING_MAX]) {
        Wording wording = wording_begin(buffer);

        wording_put_value(&wording, record, RECORD_SOURCE);
        wording_put(&wording, " " WORDING_ARROW " ");
        if (!wording_is(record, RECORD_KIND, "auth")) {
                wording_put_use(&wording, record);
                return buffer;
        }
        if (strchr(wording_value(record, RECORD_USER), '@'))
                wording_put_quoted(&wording, record, RECORD_USER);
        else
                wording_put_chosen(&wording, record, RECORD_USER);
        wording_put(&wording, "@");
        wording_put_host(&wording, record);
        wording_put_via(&wording, record);
        wording_put_proof(&wording, record);
        return buffer;
}

const char *wording_duration(uint32_t sec, char buffer[static 32]) {
        static const struct {
                uint32_t sec;
                const char *name;
        } units[] = { { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
        size_t i = 0;

        while (sec % units[i].sec != 0)
                ++i;
        (void)snprintf(buffer, 32, "%u %s%s", sec / units[i].sec, units[i].name, sec == units[i].sec ? "" : "s");
        return buffer;
}

const char *wording_question(const Record *record, char buffer[static WORDING_MAX]) {
        Wording wording = wording_begin(buffer);
        char duration[32];

        wording_put_value(&wording, record, RECORD_SOURCE);
        wording_put(&wording, " wants to use the key ");
        wording_put_value(&wording, record, RECORD_COMMENT);
        wording_put(&wording, "\n%s\n", wording_value(record, RECORD_KEY));
        wording_put_use(&wording, record);
        if (wording_is(record, RECORD_KIND, "auth"))
                wording_put_proof(&wording, record);
        if (record->grant_sec > 0)
                wording_put(&wording, "\nA yes holds for %s, for uses like this one",
                            wording_duration(record->grant_sec, duration));
        return buffer;
}
