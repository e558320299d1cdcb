/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/medium.h"

#include <errno.h>

#include "agent/hostdial.h"
#include "base/error.h"
#include "vchan/endpoint.h"
#include "vchan/vsock.h"

bool medium_has(const Medium *medium, const ExecParams *params) {
        switch (medium->kind) {
        case MEDIUM_KIND_VCHAN:
                return true; /* any number makes a file's name */
        case MEDIUM_KIND_VSOCK:
                /* Elsewhere the host would be somebody who is not root there, or the port one that the host takes for another's. */
                return vsock_port_is_listener(params->connect_domain) && params->connect_port >= VCHAN_PORT_DATA_MIN &&
                       params->connect_port <= VCHAN_PORT_DATA_MAX;
        }
        return false;
}

static int medium_dial_vchan(const Medium *medium, const ExecParams *params, uint64_t deadline_usec, int *reterr_errno,
                             int *ret_fd) {
        int r;

        r = vchan_dial_until(&medium->place, params->connect_domain, params->connect_port, deadline_usec, reterr_errno,
                             ret_fd);
        switch (r) {
        case 0:
                return 0;
        case VCHAN_E_TIMEOUT:
                *reterr_errno = ETIMEDOUT;
                return MEDIUM_E_FAILED;
        case VCHAN_E_FAILED:
                return MEDIUM_E_FAILED;
        default:
                return error_fold(r);
        }
}

static int medium_dial_vsock(const ExecParams *params, uint64_t deadline_usec, int *reterr_errno, int *ret_fd) {
        HostDial dial = HOST_DIAL_INIT(params->connect_port, params->connect_domain, deadline_usec);
        int r;

        r = host_dial_wait(&dial, reterr_errno, ret_fd);
        host_dial_deinit(&dial);
        return r == HOST_DIAL_E_FAILED ? MEDIUM_E_FAILED : r;
}

int medium_dial_wait(const Medium *medium, const ExecParams *params, uint64_t deadline_usec, int *reterr_errno,
                     int *ret_fd) {
        switch (medium->kind) {
        case MEDIUM_KIND_VCHAN:
                return medium_dial_vchan(medium, params, deadline_usec, reterr_errno, ret_fd);
        case MEDIUM_KIND_VSOCK:
                return medium_dial_vsock(params, deadline_usec, reterr_errno, ret_fd);
        }
        return error_origin(-EINVAL);
}
