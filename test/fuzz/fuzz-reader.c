/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "wire/reader.h"
#include "wire/writer.h"

/*
 * The first half of the input is a list of reads, the second is what they read. A count kept beside the reader says
 * what must happen; what was read is written again and must be the same bytes.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        size_t n_reads = n / 2, n_left = n - n_reads, n_written;
        const uint8_t *bytes = data + n_reads;
        WireReader reader = WIRE_READER_INIT(bytes, n_left);
        uint8_t *again = malloc(n_left ?: 1);
        WireWriter writer = WIRE_WRITER_INIT(again, n_left);
        bool failed = false;

        fuzz_check(again);
        for (size_t i = 0; i < n_reads; ++i) {
                static const size_t sizes[] = { 1, 4, 8 };
                size_t n_max = data[i] >> 3, n_wanted = data[i] % 8 < 3 ? sizes[data[i] % 8] : n_max;
                bool fails = failed || n_wanted > n_left;
                WireSlice slice = {};
                uint64_t value = 0;

                switch (data[i] % 8) {
                case 0:
                        value = wire_reader_u8(&reader);
                        break;
                case 1:
                        value = wire_reader_u32(&reader);
                        break;
                case 2:
                        value = wire_reader_u64(&reader);
                        break;
                case 3:
                        slice = wire_reader_rest(&reader, n_max);
                        fails = failed || n_left > n_max;
                        n_wanted = n_left;
                        break;
                default:
                        slice = wire_reader_bytes(&reader, n_wanted);
                        break;
                }
                failed = fails;
                fuzz_check(reader.failed == failed);
                if (failed) {
                        fuzz_check(value == 0 && slice.n == 0);
                        continue;
                }
                n_left -= n_wanted;
                fuzz_check(reader.n == n_left);
                switch (data[i] % 8) {
                case 0:
                        wire_writer_u8(&writer, (uint8_t)value);
                        break;
                case 1:
                        wire_writer_u32(&writer, (uint32_t)value);
                        break;
                case 2:
                        wire_writer_u64(&writer, value);
                        break;
                default:
                        fuzz_check(slice.n == n_wanted);
                        wire_writer_bytes(&writer, slice.data, slice.n);
                        break;
                }
        }
        fuzz_check((wire_reader_finish(&reader) == 0) == (!failed && n_left == 0));
        fuzz_check(wire_writer_finish(&writer, &n_written) == 0);
        fuzz_check(memcmp(again, bytes, n_written) == 0);
        free(again);
        return 0;
}
