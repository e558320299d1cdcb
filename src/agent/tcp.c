/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tcp.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

#define TCP_LINK "/dev/tcp"
/** Longest host text: an IPv6 address, "%", a scope. */
#define TCP_HOST_MAX (INET6_ADDRSTRLEN + TCP_SCOPE_MAX + 1)

static int tcp_parse_scope(const char *text, TcpAddress *address) {
        size_t n = strlen(text);

        /* The characters of interface names; "/" would make the kernel's error, not ours, of it. */
        if (n == 0 || n > TCP_SCOPE_MAX || strchr(text, '%'))
                return TCP_E_INVALID;
        for (size_t i = 0; i < n; ++i)
                if (text[i] <= ' ' || text[i] > '~' || text[i] == '/')
                        return TCP_E_INVALID;
        memcpy(address->scope, text, n + 1);
        return 0;
}

static int tcp_parse_host(const char *untrusted_host, size_t n, TcpAddress *address) {
        char host[TCP_HOST_MAX + 1];
        char *percent;

        if (n == 0 || n > TCP_HOST_MAX || memchr(untrusted_host, '\0', n))
                return TCP_E_INVALID;
        memcpy(host, untrusted_host, n);
        host[n] = '\0';

        if (!strchr(host, ':') && !strchr(host, '%')) {
                address->family = AF_INET;
                return inet_pton(AF_INET, host, &address->v4) == 1 ? 0 : TCP_E_INVALID;
        }
        address->family = AF_INET6;
        percent = strchr(host, '%');
        if (percent) {
                *percent = '\0';
                if (tcp_parse_scope(percent + 1, address))
                        return TCP_E_INVALID;
        }
        return inet_pton(AF_INET6, host, &address->v6) == 1 ? 0 : TCP_E_INVALID;
}

static int tcp_parse_port(const char *untrusted_port, size_t n, TcpAddress *address) {
        uint64_t port;

        if (number_parse(untrusted_port, n, 1, UINT16_MAX, &port))
                return TCP_E_INVALID;
        address->port = (uint16_t)port;
        return 0;
}

static const char *tcp_find_last_plus(const char *text, size_t n) {
        return n > 0 ? memrchr(text, '+', n) : NULL;
}

/* Third form: host and port both come from the argument. */
static int tcp_parse_argument(const char *argument, size_t n, TcpAddress *address) {
        const char *plus = tcp_find_last_plus(argument, n);
        char host[TCP_HOST_MAX];
        size_t n_host;

        if (!plus)
                return TCP_E_INVALID;
        n_host = (size_t)(plus - argument);
        if (n_host > sizeof(host))
                return TCP_E_INVALID;
        for (size_t i = 0; i < n_host; ++i) {
                /* Sanitising made "_" of something else: nobody can tell what was meant. */
                if (argument[i] == '_')
                        return TCP_E_INVALID;
                host[i] = argument[i];
                if (host[i] == '+')
                        host[i] = ':';
        }
        if (tcp_parse_host(host, n_host, address))
                return TCP_E_INVALID;
        return tcp_parse_port(plus + 1, n - n_host - 1, address);
}

int tcp_address_parse(const char *link, const Command *command, TcpAddress *ret_address) {
        const CommandPart *argument = &command->argument;
        bool has_argument = command->has_argument && argument->n > 0;
        TcpAddress address = {};
        const char *host, *slash;
        int r;

        if (strcmp(link, TCP_LINK) == 0) {
                if (!has_argument)
                        return TCP_E_INVALID;
                r = tcp_parse_argument(argument->text, argument->n, &address);
                if (r)
                        return r;
                *ret_address = address;
                return 0;
        }
        if (strncmp(link, TCP_LINK "/", strlen(TCP_LINK "/")) != 0)
                return TCP_E_INVALID;

        host = link + strlen(TCP_LINK "/");
        slash = strchr(host, '/');
        if (!slash == !has_argument)
                return TCP_E_INVALID; /* a port from both, or from neither */
        if (tcp_parse_host(host, slash ? (size_t)(slash - host) : strlen(host), &address))
                return TCP_E_INVALID;
        r = slash ? tcp_parse_port(slash + 1, strlen(slash + 1), &address)
                  : tcp_parse_port(argument->text, argument->n, &address);
        if (r)
                return r;
        *ret_address = address;
        return 0;
}

const char *tcp_address_format(const TcpAddress *address, char ret_text[static TCP_ADDRESS_TEXT_MAX]) {
        char host[INET6_ADDRSTRLEN] = "";

        if (address->family == AF_INET) {
                inet_ntop(AF_INET, &address->v4, host, sizeof(host));
                snprintf(ret_text, TCP_ADDRESS_TEXT_MAX, "%s:%u", host, address->port);
        } else {
                inet_ntop(AF_INET6, &address->v6, host, sizeof(host));
                snprintf(ret_text, TCP_ADDRESS_TEXT_MAX, "[%s%s%s]:%u", host, address->scope[0] ? "%" : "",
                         address->scope, address->port);
        }
        return ret_text;
}

int tcp_address_resolve(const TcpAddress *address, struct sockaddr_storage *ret_address, socklen_t *ret_n) {
        struct sockaddr_in v4 = { .sin_family = AF_INET };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
        struct sockaddr_storage storage = {};

        if (address->family == AF_INET) {
                v4.sin_addr = address->v4;
                v4.sin_port = htons(address->port);
                memcpy(&storage, &v4, sizeof(v4));
                *ret_n = sizeof(v4);
        } else {
                v6.sin6_addr = address->v6;
                v6.sin6_port = htons(address->port);
                if (address->scope[0] != '\0') {
                        uint64_t number;

                        /* RFC 4007: a scope is an interface's number, or its name. */
                        if (number_parse(address->scope, strlen(address->scope), 1, UINT32_MAX, &number) == 0)
                                v6.sin6_scope_id = (uint32_t)number;
                        else
                                v6.sin6_scope_id = if_nametoindex(address->scope);
                        if (v6.sin6_scope_id == 0)
                                return TCP_E_INVALID;
                }
                memcpy(&storage, &v6, sizeof(v6));
                *ret_n = sizeof(v6);
        }
        *ret_address = storage;
        return 0;
}
