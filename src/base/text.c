/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

int text_format_list(const char *format, va_list arguments, char **ret_text) {
        char *text;

        if (vasprintf(&text, format, arguments) < 0)
                return error_origin(-ENOMEM);
        *ret_text = text;
        return 0;
}

int text_close(FILE *stream, char **text) {
        bool failed = ferror(stream);

        if (fclose(stream) == 0 && !failed)
                return 0;
        free(*text);
        *text = NULL;
        return error_origin(-ENOMEM);
}
