/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "data/filter.h"

/**
 * data_complaint_write() - write what a service said on stderr to our own, all of it, even if that blocks (5.4 rule 4)
 * @data:   changed in place if @filter applies to @fd (5.12)
 *
 * A failure is logged only.
 */
void data_complaint_write(int fd, uint8_t *data, size_t n, DataFilter filter);
