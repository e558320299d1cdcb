/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services behind a TCP port: the address that link and argument make together (protocol specification, 6.6).
 *
 *   link                   host                             port                          argument
 *   /dev/tcp/HOST/PORT     HOST                             PORT                          none, or empty
 *   /dev/tcp/HOST          HOST                             the argument                  needed
 *   /dev/tcp               the argument up to its last "+"  the argument after that "+"   needed, with a "+"
 *
 * In the third form "+" in the host stands for ":", which no argument can carry. Hosts are numeric addresses in the
 * form inet_pton(3) takes; no name is ever looked up, since whoever answers for names would then choose the target.
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/command.h"

/** Longest scope of an IPv6 address, such as "eth0": a network interface's name. */
#define TCP_SCOPE_MAX 15

enum {
        _TCP_E_SUCCESS,
        TCP_E_INVALID, /* not an address in the form that the link asks for: 125 */
};

typedef struct TcpAddress {
        int family; /* AF_INET or AF_INET6 */
        union {
                struct in_addr v4;
                struct in6_addr v6;
        };
        char scope[TCP_SCOPE_MAX + 1]; /* AF_INET6: what stood after "%"; may be empty */
        uint16_t port;                 /* host byte order, never 0 */
} TcpAddress;

/**
 * tcp_address_parse() - put an address together; pure
 * @link:    what the link says, "/dev/tcp" or "/dev/tcp/…"
 * @command: the call, for its argument
 *
 * Return: 0 or TCP_E_INVALID.
 */
int tcp_address_parse(const char *link, const Command *command, TcpAddress *ret_address);

/** Room for any address that tcp_address_format() writes, NUL included. */
#define TCP_ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + TCP_SCOPE_MAX + sizeof("[%]:65535"))

/** tcp_address_format() - "HOST:PORT" or "[HOST%SCOPE]:PORT", for messages. Return: @ret_text */
const char *tcp_address_format(const TcpAddress *address, char ret_text[static TCP_ADDRESS_TEXT_MAX]);

/**
 * tcp_address_resolve() - make the address that connect(2) takes; looks the scope up among the network interfaces
 *
 * Return: 0 or TCP_E_INVALID (no such interface).
 */
int tcp_address_resolve(const TcpAddress *address, struct sockaddr_storage *ret_address, socklen_t *ret_n);
