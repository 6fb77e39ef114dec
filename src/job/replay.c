/* SPDX-License-Identifier: Apache-2.0 */
/* Replay: see replay.h. */
#include "job/replay.h"

#include "base/file.h"
#include "host/loaded.h"
#include "host/tape.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024, FILES = 4096, RUN_BYTES = 1 << 30 };

struct replay {
    const struct replay_job *job;
    struct loaded loaded;
    const struct session_io *inputs, *outputs;
    size_t n_inputs, n_outputs;
    struct arena *texts; /* of the result */
    struct replay_result *result;
};

/* --- one request --- */

static void note_failure(struct replay *r, const struct err *e) {
    if (r->result->failed++ == 0)
        r->result->first_failure = arena_str(r->texts, str_of(e->text));
}

static enum code bind(const struct replay *r, const struct tape *t, struct tensor *out,
                      struct err *e) {
    for (size_t i = 0; i < t->n_inputs; i++) {
        size_t at = 0;
        while (at < r->n_inputs && !str_eq(r->inputs[at].name, t->inputs[i].name))
            at++;
        if (at == r->n_inputs)
            return fail(e, INVALID, "version %llu has no input '%.*s'",
                        (unsigned long long)r->job->version, STR(t->inputs[i].name));
        out[at] = t->inputs[i].tensor;
    }
    return OK;
}

static struct replay_output *output_of(struct replay *r, struct str name) {
    struct replay_result *result = r->result;
    for (size_t i = 0; i < result->n_outputs; i++)
        if (str_eq(result->outputs[i].name, name))
            return &result->outputs[i];
    if (result->n_outputs == REPLAY_OUTPUTS)
        return NULL;
    struct replay_output *o = &result->outputs[result->n_outputs++];
    *o = (struct replay_output){.name = arena_str(r->texts, name), .worst_cosine = 1};
    return o;
}

static size_t largest(const struct tensor *t, size_t from, size_t n) {
    size_t best = from;
    for (size_t i = from + 1; i < from + n; i++)
        if (tensor_f64(t, i) > tensor_f64(t, best))
            best = i;
    return best;
}

/* Some row's largest element is another one: what a classifier's user would see. */
static bool top_moved(const struct tensor *a, const struct tensor *b) {
    size_t n = tensor_count(a), row = a->shape.rank ? (size_t)a->shape.dims[a->shape.rank - 1] : 1;
    for (size_t at = 0; row > 1 && at + row <= n; at += row)
        if (largest(a, at, row) != largest(b, at, row))
            return true;
    return false;
}

static bool same_texts(const struct tensor *a, const struct tensor *b) {
    const struct str *p = a->data, *q = b->data;
    for (size_t i = 0; i < tensor_count(a); i++)
        if (!str_eq(p[i], q[i]))
            return false;
    return true;
}

/* *different: beyond the tolerance. */
static void compare_output(const struct replay *r, struct replay_output *o,
                           const struct tensor *now, const struct tensor *then, bool *different) {
    struct compare c = {.cosine = 1};
    struct err ignored;
    bool differs = now->dtype != then->dtype || !shape_eq(&now->shape, &then->shape);
    if (!differs && now->dtype == DT_STRING) {
        differs = !same_texts(now, then);
    } else if (!differs) {
        differs =
            compare_tensors(now, then, r->job->relative, r->job->absolute, &c, &ignored) != OK ||
            c.different;
        if (dtype_is_float(now->dtype))
            o->top += top_moved(now, then);
    }
    o->compared++;
    o->different += differs;
    o->max_abs = c.max_abs > o->max_abs ? c.max_abs : o->max_abs;
    o->max_rel = c.max_rel > o->max_rel ? c.max_rel : o->max_rel;
    o->worst_cosine = c.cosine < o->worst_cosine ? c.cosine : o->worst_cosine;
    *different = *different || differs;
}

static void compare_all(struct replay *r, const struct tape *t, const struct session_run *run) {
    bool different = false;
    for (size_t i = 0; i < t->n_outputs; i++) {
        size_t at = 0;
        while (at < r->n_outputs && !str_eq(r->outputs[at].name, t->outputs[i].name))
            at++;
        struct replay_output *o = output_of(r, t->outputs[i].name);
        if (at == r->n_outputs || run->outputs[at].dtype == DT_NONE)
            different = true;
        else if (o)
            compare_output(r, o, &run->outputs[at], &t->outputs[i].tensor, &different);
    }
    if (different)
        r->result->different++;
    else
        r->result->same++;
}

static void note_version(struct replay_result *result, const struct tape *t) {
    size_t i = 0;
    while (i < result->n_versions && result->versions[i] != t->version)
        i++;
    if (i == result->n_versions && i < sizeof result->versions / sizeof *result->versions)
        result->versions[result->n_versions++] = t->version;
    if (result->requests++ == 0)
        result->from_us = t->at_us;
    result->to_us = t->at_us;
}

static void replay_one(struct replay *r, const struct tape *t, struct arena *a) {
    struct tensor *inputs = ARENA_ARRAY(a, r->n_inputs + 1, struct tensor);
    struct session_run run;
    struct err e;
    note_version(r->result, t);
    enum code code = inputs ? bind(r, t, inputs, &e) : arena_fail(a, 1, "inputs", &e);
    struct session_ask ask = {.inputs = inputs, .threads = r->job->threads};
    if (code == OK)
        code = session_begin(r->loaded.session, &ask, &run, &e);
    if (code != OK) {
        note_failure(r, &e);
        return;
    }
    r->result->compute_ns += run.compute_ns;
    compare_all(r, t, &run);
    session_end(r->loaded.session, &run);
}

/* --- files --- */

static bool enough(const struct replay *r) {
    return r->job->limit && r->result->requests >= r->job->limit;
}

static enum code replay_file(struct replay *r, const char *path, struct err *e) {
    struct map_file m = {0};
    enum code code = map_file_open(&m, path, e);
    struct span rest = m.bytes;
    for (bool found = true; code == OK && found && !enough(r);) {
        struct arena a;
        struct tape t;
        arena_init(&a, RUN_BYTES);
        code = tape_next(&rest, &a, &t, &found, e);
        if (code == OK && found)
            replay_one(r, &t, &a);
        arena_deinit(&a);
    }
    map_file_close(&m);
    return code == OK ? OK : err_prefix(e, "%s", path);
}

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

static enum code replay_all(struct replay *r, struct store *s, struct arena *a, struct err *e) {
    char folder[PATH_BYTES], **files = NULL;
    size_t n = 0;
    snprintf(folder, sizeof folder, "%s/captures/%.*s", store_folder(s), STR(r->job->model));
    TRY(list_files(folder, a, &files, &n, e));
    if (n == 0)
        return fail(e, NOT_FOUND,
                    "nothing was kept of '%.*s': `slipway policy %.*s capture=1%%` keeps one "
                    "request in a hundred",
                    STR(r->job->model), STR(r->job->model));
    for (size_t i = 0; i < n && !enough(r); i++)
        TRY(replay_file(r, files[i], e));
    return OK;
}

enum code job_replay(struct store *s, const struct replay_job *j, struct arena *a,
                     struct replay_result *out, struct err *e) {
    *out = (struct replay_result){0};
    struct replay r = {.job = j, .texts = a, .result = out};
    struct session_options o = {.plans = 64};
    TRY(loaded_open(s, j->model, j->version, &o, &r.loaded, e));
    r.n_inputs = session_inputs(r.loaded.session, &r.inputs);
    r.n_outputs = session_outputs(r.loaded.session, &r.outputs);
    enum code code = replay_all(&r, s, a, e);
    loaded_close(&r.loaded);
    return code;
}
