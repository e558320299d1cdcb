/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is LINK NUL DESCRIPTOR. An address that was accepted, written as a link of the first form, is the same
 * address.
 */
#include "fuzz.h"

#include <string.h>

#include "agent/tcp.h"

/** Longer texts only cost time: no limit of the parser is beyond. */
#define INPUT_MAX 2048

static int parse(const char *link, const char *descriptor, TcpAddress *ret_address) {
        char text[INPUT_MAX + 64];
        Command command;

        snprintf(text, sizeof(text), "u:QUBESRPC %s source", descriptor);
        return command_parse(text, true, &command) || tcp_address_parse(link, &command, ret_address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char input[INPUT_MAX + 1], text[TCP_ADDRESS_TEXT_MAX], again_text[TCP_ADDRESS_TEXT_MAX];
        char link[TCP_ADDRESS_TEXT_MAX + 16], *nul, *port, *host = text;
        TcpAddress address, again;

        if (n > INPUT_MAX)
                return 0;
        memcpy(input, data, n);
        input[n] = '\0';
        nul = memchr(input, '\0', n);
        if (!nul || parse(input, nul + 1, &address))
                return 0;

        fuzz_check(address.port > 0);
        tcp_address_format(&address, text);
        port = strrchr(text, ':');
        *port++ = '\0';
        if (*host == '[') {
                ++host;
                port[-2] = '\0';
        }
        snprintf(link, sizeof(link), "/dev/tcp/%s/%s", host, port);
        fuzz_check(parse(link, "svc", &again) == 0);
        fuzz_check(strcmp(tcp_address_format(&again, again_text), tcp_address_format(&address, text)) == 0);
        return 0;
}
