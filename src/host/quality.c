/* SPDX-License-Identifier: Apache-2.0 */
/* Precision by choice and by report: see quality.h. */
#include "host/quality.h"

#include "base/cpu.h"
#include "base/json.h"

enum { REPORT_BYTES = 64 << 10 };

static const char *const names[] = {"f32", "f32", "bf16", "auto"};

const char *precision_name(enum precision_choice c) { return names[c]; }

enum code precision_parse(struct str text, enum precision_choice *out, struct err *e) {
    for (int c = CHOOSE_F32; c <= CHOOSE_AUTO; c++)
        if (str_is(text, names[c])) {
            *out = (enum precision_choice)c;
            return OK;
        }
    return fail(e, INVALID, "precision '%.*s' is not one of f32, bf16, auto",
                STR(str_sub(text, 0, 40)));
}

bool quality_fits(const struct quality *q) {
    return q->samples && q->largest <= QUALITY_LARGEST && q->cosine >= QUALITY_COSINE &&
           q->top >= QUALITY_TOP;
}

static struct str key_of(struct str model, uint64_t version, char text[STORE_NAME_MAX + 40]) {
    int n = snprintf(text, STORE_NAME_MAX + 40, "%.*s@%llu bf16", STR(model),
                     (unsigned long long)version);
    return (struct str){text, (size_t)n};
}

enum code quality_put(struct store *s, struct str model, uint64_t version, const struct quality *q,
                      struct err *e) {
    char key[STORE_NAME_MAX + 40];
    struct json_out w;
    struct buf b;
    buf_init(&b, REPORT_BYTES);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_i64(&w, "samples", (int64_t)q->samples);
    json_put_member_i64(&w, "recorded", (int64_t)q->recorded);
    json_put_member_f64(&w, "largest", q->largest);
    json_put_member_f64(&w, "cosine", q->cosine);
    json_put_member_f64(&w, "top", q->top);
    json_put_member_f64(&w, "f32_ms", q->f32_ms);
    json_put_member_f64(&w, "bf16_ms", q->bf16_ms);
    json_put_object_end(&w);
    enum code code = buf_check(&b, "quality", e);
    if (code == OK)
        code = store_fact_put(s, LIT("quality"), key_of(model, version, key), buf_str(&b), e);
    buf_deinit(&b);
    return code;
}

static enum code take_member(struct json *j, struct str key, struct quality *q, struct err *e) {
    const struct {
        const char *name;
        double *to;
    } numbers[] = {{"largest", &q->largest},
                   {"cosine", &q->cosine},
                   {"top", &q->top},
                   {"f32_ms", &q->f32_ms},
                   {"bf16_ms", &q->bf16_ms}};
    double v;
    TRY(json_f64(j, &v, e));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (str_is(key, numbers[i].name))
            *numbers[i].to = v;
    if (str_is(key, "samples") && v > 0)
        q->samples = (uint64_t)v;
    if (str_is(key, "recorded") && v > 0)
        q->recorded = (uint64_t)v;
    return OK;
}

static enum code take_report(struct str text, struct quality *out, struct arena *a, struct err *e) {
    struct quality q = {0};
    struct json j;
    struct str key;
    bool more;
    json_init(&j, text, a);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        TRY(take_member(&j, key, &q, e));
    }
    *out = q;
    return OK;
}

enum code quality_get(struct store *s, struct str model, uint64_t version, struct quality *out,
                      struct err *e) {
    char key[STORE_NAME_MAX + 40];
    struct arena a;
    struct str text;
    arena_init(&a, 2 * REPORT_BYTES);
    enum code code = store_fact_get(s, LIT("quality"), key_of(model, version, key), &a, &text, e);
    if (code == OK)
        code = take_report(text, out, &a, e);
    arena_deinit(&a);
    return code;
}

enum precision precision_of(struct store *s, struct str model, uint64_t version,
                            enum precision_choice c) {
    struct quality q;
    struct err ignored;
    if (c == CHOOSE_BF16)
        return PRECISION_BF16;
    bool fits = c == CHOOSE_AUTO && cpu_flags() & CPU_BF16 &&
                quality_get(s, model, version, &q, &ignored) == OK && quality_fits(&q);
    return fits ? PRECISION_BF16 : PRECISION_F32;
}
