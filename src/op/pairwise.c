/* SPDX-License-Identifier: Apache-2.0 */
/* Two inputs, one output, one type; see pairwise.h. */
#include "op/pairwise.h"

#include "op/broadcast.h"
#include "op/post.h"
#include "op/team.h"
#include "op/wide.h"

enum {
    HALF_STRETCH = 1024, /* elements of 16 bits that are held as f32 at a time */
    STRETCH = 8192,      /* elements between a result and its posts: 32 KB */
    SHORT = 64,          /* elements of a row whose call costs more than its work */
    LONG = 256,
};

bool pairwise_takes(const struct pairwise *p, enum dtype t) {
    return p->fn[wide_half(t) ? DT_F32 : t] != NULL;
}

struct pair_call {
    const struct op_call *call;
    const struct pairwise *pair;
    binary_f32_fn *kernel; /* NULL: none */
    pair_fn *fn;
    const struct tensor *out;
    enum dtype dtype; /* of the inputs */
    size_t in_bytes, out_bytes;
    const char *a, *b;
    char *y;
};

/* A short row that repeats beside whole ones: copies of it side by side meet many of them. */
static void repeated(const struct pair_call *c, struct binary_f32 k) {
    float room[LONG];
    const bool of_a = k.a_row == 0;
    const size_t times = LONG / k.n, rows = k.rows / times;
    const ptrdiff_t n = (ptrdiff_t)(times * k.n);
    for (size_t i = 0; i < times; i++)
        memcpy(room + i * k.n, of_a ? k.a : k.b, k.n * sizeof *room);
    c->kernel(&(struct binary_f32){.rows = rows,
                                   .n = (size_t)n,
                                   .a = of_a ? room : k.a,
                                   .b = of_a ? k.b : room,
                                   .y = k.y,
                                   .a_row = of_a ? 0 : n,
                                   .b_row = of_a ? n : 0,
                                   .y_row = n});
    k.a += of_a ? 0 : rows * (size_t)n;
    k.b += of_a ? rows * (size_t)n : 0;
    k.y += rows * (size_t)n;
    k.rows -= rows * times;
    if (k.rows)
        c->kernel(&k);
}

static bool repeats(const struct binary_f32 *k) {
    const ptrdiff_t n = (ptrdiff_t)k->n;
    return n && k->n <= SHORT && k->rows > LONG / k->n && !k->a_one && !k->b_one &&
           ((k->a_row == 0 && k->b_row == n) || (k->a_row == n && k->b_row == 0));
}

static void by_kernel(const struct pair_call *c, const struct binary_f32 *k) {
    if (repeats(k))
        repeated(c, *k);
    else
        c->kernel(k);
}

static void rows_of(const struct pair_call *c, const struct broadcast_piece *p) {
    const char *a = c->a + p->in[0] * (ptrdiff_t)c->in_bytes,
               *b = c->b + p->in[1] * (ptrdiff_t)c->in_bytes;
    char *y = c->y + p->out * c->out_bytes;
    bool steps = (p->step[0] | p->step[1]) >> 1 == 0; /* each 0 or 1 */
    if (c->kernel && steps) {
        by_kernel(c, &(struct binary_f32){.rows = p->rows,
                                          .n = p->n,
                                          .a = (const float *)a,
                                          .b = (const float *)b,
                                          .y = (float *)y,
                                          .a_row = p->row[0],
                                          .b_row = p->row[1],
                                          .y_row = (ptrdiff_t)p->n,
                                          .a_one = p->step[0] == 0,
                                          .b_one = p->step[1] == 0});
        return;
    }
    for (size_t row = 0; row < p->rows; row++) {
        c->fn(p->n, a, p->step[0], b, p->step[1], y);
        a += p->row[0] * (ptrdiff_t)c->in_bytes, b += p->row[1] * (ptrdiff_t)c->in_bytes,
            y += p->n * c->out_bytes;
    }
}

/* --- 16-bit floats --- */

struct widened { /* rows of an operand as f32 */
    float at[HALF_STRETCH];
    ptrdiff_t row;
    bool one; /* a single element in each row */
};

/* Operand i of a piece of up to HALF_STRETCH elements. */
static void widen(const struct pair_call *c, const struct broadcast_piece *p, int i,
                  struct widened *to) {
    const uint16_t *from = (const uint16_t *)(i ? c->b : c->a) + p->in[i];
    const ptrdiff_t row = p->row[i], step = p->step[i], n = (ptrdiff_t)p->n;
    to->one = step == 0;
    to->row = row == 0 ? 0 : step == 0 ? 1 : n;
    if (step == 1 && (row == 0 || row == n || p->rows == 1)) {
        wide_load(c->dtype, from, 0, row == n ? p->rows * p->n : p->n, to->at);
        return;
    }
    uint16_t gathered[HALF_STRETCH];
    const size_t rows = row == 0 ? 1 : p->rows, each = step == 0 ? 1 : p->n;
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < each; k++)
            gathered[r * each + k] = from[(ptrdiff_t)r * row + (ptrdiff_t)k * step];
    wide_load(c->dtype, gathered, 0, rows * each, to->at);
}

/* A piece of up to HALF_STRETCH elements, with its posts. */
static void half_rows_of(const struct pair_call *c, const struct broadcast_piece *p) {
    struct widened a, b;
    float y[HALF_STRETCH];
    widen(c, p, 0, &a);
    widen(c, p, 1, &b);
    if (c->kernel) {
        by_kernel(c, &(struct binary_f32){.rows = p->rows,
                                          .n = p->n,
                                          .a = a.at,
                                          .b = b.at,
                                          .y = y,
                                          .a_row = a.row,
                                          .b_row = b.row,
                                          .y_row = (ptrdiff_t)p->n,
                                          .a_one = a.one,
                                          .b_one = b.one});
    } else {
        const size_t bytes = c->pair->truth ? c->out_bytes : sizeof *y;
        char *to = c->pair->truth ? c->y + p->out * bytes : (char *)y;
        for (size_t row = 0; row < p->rows; row++, to += p->n * bytes)
            c->fn(p->n, a.at + (ptrdiff_t)row * a.row, !a.one, b.at + (ptrdiff_t)row * b.row,
                  !b.one, to);
    }
    if (c->pair->truth)
        return;
    post_apply_at(c->call, c->out, y, p->out, p->rows * p->n);
    wide_store(c->dtype, c->y, p->out, p->rows * p->n, y);
}

static void piece(const struct broadcast_piece *p, void *ctx) {
    const struct pair_call *c = ctx;
    const bool half = wide_half(c->dtype);
    const size_t stretch = half ? HALF_STRETCH : STRETCH;
    if (!half && c->call->node->n_post == 0) {
        rows_of(c, p);
        return;
    }
    size_t at_once = p->n < stretch ? stretch / (p->n ? p->n : 1) : 1;
    for (size_t row = 0; row < p->rows; row += at_once) {
        struct broadcast_piece some = *p;
        some.rows = p->rows - row < at_once ? p->rows - row : at_once;
        some.n = p->n < stretch ? p->n : stretch;
        for (size_t col = 0; col < p->n; col += some.n) {
            some.n = p->n - col < some.n ? p->n - col : some.n;
            some.out = p->out + row * p->n + col;
            for (int i = 0; i < 2; i++)
                some.in[i] = p->in[i] + (ptrdiff_t)row * p->row[i] + (ptrdiff_t)col * p->step[i];
            if (half) {
                half_rows_of(c, &some);
                continue;
            }
            rows_of(c, &some);
            post_apply(c->call, c->out, some.out, some.rows * some.n);
        }
    }
}

enum code pairwise_run(const struct op_call *call, const struct pairwise *pair,
                       const struct tensor *a, const struct tensor *b, const struct tensor *out,
                       struct err *e) {
    enum dtype t = a->dtype;
    if (!pairwise_takes(pair, t) || b->dtype != t)
        return operand_fail(call, e, UNSUPPORTED, "inputs of type %s and %s", dtype_name(t),
                            dtype_name(b->dtype));
    struct pair_call c = {.call = call,
                          .pair = pair,
                          .out = out,
                          .dtype = t,
                          .in_bytes = dtype_size(t),
                          .out_bytes = dtype_size(out->dtype),
                          .fn = pair->fn[wide_half(t) ? DT_F32 : t],
                          .a = a->data,
                          .b = b->data,
                          .y = out->data};
    if (pair->kernel && (t == DT_F32 || wide_half(t)))
        memcpy(&c.kernel, (const char *)kernel_set() + pair->kernel - 1, sizeof c.kernel);
    struct broadcast walk;
    broadcast_plan(&walk, out, (const struct tensor *[]){a, b}, 2);
    double ns =
        (double)tensor_count(out) * (pair->ns + post_cost(call->node) + (c.kernel ? 0 : 0.5));
    broadcast_each(&walk, team_size(call->threads, ns), piece, &c);
    return OK;
}

enum code pairwise_align(const struct operand_at *at, const struct shape *a, struct shape *b,
                         struct err *e) {
    if (at->node->opset >= 7 || attr_int(at->node, "broadcast", 0) == 0)
        return OK;
    int64_t axis = attr_int(at->node, "axis", a->rank - b->rank);
    if (axis < 0)
        axis += a->rank;
    if (axis < 0 || axis + b->rank > a->rank)
        return operand_fail(at, e, INVALID, "axis %d does not fit ranks %d and %d", (int)axis,
                            a->rank, b->rank);
    while (axis + b->rank < a->rank)
        b->dims[b->rank++] = 1;
    return OK;
}

enum code pairwise_infer(struct op_infer *c, const struct pairwise *p, struct err *e) {
    TRY(operand_need(c, 2, e));
    enum dtype t = c->in[0].dtype;
    if (c->in[1].dtype != t)
        return operand_fail(c, e, INVALID, "inputs are %s and %s, they must be of one type",
                            dtype_name(t), dtype_name(c->in[1].dtype));
    if (!pairwise_takes(p, t))
        return operand_fail(c, e, UNSUPPORTED, "inputs of type %s", dtype_name(t));
    enum dtype result = p->truth ? DT_BOOL : t;
    if (!operand_known(c)) {
        operand_out_later(c, 0, result);
        return OK;
    }
    struct shape a = c->in[0].shape, b = c->in[1].shape, out;
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    TRY(pairwise_align(OPERAND_AT(c), &a, &b, e));
    if (!shape_broadcast(&a, &b, &out))
        return operand_fail(c, e, INVALID, "shapes %s and %s do not broadcast",
                            shape_print(&a, text_a), shape_print(&b, text_b));
    return operand_out(c, 0, result, &out, e);
}
