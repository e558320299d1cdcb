/* SPDX-License-Identifier: Apache-2.0 */
/* A message of a client or an agent: what is decoded is encoded as the same bytes again. */
#include "fuzz.h"

#include <string.h>

#include "ssh/codec.h"
#include "ssh/message.h"

static uint8_t frame[SSH_FRAME_MAX];

static void check_same(size_t n_frame, WireSlice message) {
        fuzz_check(n_frame == message.n + 4 && memcmp(frame + 4, message.data, message.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        WireSlice message = { data, n }, name, contents, signature, format;
        SshSignRequest request;
        SshBinding binding;

        if (n < 1 || n > SSH_MESSAGE_MAX)
                return 0;
        if (ssh_sign_request_decode(message, &request) == 0)
                check_same(ssh_sign_request_encode(&request, frame), message);
        if (ssh_signature_decode(message, &signature, &format) == 0)
                check_same(ssh_signature_encode(signature, frame), message);
        if (ssh_extension_decode(message, &name, &contents) == 0 && slice_is(name, SSH_EXTENSION_BIND) &&
            ssh_binding_decode(contents, &binding) == 0) {
                size_t n_frame = ssh_binding_encode(&binding, frame);

                fuzz_check(binding.session_id.n > 0 && binding.session_id.n <= SSH_SESSION_ID_MAX);
                /* Any byte but 0 means true; 1 is sent. */
                fuzz_check(frame[n_frame - 1] == (data[n - 1] != 0));
                frame[n_frame - 1] = data[n - 1];
                check_same(n_frame, message);
        }
        return 0;
}
