/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory/property.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/name.h"
#include "base/nearest.h"
#include "base/number.h"
#include "base/words.h"
#include "inventory/uuid.h"

static const char *const type_texts[_DOMAIN_TYPE_N + 1] = {
        [DOMAIN_TYPE_ADMINVM] = "AdminVM",
        [DOMAIN_TYPE_APPVM] = "AppVM",
        [DOMAIN_TYPE_STANDALONEVM] = "StandaloneVM",
        [DOMAIN_TYPE_TEMPLATEVM] = "TemplateVM",
        [DOMAIN_TYPE_DISPVM] = "DispVM",
        [DOMAIN_TYPE_REMOTEVM] = "RemoteVM",
};

static const char *const label_texts[_DOMAIN_LABEL_N + 1] = {
        [DOMAIN_LABEL_RED] = "red",       [DOMAIN_LABEL_ORANGE] = "orange", [DOMAIN_LABEL_YELLOW] = "yellow",
        [DOMAIN_LABEL_GREEN] = "green",   [DOMAIN_LABEL_GRAY] = "gray",     [DOMAIN_LABEL_BLUE] = "blue",
        [DOMAIN_LABEL_PURPLE] = "purple", [DOMAIN_LABEL_BLACK] = "black",
};

static const uint32_t label_colours[_DOMAIN_LABEL_N] = {
        [DOMAIN_LABEL_RED] = 0xcc0000,    [DOMAIN_LABEL_ORANGE] = 0xf57900, [DOMAIN_LABEL_YELLOW] = 0xe8a500,
        [DOMAIN_LABEL_GREEN] = 0x5ad840,  [DOMAIN_LABEL_GRAY] = 0xbebebe,   [DOMAIN_LABEL_BLUE] = 0x3b67b0,
        [DOMAIN_LABEL_PURPLE] = 0x9f389f, [DOMAIN_LABEL_BLACK] = 0x000000,
};

static const char *const sandbox_texts[_DOMAIN_SANDBOX_N + 1] = {
        [DOMAIN_SANDBOX_NONE] = "none",
        [DOMAIN_SANDBOX_BWRAP] = "bwrap",
};

static const char *const link_texts[_DOMAIN_LINK_N + 1] = {
        [DOMAIN_LINK_LOCAL] = "local",
        [DOMAIN_LINK_VCHAN] = "vchan",
        [DOMAIN_LINK_VSOCK] = "vsock",
};

const char *domain_type_text(DomainType type) {
        return type_texts[type];
}

const char *domain_label_text(DomainLabel label) {
        return label_texts[label];
}

uint32_t domain_label_colour(DomainLabel label) {
        return label_colours[label];
}

const char *domain_sandbox_text(DomainSandbox sandbox) {
        return sandbox_texts[sandbox];
}

const char *domain_link_text(DomainLink link) {
        return link_texts[link];
}

#define TEXT_(_number) #_number
#define TEXT(_number)  TEXT_(_number)

#define LOCAL \
        (BIT(DOMAIN_TYPE_APPVM) | BIT(DOMAIN_TYPE_STANDALONEVM) | BIT(DOMAIN_TYPE_TEMPLATEVM) | BIT(DOMAIN_TYPE_DISPVM))
#define ADMIN  BIT(DOMAIN_TYPE_ADMINVM)
#define REMOTE BIT(DOMAIN_TYPE_REMOTEVM)

/* What is inherited describes how a domain is run. What it is (its account, its identity) and what it may do (tags
 * are what policies speak of; a shell) never comes from another file than its own. */
static const PropertyInfo properties[_PROPERTY_N] = {
        // clang-format off
        [PROPERTY_TYPE] = { "type", PROPERTY_KIND_TYPE, LOCAL | REMOTE | ADMIN, false, "AppVM",
                "what @type: in policies matches: AppVM, StandaloneVM, TemplateVM, DispVM, RemoteVM" },
        [PROPERTY_LABEL] = { "label", PROPERTY_KIND_LABEL, LOCAL | REMOTE | ADMIN, true, "red",
                "its colour in prompts: red, orange, yellow, green, gray, blue, purple, black" },
        [PROPERTY_TAGS] = { "tags", PROPERTY_KIND_TAGS, LOCAL | REMOTE | ADMIN, false, NULL,
                "words that @tag: in policies matches, with blanks between them" },
        [PROPERTY_USER] = { "user", PROPERTY_KIND_ACCOUNT, LOCAL, false, NULL,
                "the Unix account that is this domain" },
        [PROPERTY_DOM0_USER] = { "dom0_user", PROPERTY_KIND_ACCOUNT, ADMIN, false, "qrexec-dom0",
                "the Unix account that dom0's services run as" },
        [PROPERTY_DEFAULT_USER] = { "default_user", PROPERTY_KIND_ACCOUNT, LOCAL, true, NULL,
                "in a container or a VM: the account inside it that services run as" },
        [PROPERTY_GUIVM] = { "guivm", PROPERTY_KIND_DOMAIN, LOCAL | REMOTE | ADMIN, true, NULL,
                "the domain whose person is asked about this one's calls; none: nobody" },
        [PROPERTY_TEMPLATE] = { "template", PROPERTY_KIND_DOMAIN, LOCAL, false, NULL,
                "the domain whose services and defaults this one inherits" },
        [PROPERTY_TEMPLATE_FOR_DISPVMS] = { "template_for_dispvms", PROPERTY_KIND_BOOLEAN,
                LOCAL & ~BIT(DOMAIN_TYPE_DISPVM), false, "no",
                "yes: disposables can be made from it" },
        [PROPERTY_DEFAULT_DISPVM] = { "default_dispvm", PROPERTY_KIND_DOMAIN, LOCAL | REMOTE | ADMIN, true, NULL,
                "what @dispvm means when this domain calls it" },
        [PROPERTY_RELAYVM] = { "relayvm", PROPERTY_KIND_DOMAIN, REMOTE, false, NULL,
                "the domain that reaches the other host" },
        [PROPERTY_TRANSPORT_RPC] = { "transport_rpc", PROPERTY_KIND_SERVICE, REMOTE, false, NULL,
                "the service of the relay that carries the call, such as qubesair.SSHProxy" },
        [PROPERTY_REMOTE_NAME] = { "remote_name", PROPERTY_KIND_NAME, REMOTE, false, NULL,
                "its name over there, when it differs" },
        [PROPERTY_REMOTE_HOST] = { "remote_host", PROPERTY_KIND_HOST, REMOTE, false, NULL,
                "the host that the relay connects to: [USER@]HOST, or an alias in its SSH configuration" },
        [PROPERTY_UNKNOWN_SOURCE] = { "unknown_source", PROPERTY_KIND_DOMAIN, LOCAL, false, NULL,
                "of a relay: the RemoteVM that callers stand for whom it names and nobody here knows" },
        [PROPERTY_UUID] = { "uuid", PROPERTY_KIND_UUID, LOCAL | REMOTE, false, NULL,
                "its identity across renames; derived from the machine and the name if not set" },
        [PROPERTY_AUTOSTART] = { "autostart", PROPERTY_KIND_BOOLEAN, LOCAL, true, "no",
                "yes: start it with the host, not with the first call" },
        [PROPERTY_START] = { "start", PROPERTY_KIND_COMMAND, LOCAL, true, NULL,
                "the command that starts it, for containers and VMs" },
        [PROPERTY_STOP] = { "stop", PROPERTY_KIND_COMMAND, LOCAL, true, NULL,
                "the command that stops it" },
        [PROPERTY_SANDBOX] = { "sandbox", PROPERTY_KIND_SANDBOX, LOCAL, true, "none",
                "bwrap: run it in a bubblewrap sandbox" },
        [PROPERTY_LINK] = { "link", PROPERTY_KIND_LINK, LOCAL, false, "local",
                "how its agent is reached: local, vchan, vsock:CID" },
        [PROPERTY_IDLE_TIMEOUT] = { "idle_timeout", PROPERTY_KIND_SECONDS, LOCAL, true, "0",
                "stop it after so many seconds without a call; 0: never" },
        [PROPERTY_STOP_TIMEOUT] = { "stop_timeout", PROPERTY_KIND_SECONDS, LOCAL | ADMIN, true, "0",
                "when stopped: end calls that still run there after so long; 0: wait" },
        [PROPERTY_MAX_CALLS] = { "max_calls", PROPERTY_KIND_COUNT, LOCAL | REMOTE | ADMIN, true,
                TEXT(DOMAIN_MAX_CALLS_DEFAULT),
                "how many calls it may have open at once" },
        [PROPERTY_INTERNAL] = { "internal", PROPERTY_KIND_BOOLEAN, LOCAL | REMOTE, false, "no",
                "yes: prompts do not offer it" },
        [PROPERTY_SHELL] = { "shell", PROPERTY_KIND_BOOLEAN, LOCAL, false, "no",
                "yes: root on the host may run shell commands in it" },
        // clang-format on
};

const PropertyInfo *property_info(Property property) {
        return &properties[property];
}

int property_parse(const char *untrusted_key, Property *ret_property) {
        for (size_t i = 0; i < _PROPERTY_N; ++i)
                if (strcmp(properties[i].key, untrusted_key) == 0) {
                        *ret_property = (Property)i;
                        return 0;
                }
        return PROPERTY_E_UNKNOWN;
}

static const char *get_key(const void *userdata, size_t i) {
        return i < _PROPERTY_N ? properties[i].key : NULL;
}

const char *property_nearest(const char *untrusted_key) {
        return nearest(untrusted_key, strlen(untrusted_key), get_key, NULL);
}

/* One value on its way: each kind's parser sets the number, and the text where its canonical spelling is another. */
typedef struct ValueParse {
        const char *untrusted_text;
        size_t n_text;
        uint64_t number;
        char *text;
        char *problem;
} ValueParse;

static int invalid(ValueParse *parse, const char *format, ...) _printf_(2, 3);
static int invalid(ValueParse *parse, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(parse->problem, PROPERTY_PROBLEM_MAX, format, arguments);
        va_end(arguments);
        return PROPERTY_E_INVALID;
}

/* Shown in at most 63 characters: the reader knows what he wrote. */
#define SHOWN(_parse) escape((char[64]){ 0 }, 64, (_parse)->untrusted_text, (_parse)->n_text)

static const char *get_text(const void *userdata, size_t i) {
        return ((const char *const *)userdata)[i];
}

static int parse_enumeration(ValueParse *parse, const char *what, const char *const *texts) {
        const char *meant;
        char list[256] = "";
        size_t n = 0;

        for (size_t i = 0; texts[i]; ++i)
                if (strcmp(texts[i], parse->untrusted_text) == 0) {
                        parse->number = i;
                        return 0;
                }

        meant = nearest(parse->untrusted_text, parse->n_text, get_text, texts);
        if (meant)
                return invalid(parse, "'%s' is no %s: did you mean '%s'?", SHOWN(parse), what, meant);
        for (size_t i = 0; texts[i] && n < sizeof(list); ++i)
                n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", texts[i]);
        return invalid(parse, "'%s' is no %s: write one of %s", SHOWN(parse), what, list);
}

static int parse_boolean(ValueParse *parse) {
        static const char *const no[] = { "no", "false", "off", "0" }, *const yes[] = { "yes", "true", "on", "1" };

        for (size_t i = 0; i < ARRAY_SIZE(no); ++i)
                for (unsigned value = 0; value < 2; ++value)
                        if (strcasecmp(parse->untrusted_text, value ? yes[i] : no[i]) == 0) {
                                parse->number = value;
                                parse->text = strdup(value ? "yes" : "no");
                                return parse->text ? 0 : error_origin(-ENOMEM);
                        }
        return invalid(parse, "'%s' is neither yes nor no", SHOWN(parse));
}

static int parse_number(ValueParse *parse, const char *what, uint64_t min, uint64_t max) {
        int r = number_parse(parse->untrusted_text, parse->n_text, min, max, &parse->number);

        if (r == NUMBER_E_MALFORMED)
                return invalid(parse, "'%s' is no %s: write decimal digits only", SHOWN(parse), what);
        if (r)
                return invalid(parse, "'%s' is out of range: write %ju to %ju", SHOWN(parse), (uintmax_t)min,
                               (uintmax_t)max);
        return 0;
}

static int parse_domain_name(ValueParse *parse) {
        DomainName name;
        int r = domain_name_parse(parse->untrusted_text, parse->n_text, &name);

        if (r)
                return invalid(parse,
                               "'%s' is no domain's name, it %s: write a letter, then letters, digits, '_', '-', '.', "
                               "at most %d in all",
                               SHOWN(parse), name_error_text(r), DOMAIN_NAME_MAX);
        return 0;
}

static int parse_account(ValueParse *parse) {
        AccountName name;
        int r = account_name_parse(parse->untrusted_text, parse->n_text, &name);

        if (r)
                return invalid(parse,
                               "'%s' is no account's name, it %s: write what the first column of /etc/passwd says",
                               SHOWN(parse), name_error_text(r));
        return 0;
}

static int parse_service(ValueParse *parse) {
        int r = service_name_check(parse->untrusted_text, parse->n_text);

        if (r)
                return invalid(parse,
                               "'%s' is no service, it %s: write a name without argument, as in qubesair.SSHProxy",
                               SHOWN(parse), name_error_text(r));
        return 0;
}

static bool char_is_alphanumeric(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A leading '-' would be an option of ssh; the rest is what host names, addresses and user names consist of. */
static int parse_host(ValueParse *parse) {
        if (parse->n_text > DOMAIN_HOST_MAX)
                return invalid(parse,
                               "is longer than %d bytes: give the host an alias in the relay's SSH configuration",
                               DOMAIN_HOST_MAX);
        for (size_t i = 0; i < parse->n_text; ++i) {
                char c = parse->untrusted_text[i];

                if (!char_is_alphanumeric(c) && (!strchr("_.-:@%[]", c) || (i == 0 && c == '-')))
                        return invalid(parse, "'%s' is no host: write HOST, USER@HOST or an alias", SHOWN(parse));
        }
        return 0;
}

/* Kept by ourselves, from relayvm and guivm: a policy that speaks of them must be able to rely on them. */
static bool tag_is_kept(const char *tag, size_t n) {
        return (n >= 8 && memcmp(tag, "relayvm-", 8) == 0) || (n >= 6 && memcmp(tag, "guivm-", 6) == 0);
}

static bool text_has_word(const char *text, size_t n_text, const char *word, size_t n_word) {
        for (size_t i = 0; i + n_word <= n_text;) {
                const char *end = memchr(text + i, ' ', n_text - i);
                size_t n = end ? (size_t)(end - text) - i : n_text - i;

                if (n == n_word && memcmp(text + i, word, n) == 0)
                        return true;
                i += n + 1;
        }
        return false;
}

static int parse_tags(ValueParse *parse) {
        _cleanup_free_ char *text = NULL;
        size_t n_text = 0, n_tags = 0;

        text = malloc(parse->n_text + 1);
        if (!text)
                return error_origin(-ENOMEM);

        for (const char *p = parse->untrusted_text; *p != '\0';) {
                size_t n = strcspn(p, " \t");

                if (n == 0) {
                        ++p;
                        continue;
                }
                for (size_t i = 0; i < n; ++i)
                        if (!char_is_alphanumeric(p[i]) && !strchr("_.-", p[i]))
                                return invalid(parse,
                                               "'%s' is no tag: write letters, digits, '_', '-', '.', and blanks "
                                               "between tags",
                                               ESCAPED(p, n));
                if (n > DOMAIN_TAG_MAX)
                        return invalid(parse, "the tag '%s' is longer than %d bytes", ESCAPED(p, n), DOMAIN_TAG_MAX);
                if (tag_is_kept(p, n))
                        return invalid(parse, "the tag '%s' follows from the key of that name: remove it here",
                                       ESCAPED(p, n));
                if (text_has_word(text, n_text, p, n))
                        return invalid(parse, "the tag '%s' is there twice", ESCAPED(p, n));
                if (++n_tags > DOMAIN_TAGS_MAX)
                        return invalid(parse, "more than %d tags", DOMAIN_TAGS_MAX);

                if (n_text > 0)
                        text[n_text++] = ' ';
                memcpy(text + n_text, p, n);
                n_text += n;
                p += n;
        }
        text[n_text] = '\0';
        parse->text = steal_ptr(&text);
        return 0;
}

static int parse_link(ValueParse *parse) {
        static const char vsock[] = "vsock:", vchan[] = "vchan:";

        if (strncmp(parse->untrusted_text, vchan, strlen(vchan)) == 0) {
                parse->untrusted_text += strlen(vchan);
                parse->n_text -= strlen(vchan);
                return parse_number(parse, "number of a domain", DOMAIN_VCHAN_ID_MIN, DOMAIN_VCHAN_ID_MAX);
        }
        if (strncmp(parse->untrusted_text, vsock, strlen(vsock)) == 0) {
                parse->untrusted_text += strlen(vsock);
                parse->n_text -= strlen(vsock);
                return parse_number(parse, "context id of a guest", DOMAIN_CID_MIN, DOMAIN_CID_MAX);
        }
        if (strcmp(parse->untrusted_text, link_texts[DOMAIN_LINK_LOCAL]) != 0 &&
            strcmp(parse->untrusted_text, link_texts[DOMAIN_LINK_VCHAN]) != 0)
                return invalid(parse, "'%s' is no link: write local, vchan, vchan:ID or vsock:CID", SHOWN(parse));
        return 0;
}

static int parse_uuid(ValueParse *parse) {
        if (uuid_check(parse->untrusted_text))
                return invalid(parse,
                               "'%s' is no UUID: write 32 lower-case hexadecimal digits as in uuidgen(1)'s output",
                               SHOWN(parse));
        if (strcmp(parse->untrusted_text, UUID_DOM0) == 0)
                return invalid(parse, "that is dom0's UUID: take the output of uuidgen(1)");
        return 0;
}

static int parse_command(ValueParse *parse) {
        _cleanup_free_ char **words = NULL;
        int r;

        if (parse->n_text > DOMAIN_COMMAND_MAX)
                return invalid(parse, "is longer than %d bytes: put the command into a script", DOMAIN_COMMAND_MAX);
        r = words_split(parse->untrusted_text, &words);
        if (r > 0)
                return invalid(parse, "'%s' %s", SHOWN(parse), words_error_text(r));
        if (!r && words[0][0] != '/')
                return invalid(parse, "'%s': no shell looks for the program: write its path, as /usr/bin/%s",
                               SHOWN(parse), ESCAPED(words[0], strlen(words[0])));
        return error_trace(r);
}

static int parse_kind(PropertyKind kind, ValueParse *parse) {
        switch (kind) {
        case PROPERTY_KIND_TYPE:
                return parse_enumeration(parse, "type of domain", type_texts);
        case PROPERTY_KIND_LABEL:
                return parse_enumeration(parse, "label", label_texts);
        case PROPERTY_KIND_SANDBOX:
                return parse_enumeration(parse, "sandbox", sandbox_texts);
        case PROPERTY_KIND_LINK:
                return parse_link(parse);
        case PROPERTY_KIND_TAGS:
                return parse_tags(parse);
        case PROPERTY_KIND_ACCOUNT:
                return parse_account(parse);
        case PROPERTY_KIND_DOMAIN:
                return strcmp(parse->untrusted_text, DOMAIN_NONE) == 0 ? 0 : parse_domain_name(parse);
        case PROPERTY_KIND_NAME:
                return parse_domain_name(parse);
        case PROPERTY_KIND_SERVICE:
                return parse_service(parse);
        case PROPERTY_KIND_HOST:
                return parse_host(parse);
        case PROPERTY_KIND_UUID:
                return parse_uuid(parse);
        case PROPERTY_KIND_BOOLEAN:
                return parse_boolean(parse);
        case PROPERTY_KIND_COMMAND:
                return parse_command(parse);
        case PROPERTY_KIND_SECONDS:
                return parse_number(parse, "number of seconds", 0, DOMAIN_SECONDS_MAX);
        case PROPERTY_KIND_COUNT:
                return parse_number(parse, "number", 1, DOMAIN_MAX_CALLS_MAX);
        }
        return error_origin(-EINVAL);
}

/* What a line of an INI file cannot hold, or would hold differently than it was given. */
static int check_representable(ValueParse *parse) {
        size_t n = parse->n_text;
        const char *text = parse->untrusted_text;

        if (n == 0)
                return invalid(parse, "has no value: write one, or remove the line");
        if (text[0] == ' ' || text[0] == '\t' || text[n - 1] == ' ' || text[n - 1] == '\t')
                return invalid(parse, "begins or ends with a blank");
        for (size_t i = 0; i < n; ++i) {
                if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
                        return invalid(parse, "has a control character");
                if (text[i] == ';' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t'))
                        return invalid(parse, "has a ';' after a blank, which begins a comment");
        }
        return 0;
}

int property_value_parse(Property property, const char *untrusted_text, PropertyValue *ret_value,
                         char ret_problem[static PROPERTY_PROBLEM_MAX]) {
        ValueParse parse = { .untrusted_text = untrusted_text,
                             .n_text = strlen(untrusted_text),
                             .problem = ret_problem };
        int r;

        r = check_representable(&parse);
        if (r)
                return r;
        r = parse_kind(properties[property].kind, &parse);
        if (r)
                return r;
        if (!parse.text) {
                parse.text = strdup(untrusted_text);
                if (!parse.text)
                        return error_origin(-ENOMEM);
        }
        *ret_value = (PropertyValue){ .text = parse.text, .number = parse.number };
        return 0;
}
