/* SPDX-License-Identifier: Apache-2.0 */
/* Running totals along an axis: cum_sum, cum_prod. And det, the determinant of square matrices.
 *
 * exclusive leaves an element out of its own total, reverse runs from the end. Sums are kept in f64
 * for floats (f16 and f32 round once per element written) and wrap around for integers. */
#include "op/operand.h"

#include <math.h>

static bool is_number(enum dtype t) { return dtype_is_float(t) || dtype_is_integer(t); }

static void put_u64(const struct tensor *to, size_t at, uint64_t v) {
    size_t bytes = dtype_size(to->dtype);
    memcpy((char *)to->data + at * bytes, &v, bytes); /* little-endian */
}

/* --- cum_sum, cum_prod --- */

static enum code infer_cumulate(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(operand_infer_same(c, e));
    if (!is_number(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known || !operand_data(c, 1))
        return OK;
    int64_t wanted;
    int axis;
    TRY(operand_int(OPERAND_AT(c), operand_data(c, 1), "axis", &wanted, e));
    return operand_axis(OPERAND_AT(c), wanted, c->in[0].shape.rank, &axis, e);
}

struct line { /* dim elements, `step` apart, starting at `from` */
    size_t from, dim;
    ptrdiff_t step;
    bool multiply, exclusive;
};

static void cumulate_floats(const struct line *l, const struct tensor *in,
                            const struct tensor *out) {
    double total = l->multiply ? 1 : 0;
    size_t at = l->from;
    for (size_t k = 0; k < l->dim; k++, at += (size_t)l->step) {
        double v = tensor_f64(in, at), next = l->multiply ? total * v : total + v;
        operand_put(out, at, l->exclusive ? total : next);
        total = next;
    }
}

static void cumulate_wholes(const struct line *l, const struct tensor *in,
                            const struct tensor *out) {
    uint64_t total = l->multiply ? 1 : 0;
    size_t at = l->from;
    for (size_t k = 0; k < l->dim; k++, at += (size_t)l->step) {
        uint64_t v = (uint64_t)tensor_i64(in, at), next = l->multiply ? total * v : total + v;
        put_u64(out, at, l->exclusive ? total : next);
        total = next;
    }
}

static enum code cumulate(const struct op_call *c, bool multiply, struct err *e) {
    const struct tensor *in = c->in[0];
    bool reverse = attr_int(c->node, "reverse", 0) != 0;
    int64_t wanted;
    int axis;
    TRY(operand_int(OPERAND_AT(c), c->in[1], "axis", &wanted, e));
    TRY(operand_axis(OPERAND_AT(c), wanted, in->shape.rank, &axis, e));
    size_t inner = 1, dim = (size_t)in->shape.dims[axis], total = tensor_count(in);
    for (int k = axis + 1; k < in->shape.rank; k++)
        inner *= (size_t)in->shape.dims[k];
    struct line l = {.dim = dim,
                     .step = reverse ? -(ptrdiff_t)inner : (ptrdiff_t)inner,
                     .multiply = multiply,
                     .exclusive = attr_int(c->node, "exclusive", 0) != 0};
    for (size_t k = 0; total && k < total / dim; k++) {
        l.from = k / inner * dim * inner + k % inner + (reverse ? (dim - 1) * inner : 0);
        (dtype_is_float(in->dtype) ? cumulate_floats : cumulate_wholes)(&l, in, c->out[0]);
    }
    return OK;
}

static enum code run_cum_sum(const struct op_call *c, struct err *e) {
    return cumulate(c, false, e);
}
static enum code run_cum_prod(const struct op_call *c, struct err *e) {
    return cumulate(c, true, e);
}

/* --- det --- */

static enum code infer_det(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known)
        return OK;
    struct shape out = c->in[0].shape;
    out.rank -= 2;
    if (out.rank < 0 || out.dims[out.rank] != out.dims[out.rank + 1])
        return operand_fail(c, e, INVALID, "the last two dims must be a square matrix");
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code prepare_det(struct op_prepare *c, struct err *e) {
    size_t n = (size_t)c->in[0].shape.dims[c->in[0].shape.rank - 1], matrices;
    if (!shape_count(&c->out[0].shape, &matrices))
        matrices = 0;
    c->flops = 2.0 / 3 * (double)matrices * (double)n * (double)n * (double)n;
    if (!mul_size(n, n, &n) || !mul_size(n, sizeof(double), &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "the matrix is too large");
    return OK;
}

/* Gaussian elimination with partial pivoting; destroys m (n, n). */
static double determinant(double *m, size_t n) {
    double det = 1;
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t r = k + 1; r < n; r++)
            if (fabs(m[r * n + k]) > fabs(m[pivot * n + k]))
                pivot = r;
        if (m[pivot * n + k] == 0)
            return 0;
        if (pivot != k)
            det = -det;
        for (size_t j = 0; j < n && pivot != k; j++) {
            double swap = m[k * n + j];
            m[k * n + j] = m[pivot * n + j];
            m[pivot * n + j] = swap;
        }
        det *= m[k * n + k];
        for (size_t r = k + 1; r < n; r++) {
            double factor = m[r * n + k] / m[k * n + k];
            for (size_t j = k; j < n; j++)
                m[r * n + j] -= factor * m[k * n + j];
        }
    }
    return det;
}

static enum code run_det(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *in = c->in[0];
    size_t n = (size_t)in->shape.dims[in->shape.rank - 1], count = tensor_count(c->out[0]);
    double *m = c->scratch;
    for (size_t k = 0; k < count; k++) {
        for (size_t j = 0; j < n * n; j++)
            m[j] = tensor_f64(in, k * n * n + j);
        operand_put(c->out[0], k, determinant(m, n));
    }
    return OK;
}

const struct op op_cum_sum = {
    .name = "cum_sum", .flags = OP_PURE | OP_INPLACE, .infer = infer_cumulate, .run = run_cum_sum};
const struct op op_cum_prod = {.name = "cum_prod",
                               .flags = OP_PURE | OP_INPLACE,
                               .infer = infer_cumulate,
                               .run = run_cum_prod};
const struct op op_det = {
    .name = "det", .flags = OP_PURE, .infer = infer_det, .prepare = prepare_det, .run = run_det};
