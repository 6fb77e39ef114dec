/* SPDX-License-Identifier: Apache-2.0 */
/* Replay: see replay.h. */
#include "job/replay.h"

#include "host/loaded.h"
#include "job/samples.h"

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
        if (dtype_is_float(now->dtype)) {
            uint64_t rows = 0, moved = 0;
            samples_top(now, then, &rows, &moved);
            o->top += moved > 0;
        }
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
    enum code code = inputs ? samples_bind(t, r->inputs, r->n_inputs, inputs, &e)
                            : arena_fail(a, 1, "inputs", &e);
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

static bool enough(const struct replay *r) {
    return r->job->limit && r->result->requests >= r->job->limit;
}

static bool replay_sample(void *ctx, const struct tape *t, struct arena *a) {
    struct replay *r = ctx;
    if (enough(r))
        return false;
    replay_one(r, t, a);
    return true;
}

enum code job_replay(struct store *s, const struct replay_job *j, struct arena *a,
                     struct replay_result *out, struct err *e) {
    *out = (struct replay_result){0};
    struct replay r = {.job = j, .texts = a, .result = out};
    struct session_options o = {.plans = 64};
    TRY(loaded_open(s, j->model, j->version, &o, &r.loaded, e));
    r.n_inputs = session_inputs(r.loaded.session, &r.inputs);
    r.n_outputs = session_outputs(r.loaded.session, &r.outputs);
    enum code code = samples_each(s, j->model, replay_sample, &r, e);
    loaded_close(&r.loaded);
    return code;
}
