/* SPDX-License-Identifier: Apache-2.0 */
/* One input, one output of the same type and shape; see unary.h. */
#include "op/unary.h"

#include "op/team.h"

enum { BLOCK = 512 };

struct unary_call {
    const struct unary *u;
    unary_f32_fn *kernel; /* NULL: f64 */
    enum dtype dtype;
    double alpha, beta;
};

static void floats(const struct unary_call *c, size_t n, const float *x, float *y) {
    if (c->kernel) {
        c->kernel(n, x, y, (float)c->alpha, (float)c->beta);
        return;
    }
    for (size_t i = 0; i < n; i++)
        y[i] = (float)c->u->f64((double)x[i], c->alpha, c->beta);
}

static void halves(const struct unary_call *c, size_t n, const uint16_t *x, uint16_t *y) {
    const struct kernel_set *k = kernel_set();
    float v[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t some = n - i < BLOCK ? n - i : BLOCK;
        (c->dtype == DT_F16 ? k->widen_f16 : k->widen_bf16)(some, x + i, v);
        floats(c, some, v, v);
        (c->dtype == DT_F16 ? k->narrow_f16 : k->narrow_bf16)(some, v, y + i);
    }
}

#define INTEGERS(type, wide, fn)                                                                   \
    for (size_t i = begin; i < end; i++)                                                           \
        ((type *)y)[i] = (type)c->u->fn((wide)((const type *)x)[i]);                               \
    break

static void stretch(const struct unary_call *c, size_t begin, size_t end, const void *x, void *y) {
    switch (c->dtype) {
    case DT_F32: floats(c, end - begin, (const float *)x + begin, (float *)y + begin); break;
    case DT_F16:
    case DT_BF16: halves(c, end - begin, (const uint16_t *)x + begin, (uint16_t *)y + begin); break;
    case DT_F64:
        for (size_t i = begin; i < end; i++)
            ((double *)y)[i] = c->u->f64(((const double *)x)[i], c->alpha, c->beta);
        break;
    case DT_I8: INTEGERS(int8_t, int64_t, i64);
    case DT_I16: INTEGERS(int16_t, int64_t, i64);
    case DT_I32: INTEGERS(int32_t, int64_t, i64);
    case DT_I64: INTEGERS(int64_t, int64_t, i64);
    case DT_U8: INTEGERS(uint8_t, uint64_t, u64);
    case DT_U16: INTEGERS(uint16_t, uint64_t, u64);
    case DT_U32: INTEGERS(uint32_t, uint64_t, u64);
    case DT_U64: INTEGERS(uint64_t, uint64_t, u64);
    default: break;
    }
}

enum code unary_apply(const struct op_call *call, const struct unary *u, double alpha, double beta,
                      struct err *e) {
    (void)e;
    const struct tensor *x = call->in[0];
    struct unary_call c = {.u = u, .dtype = x->dtype, .alpha = alpha, .beta = beta};
    if (u->kernel)
        memcpy(&c.kernel, (const char *)kernel_set() + u->kernel - 1, sizeof c.kernel);
    void *y = call->out[0]->data;
    size_t n = tensor_count(x);
    const int threads = team_size(call->threads, (double)n * (c.kernel ? u->ns : 10));
    if (threads == 1) {
        stretch(&c, 0, n, x->data, y);
        return OK;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        stretch(&c, team_cut(n, 64, threads, t), team_cut(n, 64, threads, t + 1), x->data, y);
    return OK;
}

enum code unary_run(const struct op_call *c, const struct unary *u, struct err *e) {
    float alpha = u->alpha_name ? attr_float(c->node, u->alpha_name, u->alpha) : u->alpha;
    float beta = u->beta_name ? attr_float(c->node, u->beta_name, u->beta) : u->beta;
    return unary_apply(c, u, (double)alpha, (double)beta, e);
}

enum code unary_infer(struct op_infer *c, const struct unary *u, struct err *e) {
    TRY(operand_need(c, 1, e));
    enum dtype t = c->in[0].dtype;
    bool whole = dtype_is_signed(t) ? u->i64 != NULL : dtype_is_integer(t) && u->u64;
    if (!whole && !dtype_is_float(t))
        return operand_fail(c, e, UNSUPPORTED, "an input of type %s", dtype_name(t));
    return operand_infer_same(c, e);
}
