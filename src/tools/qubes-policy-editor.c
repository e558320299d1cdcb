/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-policy-editor: edit a policy file through the Admin API (policy specification, 9.6). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "policy-tools/adminclient.h"
#include "policy-tools/check.h"
#include "policy-tools/filename.h"
#include "policy/quote.h"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
};

#define DEFAULT_NAME "30-user"
#define SUFFIX       ".policy"

/** Longest name of a file that is edited: that of a file in general. */
#define NAME_SIZE_MAX 256

static const char usage[] = "usage: qubes-policy-editor [-h] [[include/]NAME]\n";

typedef struct Editor {
        PolicyAdminClient client;
        char name[NAME_SIZE_MAX];
        bool is_include;
        char token[128];         /* of the content that is being edited */
        char folder[PATH_MAX];   /* of our own, where nobody else's file can be; "": not made */
        char path[PATH_MAX * 2]; /* in it */
        bool keeps;              /* what is in the file must not be lost */
} Editor;

static void editor_deinit(Editor *editor) {
        if (editor->folder[0] == '\0' || editor->keeps)
                return;
        (void)unlink(editor->path);
        if (rmdir(editor->folder) < 0 && errno == ENOTEMPTY)
                fprintf(stderr, "qubes-policy-editor: the editor left files in %s\n", editor->folder);
}

static int help(void) {
        printf("%s"
               "\n"
               "Edit the policy file NAME.policy of dom0 (" DEFAULT_NAME " if not given), or include/NAME, with\n"
               "$VISUAL, $EDITOR or vi. It is checked and put back when the editor ends; what does not load is\n"
               "refused, and so is a change on top of somebody else's.\n",
               usage);
        return STATUS_DONE;
}

static const char *quoted(const char *text, char *buffer, size_t n_buffer) {
        return policy_quote(buffer, n_buffer, policy_slice(text));
}
#define QUOTED(_text) quoted((_text), (char[PATH_MAX]){ 0 }, PATH_MAX)

static const char *message_of(const PolicyAdminReply *reply) {
        return reply->message && reply->message[0] != '\0' ? reply->message : "the call failed";
}

/*
 * The file that is edited
 */

static int write_file(Editor *editor, PolicySlice text) {
        const char *parent = getenv("TMPDIR") ?: "/tmp";
        _cleanup_fd_ int fd = -1;

        if ((size_t)snprintf(editor->folder, sizeof(editor->folder), "%s/qubes-policy-editor.XXXXXX", parent) >=
                    sizeof(editor->folder) ||
            !mkdtemp(editor->folder)) {
                fprintf(stderr, "qubes-policy-editor: cannot make a folder in %s: %s\n", parent, strerror(errno));
                editor->folder[0] = '\0';
                return STATUS_FAILED;
        }
        snprintf(editor->path, sizeof(editor->path), "%s/%s_%s%s", editor->folder,
                 editor->is_include ? "policy_include" : "policy", editor->name, editor->is_include ? "" : SUFFIX);
        fd = open(editor->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || fd_write_full(fd, text.text, text.n) < 0) {
                fprintf(stderr, "qubes-policy-editor: %s: %s\n", editor->path, strerror(errno));
                return STATUS_FAILED;
        }
        return STATUS_DONE;
}

/* What is there now, and its token. */
static int get(Editor *editor) {
        _cleanup_(policy_admin_reply_deinit) PolicyAdminReply reply = {};
        PolicySlice text = {};
        const char *newline;
        int r;

        r = policy_admin_call(&editor->client, editor->is_include ? "policy.include.Get" : "policy.Get", editor->name,
                              (PolicySlice){}, &reply);
        if (r < 0)
                return error_trace(r);
        if (r == POLICY_ADMIN_E_REFUSED && strcmp(reply.error_class, "PolicyAdminFileNotFoundException") == 0) {
                strcpy(editor->token, "new");
                return write_file(editor, text);
        }
        newline = r == 0 ? memchr(reply.output, '\n', reply.n_output) : NULL;
        if (!newline || (size_t)(newline - reply.output) >= sizeof(editor->token)) {
                fprintf(stderr, "Failed to get policy %s: %s\n", QUOTED(editor->name),
                        r == 0 ? "the answer has no token" : message_of(&reply));
                return STATUS_FAILED;
        }
        memcpy(editor->token, reply.output, (size_t)(newline - reply.output));
        text = policy_slice_skip((PolicySlice){ reply.output, reply.n_output }, strlen(editor->token) + 1);
        return write_file(editor, text);
}

/* The person's editor is a command, not a path: the shell splits it. The file's name is only ever an argument. */
static int edit(const Editor *editor) {
        const char *command = "exec ${VISUAL:-${EDITOR:-vi}} -- \"$1\"";
        int status = 0;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                signal(SIGPIPE, SIG_DFL);
                execl("/bin/sh", "sh", "-c", command, "sh", editor->path, (char *)NULL);
                _exit(127);
        }
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return STATUS_DONE;
        fprintf(stderr, "Failed to open editor: %s\n",
                pid < 0                                           ? strerror(errno)
                : WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "no such program: set VISUAL or EDITOR"
                                                                  : "it failed");
        return STATUS_FAILED;
}

/*
 * A file for `!include` has the format of policy files, one for `!include-service` the old one, and its name does not
 * say for which it is: it is fine if it is well formed as either.
 */
static int check(const Editor *editor, PolicySlice text, size_t *ret_n_errors) {
        PolicyCheckOptions options = { .is_old = editor->is_include };
        _cleanup_free_ char *errors = NULL, *ignored = NULL;
        size_t n_errors = 0, n_ignored = 0, n_found = 0, n = 0;
        FILE *stream = open_memstream(&errors, &n), *second = open_memstream(&ignored, &n_ignored);
        int r = stream && second ? 0 : error_origin(-ENOMEM);

        if (r == 0)
                r = policy_check(stream, stderr, &options, editor->path, text, &n_errors);
        if (r == 0 && n_errors > 0 && editor->is_include) {
                options.is_old = false;
                r = policy_check(second, stderr, &options, editor->path, text, &n_found);
                if (r == 0 && n_found == 0)
                        n_errors = 0;
        }
        if (stream)
                fclose(stream);
        if (second)
                fclose(second);
        if (r == 0 && n_errors > 0) {
                fputs(errors, stdout);
                fflush(stdout);
        }
        *ret_n_errors = n_errors;
        return r;
}

/* Return: 'e' or 'q' */
static char ask_what_now(void) {
        for (;;) {
                char line[64];

                fputs("(e)dit again\n(q)uit without saving\n", stderr);
                fputs("What now? ", stdout);
                fflush(stdout);
                if (!fgets(line, sizeof(line), stdin))
                        return 'q';
                if ((line[0] == 'e' || line[0] == 'q') && line[1] == '\n')
                        return line[0];
        }
}

static int replace(Editor *editor, PolicySlice text) {
        _cleanup_(policy_admin_reply_deinit) PolicyAdminReply reply = {};
        size_t n_token = strlen(editor->token);
        _cleanup_free_ char *payload = malloc(n_token + 1 + text.n);
        int r;

        if (!payload)
                return error_origin(-ENOMEM);
        memcpy(payload, editor->token, n_token);
        payload[n_token] = '\n';
        if (text.n > 0)
                memcpy(payload + n_token + 1, text.text, text.n);
        editor->keeps = true;
        r = policy_admin_call(&editor->client, editor->is_include ? "policy.include.Replace" : "policy.Replace",
                              editor->name, (PolicySlice){ payload, n_token + 1 + text.n }, &reply);
        if (r < 0)
                return error_trace(r);
        if (r > 0) {
                fprintf(stderr, "Failed to replace policy %s with file %s: %s\n", QUOTED(editor->name),
                        QUOTED(editor->path), message_of(&reply));
                return STATUS_FAILED;
        }
        editor->keeps = false;
        return STATUS_DONE;
}

static int run(Editor *editor) {
        int status = get(editor);

        while (status == STATUS_DONE) {
                _cleanup_free_ char *text = NULL;
                size_t n = 0, n_errors = 0;
                int r;

                status = edit(editor);
                if (status != STATUS_DONE)
                        break;
                r = file_read(AT_FDCWD, editor->path, POLICY_FILE_SIZE_MAX, &text, &n);
                if (r > 0) {
                        fprintf(stderr, "qubes-policy-editor: %s: %s\n", editor->path, file_error_text(r));
                        editor->keeps = true;
                        return STATUS_FAILED;
                }
                r = r ?: check(editor, (PolicySlice){ text, n }, &n_errors);
                if (r < 0)
                        return r;
                if (n_errors == 0)
                        return replace(editor, (PolicySlice){ text, n });
                if (ask_what_now() == 'q')
                        break;
        }
        return status;
}

static int parse(int argc, char **argv, Editor *editor) {
        static const struct option known[] = {
                { "help", no_argument, NULL, 'h' },
                {},
        };
        char invalid[POLICY_FILE_NAME_QUOTED_MAX];
        PolicyFileName file;
        size_t n;
        int option;

        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0) {
                if (option == 'h')
                        return help();
                fprintf(stderr, "%squbes-policy-editor: error: unrecognized arguments: %s\n", usage, argv[optind - 1]);
                return STATUS_USAGE;
        }
        if (argc - optind > 1) {
                fprintf(stderr, "%squbes-policy-editor: error: unrecognized arguments: %s\n", usage, argv[optind + 1]);
                return STATUS_USAGE;
        }
        if (policy_file_name_parse(optind < argc ? argv[optind] : DEFAULT_NAME, &file, invalid)) {
                fprintf(stderr, "invalid character(s) in the file name: %s\n", invalid);
                return STATUS_FAILED;
        }
        n = strlen(file.name);
        if (n > strlen(SUFFIX) && strcmp(file.name + n - strlen(SUFFIX), SUFFIX) == 0)
                n -= strlen(SUFFIX);
        if (n == 0 || n >= sizeof(editor->name)) {
                fprintf(stderr, "qubes-policy-editor: %s is no name of a file\n", QUOTED(file.name));
                return STATUS_FAILED;
        }
        memcpy(editor->name, file.name, n);
        editor->is_include = file.is_include;
        return run(editor);
}

int main(int argc, char **argv) {
        _cleanup_(editor_deinit)
                Editor editor = { .client = { .client = QAIR_CLIENT,
                                              .program = QAIR_LIBEXECDIR "/qubes-policy-admin",
                                              .is_host = policy_admin_client_is_host(PATHS_RUN_DIR) } };
        int status;

        log_open("qubes-policy-editor", false);
        signal(SIGPIPE, SIG_IGN);
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        status = parse(argc, argv, &editor);
        if (status < 0) {
                fprintf(stderr, "qubes-policy-editor: %s\n", strerror(-status));
                return STATUS_FAILED;
        }
        return status;
}
