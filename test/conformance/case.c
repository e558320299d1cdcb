/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <errno.h>
#include <ftw.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void die(const char *what) {
        perror(what);
        exit(2);
}

void case_fail(Case *c, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        printf("%s: ", c->id);
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
        ++c->n_failed;
}

void case_same(Case *c, const char *what, const char *got, const char *want) {
        if (strcmp(got, want) != 0)
                case_fail(c, "%s: got \"%s\", want \"%s\"", what, got, want);
}

/*
 * The table
 */

struct json_object *member(struct json_object *object, const char *name) {
        struct json_object *value = NULL;

        return object && json_object_object_get_ex(object, name, &value) ? value : NULL;
}

const char *text(struct json_object *object, const char *name) {
        struct json_object *value = member(object, name);

        return value ? json_object_get_string(value) : NULL;
}

/* A copy of @string with {etc}, {run} and {legacy} filled in. */
char *expand(const Case *c, const char *string) {
        const struct {
                const char *name, *path;
        } names[] = { { "{etc}", c->etc }, { "{run}", c->run }, { "{legacy}", c->legacy } };
        char *result = NULL;
        size_t n_result = 0;
        FILE *stream = open_memstream(&result, &n_result);

        if (!stream)
                die("open_memstream");
        while (*string != '\0') {
                size_t i = 0;

                while (i < ARRAY_SIZE(names) && strncmp(string, names[i].name, strlen(names[i].name)) != 0)
                        ++i;
                if (i < ARRAY_SIZE(names)) {
                        fputs(names[i].path, stream);
                        string += strlen(names[i].name);
                } else {
                        fputc(*string++, stream);
                }
        }
        if (fclose(stream) != 0)
                die("fclose");
        return result;
}

/* Characters beyond ASCII may be quoted in more than one way (appendix A.2). */
bool is_ascii(const char *string) {
        while (*string != '\0')
                if ((unsigned char)*string++ >= 0x80)
                        return false;
        return true;
}

/*
 * Files
 */

static void make_directories(const char *path) {
        char copy[PATH_MAX * 2];

        snprintf(copy, sizeof(copy), "%s", path);
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        die(copy);
                *slash = '/';
        }
}

static void case_write(const Case *c, const char *name, const char *data, size_t n) {
        char path[PATH_MAX * 2];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", c->root, name);
        make_directories(path);
        if (path[strlen(path) - 1] == '/')
                return;
        file = fopen(path, "wb");
        if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0)
                die(path);
}

static void case_write_hex(const Case *c, const char *name, const char *hex) {
        size_t n = strlen(hex) / 2;
        _cleanup_free_ char *data = malloc(n + 1);

        if (!data)
                die("malloc");
        for (size_t i = 0; i < n; ++i) {
                char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

                data[i] = (char)strtoul(digits, NULL, 16);
        }
        case_write(c, name, data, n);
}

static void case_link(const Case *c, const char *name, const char *target) {
        _cleanup_free_ char *expanded = expand(c, target);
        char path[PATH_MAX * 2];

        snprintf(path, sizeof(path), "%s/%s", c->root, name);
        make_directories(path);
        if (symlink(expanded, path) < 0)
                die(path);
}

static bool case_lacks(const Case *c, const char *directory) {
        struct json_object *absent = member(c->object, "absent");

        for (size_t i = 0; absent && i < json_object_array_length(absent); ++i)
                if (strcmp(json_object_get_string(json_object_array_get_idx(absent, i)), directory) == 0)
                        return true;
        return false;
}

void case_make_files(Case *c) {
        static const char *const directories[] = { "etc", "run", "legacy" };
        struct json_object *files = member(c->object, "files"), *hex = member(c->object, "files_hex");
        struct json_object *links = member(c->object, "links");
        char template[] = "/tmp/qair-policy-cases.XXXXXX";

        if (!mkdtemp(template) || !realpath(template, c->root))
                die(template);
        snprintf(c->etc, sizeof(c->etc), "%s/etc", c->root);
        snprintf(c->run, sizeof(c->run), "%s/run", c->root);
        snprintf(c->legacy, sizeof(c->legacy), "%s/legacy", c->root);
        for (size_t i = 0; i < ARRAY_SIZE(directories); ++i) {
                char name[16];

                snprintf(name, sizeof(name), "%s/", directories[i]);
                if (!case_lacks(c, directories[i]))
                        case_write(c, name, "", 0);
        }
        if (files) {
                json_object_object_foreach(files, name, value) {
                        const char *raw = json_object_get_string(value);
                        _cleanup_free_ char *expanded = NULL;

                        /* A content with NUL in it has no placeholders, and would be cut at it. */
                        if (strlen(raw) < (size_t)json_object_get_string_len(value)) {
                                case_write(c, name, raw, (size_t)json_object_get_string_len(value));
                                continue;
                        }
                        expanded = expand(c, raw);
                        case_write(c, name, expanded, strlen(expanded));
                }
        }
        if (hex) {
                json_object_object_foreach(hex, name, value) case_write_hex(c, name, json_object_get_string(value));
        }
        if (links) {
                json_object_object_foreach(links, name, value) case_link(c, name, json_object_get_string(value));
        }
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

void case_remove_files(const Case *c) {
        if (nftw(c->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
                die(c->root);
}

/*
 * Facts
 */

/* A copy of @entry with the members of @patch in their place; one whose value is "@absent" is left out. */
static struct json_object *fact_entry(struct json_object *entry, struct json_object *patch) {
        struct json_object *copy = json_object_new_object();

        if (!copy)
                die("json_object_new_object");
        if (entry) {
                json_object_object_foreach(entry, name, value)
                        json_object_object_add(copy, name, json_object_get(value));
        }
        if (patch) {
                json_object_object_foreach(patch, patched, change) {
                        if (json_object_is_type(change, json_type_string) &&
                            strcmp(json_object_get_string(change), "@absent") == 0)
                                json_object_object_del(copy, patched);
                        else
                                json_object_object_add(copy, patched, json_object_get(change));
                }
        }
        return copy;
}

/* The inventory of a case, patched, as system information; the caller puts it. */
struct json_object *fact_information(struct json_object *inventory, struct json_object *patches) {
        struct json_object *domains = member(inventory, "domains"), *patched = json_object_new_object();
        struct json_object *information = json_object_new_object();

        if (!domains || !patched || !information)
                die("inventory");
        json_object_object_foreach(domains, name, entry)
                json_object_object_add(patched, name, fact_entry(entry, member(patches, name)));
        if (patches) {
                json_object_object_foreach(patches, added, patch) if (!member(domains, added))
                        json_object_object_add(patched, added, fact_entry(NULL, patch));
        }
        json_object_object_add(information, "domains", patched);
        return information;
}

/* `inventory` is the name of one of @inventories, or one itself. */
struct json_object *case_inventory(struct json_object *object, struct json_object *inventories) {
        struct json_object *inventory = member(object, "inventory");

        if (json_object_is_type(inventory, json_type_object))
                return member(inventory, "domains") ? inventory : NULL;
        return member(inventories, inventory ? json_object_get_string(inventory) : "house");
}

bool case_make_facts(Case *c, struct json_object *inventories) {
        struct json_object *inventory = case_inventory(c->object, inventories), *information;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        information = fact_information(inventory, member(c->object, "patch"));
        r = policy_system_from_json(c->id, information, &diagnostics, &c->system);
        if (r < 0)
                die("policy_system_from_json");
        json_object_put(information);
        c->facts = r == 0 ? c->system->facts : NULL;
        return r == 0;
}

void case_write_information(const Case *c, struct json_object *inventories, char path[static PATH_MAX + 16]) {
        struct json_object *information = fact_information(member(inventories, text(c->object, "inventory") ?: "house"),
                                                           member(c->object, "patch"));

        snprintf(path, PATH_MAX + 16, "%s/system.json", c->root);
        if (json_object_to_file(path, information) < 0)
                die(path);
        json_object_put(information);
}

int case_load(Case *c, Diagnostics *reterr) {
        int r = policy_load(&(PolicySources){ .directories = (const char *[]){ c->run, c->etc },
                                              .n_directories = 2,
                                              .legacy = c->legacy },
                            reterr, &c->policy);

        if (r < 0)
                die("policy_load");
        return r;
}

PolicyRequest case_request(struct json_object *object) {
        struct json_object *request = member(object, "request");

        return (PolicyRequest){ .source = policy_slice(text(request, "source")),
                                .requested_source = policy_slice(text(request, "requested_source")),
                                .target = policy_slice(text(request, "target")),
                                .service = policy_slice(text(request, "service")) };
}

/* Asks the question with the requested target as the answer (5.11), unless there is no question. */
void case_assume_yes(PolicyQuestion *question, PolicyResolution *resolution) {
        static char target[POLICY_MESSAGE_MAX];

        if (!question)
                return;
        if (policy_target_format(&resolution->requested, target, sizeof(target)) != 0)
                die("policy_target_format");
        policy_question_answer(question, policy_slice(target), resolution);
}
