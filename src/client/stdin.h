/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/** stdin_is_stream_socket() - can descriptor 0 serve both directions (--use-stdin-socket)? */
bool stdin_is_stream_socket(void);
