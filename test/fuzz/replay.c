/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of the folders named as arguments, where libFuzzer is not linked. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

static int replay_file(const char *path) {
        uint8_t *data = NULL;
        FILE *file = fopen(path, "rb");
        long n;

        if (!file || fseek(file, 0, SEEK_END) < 0 || (n = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) < 0) {
                perror(path);
                return -1;
        }
        /* Exactly as large as the input, so that valgrind and the sanitizers see one byte too many. */
        data = malloc((size_t)n ?: 1);
        if (!data || fread(data, 1, (size_t)n, file) != (size_t)n) {
                perror(path);
                return -1;
        }
        fclose(file);
        LLVMFuzzerTestOneInput(data, (size_t)n);
        free(data);
        return 0;
}

int main(int argc, char **argv) {
        unsigned long n_files = 0;

        for (int i = 1; i < argc; ++i) {
                DIR *folder = opendir(argv[i]);
                struct dirent *entry;

                if (!folder) {
                        perror(argv[i]);
                        return 1;
                }
                while ((entry = readdir(folder))) {
                        char path[4096];

                        if (entry->d_name[0] == '.')
                                continue;
                        snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
                        if (replay_file(path) < 0)
                                return 1;
                        ++n_files;
                }
                closedir(folder);
        }
        printf("%lu inputs replayed\n", n_files);
        return n_files > 0 ? 0 : 1;
}
