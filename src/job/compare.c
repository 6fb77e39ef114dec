/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing sessions: see compare.h. */
#include "job/compare.h"

#include "host/loaded.h"
#include "job/samples.h"
#include "tensor/compare.h"

#include <math.h>

enum { SAMPLE_BYTES = 1 << 30, WARM_TURNS = 2 };

struct comparing {
    struct store *store;
    const struct compare_job *job;
    struct loaded a, b;
    const struct session_io *inputs, *outputs; /* of a */
    size_t n_inputs, n_outputs;
    struct compare_result *result;
    enum code code; /* of a sample that failed */
    struct err err;
};

/* --- one sample --- */

static double largest_of(const struct tensor *t) {
    double most = 0;
    for (size_t i = 0; i < tensor_count(t); i++)
        most = fmax(most, fabs(tensor_f64(t, i)));
    return most;
}

static void worse(double *worst, double v) { *worst = v > *worst ? v : *worst; }

static bool compare_output(struct compare_output *o, const struct tensor *a,
                           const struct tensor *b) {
    struct compare c;
    struct err ignored;
    if (a->dtype == DT_STRING || a->dtype == DT_SEQUENCE || a->dtype == DT_NONE)
        return a->dtype == b->dtype; /* nothing to measure */
    if (compare_tensors(b, a, 0, 0, &c, &ignored) != OK)
        return false;
    worse(&o->max_abs, c.max_abs);
    worse(&o->max_rel, c.max_rel);
    if (!dtype_is_float(a->dtype))
        return true;
    worse(&o->largest, c.max_abs / fmax(largest_of(a), 1e-12));
    o->cosine = fmin(o->cosine, c.cosine);
    samples_top(a, b, &o->rows, &o->moved);
    return true;
}

static void compare_runs(struct comparing *c, const struct session_run *a,
                         const struct session_run *b) {
    bool alike = true;
    for (size_t i = 0; i < c->result->n_outputs; i++)
        alike = compare_output(&c->result->outputs[i], &a->outputs[i], &b->outputs[i]) && alike;
    c->result->different_shapes += !alike;
}

static enum code run_both(struct comparing *c, const struct tensor *inputs, struct err *e) {
    struct session_ask ask = {.inputs = inputs, .threads = c->job->threads, .seed = 1};
    struct session_run a, b;
    TRY(session_begin(c->a.session, &ask, &a, e));
    enum code code = session_begin(c->b.session, &ask, &b, e);
    if (code == OK) {
        compare_runs(c, &a, &b);
        session_end(c->b.session, &b);
    }
    session_end(c->a.session, &a);
    return code;
}

static enum code time_one(struct session *s, const struct session_ask *ask, double *ms,
                          struct err *e) {
    struct session_run run;
    TRY(session_begin(s, ask, &run, e));
    *ms = *ms == 0 ? (double)run.compute_ns / 1e6 : fmin(*ms, (double)run.compute_ns / 1e6);
    session_end(s, &run);
    return OK;
}

/* The sides take turns, so that a busy machine slows both. */
static enum code time_both(struct comparing *c, const struct tensor *inputs, struct err *e) {
    struct session_ask ask = {.inputs = inputs, .threads = c->job->threads, .seed = 1};
    for (int i = 0; i < c->job->turns + WARM_TURNS; i++) {
        TRY(time_one(c->a.session, &ask, &c->result->a_ms, e));
        TRY(time_one(c->b.session, &ask, &c->result->b_ms, e));
    }
    return OK;
}

static enum code sample(struct comparing *c, const struct tensor *inputs, struct err *e) {
    TRY(run_both(c, inputs, e));
    return c->result->samples++ == 0 ? time_both(c, inputs, e) : OK;
}

/* --- where samples come from --- */

static bool recorded(void *ctx, const struct tape *t, struct arena *a) {
    struct comparing *c = ctx;
    struct tensor *inputs = ARENA_ARRAY(a, c->n_inputs + 1, struct tensor);
    if (c->result->samples >= c->job->samples)
        return false;
    c->code = inputs ? samples_bind(t, c->inputs, c->n_inputs, inputs, &c->err)
                     : arena_fail(a, c->n_inputs * sizeof *inputs, "inputs", &c->err);
    if (c->code == OK)
        c->code = sample(c, inputs, &c->err);
    c->result->recorded += c->code == OK;
    return c->code == OK;
}

static enum code made_up(struct comparing *c, struct err *e) {
    enum code code = OK;
    for (uint64_t i = 0; i < c->job->samples && code == OK; i++) {
        struct arena a;
        arena_init(&a, SAMPLE_BYTES);
        struct tensor *inputs = ARENA_ARRAY(&a, c->n_inputs + 1, struct tensor);
        code = inputs ? c->job->make(c->job->ctx, c->a.session, i, &a, inputs, e)
                      : arena_fail(&a, c->n_inputs * sizeof *inputs, "inputs", e);
        if (code == OK && (code = sample(c, inputs, e)) != OK)
            code = c->job->blame(c->job->ctx, c->a.session, e);
        arena_deinit(&a);
    }
    return code;
}

static enum code all_samples(struct comparing *c, struct err *e) {
    enum code code = samples_each(c->store, c->job->a.model, recorded, c, e);
    if (code == ERR_NOT_FOUND)
        return made_up(c, e);
    if (code == OK && c->code != OK) {
        *e = c->err;
        return e->code;
    }
    return code;
}

/* --- the whole --- */

static enum code open_side(struct comparing *c, const struct compare_side *side, struct loaded *l,
                           struct err *e) {
    struct session_options o = {.plans = 64, .precision = side->precision};
    return loaded_open(c->store, side->model, side->version, &o, l, e);
}

static enum code same_interface(const struct comparing *c, struct err *e) {
    const struct compare_side *a = &c->job->a, *b = &c->job->b;
    const struct session_io *inputs, *outputs;
    size_t n_inputs = session_inputs(c->b.session, &inputs),
           n_outputs = session_outputs(c->b.session, &outputs);
    if (n_inputs != c->n_inputs || n_outputs != c->n_outputs)
        return fail(
            e, INVALID,
            "%.*s@%llu has %zu inputs and %zu outputs, %.*s@%llu %zu and %zu: only versions "
            "that take and give the same can be compared",
            STR(a->model), (unsigned long long)a->version, c->n_inputs, c->n_outputs, STR(b->model),
            (unsigned long long)b->version, n_inputs, n_outputs);
    for (size_t i = 0; i < n_inputs; i++)
        if (inputs[i].dtype != c->inputs[i].dtype)
            return fail(e, INVALID, "input '%.*s' is %s in %.*s@%llu and %s in %.*s@%llu",
                        STR(c->inputs[i].name), dtype_name(c->inputs[i].dtype), STR(a->model),
                        (unsigned long long)a->version, dtype_name(inputs[i].dtype), STR(b->model),
                        (unsigned long long)b->version);
    return OK;
}

static bool is_report(const struct compare_job *j) {
    return str_eq(j->a.model, j->b.model) && j->a.version == j->b.version &&
           j->a.precision == PRECISION_F32 && j->b.precision == PRECISION_BF16;
}

void job_quality(const struct compare_result *r, struct quality *out) {
    struct quality q = {.samples = r->samples - r->different_shapes,
                        .recorded = r->recorded,
                        .cosine = 1,
                        .f32_ms = r->a_ms,
                        .bf16_ms = r->b_ms};
    uint64_t rows = 0, moved = 0;
    for (size_t i = 0; i < r->n_outputs; i++) {
        worse(&q.largest, r->outputs[i].largest);
        q.cosine = fmin(q.cosine, r->outputs[i].cosine);
        rows += r->outputs[i].rows;
        moved += r->outputs[i].moved;
    }
    q.top = rows ? 1 - (double)moved / (double)rows : 1;
    *out = q;
}

static enum code compare_opened(struct comparing *c, struct arena *a, struct err *e) {
    struct compare_result *r = c->result;
    c->n_inputs = session_inputs(c->a.session, &c->inputs);
    c->n_outputs = session_outputs(c->a.session, &c->outputs);
    TRY(same_interface(c, e));
    r->n_outputs = c->n_outputs < COMPARE_OUTPUTS ? c->n_outputs : COMPARE_OUTPUTS;
    for (size_t i = 0; i < r->n_outputs; i++)
        r->outputs[i] =
            (struct compare_output){.name = arena_str(a, c->outputs[i].name), .cosine = 1};
    return all_samples(c, e);
}

enum code job_compare(struct store *s, const struct compare_job *j, struct arena *a,
                      struct compare_result *out, struct err *e) {
    *out = (struct compare_result){0};
    struct comparing c = {.store = s, .job = j, .result = out};
    struct quality q;
    TRY(open_side(&c, &j->a, &c.a, e));
    enum code code = open_side(&c, &j->b, &c.b, e);
    if (code == OK)
        code = compare_opened(&c, a, e);
    loaded_close(&c.b);
    loaded_close(&c.a);
    TRY(code);
    if (!is_report(j))
        return OK;
    job_quality(out, &q);
    return quality_put(s, j->a.model, j->a.version, &q, e);
}
