/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/request.h"

#include <endian.h>
#include <string.h>

int gpg_request_decode(const uint8_t untrusted_data[static GPG_REQUEST_SIZE], GpgRequest *ret_request) {
        const char *command = (const char *)untrusted_data + 4;
        uint32_t untrusted_last;
        size_t last;

        memcpy(&untrusted_last, untrusted_data, sizeof(untrusted_last));
        last = le32toh(untrusted_last);
        if (last >= GPG_REQUEST_COMMAND_SIZE || command[last] != '\0')
                return GPG_REQUEST_E_MALFORMED;

        *ret_request = (GpgRequest){};
        memcpy(ret_request->text, command, last + 1);
        for (size_t i = 0; i < last; ++i)
                if (command[i] == '\0')
                        ret_request->arguments[ret_request->n_arguments++] = &ret_request->text[i + 1];
        return 0;
}

int gpg_request_encode(const char *const *arguments, size_t n, uint8_t ret_data[static GPG_REQUEST_SIZE]) {
        size_t used = 1;
        uint32_t last;

        for (size_t i = 0; i < n; ++i) {
                size_t size = strlen(arguments[i]) + 1;

                if (size > GPG_REQUEST_COMMAND_SIZE - used)
                        return GPG_REQUEST_E_TOO_LONG;
                used += size;
        }
        memset(ret_data, 0, GPG_REQUEST_SIZE);
        last = htole32((uint32_t)used - 1);
        memcpy(ret_data, &last, sizeof(last));
        used = 1;
        for (size_t i = 0; i < n; ++i) {
                size_t size = strlen(arguments[i]) + 1;

                memcpy(ret_data + 4 + used, arguments[i], size);
                used += size;
        }
        return 0;
}
