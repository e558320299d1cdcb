/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/place.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

int vchan_place_init(const char *directory, const char *domain, VchanPlace *ret_place) {
        uint64_t id = VCHAN_DOMAIN_HOST;

        /* A machine that does not know who it is must not take itself for the host. */
        if (domain && number_parse(domain, strlen(domain), 0, INT_MAX, &id))
                return VCHAN_PLACE_E_DOMAIN;
        *ret_place = (VchanPlace){
                .directory = directory ? directory : VCHAN_DIRECTORY,
                .domain = (uint32_t)id,
        };
        return 0;
}

int vchan_place_path(const VchanPlace *place, uint32_t server, uint32_t client, uint32_t port,
                     char ret_path[static VCHAN_PATH_MAX]) {
        char path[VCHAN_PATH_MAX];
        int n;

        n = snprintf(path, sizeof(path), "%s/vchan.%u.%u.%u.sock", place->directory, server, client, port);
        if (n < 0 || (size_t)n >= sizeof(path))
                return VCHAN_PLACE_E_PATH;
        memcpy(ret_path, path, sizeof(path));
        return 0;
}
