/* SPDX-License-Identifier: Apache-2.0 */
/* TCP services: protocol specification 6.6, and facts 105 and 106 of its appendix A. */
#include "agent/tcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static void test_parse(void **state) {
        static const struct {
                const char *name, *link, *descriptor, *expect; /* NULL: refused */
        } cases[] = {
                { "host and port", "/dev/tcp/127.0.0.1/80", "svc", "127.0.0.1:80" },
                { "host and port, empty argument", "/dev/tcp/127.0.0.1/80", "svc+", "127.0.0.1:80" },
                { "host and port, an argument", "/dev/tcp/127.0.0.1/80", "svc+80", NULL },
                { "host and no port", "/dev/tcp/127.0.0.1/", "svc", NULL },
                { "host and no port, port as argument", "/dev/tcp/127.0.0.1/", "svc+80", NULL },
                { "no host", "/dev/tcp//80", "svc", NULL },
                { "a slash too many", "/dev/tcp/127.0.0.1/80/", "svc", NULL },
                { "IPv6 in the link", "/dev/tcp/::1/80", "svc", "[::1]:80" },
                { "IPv6 with a scope", "/dev/tcp/fe80::1%lo/80", "svc", "[fe80::1%lo]:80" },
                { "IPv6 with an empty scope", "/dev/tcp/fe80::1%/80", "svc", NULL },
                { "IPv6 with two scopes", "/dev/tcp/fe80::1%lo%lo/80", "svc", NULL },
                { "the longest scope", "/dev/tcp/fe80::1%abcdefghijklmno/80", "svc", "[fe80::1%abcdefghijklmno]:80" },
                { "a scope too long", "/dev/tcp/fe80::1%abcdefghijklmnop/80", "svc", NULL },
                { "% makes it IPv6", "/dev/tcp/127.0.0.1%lo/80", "svc", NULL },
                { "IPv4 in IPv6", "/dev/tcp/::ffff:1.2.3.4/80", "svc", "[::ffff:1.2.3.4]:80" },
                { "brackets", "/dev/tcp/[::1]/80", "svc", NULL },
                { "105: a name", "/dev/tcp/localhost/80", "svc", NULL },
                { "an old short form of IPv4", "/dev/tcp/127.1/80", "svc", NULL },
                { "IPv4 as one number", "/dev/tcp/2130706433/80", "svc", NULL },
                { "IPv4 with a leading zero", "/dev/tcp/127.0.0.01/80", "svc", NULL },
                { "a blank", "/dev/tcp/ 127.0.0.1/80", "svc", NULL },

                { "port from the argument", "/dev/tcp/127.0.0.1", "svc+80", "127.0.0.1:80" },
                { "port from no argument", "/dev/tcp/127.0.0.1", "svc", NULL },
                { "port from an empty argument", "/dev/tcp/127.0.0.1", "svc+", NULL },
                { "IPv6, port from the argument", "/dev/tcp/::1", "svc+80", "[::1]:80" },
                { "host and port in the argument of the second form", "/dev/tcp/127.0.0.1", "svc+1.2.3.4+80", NULL },
                { "smallest port", "/dev/tcp/127.0.0.1", "svc+1", "127.0.0.1:1" },
                { "largest port", "/dev/tcp/127.0.0.1", "svc+65535", "127.0.0.1:65535" },
                { "106: port 0", "/dev/tcp/127.0.0.1", "svc+0", NULL },
                { "106: port 65536", "/dev/tcp/127.0.0.1", "svc+65536", NULL },
                { "106: port 080", "/dev/tcp/127.0.0.1", "svc+080", NULL },
                { "a named port", "/dev/tcp/127.0.0.1", "svc+http", NULL },
                { "a signed port", "/dev/tcp/127.0.0.1", "svc+-80", NULL },
                { "something after the port", "/dev/tcp/127.0.0.1", "svc+80x", NULL },

                { "both from the argument", "/dev/tcp", "svc+127.0.0.1+80", "127.0.0.1:80" },
                { "::1 as the specification spells it", "/dev/tcp", "svc+++1+80", "[::1]:80" },
                { "a longer IPv6 address", "/dev/tcp", "svc+2001+db8++1+443", "[2001:db8::1]:443" },
                { "a literal colon", "/dev/tcp", "svc+::1+80", "[::1]:80" },
                { "no argument", "/dev/tcp", "svc", NULL },
                { "an empty argument", "/dev/tcp", "svc+", NULL },
                { "no second +", "/dev/tcp", "svc+80", NULL },
                { "nothing after the last +", "/dev/tcp", "svc+127.0.0.1+", NULL },
                { "nothing before the last +", "/dev/tcp", "svc++80", NULL },
                { "an underscore in the host", "/dev/tcp", "svc+127.0.0_1+80", NULL },
                { "105: a name in the argument", "/dev/tcp", "svc+localhost+80", NULL },
                { "a host of hundreds of bytes", "/dev/tcp",
                  "svc+1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1+80",
                  NULL },

                { "no TCP link", "/dev/udp/127.0.0.1/80", "svc", NULL },
                { "nearly a TCP link", "/dev/tcpx", "svc+127.0.0.1+80", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[256], got[TCP_ADDRESS_TEXT_MAX];
                TcpAddress address;
                Command command;
                int r;

                snprintf(text, sizeof(text), "u:QUBESRPC %s source", cases[i].descriptor);
                assert_int_equal(command_parse(text, true, &command), 0);
                r = tcp_address_parse(cases[i].link, &command, &address);
                if (r != (cases[i].expect ? 0 : TCP_E_INVALID))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (r == 0 && strcmp(tcp_address_format(&address, got), cases[i].expect) != 0)
                        fail_msg("%s: got %s, want %s", cases[i].name, got, cases[i].expect);
        }
}

static void test_resolve(void **state) {
        struct sockaddr_storage storage;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
        struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
        TcpAddress address = { .family = AF_INET, .port = 80 };
        socklen_t n;

        inet_pton(AF_INET, "127.0.0.1", &address.v4);
        assert_int_equal(tcp_address_resolve(&address, &storage, &n), 0);
        assert_int_equal(n, sizeof(*v4));
        assert_int_equal(v4->sin_family, AF_INET);
        assert_int_equal(ntohs(v4->sin_port), 80);
        assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);

        address = (TcpAddress){ .family = AF_INET6, .port = 443, .scope = "7" };
        assert_int_equal(tcp_address_resolve(&address, &storage, &n), 0);
        assert_int_equal(n, sizeof(*v6));
        assert_int_equal(ntohs(v6->sin6_port), 443);
        assert_int_equal(v6->sin6_scope_id, 7);

        strcpy(address.scope, "lo");
        assert_int_equal(tcp_address_resolve(&address, &storage, &n), 0);
        assert_true(v6->sin6_scope_id > 0);
        strcpy(address.scope, "no-such-if");
        assert_int_equal(tcp_address_resolve(&address, &storage, &n), TCP_E_INVALID);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_resolve),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
