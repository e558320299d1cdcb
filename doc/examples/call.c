/* SPDX-License-Identifier: Apache-2.0 */
/* call TARGET SERVICE - print what a service has to say; the status is its own. See libqair(3). */
#include <qair.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
        qair_client *client = NULL;
        qair_call *call = NULL;
        char data[4096];
        int r, status = 1;
        ssize_t n;

        if (argc != 3)
                return 2;
        r = qair_client_new(NULL, 0, &client);
        if (r == 0)
                r = qair_call_new(client, argv[1], argv[2], &call);
        if (r == 0)
                r = qair_call_open(call);
        if (r == 0) {
                qair_call_close_stdin(call);
                while ((n = read(qair_call_stdout(call), data, sizeof(data))) > 0)
                        fwrite(data, 1, (size_t)n, stdout);
                r = qair_call_wait(call, &status);
        }
        if (r < 0)
                fprintf(stderr, "%s\n",
                        call && qair_call_reason(call) ? qair_reason_text(qair_call_reason(call)) : strerror(-r));
        qair_call_free(call);
        qair_client_free(client);
        return status;
}
