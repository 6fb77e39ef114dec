/* SPDX-License-Identifier: Apache-2.0 */
/* Differences between two tensors, in double precision. */
#include "tensor/compare.h"

#include <float.h>
#include <math.h>

struct sums {
    double square; /* of the differences */
    double ab, aa, bb;
};

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void add_product(struct sums *s, double a, double b) {
    if (!isfinite(a) || !isfinite(b))
        return;
    s->ab += a * b;
    s->aa += a * a;
    s->bb += b * b;
}

/* Integers of 64 bits may differ where their doubles do not. */
static double integer_distance(const struct tensor *x, const struct tensor *y, size_t index) {
    uint64_t a = ((const uint64_t *)x->data)[index], b = ((const uint64_t *)y->data)[index];
    bool less = x->dtype == DT_I64 ? (int64_t)a < (int64_t)b : a < b;
    return (double)(less ? b - a : a - b);
}

static void add_element(struct compare *c, struct sums *s, size_t index, const struct tensor *x,
                        const struct tensor *y, double relative, double absolute) {
    double a = tensor_f64(x, index), b = tensor_f64(y, index), d = fabs(a - b);
    bool wide = x->dtype == DT_I64 || x->dtype == DT_U64;
    if (wide)
        d = integer_distance(x, y, index);
    add_product(s, a, b);
    if (wide ? d == 0 : same_number(a, b))
        return;
    if (!isfinite(d)) /* one of them is infinite or NaN: as wrong as can be */
        d = DBL_MAX;
    c->different += !(d <= absolute + relative * fabs(b)) || d == DBL_MAX;
    double size = fmax(fmax(fabs(a), fabs(b)), 1e-12);
    double rel = isfinite(size) && d < DBL_MAX ? d / size : DBL_MAX;
    if (d > c->max_abs) {
        c->max_abs = d;
        c->worst = index;
    }
    c->max_rel = fmax(c->max_rel, rel);
    s->square += d < DBL_MAX ? d * d : DBL_MAX;
}

static void compare_strings(const struct tensor *a, const struct tensor *b, struct compare *c) {
    const struct str *x = a->data, *y = b->data;
    for (size_t i = 0; i < c->count; i++) {
        if (str_eq(x[i], y[i]))
            continue;
        if (c->different++ == 0)
            c->worst = i;
        c->max_abs = c->max_rel = c->rms = 1;
        c->cosine = 0;
    }
}

/* Complex tensors are read as twice as many reals. */
static struct tensor as_reals(const struct tensor *t, size_t *count) {
    struct tensor r = *t;
    if (t->dtype == DT_C64 || t->dtype == DT_C128) {
        r.dtype = t->dtype == DT_C64 ? DT_F32 : DT_F64;
        *count *= 2;
    }
    return r;
}

enum code compare_tensors(const struct tensor *a, const struct tensor *b, double relative,
                          double absolute, struct compare *out, struct err *e) {
    char ta[SHAPE_TEXT], tb[SHAPE_TEXT];
    if (a->dtype != b->dtype || a->layout != b->layout || !shape_eq(&a->shape, &b->shape))
        return fail(e, INVALID, "%s %s cannot be compared with %s %s", dtype_name(a->dtype),
                    shape_print(&a->shape, ta), dtype_name(b->dtype), shape_print(&b->shape, tb));
    if (a->dtype == DT_SEQUENCE || a->dtype == DT_NONE)
        return fail(e, INVALID, "values of type %s have no elements to compare",
                    dtype_name(a->dtype));
    struct compare c = {.count = tensor_count(a), .cosine = 1};
    if (a->dtype == DT_STRING) {
        compare_strings(a, b, &c);
    } else {
        struct sums s = {0};
        size_t n = c.count, again = n;
        struct tensor x = as_reals(a, &n), y = as_reals(b, &again);
        for (size_t i = 0; i < n; i++)
            add_element(&c, &s, i, &x, &y, relative, absolute);
        c.worst /= x.dtype == a->dtype ? 1 : 2;
        c.rms = n ? sqrt(s.square / (double)n) : 0;
        c.cosine = s.aa > 0 && s.bb > 0 ? s.ab / sqrt(s.aa * s.bb) : (s.aa == s.bb);
    }
    *out = c;
    return OK;
}
