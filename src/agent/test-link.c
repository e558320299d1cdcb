/* SPDX-License-Identifier: Apache-2.0 */
/* The link against a listening socket: when it tries again, and what it does with a packet. */
#include "agent/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

static char path[64];

static int listen_link(void) {
        struct sockaddr_un address;
        socklen_t n_address;
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        assert_int_equal(socket_address(path, &address, &n_address), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(listen(fd, 5), 0);
        return fd;
}

static void test_backoff(void **state) {
        uint64_t now = 1000 * USEC_PER_SEC, wait = LINK_RETRY_MIN_USEC;
        Link link;
        int listener, accepted;

        link_init(&link, path);
        assert_int_equal(link.deadline_usec, 0); /* at once */

        /* 50 ms, doubled up to 5 s, and no further */
        for (unsigned i = 0; i < 10; ++i) {
                assert_int_equal(link_connect(&link, now), LINK_E_LOST);
                assert_int_equal(link.state, LINK_STATE_DOWN);
                assert_int_equal(link.fd, -1);
                assert_true(link.absent);
                assert_int_equal(link.deadline_usec, now + wait);
                now = link.deadline_usec;
                wait = wait * 2 < LINK_RETRY_MAX_USEC ? wait * 2 : LINK_RETRY_MAX_USEC;
        }
        assert_int_equal(wait, LINK_RETRY_MAX_USEC);
        assert_int_equal(link.lost_usec, 0);

        /* Unless somebody has a reason to hurry. */
        link_try_soon(&link, now);
        assert_int_equal(link.deadline_usec, now);
        assert_int_equal(link_connect(&link, now), LINK_E_LOST);
        assert_int_equal(link.deadline_usec, now + LINK_RETRY_MIN_USEC);
        link.retry_usec = LINK_RETRY_MAX_USEC;

        listener = listen_link();
        assert_int_equal(link_connect(&link, now), 0);
        assert_false(link.absent);
        assert_int_equal(link.state, LINK_STATE_HELLO);
        assert_int_equal(link.deadline_usec, now + LINK_HELLO_USEC);

        /* A link that breaks at once does not make the next attempt quick … */
        link_set_up(&link, now);
        assert_int_equal(link.deadline_usec, UINT64_MAX);
        link_lose(&link, now + LINK_STABLE_USEC - 1, "test");
        assert_int_equal(link.deadline_usec, now + LINK_STABLE_USEC - 1 + LINK_RETRY_MAX_USEC);

        /* … one that lasted does. */
        assert_int_equal(link_connect(&link, now), 0);
        link_set_up(&link, now);
        link_lose(&link, now + LINK_STABLE_USEC, "test");
        assert_int_equal(link.lost_usec, now + LINK_STABLE_USEC);
        assert_int_equal(link.deadline_usec, now + LINK_STABLE_USEC + LINK_RETRY_MIN_USEC);

        for (unsigned i = 0; i < 2; ++i) {
                accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                assert_true(accepted >= 0);
                fd_close(accepted);
        }
        fd_close(listener);

        /* The socket is there and whoever listened is not; an attempt that fails does not change when it was UP. */
        assert_int_equal(link_connect(&link, now + 2 * LINK_STABLE_USEC), LINK_E_LOST);
        assert_true(link.absent);
        assert_int_equal(link.lost_usec, now + LINK_STABLE_USEC);
        unlink(path);
        link_deinit(&link);
}

static void test_messages(void **state) {
        int listener = listen_link(), broker, sent[3] = { 0, 1, 2 };
        uint8_t data[64], hello[] = { 0, 3, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0 };
        LinkPacket packet;
        Link link;

        link_init(&link, path);
        assert_int_equal(link_connect(&link, 0), 0);
        broker = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_int_equal(read(broker, data, sizeof(data)), sizeof(hello));
        assert_memory_equal(data, hello, sizeof(hello));

        assert_int_equal(link_receive(&link, data, sizeof(data), &packet), LINK_E_AGAIN);
        assert_int_equal(socket_send(broker, "abc", 3, sent, 2, NULL), 0);
        assert_int_equal(link_receive(&link, data, sizeof(data), &packet), 0);
        assert_int_equal(packet.n, 3);
        assert_int_equal(packet.n_fds, 2);
        assert_false(packet.lost_fds);
        sent[2] = packet.fds[1];
        link_packet_close(&packet);
        assert_int_equal(fcntl(sent[2], F_GETFD), -1);
        link_packet_close(&packet);

        /* a broker that does not read */
        while (link_send(&link, hello, sizeof(hello)) == 0)
                ;
        assert_int_equal(link_send(&link, hello, sizeof(hello)), LINK_E_AGAIN);

        /* a packet that is larger than any message */
        assert_int_equal(send(broker, data, sizeof(data), 0), sizeof(data));
        assert_int_equal(link_receive(&link, data, sizeof(data) - 1, &packet), LINK_E_LOST);

        fd_close(broker);
        assert_int_equal(link_receive(&link, data, sizeof(data), &packet), LINK_E_LOST);
        assert_int_equal(link_send(&link, hello, sizeof(hello)), LINK_E_LOST);
        fd_close(listener);
        unlink(path);
        link_deinit(&link);
}

/* A broker that dies: what it had sent is received, also if it had not read everything that we had. */
static void test_last_words(void **state) {
        static const bool unread[] = { false, true };

        for (size_t i = 0; i < ARRAY_SIZE(unread); ++i) {
                int listener = listen_link(), broker;
                uint8_t data[64];
                LinkPacket packet;
                Link link;

                link_init(&link, path);
                assert_int_equal(link_connect(&link, 0), 0);
                broker = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (!unread[i])
                        assert_true(read(broker, data, sizeof(data)) > 0);
                assert_int_equal(socket_send(broker, "one", 3, NULL, 0, NULL), 0);
                assert_int_equal(socket_send(broker, "three", 5, (int[]){ 0 }, 1, NULL), 0);
                fd_close(broker);

                assert_int_equal(link_receive(&link, data, sizeof(data), &packet), 0);
                assert_int_equal(packet.n, 3);
                assert_int_equal(link_receive(&link, data, sizeof(data), &packet), 0);
                assert_int_equal(packet.n, 5);
                assert_int_equal(packet.n_fds, 1);
                link_packet_close(&packet);
                assert_int_equal(link_receive(&link, data, sizeof(data), &packet), LINK_E_LOST);
                fd_close(listener);
                unlink(path);
                link_deinit(&link);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_backoff),
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_last_words),
        };

        log_set_max_level(LOG_LEVEL_ERROR);
        snprintf(path, sizeof(path), "/tmp/test-link.%d", (int)getpid());
        return cmocka_run_group_tests(tests, NULL, NULL);
}
