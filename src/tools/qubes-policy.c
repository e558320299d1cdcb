/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-policy: list, show, replace and remove policy files through the Admin API (policy specification, 9.5). */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "policy-tools/adminclient.h"
#include "policy-tools/filename.h"
#include "policy/quote.h"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
};

static const char usage[] = "usage: qubes-policy [-h] [-l | -g | -r | -d] [[include/]NAME]\n";

typedef enum Verb { VERB_LIST, VERB_GET, VERB_REPLACE, VERB_REMOVE } Verb;

static const char *const services[][2] = {
        [VERB_LIST] = { "policy.List", "policy.include.List" },
        [VERB_GET] = { "policy.Get", "policy.include.Get" },
        [VERB_REPLACE] = { "policy.Replace", "policy.include.Replace" },
        [VERB_REMOVE] = { "policy.Remove", "policy.include.Remove" },
};

static int complain(const char *text, const char *about) {
        fprintf(stderr, "%squbes-policy: error: %s%s\n", usage, text, about);
        return STATUS_USAGE;
}

static int help(void) {
        printf("%s"
               "\n"
               "List, show, replace and remove policy files. From a domain this is a call to dom0, which policy must\n"
               "allow. The whole policy is checked before anything is changed.\n"
               "\n"
               "  -h, --help     this text\n"
               "  -l, --list     print the names of the files (the default)\n"
               "  -g, --get      print the file NAME.policy, or include/NAME\n"
               "  -r, --replace  its new content comes from standard input\n"
               "  -d, --remove   remove it\n",
               usage);
        return STATUS_DONE;
}

/* Standard input after a token that fits whatever is there. Return: 0, FD_E_TOO_LONG, or a negative error */
static int read_replacement(char **ret_payload, size_t *ret_n) {
        static const char token[] = "any\n";
        _cleanup_free_ char *data = NULL, *payload = NULL;
        size_t n = 0;
        int r;

        r = fd_read_all(STDIN_FILENO, POLICY_FILE_SIZE_MAX, &data, &n);
        if (r)
                return r < 0 ? error_origin(r) : r;
        payload = malloc(strlen(token) + n + 1);
        if (!payload)
                return error_origin(-ENOMEM);
        memcpy(payload, token, strlen(token));
        memcpy(payload + strlen(token), data, n + 1);
        *ret_payload = steal_ptr(&payload);
        *ret_n = strlen(token) + n;
        return 0;
}

/* Without its blanks at the end, and with one line end. */
static int print_trimmed(PolicySlice text) {
        while (text.n > 0 && strchr(" \t\n\v\f\r", text.text[text.n - 1]))
                --text.n;
        return fwrite(text.text, 1, text.n, stdout) == text.n && putchar('\n') >= 0 && fflush(stdout) == 0
                       ? STATUS_DONE
                       : STATUS_FAILED;
}

static int show(Verb verb, const PolicyAdminReply *reply) {
        PolicySlice text = { reply->output, reply->n_output };
        const char *newline;

        switch (verb) {
        case VERB_LIST:
                return print_trimmed(text);
        case VERB_GET:
                newline = memchr(text.text, '\n', text.n);
                if (!newline) {
                        fprintf(stderr, "qubes-policy: the answer has no token\n");
                        return STATUS_FAILED;
                }
                return print_trimmed(policy_slice_skip(text, (size_t)(newline - text.text) + 1));
        case VERB_REPLACE:
        case VERB_REMOVE:
                break;
        }
        return STATUS_DONE;
}

static int fail(int r, const PolicyAdminReply *reply) {
        if (r == POLICY_ADMIN_E_REFUSED) {
                fprintf(stderr, "%s\n", reply->message);
                return STATUS_FAILED;
        }
        fprintf(stderr, "Command failed\n");
        if (reply->n_output > 0)
                fprintf(stderr, "%.*s\n", (int)reply->n_output, reply->output);
        if (reply->message && reply->message[0] != '\0')
                fprintf(stderr, "%s%s", reply->message, reply->message[strlen(reply->message) - 1] == '\n' ? "" : "\n");
        return STATUS_FAILED;
}

static int run(Verb verb, const PolicyFileName *file) {
        const PolicyAdminClient client = { .client = QAIR_CLIENT,
                                           .program = QAIR_LIBEXECDIR "/qubes-policy-admin",
                                           .is_host = policy_admin_client_is_host(PATHS_RUN_DIR) };
        _cleanup_(policy_admin_reply_deinit) PolicyAdminReply reply = {};
        _cleanup_free_ char *replacement = NULL;
        PolicySlice payload = {};
        int r = 0;

        if (verb == VERB_REMOVE)
                payload = POLICY_SLICE("any");
        if (verb == VERB_REPLACE) {
                r = read_replacement(&replacement, &payload.n);
                payload.text = replacement;
        }
        if (r == FD_E_TOO_LONG) {
                fprintf(stderr, "qubes-policy: a policy file can have at most %zu bytes\n", POLICY_FILE_SIZE_MAX);
                return STATUS_FAILED;
        }
        if (r < 0)
                return r;
        r = policy_admin_call(&client, services[verb][file->is_include], file->name, payload, &reply);
        if (r < 0)
                return error_trace(r);
        return r > 0 ? fail(r, &reply) : show(verb, &reply);
}

static int parse(int argc, char **argv) {
        static const struct option known[] = {
                { "help", no_argument, NULL, 'h' },   { "list", no_argument, NULL, 'l' },
                { "get", no_argument, NULL, 'g' },    { "replace", no_argument, NULL, 'r' },
                { "remove", no_argument, NULL, 'd' }, {},
        };
        char invalid[POLICY_FILE_NAME_QUOTED_MAX];
        Verb verb = VERB_LIST;
        PolicyFileName file;
        int option;

        opterr = 0;
        while ((option = getopt_long(argc, argv, ":hlgrd", known, NULL)) >= 0)
                switch (option) {
                case 'h':
                        return help();
                case 'l':
                        verb = VERB_LIST;
                        break;
                case 'g':
                        verb = VERB_GET;
                        break;
                case 'r':
                        verb = VERB_REPLACE;
                        break;
                case 'd':
                        verb = VERB_REMOVE;
                        break;
                default:
                        return complain("unrecognized arguments: ", argv[optind - 1]);
                }
        if (argc - optind > 1)
                return complain("unrecognized arguments: ", argv[optind + 1]);
        if (policy_file_name_parse(optind < argc ? argv[optind] : "", &file, invalid))
                return complain("invalid character(s) in RPCNAME: ", invalid);
        if (verb == VERB_LIST && file.name[0] != '\0')
                return complain("--list doesn't work with a file name", "");
        if (verb != VERB_LIST && file.name[0] == '\0')
                return complain("you need to provide a file name", "");
        return run(verb, &file);
}

int main(int argc, char **argv) {
        int status;

        log_open("qubes-policy", false);
        signal(SIGPIPE, SIG_IGN);
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        status = parse(argc, argv);
        if (status < 0) {
                fprintf(stderr, "qubes-policy: %s\n", strerror(-status));
                return STATUS_FAILED;
        }
        return status;
}
