/* SPDX-License-Identifier: Apache-2.0 */
/* Kept requests: see samples.h. */
#include "job/samples.h"

#include "base/file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024, FILES = 4096, RUN_BYTES = 1 << 30 };

enum code samples_bind(const struct tape *t, const struct session_io *inputs, size_t n_inputs,
                       struct tensor *out, struct err *e) {
    for (size_t i = 0; i < t->n_inputs; i++) {
        size_t at = 0;
        while (at < n_inputs && !str_eq(inputs[at].name, t->inputs[i].name))
            at++;
        if (at == n_inputs)
            return fail(e, INVALID, "there is no input '%.*s'", STR(t->inputs[i].name));
        out[at] = t->inputs[i].tensor;
    }
    return OK;
}

static size_t largest(const struct tensor *t, size_t from, size_t n) {
    size_t best = from;
    for (size_t i = from + 1; i < from + n; i++)
        if (tensor_f64(t, i) > tensor_f64(t, best))
            best = i;
    return best;
}

void samples_top(const struct tensor *a, const struct tensor *b, uint64_t *rows, uint64_t *moved) {
    size_t n = tensor_count(a), row = a->shape.rank ? (size_t)a->shape.dims[a->shape.rank - 1] : 1;
    for (size_t at = 0; row > 1 && at + row <= n; at += row) {
        *moved += largest(a, at, row) != largest(b, at, row);
        ++*rows;
    }
}

/* --- files --- */

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum code list_files(const char *folder, struct arena *a, char ***out, size_t *n,
                            struct err *e) {
    char **names = ARENA_ARRAY(a, FILES, char *);
    DIR *d = names ? opendir(folder) : NULL;
    size_t count = 0;
    if (!names)
        return arena_fail(a, FILES * sizeof *names, "file names", e);
    for (struct dirent *f; d && count < FILES && (f = readdir(d)) != NULL;)
        if (str_ends(str_of(f->d_name), ".tape") &&
            (names[count] = arena_printf(a, "%s/%s", folder, f->d_name)) != NULL)
            count++;
    if (d)
        closedir(d);
    qsort(names, count, sizeof *names, by_name);
    *out = names;
    *n = count;
    return OK;
}

static enum code each_of_file(const char *path, sample_fn *fn, void *ctx, bool *more,
                              struct err *e) {
    struct map_file m = {0};
    enum code code = map_file_open(&m, path, e);
    struct span rest = m.bytes;
    for (bool found = true; code == OK && found && *more;) {
        struct arena a;
        struct tape t;
        arena_init(&a, RUN_BYTES);
        code = tape_next(&rest, &a, &t, &found, e);
        if (code == OK && found)
            *more = fn(ctx, &t, &a);
        arena_deinit(&a);
    }
    map_file_close(&m);
    return code == OK ? OK : err_prefix(e, "%s", path);
}

enum code samples_each(struct store *s, struct str model, sample_fn *fn, void *ctx, struct err *e) {
    char folder[PATH_BYTES], **files = NULL;
    struct arena a;
    bool more = true;
    size_t n = 0;
    snprintf(folder, sizeof folder, "%s/captures/%.*s", store_folder(s), STR(model));
    arena_init(&a, (size_t)FILES * PATH_BYTES);
    enum code code = list_files(folder, &a, &files, &n, e);
    if (code == OK && n == 0)
        code = fail(e, NOT_FOUND,
                    "nothing was kept of '%.*s': `slipway policy %.*s capture=1%%` keeps one "
                    "request in a hundred",
                    STR(model), STR(model));
    for (size_t i = 0; i < n && more && code == OK; i++)
        code = each_of_file(files[i], fn, ctx, &more, e);
    arena_deinit(&a);
    return code;
}
