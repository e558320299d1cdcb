/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define GUEST_TEXT_(_number) #_number
#define GUEST_TEXT(_number)  GUEST_TEXT_(_number)

void guest_command_deinit(GuestCommand *command) {
        free(command->directory);
        command->directory = NULL;
}

int guest_command_init(const Guest *guest, const char *text, GuestCommand *ret_command) {
        *ret_command = (GuestCommand){};
        if (asprintf(&ret_command->directory, "--socket-dir=%s", guest->directory) < 0) {
                ret_command->directory = NULL;
                return error_origin(-ENOMEM);
        }
        (void)snprintf(ret_command->domain, sizeof(ret_command->domain), "%u", guest->domain);
        ret_command->argv[0] = "qrexec-client";
        ret_command->argv[1] = ret_command->directory;
        ret_command->argv[2] = "-w" GUEST_TEXT(GUEST_WAIT_SEC);
        ret_command->argv[3] = "-d";
        ret_command->argv[4] = ret_command->domain;
        ret_command->argv[5] = "--";
        ret_command->argv[6] = text;
        return 0;
}
