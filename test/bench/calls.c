/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls STARTERS EACH LIMIT COMMAND… - run COMMAND again and again, STARTERS x EACH at once, with stdio on /dev/null
 *
 * Each starter is a process that keeps EACH calls under way: it starts them one by one with posix_spawn(), and waits for
 * whichever ends first. LIMIT is a count for each starter (`100`) or a time (`0.5s`), after which no call is started any
 * more. A call that ends with anything but 0 is lost, and so are those that have not ended CALLS_PATIENCE seconds after
 * the last start: they hang, and are killed.
 *
 * Prints one line of JSON: calls, lost, hung (part of lost), usec from the first start to the last end, and the times
 * of the calls in microseconds if only one is made at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define CALLS_STARTERS_MAX 4096
#define CALLS_EACH_MAX     4096
#define CALLS_TIMES_MAX    100000
#define CALLS_PATIENCE     20 /* seconds */

extern char **environ;

typedef struct Plan {
        char **command;
        size_t n_starters;
        size_t n_each;
        size_t n_limit;      /* calls of each starter; 0: no such limit */
        uint64_t limit_usec; /* time; 0: no such limit */
} Plan;

/* What one starter has to say. */
typedef struct Report {
        size_t n_ended, n_lost, n_hung;
        int error; /* an errno: it could not go on */
} Report;

/* In memory that all starters share with us. */
typedef struct Shared {
        uint64_t begin_usec;
        Report reports[CALLS_STARTERS_MAX];
        uint32_t times[CALLS_TIMES_MAX];
} Shared;

typedef struct Starter {
        const Plan *plan;
        Shared *shared;
        Report *report;
        size_t n_started;
        uint64_t start_usec;        /* of the last call */
        pid_t pids[CALLS_EACH_MAX]; /* 0: free */
} Starter;

static bool plan_parse(Plan *plan, int argc, char **argv) {
        if (argc < 5)
                return false;
        plan->n_starters = strtoul(argv[1], NULL, 10);
        plan->n_each = strtoul(argv[2], NULL, 10);
        if (strchr(argv[3], 's'))
                plan->limit_usec = (uint64_t)(strtod(argv[3], NULL) * (double)USEC_PER_SEC);
        else
                plan->n_limit = strtoul(argv[3], NULL, 10);
        plan->command = argv + 4;
        return plan->n_starters > 0 && plan->n_starters <= CALLS_STARTERS_MAX && plan->n_each > 0 &&
               plan->n_each <= CALLS_EACH_MAX && (plan->limit_usec > 0 || plan->n_limit > 0);
}

static bool starter_goes_on(const Starter *starter) {
        if (starter->report->n_hung > 0)
                return false;
        if (starter->plan->n_limit > 0)
                return starter->n_started < starter->plan->n_limit;
        return clock_now() < starter->shared->begin_usec + starter->plan->limit_usec;
}

static int starter_start(Starter *starter, pid_t *slot) {
        char **command = starter->plan->command;
        int r;

        starter->start_usec = clock_now();
        r = posix_spawn(slot, command[0], NULL, NULL, command, environ);
        if (r != 0) {
                *slot = 0;
                return r;
        }
        ++starter->n_started;
        (void)alarm(CALLS_PATIENCE);
        return 0;
}

static pid_t *starter_find(Starter *starter, pid_t pid) {
        for (size_t i = 0; i < starter->plan->n_each; ++i)
                if (starter->pids[i] == pid)
                        return &starter->pids[i];
        return NULL;
}

static void starter_give_up(Starter *starter) {
        for (size_t i = 0; i < starter->plan->n_each; ++i)
                if (starter->pids[i] > 0) {
                        ++starter->report->n_hung;
                        (void)kill(starter->pids[i], SIGKILL);
                }
}

/* Wait until one has ended; @ret_slot is its place, or NULL if we were only interrupted. */
static int starter_wait(Starter *starter, pid_t **ret_slot) {
        Report *report = starter->report;
        int status;
        pid_t pid;

        *ret_slot = NULL;
        pid = wait(&status);
        if (pid < 0 && errno == EINTR) {
                starter_give_up(starter);
                return 0;
        }
        if (pid < 0)
                return errno;
        *ret_slot = starter_find(starter, pid);
        if (!*ret_slot)
                return ECHILD;
        **ret_slot = 0;
        if (starter->plan->n_starters * starter->plan->n_each == 1 && report->n_ended < CALLS_TIMES_MAX)
                starter->shared->times[report->n_ended] = (uint32_t)(clock_now() - starter->start_usec);
        ++report->n_ended;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                ++report->n_lost;
        return 0;
}

static int starter_run(Starter *starter) {
        int r;

        for (size_t i = 0; i < starter->plan->n_each && starter_goes_on(starter); ++i) {
                r = starter_start(starter, &starter->pids[i]);
                if (r != 0)
                        return r;
        }
        while (starter->report->n_ended < starter->n_started) {
                pid_t *slot;

                r = starter_wait(starter, &slot);
                if (r == 0 && slot && starter_goes_on(starter))
                        r = starter_start(starter, slot);
                if (r != 0)
                        return r;
        }
        return 0;
}

static void on_alarm(int number) {
        /* It only interrupts wait(). */
}

/* Each starter is a process, and begins when the other end of its pipe is closed. */
static int run(const Plan *plan, Shared *shared, uint64_t *ret_usec) {
        static Starter starter;
        int begin_fds[2];
        char byte;

        if (pipe2(begin_fds, O_CLOEXEC) < 0)
                return errno;
        for (size_t i = 0; i < plan->n_starters; ++i) {
                pid_t pid = fork();

                if (pid < 0)
                        return errno;
                if (pid == 0) {
                        close(begin_fds[1]);
                        starter = (Starter){ .plan = plan, .shared = shared, .report = &shared->reports[i] };
                        starter.report->error = read(begin_fds[0], &byte, 1) == 0 ? starter_run(&starter) : EPROTO;
                        _exit(0);
                }
        }
        shared->begin_usec = clock_now();
        close(begin_fds[1]);
        while (wait(NULL) > 0)
                ;
        *ret_usec = clock_now() - shared->begin_usec;
        close(begin_fds[0]);
        return 0;
}

static void print(const Plan *plan, const Shared *shared, uint64_t usec, FILE *stream) {
        Report sum = {};

        for (size_t i = 0; i < plan->n_starters; ++i) {
                sum.n_ended += shared->reports[i].n_ended;
                sum.n_lost += shared->reports[i].n_lost;
                sum.n_hung += shared->reports[i].n_hung;
                if (shared->reports[i].error != 0) {
                        (void)fprintf(stream, "{\"error\": \"%s\"}\n", strerror(shared->reports[i].error));
                        return;
                }
        }
        (void)fprintf(stream, "{\"calls\": %zu, \"lost\": %zu, \"hung\": %zu, \"usec\": %llu, \"times\": [",
                      sum.n_ended, sum.n_lost, sum.n_hung, (unsigned long long)usec);
        for (size_t i = 0; plan->n_starters * plan->n_each == 1 && i < sum.n_ended && i < CALLS_TIMES_MAX; ++i)
                (void)fprintf(stream, "%s%u", i ? ", " : "", shared->times[i]);
        (void)fprintf(stream, "]}\n");
}

int main(int argc, char **argv) {
        struct sigaction action = { .sa_handler = on_alarm };
        Plan plan = {};
        Shared *shared;
        uint64_t usec = 0;
        FILE *stream;
        int fd, null_fd, r;

        if (!plan_parse(&plan, argc, argv)) {
                (void)fprintf(stderr, "usage: calls STARTERS EACH COUNT|TIMEs COMMAND…\n");
                return 2;
        }
        /* The report keeps our stdout; what we start gets /dev/null. */
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        stream = fd >= 0 ? fdopen(fd, "w") : NULL;
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (!stream || null_fd < 0 || shared == MAP_FAILED || sigaction(SIGALRM, &action, NULL) < 0)
                return 1;
        for (int i = 0; i < 3; ++i)
                if (dup2(null_fd, i) < 0)
                        return 1;

        r = run(&plan, shared, &usec);
        if (r != 0)
                (void)fprintf(stream, "{\"error\": \"%s\"}\n", strerror(r));
        else
                print(&plan, shared, usec, stream);
        return fflush(stream) == 0 ? 0 : 1;
}
