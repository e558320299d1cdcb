/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "prompt/question.h"
#include "prompt/terminal.h"

/* What is understood can be written again, and means the same; whatever it holds, a terminal shows printable ASCII. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *line = NULL, *again = NULL, *shown = NULL;
        char name[QUESTION_NAME_MAX + 1];
        Question *question, *other;
        uint32_t count;
        size_t n_shown;
        FILE *stream;

        fuzz_check(question_count_decode((const char *)data, n, name, &count) || (count > 0 && name[0] != '\0'));
        if (question_decode((const char *)data, n, &question))
                return 0;
        fuzz_check(question_encode(question, &line) == 0 && !strchr(line, '\n'));
        fuzz_check(question_decode(line, strlen(line), &other) == 0);
        fuzz_check(question_encode(other, &again) == 0 && strcmp(line, again) == 0);
        fuzz_check(question->n_entries == other->n_entries && question->default_entry == other->default_entry);
        for (size_t i = 0; i < question->n_entries; ++i)
                fuzz_check(strcmp(question->entries[i].target, other->entries[i].target) == 0);
        stream = open_memstream(&shown, &n_shown);
        terminal_show(stream, question, 1, 1, false);
        fclose(stream);
        for (size_t i = 0; i < n_shown; ++i)
                fuzz_check(shown[i] == '\n' || (shown[i] >= ' ' && shown[i] < 0x7f));
        question_free(question);
        question_free(other);
        return 0;
}
