/* SPDX-License-Identifier: Apache-2.0 */
/* Service lookup over real folders: facts 94 to 100 of the protocol specification's appendix A, and 6.4's table. */
#include "agent/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"

#define NAME_255                                                                                               \
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

/* A temporary folder with the two directories `one` and `two`, in which names below are made. */
typedef struct World {
        char root[32];
        char directories[96];
} World;

static void world_file(const World *world, const char *path, mode_t mode) {
        char full[512];
        int fd;

        snprintf(full, sizeof(full), "%s/%s", world->root, path);
        fd = open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fchmod(fd, mode), 0);
        fd_close(fd);
}

static void world_link(const World *world, const char *target, const char *path) {
        char full[512];

        snprintf(full, sizeof(full), "%s/%s", world->root, path);
        assert_int_equal(symlink(target, full), 0);
}

static void world_folder(const World *world, const char *path) {
        char full[512];

        snprintf(full, sizeof(full), "%s/%s", world->root, path);
        assert_int_equal(mkdir(full, 0755), 0);
}

static void world_socket(const World *world, const char *path) {
        struct sockaddr_un address;
        socklen_t n_address;
        char full[512];
        int fd;

        snprintf(full, sizeof(full), "%s/%s", world->root, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(socket_address(full, &address, &n_address), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        fd_close(fd);
}

static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        strcpy(world->root, "/tmp/test-lookup.XXXXXX");
        assert_non_null(mkdtemp(world->root));
        assert_int_equal(chmod(world->root, 0755), 0);
        world_folder(world, "one");
        world_folder(world, "two");
        snprintf(world->directories, sizeof(world->directories), "%s/one:%s/two", world->root, world->root);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                execlp("rm", "rm", "-rf", "--", world->root, NULL);
                _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        free(world);
        return 0;
}

static Command parse(const char *descriptor, char *buffer, size_t n_buffer) {
        Command command;

        assert_true((size_t)snprintf(buffer, n_buffer, "user:QUBESRPC %s source", descriptor) < n_buffer);
        assert_int_equal(command_parse(buffer, true, &command), 0);
        return command;
}

#define ERROR_KIND ((LookupKind)99)

static void check(const World *world, const char *name, const char *descriptor, int expect, LookupKind kind,
                  const char *path) {
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
        char full[512], buffer[2048];
        Command command = parse(descriptor, buffer, sizeof(buffer));
        Lookup lookup = { .kind = ERROR_KIND };
        int r;

        r = lookup_service(world->directories, &command, &errors, &lookup);
        if (r != expect)
                fail_msg("%s: got %d, want %d", name, r, expect);
        if ((r == LOOKUP_E_FAILED) != (errors.n_entries == 1))
                fail_msg("%s: %zu reasons given", name, errors.n_entries);
        if (r) {
                if (lookup.kind != ERROR_KIND)
                        fail_msg("%s: the result was touched on failure", name);
                return;
        }
        snprintf(full, sizeof(full), "%s/%s", world->root, path);
        if (lookup.kind != kind || strcmp(lookup.path, full) != 0)
                fail_msg("%s: found %s (kind %d), want %s (kind %d)", name, lookup.path, (int)lookup.kind, full,
                         (int)kind);
}

static void test_order(void **state) {
        World *world = *state;

        world_file(world, "one/general", 0755);
        world_file(world, "two/general+arg", 0755);
        world_file(world, "two/general+", 0755);
        world_file(world, "two/second", 0755);
        world_file(world, "one/both", 0755);
        world_file(world, "two/both", 0755);
        world_file(world, "one/noplus", 0755);
        world_file(world, "one/" NAME_255, 0755);
        world_file(world, "one/long", 0755);

        check(world, "96: specific in a later directory wins", "general+arg", 0, LOOKUP_KIND_EXECUTABLE,
              "two/general+arg");
        check(world, "97: NAME+ before NAME, descriptor without +", "general", 0, LOOKUP_KIND_EXECUTABLE,
              "two/general+");
        check(world, "97: NAME+ before NAME, empty argument", "general+", 0, LOOKUP_KIND_EXECUTABLE, "two/general+");
        check(world, "generic for another argument", "general+other", 0, LOOKUP_KIND_EXECUTABLE, "one/general");
        check(world, "generic without NAME+", "noplus+", 0, LOOKUP_KIND_EXECUTABLE, "one/noplus");
        check(world, "first directory first", "both", 0, LOOKUP_KIND_EXECUTABLE, "one/both");
        check(world, "second directory", "second+x", 0, LOOKUP_KIND_EXECUTABLE, "two/second");
        check(world, "absent everywhere", "nothing+x", LOOKUP_E_NOT_FOUND, 0, NULL);
        check(world, "94: a name of 255 bytes", NAME_255, 0, LOOKUP_KIND_EXECUTABLE, "one/" NAME_255);
        check(world, "95: 250 bytes of argument still name a file",
              "long+"
              "aaaaaaaaaa",
              0, LOOKUP_KIND_EXECUTABLE, "one/long");
        check(world, "95: too long a file name falls back to the generic one", "long+" NAME_255 NAME_255, 0,
              LOOKUP_KIND_EXECUTABLE, "one/long");
}

static void test_names(void **state) {
        World *world = *state;

        world_file(world, "one/.hidden", 0755);
        check(world, "a dot", ".", LOOKUP_E_FAILED, 0, NULL);
        check(world, "two dots", "..", LOOKUP_E_FAILED, 0, NULL);
        check(world, "two dots with an argument", "..+x", LOOKUP_E_FAILED, 0, NULL);
        check(world, "slash in the name", "../one/.hidden", LOOKUP_E_FAILED, 0, NULL);
        check(world, "slash in the argument", "x+/../.hidden", LOOKUP_E_FAILED, 0, NULL);
        check(world, "a name that begins with a dot", ".hidden", 0, LOOKUP_KIND_EXECUTABLE, "one/.hidden");
}

static void test_links(void **state) {
        World *world = *state;

        world_file(world, "target", 0755);
        world_file(world, "plain", 0644);
        world_link(world, "../target", "one/link");
        world_link(world, "../missing", "one/dangling");
        world_file(world, "two/dangling", 0755);
        world_link(world, "../missing", "one/dangling-only");
        world_link(world, "../plain/below", "one/through");
        world_file(world, "two/through", 0755);
        world_link(world, "loop", "one/loop");
        world_link(world, "/dev/tcp", "one/tcp");
        world_link(world, "/dev/tcp/127.0.0.1/80", "one/tcp-full");
        world_link(world, "/dev/tcp/x", "one/tcp-short");
        world_link(world, "/dev/tcp/", "one/tcp-nothing");
        world_link(world, "/dev/tcpx", "one/tcp-not");
        world_link(world, "/dev/tcp/10.0.0.1/1", "one/tcp-specific+arg");
        world_file(world, "two/tcp-nothing", 0755);

        check(world, "a link is followed", "link", 0, LOOKUP_KIND_EXECUTABLE, "one/link");
        check(world, "98: a dangling link is skipped", "dangling", 0, LOOKUP_KIND_EXECUTABLE, "two/dangling");
        check(world, "98: a dangling link alone", "dangling-only", LOOKUP_E_NOT_FOUND, 0, NULL);
        check(world, "98: a link through a non-directory ends the search", "through", LOOKUP_E_FAILED, 0, NULL);
        check(world, "a loop of links", "loop", LOOKUP_E_FAILED, 0, NULL);
        check(world, "100: a link named /dev/tcp/…", "tcp-full", 0, LOOKUP_KIND_TCP, "one/tcp-full");
        check(world, "/dev/tcp", "tcp", 0, LOOKUP_KIND_TCP, "one/tcp");
        check(world, "/dev/tcp/ and one byte", "tcp-short", 0, LOOKUP_KIND_TCP, "one/tcp-short");
        check(world, "exactly /dev/tcp/ is an error", "tcp-nothing", LOOKUP_E_FAILED, 0, NULL);
        check(world, "/dev/tcpx is an ordinary dangling link", "tcp-not", LOOKUP_E_NOT_FOUND, 0, NULL);
        check(world, "TCP for one argument", "tcp-specific+arg", 0, LOOKUP_KIND_TCP, "one/tcp-specific+arg");
}

static void test_tcp_text(void **state) {
        World *world = *state;
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
        char buffer[256];
        Command command = parse("tcp+80", buffer, sizeof(buffer));
        Lookup lookup;

        world_link(world, "/dev/tcp/127.0.0.1", "one/tcp");
        assert_int_equal(lookup_service(world->directories, &command, &errors, &lookup), 0);
        assert_string_equal(lookup.tcp, "/dev/tcp/127.0.0.1");
}

static void test_kinds(void **state) {
        World *world = *state;

        world_file(world, "one/not-executable", 0644);
        world_file(world, "two/not-executable", 0755);
        world_folder(world, "one/folder");
        world_socket(world, "one/socket");
        world_link(world, "socket", "one/socket-link");

        check(world, "99: not executable, whatever comes later", "not-executable", LOOKUP_E_FAILED, 0, NULL);
        check(world, "a directory", "folder", LOOKUP_E_FAILED, 0, NULL);
        check(world, "a socket", "socket", 0, LOOKUP_KIND_SOCKET, "one/socket");
        check(world, "a link to a socket", "socket-link", 0, LOOKUP_KIND_SOCKET, "one/socket-link");
}

static void test_directories(void **state) {
        World *world = *state;
        char missing[64];

        world_file(world, "two/svc", 0755);
        world_file(world, "plain", 0644);

        snprintf(world->directories, sizeof(world->directories), "::%s/two::", world->root);
        check(world, "empty elements count as absent", "svc", 0, LOOKUP_KIND_EXECUTABLE, "two/svc");
        check(world, "a leading colon is not the root directory", "etc", LOOKUP_E_NOT_FOUND, 0, NULL);
        world->directories[0] = '\0';
        check(world, "no directory at all", "svc", LOOKUP_E_NOT_FOUND, 0, NULL);
        snprintf(world->directories, sizeof(world->directories), "%s/missing:%s/two", world->root, world->root);
        check(world, "a missing directory", "svc", 0, LOOKUP_KIND_EXECUTABLE, "two/svc");
        snprintf(world->directories, sizeof(world->directories), "%s/plain:%s/two", world->root, world->root);
        check(world, "a directory that is a file is an error", "svc", LOOKUP_E_FAILED, 0, NULL);

        snprintf(missing, sizeof(missing), "%s/two", world->root);
        for (int extra = 0; extra <= 1; ++extra) {
                /* The longest path that is accepted, and one byte more: "////…/two/svc+". */
                char directories[LOOKUP_PATH_MAX + 16], buffer[64];
                _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
                size_t n = LOOKUP_PATH_MAX - strlen("/svc+") + (size_t)extra, n_missing = strlen(missing);
                Command command = parse("svc", buffer, sizeof(buffer));
                Lookup lookup;

                memset(directories, '/', n - n_missing);
                memcpy(directories + n - n_missing, missing, n_missing + 1);
                assert_int_equal(lookup_service(directories, &command, &errors, &lookup), extra ? LOOKUP_E_FAILED : 0);
        }
}

static void test_config(void **state) {
        World *world = *state;
        char buffer[256], path[LOOKUP_PATH_MAX + 1], want[64];
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
        Command command = parse("svc+arg", buffer, sizeof(buffer));

        world_file(world, "one/svc", 0644);
        world_file(world, "two/svc+arg", 0644);
        assert_int_equal(lookup_config(world->directories, &command, &errors, path), 0);
        snprintf(want, sizeof(want), "%s/two/svc+arg", world->root);
        assert_string_equal(path, want);

        /* The TCP special case is not for configuration: such a link just dangles. */
        world_link(world, "/dev/tcp/1.2.3.4/5", "one/tcp");
        command = parse("tcp", buffer, sizeof(buffer));
        assert_int_equal(lookup_config(world->directories, &command, &errors, path), LOOKUP_E_NOT_FOUND);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_names, setup, teardown),
                cmocka_unit_test_setup_teardown(test_links, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tcp_text, setup, teardown),
                cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
                cmocka_unit_test_setup_teardown(test_directories, setup, teardown),
                cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
