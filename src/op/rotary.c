/* SPDX-License-Identifier: Apache-2.0 */
/* rotary_embedding (ONNX opset 23): pairs of elements of each head are turned by angles that grow
 * with the position.
 *
 * 1. x is (B, H, S, D), or (B, S, H * D) with num_heads as an attribute.
 * 2. Pair k of the first rotary_embedding_dim elements (0: two per column of the tables) is
 * (k, k + half), or interleaved (2k, 2k + 1); the rest is copied. Without num_heads a head is as
 * wide as what is turned.
 * 3. Cosines and sines are (positions, half) with position_ids (B, S) choosing rows, or without
 * them (B, S, half). A position outside the table is INVALID. */
#include "op/operand.h"
#include "op/team.h"
#include "op/wide.h"

enum { IN_X, IN_COS, IN_SIN, IN_POSITIONS, HALF_MOST = 1024 };

struct sizes {
    int64_t b, h, s, d, half;
    bool flat;
};

static enum code sizes_of(const struct operand_at *at, const struct shape *x,
                          const struct shape *table, struct sizes *z, struct err *e) {
    int64_t heads = attr_int(at->node, "num_heads", 0),
            turned = attr_int(at->node, "rotary_embedding_dim", 0);
    const int64_t columns = table->rank > 0 ? table->dims[table->rank - 1] : 0;
    z->flat = x->rank == 3;
    if (z->flat && heads == 0 && turned == 0 && columns > 0 && columns < INT32_MAX)
        heads = x->dims[2] / (2 * columns);
    if ((x->rank != 4 && x->rank != 3) || (z->flat && (heads < 1 || x->dims[2] % heads)))
        return operand_fail(at, e, INVALID, "an input of rank %d does not split into %lld heads",
                            x->rank, (long long)heads);
    z->b = x->dims[0];
    z->h = z->flat ? heads : x->dims[1];
    z->s = x->dims[z->flat ? 1 : 2];
    z->d = z->flat ? x->dims[2] / heads : x->dims[3];
    if (turned == 0)
        turned = columns < HALF_MOST ? 2 * columns : z->d;
    z->half = turned / 2;
    if (turned < 0 || turned % 2 || turned > z->d || z->half > HALF_MOST)
        return operand_fail(at, e, INVALID, "%lld of %lld elements of a head cannot be turned",
                            (long long)turned, (long long)z->d);
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    TRY(operand_infer_same(c, e));
    const enum dtype t = c->in[IN_X].dtype;
    struct sizes z;
    if (!dtype_is_float(t) || c->in[IN_COS].dtype != t || c->in[IN_SIN].dtype != t)
        return operand_fail(c, e, INVALID, "inputs of type %s, %s and %s", dtype_name(t),
                            dtype_name(c->in[IN_COS].dtype), dtype_name(c->in[IN_SIN].dtype));
    if (!operand_known(c))
        return OK;
    const struct shape *table = &c->in[IN_COS].shape;
    TRY(sizes_of(OPERAND_AT(c), &c->in[IN_X].shape, table, &z, e));
    const bool chosen = operand_given(c, IN_POSITIONS);
    bool fits = shape_eq(table, &c->in[IN_SIN].shape) && table->rank == (chosen ? 2 : 3) &&
                table->dims[table->rank - 1] == z.half;
    if (chosen)
        fits = fits && c->in[IN_POSITIONS].dtype == DT_I64 &&
               shape_eq(&c->in[IN_POSITIONS].shape, &(struct shape){2, {z.b, z.s}});
    else
        fits = fits && table->dims[0] == z.b && table->dims[1] == z.s;
    if (!fits)
        return operand_fail(c, e, INVALID, "cosines, sines and positions do not fit the input");
    return OK;
}

struct job {
    const struct op_call *call;
    struct sizes z;
    bool interleaved;
};

/* Where the rows (batch, s) of the tables begin; run has checked the positions. */
static size_t table_row(const struct job *j, size_t row) {
    const struct tensor *positions = operand_in(j->call, IN_POSITIONS);
    return (positions ? (size_t)tensor_i64(positions, row) : row) * (size_t)j->z.half;
}

static void turn_f64(const struct job *j, size_t at, size_t table) {
    const double *x = (const double *)j->call->in[IN_X]->data + at,
                 *cos = (const double *)j->call->in[IN_COS]->data + table,
                 *sin = (const double *)j->call->in[IN_SIN]->data + table;
    double *y = (double *)j->call->out[0]->data + at;
    const size_t half = (size_t)j->z.half;
    for (size_t k = 0; k < half; k++) {
        size_t a = j->interleaved ? 2 * k : k, b = j->interleaved ? a + 1 : k + half;
        double u = x[a], v = x[b];
        y[a] = cos[k] * u - sin[k] * v;
        y[b] = sin[k] * u + cos[k] * v;
    }
    for (size_t k = 2 * half; k < (size_t)j->z.d; k++)
        y[k] = x[k];
}

static void turn_f32(const struct job *j, size_t at, size_t table) {
    const struct tensor *x = j->call->in[IN_X], *y = j->call->out[0];
    const size_t half = (size_t)j->z.half, bytes = dtype_size(x->dtype);
    float v[2 * HALF_MOST], cos[HALF_MOST], sin[HALF_MOST];
    wide_load(x->dtype, x->data, at, 2 * half, v);
    wide_load(x->dtype, j->call->in[IN_COS]->data, table, half, cos);
    wide_load(x->dtype, j->call->in[IN_SIN]->data, table, half, sin);
    for (size_t k = 0; k < half; k++) {
        size_t a = j->interleaved ? 2 * k : k, b = j->interleaved ? a + 1 : k + half;
        float first = v[a], second = v[b];
        v[a] = cos[k] * first - sin[k] * second;
        v[b] = sin[k] * first + cos[k] * second;
    }
    wide_store(x->dtype, y->data, at, 2 * half, v);
    size_t rest = (size_t)j->z.d - 2 * half;
    if (rest && x->data != y->data)
        memcpy((char *)y->data + (at + 2 * half) * bytes,
               (const char *)x->data + (at + 2 * half) * bytes, rest * bytes);
}

/* Heads [begin, end), counted as they lie. */
static void turn(const struct job *j, size_t begin, size_t end) {
    const size_t heads = (size_t)j->z.h, rows = (size_t)j->z.s;
    for (size_t unit = begin; unit < end; unit++) {
        size_t row = j->z.flat ? unit / heads : unit / (heads * rows) * rows + unit % rows;
        size_t at = unit * (size_t)j->z.d, table = table_row(j, row);
        if (j->call->in[IN_X]->dtype == DT_F64)
            turn_f64(j, at, table);
        else
            turn_f32(j, at, table);
    }
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[IN_X], *positions = operand_in(c, IN_POSITIONS);
    struct job j = {.call = c, .interleaved = attr_int(c->node, "interleaved", 0) != 0};
    TRY(sizes_of(OPERAND_AT(c), &x->shape, &c->in[IN_COS]->shape, &j.z, e));
    const int64_t most = c->in[IN_COS]->shape.dims[0];
    for (size_t k = 0; positions && k < tensor_count(positions); k++) {
        int64_t at = tensor_i64(positions, k);
        if (at < 0 || at >= most)
            return operand_fail(c, e, INVALID, "position %lld is outside the %lld of the tables",
                                (long long)at, (long long)most);
    }
    if (tensor_count(x) == 0)
        return OK;
    const size_t units = (size_t)(j.z.b * j.z.h * j.z.s);
    const int threads = team_size(c->threads, (double)tensor_count(x) * 0.5);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int t = 0; t < threads; t++)
        turn(&j, team_cut(units, 1, threads, t), team_cut(units, 1, threads, t + 1));
    return OK;
}

const struct op op_rotary_embedding = {
    "rotary_embedding", OP_PURE | OP_INPLACE, infer, NULL, run, NULL};
