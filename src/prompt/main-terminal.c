/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `qair prompts`: a front end of the policy agent in a terminal. Questions are shown one at a time, the oldest first.
 *
 * What was typed before a question was on the screen for TERMINAL_GUARD_USEC is thrown away: it was meant for something
 * else.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/socket.h"
#include "prompt/lines.h"
#include "prompt/message.h"
#include "prompt/terminal.h"

#define TERMINAL_GUARD_USEC USEC_PER_SEC

#define EXIT_FAILED 1
#define EXIT_USAGE  2

typedef struct Open {
        struct Open *next;
        uint32_t number, count;
        Question *question;
} Open;

typedef struct Terminal {
        Lines lines;
        Open *open;          /* the oldest first; it is the one that is on the screen */
        uint64_t shown_usec; /* since when */
        bool colour;
        const char *account;
        char input[TERMINAL_LINE_MAX];
        size_t n_input;
} Terminal;

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qrexec-policy-terminal [ACCOUNT]\n"
                        "Answer in this terminal what the policy asks a person. Started by 'qair prompts'.\n");
        return status;
}

/*
 * Reaching the agent, or starting it
 */

/* In the child, where we are root and the account is another's: nothing of ours is left to it. */
static int become(const struct passwd *account) {
        char runtime[64];

        snprintf(runtime, sizeof(runtime), "/run/user/%u", (unsigned)account->pw_uid);
        if (initgroups(account->pw_name, account->pw_gid) < 0 || setgid(account->pw_gid) < 0 ||
            setuid(account->pw_uid) < 0 || clearenv() != 0 || setenv("PATH", "/usr/bin:/bin", true) < 0 ||
            setenv("HOME", account->pw_dir, true) < 0 || setenv("XDG_RUNTIME_DIR", runtime, true) < 0)
                return -errno;
        return 0;
}

/*
 * The agent's descriptors: our end of its socket pair as 3, and no terminal. It may run as the account of a domain, which
 * must not be able to read what is typed here, or to write over what is asked.
 */
static int leave(int fd) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null_fd < 0 || setsid() < 0 || chdir("/") < 0)
                return -errno;
        for (int standard = 0; standard < 3; ++standard)
                if (dup2(null_fd, standard) < 0)
                        return -errno;
        if (fd == 3 ? fd_set_cloexec(fd, false) < 0 : dup2(fd, 3) < 0)
                return -errno;
        return close_range(4, ~0u, 0) < 0 ? -errno : 0;
}

static int start_agent(const struct passwd *account, int *ret_fd) {
        int fds[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0) {
                if (leave(fds[1]) < 0 || (geteuid() != account->pw_uid && become(account) < 0))
                        _exit(EXIT_FAILED);
                execl(QAIR_LIBEXECDIR "/qrexec-policy-agent", "qrexec-policy-agent", "--front-end-fd=3",
                      "--window=", "--until-idle", NULL);
                _exit(EXIT_FAILED);
        }
        fd_close(fds[1]);
        *ret_fd = fds[0];
        return 0;
}

static int attach(const struct passwd *account, int *ret_fd) {
        char path[SOCKET_PATH_MAX];
        int r;

        if (paths_session(account->pw_uid, PATHS_POLICY_PROMPTS, path, sizeof(path)))
                return error_origin(-ENAMETOOLONG);
        r = socket_connect(path, SOCK_STREAM, ret_fd);
        if (r == 0)
                return 0;
        return error_trace(start_agent(account, ret_fd));
}

/*
 * Questions
 */

static void open_free(Open *open) {
        question_free(open->question);
        free(open);
}

static void show_first(Terminal *terminal) {
        unsigned n = 0;

        /* Half a line may stand there, which was about another. */
        (void)tcflush(STDIN_FILENO, TCIFLUSH);
        terminal->n_input = 0;
        if (!terminal->open)
                return;
        for (const Open *open = terminal->open->next; open; open = open->next)
                ++n;
        terminal_show(stdout, terminal->open->question, terminal->open->number, terminal->open->count,
                      terminal->colour);
        if (n > 0)
                printf("%u more %s.\n", n, n == 1 ? "question waits" : "questions wait");
        fputs("? ", stdout);
        terminal->shown_usec = clock_now();
}

static int add(Terminal *terminal, uint32_t number, const char *json) {
        Open **place = &terminal->open, *open;
        Question *question;
        int r;

        r = question_decode(json, strlen(json), &question);
        if (r)
                return r == QUESTION_E_MALFORMED ? error_origin(-EBADMSG) : error_fold(r);
        open = malloc(sizeof(*open));
        if (!open) {
                question_free(question);
                return error_origin(-ENOMEM);
        }
        *open = (Open){ .number = number, .count = 1, .question = question };
        while (*place)
                place = &(*place)->next;
        *place = open;
        if (terminal->open == open)
                show_first(terminal);
        return 0;
}

static void drop(Terminal *terminal, Open **place, const char *words) {
        Open *open = *place;
        bool was_first = open == terminal->open;

        printf("%sQuestion %u is gone: %s\n", was_first ? "\n" : "", open->number, ESCAPED(words, strlen(words)));
        *place = open->next;
        open_free(open);
        if (was_first)
                show_first(terminal);
}

static int on_message(Terminal *terminal, const char *line) {
        Message message;

        if (message_decode(line, &message))
                return error_origin(-EBADMSG);
        if (message.kind == MESSAGE_KIND_READY)
                printf("Questions to %s are answered here. Ctrl-D leaves.\n", terminal->account);
        if (message.kind == MESSAGE_KIND_ASK)
                return error_trace(add(terminal, message.number, message.text));
        for (Open **place = &terminal->open; *place; place = &(*place)->next) {
                if ((*place)->number != message.number)
                        continue;
                if (message.kind == MESSAGE_KIND_GONE) {
                        drop(terminal, place, message.text);
                        break;
                }
                if (message.kind == MESSAGE_KIND_COUNT && (*place)->count != message.count) {
                        (*place)->count = message.count;
                        if (*place == terminal->open)
                                printf("\n%u requests ask this.\n? ", message.count);
                }
                break;
        }
        return 0;
}

/* Return: 0, LINES_E_EOF, or a negative error. */
static int on_agent(Terminal *terminal) {
        for (;;) {
                char *line;
                int r = lines_next(&terminal->lines, &line);

                if (r == LINES_E_AGAIN)
                        return 0;
                if (r)
                        return r;
                r = on_message(terminal, line);
                if (r)
                        return r;
        }
}

/*
 * What is typed
 */

static int on_line(Terminal *terminal, const char *line) {
        _cleanup_free_ char *text = NULL;
        char encoded[ANSWER_MAX + 1];
        Open *open = terminal->open;
        Answer answer;
        int r;

        if (!open)
                return 0;
        if (clock_now() - terminal->shown_usec < TERMINAL_GUARD_USEC) {
                printf("That was typed before the question could be read: not taken.\n? ");
                return 0;
        }
        r = terminal_parse(open->question, line, &answer);
        if (r) {
                printf("%s\n? ", terminal_error_text(r));
                return 0;
        }
        if (answer_encode(&answer, encoded) == 0)
                return 0; /* longer than any answer: it cannot be chosen */
        r = message_encode(&(Message){ .kind = MESSAGE_KIND_ANSWER, .number = open->number, .text = encoded }, &text);
        r = r ?: lines_put(&terminal->lines, text);
        if (r)
                return r;
        printf("Question %u: %s\n", open->number, ESCAPED(encoded, strlen(encoded)));
        terminal->open = open->next;
        open_free(open);
        show_first(terminal);
        return 0;
}

/* Return: 0, LINES_E_EOF: nobody types any more, or a negative error. */
static int on_input(Terminal *terminal) {
        ssize_t n = read(STDIN_FILENO, terminal->input + terminal->n_input,
                         sizeof(terminal->input) - 1 - terminal->n_input);
        char *end;

        if (n < 0 && errno == EINTR)
                return 0;
        if (n <= 0)
                return LINES_E_EOF;
        terminal->n_input += (size_t)n;
        terminal->input[terminal->n_input] = '\0';
        end = strchr(terminal->input, '\n');
        if (end)
                *end = '\0';
        if (!end && terminal->n_input < sizeof(terminal->input) - 1)
                return 0;
        /* A terminal gives one line at a time. */
        terminal->n_input = 0;
        return on_line(terminal, terminal->input);
}

static int run(Terminal *terminal) {
        for (;;) {
                struct pollfd polled[] = {
                        { .fd = terminal->lines.fd,
                          .events = (short)(POLLIN | (lines_wants_room(&terminal->lines) ? POLLOUT : 0)) },
                        { .fd = STDIN_FILENO, .events = POLLIN },
                };
                int r = 0;

                fflush(stdout);
                if (poll(polled, ARRAY_SIZE(polled), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_origin(-errno);
                }
                if (polled[0].revents & POLLOUT)
                        r = lines_flush(&terminal->lines);
                if (!r && polled[0].revents)
                        r = on_agent(terminal);
                if (r == LINES_E_EOF) {
                        log_error("the policy agent has ended");
                        return LINES_E_EOF;
                }
                if (!r && polled[1].revents) {
                        r = on_input(terminal);
                        if (r == LINES_E_EOF) {
                                fputs("\n", stdout);
                                return 0;
                        }
                }
                if (r < 0)
                        return error_trace(r);
        }
}

static int serve(const struct passwd *account) {
        Terminal terminal = { .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"), .account = account->pw_name };
        int fd, r;

        r = attach(account, &fd);
        if (r)
                return r;
        terminal.lines = LINES_INIT(fd);
        r = fd_set_nonblocking(fd, true);
        r = r ?: run(&terminal);
        lines_deinit(&terminal.lines);
        while (terminal.open) {
                Open *open = terminal.open;

                terminal.open = open->next;
                open_free(open);
        }
        return r;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                {},
        };
        const struct passwd *account;
        int option;

        if (fd_ensure_standard() < 0)
                return EXIT_FAILED;
        log_open("qair", false);
        while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                return option == 'h' ? usage(stdout, 0) : usage(stderr, EXIT_USAGE);
        if (argc - optind > 1)
                return usage(stderr, EXIT_USAGE);
        account = optind < argc ? getpwnam(argv[optind]) : getpwuid(geteuid());
        if (!account) {
                log_error("there is no account %s", optind < argc ? ESCAPED(argv[optind], strlen(argv[optind])) : "");
                return EXIT_FAILED;
        }
        if (geteuid() != 0 && account->pw_uid != geteuid()) {
                log_error("only root answers for another account");
                return EXIT_FAILED;
        }
        if (!isatty(STDIN_FILENO)) {
                log_error("prompts: standard input is no terminal, and only a person at one can answer");
                return EXIT_FAILED;
        }
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return EXIT_FAILED;
        return serve(account) == 0 ? 0 : EXIT_FAILED;
}
