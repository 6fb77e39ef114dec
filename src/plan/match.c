/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of patterns: see match.h. */
#include "plan/match.h"

#include <math.h>

struct node *match_producer(struct rewire *w, value_id v, const char *op_name) {
    struct node *n = rewire_producer(w, v);
    return n && !n->n_post && str_is(n->op_name, op_name) && n->n_out >= 1 && n->out[0] == v ? n
                                                                                             : NULL;
}

struct node *match_only(struct rewire *w, value_id v, const char *op_name) {
    return rewire_uses(w, v) == 1 ? match_producer(w, v, op_name) : NULL;
}

bool match_number(const struct rewire *w, value_id v, double *out) {
    const struct tensor *t = rewire_constant_of(w, v);
    if (!t || tensor_count(t) != 1 || t->dtype == DT_STRING || t->dtype == DT_SEQUENCE ||
        t->dtype == DT_C64 || t->dtype == DT_C128)
        return false;
    *out = tensor_f64(t, 0);
    return true;
}

bool match_scalar_right(struct rewire *w, const struct node *n, const char *op_name, value_id *x,
                        double *c) {
    if (n->n_in != 2 || n->n_post || !str_is(n->op_name, op_name) ||
        !match_number(w, rewire_in(w, n, 1), c))
        return false;
    *x = rewire_in(w, n, 0);
    return true;
}

bool match_scalar(struct rewire *w, const struct node *n, const char *op_name, value_id *x,
                  double *c) {
    if (match_scalar_right(w, n, op_name, x, c))
        return true;
    if (n->n_in != 2 || n->n_post || !str_is(n->op_name, op_name) ||
        !match_number(w, rewire_in(w, n, 0), c))
        return false;
    *x = rewire_in(w, n, 1);
    return true;
}

value_id match_other(const struct rewire *w, const struct node *n, value_id v) {
    if (n->n_in != 2)
        return VALUE_NONE;
    value_id a = rewire_in(w, n, 0), b = rewire_in(w, n, 1);
    return a == v ? b : b == v ? a : VALUE_NONE;
}

bool match_near(double a, double b) { return fabs(a - b) <= 1e-5 * fmax(fabs(a), fabs(b)); }

bool match_per_channel(const struct tensor *t, int rank, int axis, int64_t channels) {
    if (t->shape.rank > rank)
        return false;
    for (int d = 0; d < t->shape.rank; d++) {
        int at = d + rank - t->shape.rank;
        if (t->shape.dims[d] != 1 && (at != axis || t->shape.dims[d] != channels))
            return false;
    }
    return true;
}

const struct shape *match_shape(const struct rewire *w, value_id v) {
    if (v == VALUE_NONE)
        return NULL;
    const struct value *value = &w->g->values[v];
    if (value->constant)
        return &value->constant->shape;
    return value->ranked && shape_known(&value->shape) ? &value->shape : NULL;
}

enum dtype match_dtype(const struct rewire *w, value_id v) {
    if (v == VALUE_NONE)
        return DT_NONE;
    const struct value *value = &w->g->values[v];
    return value->constant ? value->constant->dtype : value->dtype;
}
