/* SPDX-License-Identifier: Apache-2.0 */
/* cast, cast_like, bit_cast: another element type. tensor/cast.c converts; here are the attributes,
 * the threads, and the home of text that numbers become: memory of the run. */
#include "tensor/cast.h"

#include "op/operand.h"
#include "op/team.h"
#include "op/wide.h"

static enum code infer_to(struct op_infer *c, enum dtype to, struct err *e) {
    if (dtype_size(to) == 0 || to == DT_SEQUENCE)
        return operand_fail(c, e, UNSUPPORTED, "a cast to %s", dtype_name(to));
    operand_out_later(c, 0, to);
    return c->in[0].known ? operand_out(c, 0, to, &c->in[0].shape, e) : OK;
}

static enum code infer_cast(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    return infer_to(c, operand_dtype(attr_int(c->node, "to", 0)), e);
}

static enum code infer_cast_like(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    return infer_to(c, c->in[1].dtype, e);
}

/* Texts are made in an arena of their own, then moved into one piece of the run's memory. */
static enum code cast_to_text(const struct op_call *c, struct arena *a, struct err *e) {
    const struct tensor *x = c->in[0];
    struct str *y = c->out[0]->data;
    size_t count = tensor_count(x), bytes = 0;
    TRY(cast_elements(DT_STRING, y, x->dtype, x->data, count, true, a, e));
    for (size_t i = 0; i < count; i++)
        bytes += y[i].n;
    void *text;
    TRY(operand_alloc(c, bytes ? bytes : 1, 1, &text, e));
    char *at = text;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, y[i].p, y[i].n);
        y[i].p = at;
        at += y[i].n;
    }
    return OK;
}

struct cast_call {
    const struct tensor *x, *y;
    bool saturate;
};

/* Between f32 and 16 bits: kernels do it. */
static bool narrows(const struct cast_call *c) {
    return c->x->dtype == DT_F32 && wide_half(c->y->dtype);
}
static bool widens(const struct cast_call *c) {
    return c->y->dtype == DT_F32 && wide_half(c->x->dtype);
}

static enum code cast_range(const struct cast_call *c, size_t begin, size_t end, struct err *e) {
    if (narrows(c)) {
        wide_store(c->y->dtype, c->y->data, begin, end - begin, (const float *)c->x->data + begin);
        return OK;
    }
    if (widens(c)) {
        wide_load(c->x->dtype, c->x->data, begin, end - begin, (float *)c->y->data + begin);
        return OK;
    }
    const char *from = (const char *)c->x->data + begin * dtype_size(c->x->dtype);
    char *to = (char *)c->y->data + begin * dtype_size(c->y->dtype);
    return cast_elements(c->y->dtype, to, c->x->dtype, from, end - begin, c->saturate, NULL, e);
}

static enum code run_cast(const struct op_call *call, struct err *e) {
    struct cast_call c = {call->in[0], call->out[0], attr_int(call->node, "saturate", 1) != 0};
    size_t n = tensor_count(c.x);
    if (c.y->dtype == DT_STRING && c.x->dtype != DT_STRING) {
        struct arena texts;
        arena_init(&texts, n * 64 + 4096);
        enum code code = cast_to_text(call, &texts, e);
        arena_deinit(&texts);
        return code;
    }
    const int threads =
        team_size(call->threads, (narrows(&c) || widens(&c) ? 0.1 : 0.5) * (double)n);
    if (threads == 1 || c.x->dtype == DT_STRING)
        return cast_range(&c, 0, n, e);
    enum code worst = OK;
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++) {
        struct err own;
        enum code code =
            cast_range(&c, team_cut(n, 64, threads, t), team_cut(n, 64, threads, t + 1), &own);
        if (code != OK) {
#pragma omp critical
            *e = own, worst = code;
        }
    }
    return worst;
}

const struct op op_cast = {
    .name = "cast", .flags = OP_PURE | OP_ELEMENTWISE, .infer = infer_cast, .run = run_cast};
const struct op op_cast_like = {.name = "cast_like",
                                .flags = OP_PURE | OP_ELEMENTWISE,
                                .infer = infer_cast_like,
                                .run = run_cast};

/* --- bit_cast: the same bytes under another type of the same size --- */

static enum code infer_bit_cast(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    enum dtype from = c->in[0].dtype, to = operand_dtype(attr_int(c->node, "to", 0));
    if (from == DT_STRING || to == DT_STRING || dtype_size(from) != dtype_size(to))
        return operand_fail(c, e, INVALID, "%s and %s are not of one size", dtype_name(from),
                            dtype_name(to));
    return infer_to(c, to, e);
}

static enum code run_bit_cast(const struct op_call *c, struct err *e) {
    (void)e;
    size_t bytes = tensor_bytes(c->in[0]);
    if (bytes && c->out[0]->data != c->in[0]->data)
        memcpy(c->out[0]->data, c->in[0]->data, bytes);
    return OK;
}

const struct op op_bit_cast = {.name = "bit_cast",
                               .flags = OP_PURE | OP_INPLACE | OP_ELEMENTWISE,
                               .infer = infer_bit_cast,
                               .run = run_bit_cast};
