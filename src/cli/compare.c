/* SPDX-License-Identifier: Apache-2.0 */
/* See compare.h; job/compare.c does the work. */
#include "cli/compare.h"

#include "cli/facts.h"
#include "cli/feed.h"
#include "job/compare.h"

enum { SAMPLES = 32 };

static enum code make_sample(void *ctx, const struct session *s, uint64_t i, struct arena *a,
                             struct tensor *out, struct err *e) {
    const struct compare_ask *ask = ctx;
    return feed_random(s, ask->shapes, ask->batch, i, a, out, e);
}

static enum code blame(void *ctx, const struct session *s, struct err *e) {
    const struct compare_ask *ask = ctx;
    return feed_blame(s, ask->shapes, e);
}

static void put_output(struct json_out *w, const struct compare_output *o) {
    json_put_object(w);
    json_put_member_str(w, "name", o->name);
    json_put_member_f64(w, "max_abs", o->max_abs);
    json_put_member_f64(w, "max_rel", o->max_rel);
    json_put_member_f64(w, "of_largest", o->largest);
    json_put_member_f64(w, "cosine", o->cosine);
    json_put_member_i64(w, "rows", (int64_t)o->rows);
    json_put_member_i64(w, "same_top", (int64_t)(o->rows - o->moved));
    json_put_object_end(w);
}

static void put_side(struct json_out *w, const char *key, const struct compare_side *s, double ms) {
    json_put_key(w, key);
    json_put_object(w);
    json_put_member_str(w, "model", s->model);
    json_put_member_i64(w, "version", (int64_t)s->version);
    json_put_member_text(w, "precision", s->precision == PRECISION_BF16 ? "bf16" : "f32");
    json_put_member_f64(w, "min_ms", ms);
    json_put_object_end(w);
}

static enum code as_json(const struct compare_job *j, const struct compare_result *r,
                         struct err *e) {
    struct buf out;
    struct json_out w;
    struct quality q;
    job_quality(r, &q);
    buf_init(&out, 1 << 20);
    json_out_init(&w, &out, 0);
    json_put_object(&w);
    put_side(&w, "a", &j->a, r->a_ms);
    put_side(&w, "b", &j->b, r->b_ms);
    json_put_member_f64(&w, "speedup", r->b_ms > 0 ? r->a_ms / r->b_ms : 0);
    json_put_member_i64(&w, "samples", (int64_t)r->samples);
    json_put_member_i64(&w, "recorded", (int64_t)r->recorded);
    json_put_key(&w, "outputs");
    json_put_array(&w);
    for (size_t i = 0; i < r->n_outputs; i++)
        put_output(&w, &r->outputs[i]);
    json_put_array_end(&w);
    json_put_member_f64(&w, "of_largest", q.largest);
    json_put_member_f64(&w, "cosine", q.cosine);
    json_put_member_f64(&w, "top", q.top);
    json_put_member_bool(&w, "fits", quality_fits(&q));
    json_put_object_end(&w);
    enum code code = print_json(&out, e);
    buf_deinit(&out);
    return code;
}

static void print_side(const char *label, const struct compare_side *s, double ms) {
    printf("  %s  %.*s@%llu in %s, %.2f ms\n", label, STR(s->model), (unsigned long long)s->version,
           s->precision == PRECISION_BF16 ? "bf16" : "f32", ms);
}

static void as_text(const struct compare_job *j, const struct compare_result *r) {
    struct quality q;
    job_quality(r, &q);
    printf("%llu inputs, %s\n", (unsigned long long)r->samples,
           r->recorded ? "from kept requests"
                       : "made up (`slipway policy M capture=1%` keeps real ones)");
    print_side("a", &j->a, r->a_ms);
    print_side("b", &j->b, r->b_ms);
    printf("  b is %.2f times as fast\n", r->b_ms > 0 ? r->a_ms / r->b_ms : 0);
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct compare_output *o = &r->outputs[i];
        printf("  %.*s: off by %.3g at most, %.2g of the largest element; cosine %.6f",
               STR(o->name), o->max_abs, o->largest, o->cosine);
        if (o->rows)
            printf("; same first in %llu of %llu rows", (unsigned long long)(o->rows - o->moved),
                   (unsigned long long)o->rows);
        printf("\n");
    }
    if (r->different_shapes)
        printf("  %llu inputs gave outputs of different shapes\n",
               (unsigned long long)r->different_shapes);
    if (j->b.precision == PRECISION_BF16 && j->a.precision == PRECISION_F32)
        printf(
            "  precision auto would use %s: the limits are %g of the largest element, cosine %g, "
            "%g %% of rows\n",
            quality_fits(&q) ? "bf16" : "f32", QUALITY_LARGEST, QUALITY_COSINE, 100 * QUALITY_TOP);
}

static enum code side_of(struct cli *c, const char *name, struct compare_side *out, struct err *e) {
    struct store_info info;
    TRY(facts_resolve(c->store, name, &c->arena, &info, e));
    *out = (struct compare_side){info.model, info.version, PRECISION_F32};
    return OK;
}

enum code bench_compare(struct cli *c, const struct compare_ask *ask, struct err *e) {
    struct compare_job j = {.samples = SAMPLES,
                            .threads = ask->threads,
                            .turns = (int)ask->turns,
                            .make = make_sample,
                            .blame = blame,
                            .ctx = (void *)(uintptr_t)ask};
    struct compare_result *r = ARENA_NEW(&c->arena, struct compare_result);
    if (!r)
        return fail(e, NOMEM, "out of memory");
    TRY(side_of(c, ask->name, &j.a, e));
    TRY(side_of(c, ask->other ? ask->other : ask->name, &j.b, e));
    if (ask->other) {
        j.a.precision = precision_of(c->store, j.a.model, j.a.version, ask->precision);
        j.b.precision = precision_of(c->store, j.b.model, j.b.version, ask->precision);
    } else {
        j.b.precision = PRECISION_BF16;
    }
    TRY(job_compare(c->store, &j, &c->arena, r, e));
    if (c->json)
        return as_json(&j, r, e);
    as_text(&j, r);
    return OK;
}
