/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"

static int listen_at(const char *path) {
        struct sockaddr_un address;
        socklen_t n_address;
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_int_equal(socket_address(path, &address, &n_address), 0);
        if (path[0] == '@') {
                address.sun_path[0] = '\0';
                n_address = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        }
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        return fd;
}

static void check(const char *path) {
        int fd = listen_at(path);
        char message[32];
        ssize_t n;

        notify_ready(path);
        n = recv(fd, message, sizeof(message), 0);
        if (n != 7 || memcmp(message, "READY=1", 7) != 0)
                fail_msg("%s: no READY=1", path);
        fd_close(fd);
}

static void test_ready(void **state) {
        char path[64];

        snprintf(path, sizeof(path), "/tmp/test-notify.%d", (int)getpid());
        check(path);
        unlink(path);
        snprintf(path, sizeof(path), "@test-notify.%d", (int)getpid());
        check(path);
        notify_ready("/no/such/socket");
        notify_ready("");
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_ready) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
