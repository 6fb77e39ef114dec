/* SPDX-License-Identifier: Apache-2.0 */
/* attention (ONNX opset 23 to 25): y = softmax(q * k^T * scale + bias) * v, per head.
 *
 * Letters: B batch, H heads of q, G heads of k and v (H a multiple of G: neighbouring heads of q
 * share one), S rows of q, P past rows, T = P + rows of k, D head size, E head size of v.
 *
 * 1. q, k, v are (B, H, S, D), or (B, S, H * D) with the numbers of heads as attributes; strides
 * make them the same.
 * 2. A row's bias is minus infinity outside a range of keys (causal, sliding window, padding; all
 * count from `offset`, the keys before this block of queries) and the mask inside. A row with no
 * key left gives zeros.
 * 3. Scores of some rows at a time, as many as stay in the first-level cache: q * k^T and p * v are
 * matrix products over k and v packed once per head, and p is divided by its sum behind them. Heads
 * go to different threads. f16 and bf16 are widened; f64 goes by the definition.
 * 4. Scores are never narrower than f32, whatever softmax_precision says. */
#include "op/operand.h"
#include "op/product.h"
#include "op/scratch.h"
#include "op/stride.h"
#include "op/team.h"
#include "op/wide.h"

#include <math.h>

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_K, IN_PAST_V, IN_LENGTHS };
enum { OUT_Y, OUT_PRESENT_K, OUT_PRESENT_V, OUT_SCORES };
enum { RAW, CAPPED, BIASED, PROBABILITIES }; /* qk_matmul_output_mode */
enum { SCORES = 6 << 10, ROWS_STEP = 12, ROWS_FEW = 3 };

struct sizes {
    int64_t b, h, g, s, p, t, d, e;
    int64_t t_new; /* T - P */
    bool flat;     /* (B, S, H * D) */
};

/* --- shapes --- */

static enum code split_heads(const struct operand_at *at, const struct shape *x, int64_t heads,
                             struct shape *out, struct err *e) {
    *out = *x;
    if (x->rank == 4)
        return OK;
    if (x->rank != 3 || heads < 1 || x->dims[2] % heads)
        return operand_fail(at, e, INVALID,
                            "an input of rank %d does not split into %lld heads (q_num_heads, "
                            "kv_num_heads)",
                            x->rank, (long long)heads);
    *out = (struct shape){4, {x->dims[0], heads, x->dims[1], x->dims[2] / heads}};
    return OK;
}

/* shapes: of all seven inputs; rank -1: absent. */
static enum code sizes_of(const struct operand_at *at, const struct shape *shapes, struct sizes *z,
                          struct err *e) {
    struct shape q, k, v;
    const int64_t kv = attr_int(at->node, "kv_num_heads", 0);
    TRY(split_heads(at, &shapes[IN_Q], attr_int(at->node, "q_num_heads", 0), &q, e));
    TRY(split_heads(at, &shapes[IN_K], kv, &k, e));
    TRY(split_heads(at, &shapes[IN_V], kv, &v, e));
    const struct shape *past = &shapes[IN_PAST_K];
    *z = (struct sizes){.b = q.dims[0], .h = q.dims[1], .g = k.dims[1], .s = q.dims[2]};
    z->d = q.dims[3];
    z->e = v.dims[3];
    z->t_new = k.dims[2];
    z->flat = shapes[IN_Q].rank == 3;
    z->p = past->rank == 4 ? past->dims[2] : 0;
    z->t = z->p + z->t_new;
    if (k.dims[0] != z->b || v.dims[0] != z->b || v.dims[1] != z->g || v.dims[2] != z->t_new ||
        k.dims[3] != z->d || z->g < 1 || z->h % z->g || shapes[IN_K].rank != shapes[IN_Q].rank ||
        shapes[IN_V].rank != shapes[IN_Q].rank)
        return operand_fail(at, e, INVALID, "the shapes of query, key and value do not fit");
    if ((past->rank >= 0) != (shapes[IN_PAST_V].rank >= 0))
        return operand_fail(at, e, INVALID, "past key and past value come together or not at all");
    const struct shape want[2] = {{4, {z->b, z->g, z->p, z->d}}, {4, {z->b, z->g, z->p, z->e}}};
    for (int i = 0; i < 2 && past->rank >= 0; i++)
        if (!shape_eq(&want[i], &shapes[IN_PAST_K + i]))
            return operand_fail(at, e, INVALID, "the past does not fit key and value");
    return OK;
}

static enum code check_mask(const struct operand_at *at, const struct sizes *z,
                            const struct shape *mask, struct err *e) {
    char text[SHAPE_TEXT];
    if (mask->rank < 0)
        return OK;
    struct shape both, want = {4, {z->b, z->h, z->s, mask->rank ? mask->dims[mask->rank - 1] : 0}};
    if (mask->rank < 1 || want.dims[3] > z->t || !shape_broadcast(&want, mask, &both) ||
        !shape_eq(&want, &both))
        return operand_fail(at, e, INVALID,
                            "a mask of shape %s does not fit %lld queries and "
                            "%lld keys",
                            shape_print(mask, text), (long long)z->s, (long long)z->t);
    return OK;
}

static enum code check_types(const struct op_infer *c, struct err *e) {
    static const int like[] = {[IN_Q] = IN_Q,
                               [IN_K] = IN_Q,
                               [IN_V] = IN_V,
                               [IN_MASK] = IN_MASK,
                               [IN_PAST_K] = IN_K,
                               [IN_PAST_V] = IN_V,
                               [IN_LENGTHS] = IN_LENGTHS};
    for (int i = 0; i < c->node->n_in && i <= IN_LENGTHS; i++) {
        const enum dtype t = c->in[i].dtype;
        if (!operand_given(c, i))
            continue;
        bool fits =
            i == IN_LENGTHS ? t == DT_I64 : dtype_is_float(t) || (i == IN_MASK && t == DT_BOOL);
        if (!fits || t != c->in[like[i]].dtype)
            return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(t));
    }
    if ((c->in[IN_Q].dtype == DT_F64) != (c->in[IN_V].dtype == DT_F64))
        return operand_fail(c, e, INVALID, "query and value are %s and %s",
                            dtype_name(c->in[IN_Q].dtype), dtype_name(c->in[IN_V].dtype));
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    TRY(check_types(c, e));
    const enum dtype q = c->in[IN_Q].dtype, k = c->in[IN_K].dtype, v = c->in[IN_V].dtype;
    const enum dtype types[] = {q, k, v, q};
    for (int i = 0; i < c->node->n_out && i <= OUT_SCORES; i++)
        operand_out_later(c, i, types[i]);
    if (!operand_known(c))
        return OK;
    struct shape shapes[IN_LENGTHS + 1];
    struct sizes z;
    for (int i = 0; i <= IN_LENGTHS; i++)
        shapes[i] = operand_given(c, i) ? c->in[i].shape : (struct shape){.rank = -1};
    TRY(sizes_of(OPERAND_AT(c), shapes, &z, e));
    TRY(check_mask(OPERAND_AT(c), &z, &shapes[IN_MASK], e));
    if (shapes[IN_LENGTHS].rank >= 0 && !shape_eq(&shapes[IN_LENGTHS], &(struct shape){1, {z.b}}))
        return operand_fail(c, e, INVALID, "nonpad_kv_seqlen needs one number per batch entry");
    struct shape y = {4, {z.b, z.h, z.s, z.e}}, flat = {3, {z.b, z.s, z.h * z.e}};
    TRY(operand_out(c, OUT_Y, q, z.flat ? &flat : &y, e));
    TRY(operand_out(c, OUT_PRESENT_K, k, &(struct shape){4, {z.b, z.g, z.t, z.d}}, e));
    TRY(operand_out(c, OUT_PRESENT_V, v, &(struct shape){4, {z.b, z.g, z.t, z.e}}, e));
    return operand_out(c, OUT_SCORES, q, &(struct shape){4, {z.b, z.h, z.s, z.t}}, e);
}

/* --- scratch --- */

enum wide_part { WIDE_Q, WIDE_K, WIDE_V, WIDE_Y, WIDE_N };

struct plan {
    size_t rows;         /* queries at a time */
    size_t present[2];   /* bytes: past and new keys, values, when nobody wants them */
    size_t wide[WIDE_N]; /* bytes: 16-bit operands as f32 */
    size_t team, each;   /* bytes: the threads' parts, and of one */
    size_t k_panels, v_panels, scores, sums, bias, product; /* bytes within a thread's part */
};

static struct product scores_product(const struct sizes *z, size_t rows) {
    return (struct product){.m = rows,
                            .n = (size_t)z->t,
                            .k = (size_t)z->d,
                            .c_row = (size_t)z->t,
                            .b_transposed = true};
}
static struct product values_product(const struct sizes *z, size_t rows) {
    return (struct product){.m = rows, .n = (size_t)z->e, .k = (size_t)z->t, .a_row = (size_t)z->t};
}

static bool plan_thread(struct plan *p, const struct sizes *z, enum dtype q, int threads) {
    const bool wide = q == DT_F64, few = !wide && p->rows <= ROWS_FEW;
    size_t total = 0, whole;
    struct product scores = scores_product(z, p->rows), values = values_product(z, p->rows);
    const size_t packed = wide ? 0 : product_pack_floats(&scores),
                 packed_v = wide ? 0 : product_pack_floats(&values);
    if (!scratch_reserve(&total, packed, sizeof(float), &p->k_panels) ||
        !scratch_reserve(&total, packed_v, sizeof(float), &p->v_panels) ||
        !mul_size(wide ? 1 : p->rows, (size_t)z->t, &whole) ||
        !scratch_reserve(&total, whole, wide ? sizeof(double) : sizeof(float), &p->scores) ||
        !scratch_reserve(&total, p->rows, sizeof(float), &p->sums) ||
        !scratch_reserve(&total, (size_t)z->t, sizeof(float), &p->bias) ||
        !scratch_reserve(&total, few ? product_scratch(&values) : 0, 1, &p->product))
        return false;
    p->each = total;
    return mul_size(total, (size_t)threads, &whole);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct shape shapes[IN_LENGTHS + 1];
    struct sizes z;
    struct plan *p = arena_push(c->arena, sizeof *p);
    if (!p)
        return arena_fail(c->arena, sizeof *p, "the plan of an attention", e);
    for (int i = 0; i <= IN_LENGTHS; i++)
        shapes[i] = operand_takes(c, i) ? c->in[i].shape : (struct shape){.rank = -1};
    TRY(sizes_of(OPERAND_AT(c), shapes, &z, e));
    *p = (struct plan){.rows = SCORES / (size_t)(z.t ? z.t : 1) / ROWS_STEP * ROWS_STEP};
    p->rows = p->rows < ROWS_STEP ? ROWS_STEP : p->rows;
    p->rows = p->rows < (size_t)z.s ? p->rows : (size_t)z.s;
    const bool past = shapes[IN_PAST_K].rank >= 0, half = wide_half(c->in[IN_Q].dtype),
               half_v = wide_half(c->in[IN_V].dtype);
    size_t total = 0, q, k, v, y;
    bool ok = shape_count(&(struct shape){4, {z.b, z.h, z.s, z.d}}, &q) &&
              shape_count(&(struct shape){4, {z.b, z.g, z.t, z.d}}, &k) &&
              shape_count(&(struct shape){4, {z.b, z.g, z.t, z.e}}, &v) &&
              shape_count(&(struct shape){4, {z.b, z.h, z.s, z.e}}, &y);
    ok = ok &&
         scratch_reserve(&total, past ? k : 0, dtype_size(c->in[IN_K].dtype), &p->present[0]) &&
         scratch_reserve(&total, past ? v : 0, dtype_size(c->in[IN_V].dtype), &p->present[1]) &&
         scratch_reserve(&total, half ? q : 0, sizeof(float), &p->wide[WIDE_Q]) &&
         scratch_reserve(&total, half ? k : 0, sizeof(float), &p->wide[WIDE_K]) &&
         scratch_reserve(&total, half_v ? v : 0, sizeof(float), &p->wide[WIDE_V]) &&
         scratch_reserve(&total, half ? y : 0, sizeof(float), &p->wide[WIDE_Y]) &&
         plan_thread(p, &z, c->in[IN_Q].dtype, c->threads) &&
         scratch_reserve(&total, (size_t)c->threads, p->each, &p->team);
    if (!ok)
        return operand_fail(c, e, LIMIT, "the operands are too large");
    c->scratch_bytes = total;
    c->state = p;
    c->flops = 2.0 * (double)(z.b * z.h) * (double)z.s * (double)z.t * (double)(z.d + z.e);
    return OK;
}

/* --- a run --- */

struct heads { /* where row `row` of head `head` of entry `batch` begins */
    const void *data;
    size_t batch, head, row; /* strides in elements */
};

struct job {
    const struct op_call *call;
    const struct plan *plan;
    struct sizes z;
    struct heads q, k, v;
    void *y; /* f32 or f64 */
    size_t y_batch, y_head, y_row;
    const struct tensor *mask, *lengths, *scores;
    int64_t mask_keys, mask_stride[SHAPE_MAX];
    double scale, cap;
    int64_t mode, left, right; /* window: -1 unbounded */
    bool causal;
};

static size_t head_at(const struct heads *h, size_t batch, size_t head) {
    return batch * h->batch + head * h->head;
}

/* Keys [first, last) that query `row` may see, and what the mask adds to key j. */
struct view {
    int64_t first, last;
    size_t mask; /* position of the mask for key 0 */
};

static struct view view_of(const struct job *j, size_t batch, size_t head, size_t row) {
    const struct sizes *z = &j->z;
    int64_t offset = z->p, first = 0, last = z->t;
    if (j->lengths) {
        int64_t length = tensor_i64(j->lengths, batch);
        length = length < 0 ? 0 : length > z->t ? z->t : length;
        offset = operand_in(j->call, IN_PAST_K) ? z->p : length - z->s;
        last = length;
    }
    const int64_t at = (int64_t)row + offset;
    if (j->causal && at + 1 < last)
        last = at + 1;
    if (j->right >= 0 && j->right < z->t && at + j->right + 1 < last)
        last = at + j->right + 1;
    if (j->left >= 0 && j->left < z->t + z->s && at - j->left > first)
        first = at - j->left;
    if (j->mask && j->mask_keys < last)
        last = j->mask_keys;
    last = last < first ? first : last;
    return (struct view){first < z->t ? first : z->t, last < z->t ? last : z->t,
                         batch * (size_t)j->mask_stride[0] + head * (size_t)j->mask_stride[1] +
                             row * (size_t)j->mask_stride[2]};
}

static double mask_of(const struct job *j, const struct view *v, int64_t key) {
    if (!j->mask)
        return 0;
    double m = tensor_f64(j->mask, v->mask + (size_t)(key * j->mask_stride[3]));
    return j->mask->dtype != DT_BOOL ? m : m != 0 ? 0 : -INFINITY;
}

static void put_scores(const struct job *j, int mode, size_t at, const float *s) {
    if (j->scores && j->mode == mode)
        wide_store(j->scores->dtype, j->scores->data, at, (size_t)j->z.t, s);
}

/* What the mask adds to each key of a row: in place, or put into `room`, where the row before may
 * have left the same. */
struct bias {
    float *room;
    size_t held; /* position in the mask of what lies there; SIZE_MAX: nothing */
};

static const float *bias_of(const struct job *j, const struct view *v, struct bias *b) {
    const struct tensor *mask = j->mask;
    if (mask->dtype == DT_F32 && j->mask_stride[3] == 1)
        return (const float *)mask->data + v->mask;
    for (int64_t key = 0; key < j->mask_keys && b->held != v->mask; key++)
        b->room[key] = (float)mask_of(j, v, key);
    b->held = v->mask;
    return b->room;
}

/* Scores of one row, q * k^T, on their way to what the softmax sees, where somebody wants to see
 * them or a cap bends them. */
static void scores_shown(const struct job *j, size_t at, float *s) {
    const struct kernel_set *k = kernel_set();
    const size_t t = (size_t)j->z.t;
    k->linear_f32(t, s, s, (float)j->scale, 0);
    put_scores(j, RAW, at, s);
    if (j->cap > 0) {
        k->linear_f32(t, s, s, (float)(1 / j->cap), 0);
        k->tanh_f32(t, s, s, 0, 0);
        k->linear_f32(t, s, s, (float)j->cap, 0);
    }
    put_scores(j, CAPPED, at, s);
}

static void biased_shown(const struct job *j, const struct view *v, size_t at, const float *bias,
                         float *s) {
    for (int64_t key = 0; key < j->z.t; key++)
        s[key] = key < v->first || key >= v->last ? -INFINITY : bias ? s[key] + bias[key] : s[key];
    put_scores(j, BIASED, at, s);
}

/* What products with numbers of this sum are to be multiplied with. */
static float whole_of(float sum) { return sum > 0 || isnan(sum) ? 1 / sum : 0; }

/* Scores of one row become what v is multiplied with; answers what the products are to be
 * multiplied with then. */
static float finish_row(const struct job *j, size_t batch, size_t head, size_t row, float *s,
                        struct bias *b) {
    const struct kernel_set *k = kernel_set();
    const size_t t = (size_t)j->z.t,
                 at = ((batch * (size_t)j->z.h + head) * (size_t)j->z.s + row) * t;
    const struct view v = view_of(j, batch, head, row);
    const size_t first = (size_t)v.first, n = (size_t)(v.last - v.first);
    const bool shown = j->scores || j->cap > 0;
    const float *bias = j->mask && n ? bias_of(j, &v, b) : NULL;
    if (shown)
        scores_shown(j, at, s);
    if (j->scores && j->mode == BIASED) {
        biased_shown(j, &v, at, bias, s);
        bias = NULL;
    }
    float sum = 0;
    if (n)
        k->weigh_f32(&(struct weigh_f32){.rows = 1,
                                         .n = n,
                                         .x = s + first,
                                         .bias = bias ? bias + first : NULL,
                                         .scale = shown ? 1 : (float)j->scale,
                                         .y = s + first,
                                         .sums = &sum});
    const float whole = whole_of(sum);
    memset(s, 0, first * sizeof *s);
    memset(s + first + n, 0, (t - first - n) * sizeof *s);
    if (!j->scores || j->mode != PROBABILITIES)
        return whole;
    k->linear_f32(t, s, s, whole, 0);
    put_scores(j, PROBABILITIES, at, s);
    return 1;
}

/* Scores of rows that all see all keys, and that nobody else wants: at once. false: not such. */
static bool weigh_whole(const struct job *j, size_t batch, size_t head, size_t row, size_t rows,
                        float *s, float *sums, struct bias *b) {
    const size_t t = (size_t)j->z.t;
    const bool narrow = j->causal || j->left >= 0 || j->right >= 0 || j->lengths ||
                        (j->mask && j->mask_keys < j->z.t),
               lies = j->mask && j->mask->dtype == DT_F32 && j->mask_stride[3] == 1;
    if (narrow || j->scores || j->cap > 0 || t == 0 || (j->mask && !lies && j->mask_stride[2]))
        return false;
    const struct view v = view_of(j, batch, head, row);
    kernel_set()->weigh_f32(&(struct weigh_f32){.rows = rows,
                                                .n = t,
                                                .x = s,
                                                .bias = j->mask ? bias_of(j, &v, b) : NULL,
                                                .row = t,
                                                .bias_row = lies ? (size_t)j->mask_stride[2] : 0,
                                                .scale = (float)j->scale,
                                                .y = s,
                                                .sums = sums});
    for (size_t r = 0; r < rows; r++)
        sums[r] = whole_of(sums[r]);
    return true;
}

/* One head of one batch entry. packed: the (batch, group) whose k and v lie packed in `part`. */
static void head_f32(const struct job *j, size_t unit, char *part, size_t *packed, int threads) {
    const struct plan *p = j->plan;
    const struct sizes *z = &j->z;
    const size_t batch = unit / (size_t)z->h, head = unit % (size_t)z->h;
    const size_t group = head / (size_t)(z->h / z->g), mine = batch * (size_t)z->g + group;
    const float *q = (const float *)j->q.data + head_at(&j->q, batch, head),
                *k = (const float *)j->k.data + head_at(&j->k, batch, group),
                *v = (const float *)j->v.data + head_at(&j->v, batch, group);
    float *y = (float *)j->y + batch * j->y_batch + head * j->y_head;
    float *k_panels = (float *)(void *)(part + p->k_panels),
          *v_panels = (float *)(void *)(part + p->v_panels),
          *scores = (float *)(void *)(part + p->scores), *sums = (float *)(void *)(part + p->sums);
    struct bias bias = {(float *)(void *)(part + p->bias), SIZE_MAX};
    struct product to_scores = scores_product(z, 0), to_values = values_product(z, 0);
    to_scores.a_row = j->q.row;
    to_scores.b_row = j->k.row;
    to_values.b_row = j->v.row;
    to_values.c_row = j->y_row;
    const bool few = p->rows <= ROWS_FEW; /* packing v does not pay */
    if (*packed != mine) {
        product_pack(&to_scores, k, k_panels);
        if (!few)
            product_pack(&to_values, v, v_panels);
        *packed = mine;
    }
    to_scores.panels = k_panels;
    to_values.panels = few ? NULL : v_panels;
    for (size_t row = 0; row < (size_t)z->s; row += p->rows) {
        size_t rows = (size_t)z->s - row < p->rows ? (size_t)z->s - row : p->rows;
        to_scores.m = to_values.m = rows;
        product_run(&to_scores, q + row * j->q.row, k, scores, NULL, threads);
        const bool whole = weigh_whole(j, batch, head, row, rows, scores, sums, &bias);
        for (size_t r = 0; r < rows && !whole; r++)
            sums[r] = finish_row(j, batch, head, row + r, scores + r * (size_t)z->t, &bias);
        product_run(&to_values, scores, v, y + row * j->y_row, part + p->product, threads);
        for (size_t r = 0; r < rows; r++)
            kernel_set()->linear_f32((size_t)z->e, y + (row + r) * j->y_row,
                                     y + (row + r) * j->y_row, sums[r], 0);
    }
}

/* --- f64, by the definition --- */

static void scores_f64(const struct job *j, const double *q, const double *k, const struct view *v,
                       size_t at, double *s) {
    double *to = j->scores ? (double *)j->scores->data + at : NULL;
    for (int64_t key = 0; key < j->z.t; key++) {
        double sum = 0;
        for (int64_t d = 0; d < j->z.d; d++)
            sum += q[d] * k[(size_t)key * j->k.row + (size_t)d];
        sum *= j->scale;
        if (to && j->mode == RAW)
            to[key] = sum;
        sum = j->cap > 0 ? j->cap * tanh(sum / j->cap) : sum;
        if (to && j->mode == CAPPED)
            to[key] = sum;
        bool seen = key >= v->first && key < v->last;
        s[key] = seen ? sum + mask_of(j, v, key) : -INFINITY;
        if (to && j->mode == BIASED)
            to[key] = s[key];
    }
}

static void softmax_f64(size_t n, double *s) {
    double top = -INFINITY, sum = 0;
    for (size_t k = 0; k < n; k++)
        top = s[k] > top ? s[k] : top;
    for (size_t k = 0; k < n; k++) {
        s[k] = isinf(top) && top < 0 ? 0 : exp(s[k] - top);
        sum += s[k];
    }
    for (size_t k = 0; k < n && sum > 0; k++)
        s[k] /= sum;
}

static void head_f64(const struct job *j, size_t unit, char *part) {
    const struct sizes *z = &j->z;
    const size_t batch = unit / (size_t)z->h, head = unit % (size_t)z->h, t = (size_t)z->t;
    const size_t group = head / (size_t)(z->h / z->g);
    const double *q = (const double *)j->q.data + head_at(&j->q, batch, head),
                 *k = (const double *)j->k.data + head_at(&j->k, batch, group),
                 *v = (const double *)j->v.data + head_at(&j->v, batch, group);
    double *y = (double *)j->y + batch * j->y_batch + head * j->y_head;
    double *s = (double *)(void *)(part + j->plan->scores);
    for (size_t row = 0; row < (size_t)z->s; row++) {
        const struct view seen = view_of(j, batch, head, row);
        const size_t at = (unit * (size_t)z->s + row) * t;
        scores_f64(j, q + row * j->q.row, k, &seen, at, s);
        softmax_f64(t, s);
        if (j->scores && j->mode == PROBABILITIES && t)
            memcpy((double *)j->scores->data + at, s, t * sizeof *s);
        for (size_t d = 0; d < (size_t)z->e; d++) {
            double sum = 0;
            for (size_t key = 0; key < t; key++)
                sum += s[key] > 0 ? s[key] * v[key * j->v.row + d] : 0;
            y[row * j->y_row + d] = sum;
        }
    }
}

/* --- operands --- */

/* (batch, rows, head * width) when flat, else (batch, heads, rows, width). */
static struct heads heads_of(const void *data, bool flat, int64_t heads, int64_t rows,
                             int64_t width) {
    const size_t h = (size_t)heads, r = (size_t)rows, w = (size_t)width;
    return (struct heads){data, h * r * w, flat ? w : r * w, flat ? h * w : w};
}

/* past (B, G, P, width) and the new rows become (B, G, T, width) at `to`. */
static void join_past(const struct op_call *c, const struct sizes *z, int input, int64_t width,
                      void *to) {
    const size_t bytes = dtype_size(c->in[input]->dtype);
    const struct tensor *past = operand_in(c, input + IN_PAST_K - IN_K);
    const struct heads new = heads_of(NULL, z->flat, z->g, z->t_new, width);
    struct stride s = {0};
    stride_push(&s, z->b, z->g * z->t * width, (int64_t) new.batch);
    stride_push(&s, z->g, z->t * width, (int64_t) new.head);
    stride_push(&s, z->t_new, width, (int64_t) new.row);
    stride_push(&s, width, 1, 1);
    stride_copy(&s, (char *)to + (size_t)(z->p * width) * bytes, c->in[input]->data, bytes,
                c->threads);
    if (!past)
        return;
    s = (struct stride){0};
    stride_push(&s, z->b * z->g, z->t * width, z->p * width);
    stride_push(&s, z->p * width, 1, 1);
    stride_copy(&s, to, past->data, bytes, c->threads);
}

/* Keys or values with their past, as f32 or f64. */
static struct heads cache_of(const struct job *j, int input, int output, int64_t width,
                             enum wide_part part) {
    const struct op_call *c = j->call;
    const struct sizes *z = &j->z;
    const struct tensor *x = c->in[input], *present = operand_to(c, output);
    const bool past = operand_in(c, IN_PAST_K) != NULL;
    const void *data = x->data;
    char *scratch = c->scratch;
    if (present || past) {
        void *to = present ? present->data : scratch + j->plan->present[input - IN_K];
        join_past(c, z, input, width, to);
        data = to;
    }
    const bool flat = z->flat && !present && !past;
    if (wide_half(x->dtype)) {
        float *wide = (float *)(void *)(scratch + j->plan->wide[part]);
        wide_load(x->dtype, data, 0, (size_t)(z->b * z->g * z->t * width), wide);
        data = wide;
    }
    return heads_of(data, flat, z->g, z->t, width);
}

static enum code job_of(const struct op_call *c, struct job *j, struct err *e) {
    struct shape shapes[IN_LENGTHS + 1];
    for (int i = 0; i <= IN_LENGTHS; i++)
        shapes[i] = operand_in(c, i) ? c->in[i]->shape : (struct shape){.rank = -1};
    *j = (struct job){.call = c, .plan = c->state, .mask = operand_in(c, IN_MASK)};
    TRY(sizes_of(OPERAND_AT(c), shapes, &j->z, e));
    const struct sizes *z = &j->z;
    const struct attr *scale = attr_find(c->node, "scale");
    j->scale = scale && scale->kind == ATTR_FLOAT ? (double)scale->f : 1 / sqrt((double)z->d);
    j->cap = (double)attr_float(c->node, "softcap", 0);
    j->mode = attr_int(c->node, "qk_matmul_output_mode", RAW);
    j->left = attr_int(c->node, "left_window_size", -1);
    j->right = attr_int(c->node, "right_window_size", -1);
    j->causal = attr_int(c->node, "is_causal", 0) != 0;
    j->lengths = operand_in(c, IN_LENGTHS);
    j->scores = operand_to(c, OUT_SCORES);
    if (j->mask) {
        j->mask_keys = j->mask->shape.dims[j->mask->shape.rank - 1];
        struct shape want = {4, {z->b, z->h, z->s, j->mask_keys}};
        shape_strides_to(&j->mask->shape, &want, j->mask_stride);
    }
    return OK;
}

static void bind(struct job *j) {
    const struct op_call *c = j->call;
    const struct sizes *z = &j->z;
    const struct tensor *q = c->in[IN_Q];
    char *scratch = c->scratch;
    j->k = cache_of(j, IN_K, OUT_PRESENT_K, z->d, WIDE_K);
    j->v = cache_of(j, IN_V, OUT_PRESENT_V, z->e, WIDE_V);
    const void *data = q->data;
    j->y = c->out[OUT_Y]->data;
    if (wide_half(q->dtype)) {
        float *wide = (float *)(void *)(scratch + j->plan->wide[WIDE_Q]);
        wide_load(q->dtype, q->data, 0, tensor_count(q), wide);
        data = wide;
        j->y = scratch + j->plan->wide[WIDE_Y];
    }
    j->q = heads_of(data, z->flat, z->h, z->s, z->d);
    struct heads y = heads_of(NULL, z->flat, z->h, z->s, z->e);
    j->y_batch = y.batch;
    j->y_head = y.head;
    j->y_row = y.row;
}

static void some_heads(const struct job *j, size_t begin, size_t end, char *part, int threads) {
    size_t packed = SIZE_MAX;
    for (size_t unit = begin; unit < end; unit++)
        if (j->call->in[IN_Q]->dtype == DT_F64)
            head_f64(j, unit, part);
        else
            head_f32(j, unit, part, &packed, threads);
}

static enum code run(const struct op_call *c, struct err *e) {
    struct job j;
    TRY(job_of(c, &j, e));
    const struct plan *p = c->state;
    const struct tensor *y = c->out[OUT_Y];
    const size_t units = (size_t)(j.z.b * j.z.h);
    char *team = (char *)c->scratch + p->team;
    bind(&j);
    const double ns =
        (double)units * (double)j.z.s * (double)j.z.t * (double)(j.z.d + j.z.e) * 0.05;
    const int threads = team_size(c->threads, ns);
    if (threads == 1 || units < 2) {
        some_heads(&j, 0, units, team, threads);
    } else {
#pragma omp parallel for num_threads(threads)
        for (int t = 0; t < threads; t++)
            some_heads(&j, team_cut(units, 1, threads, t), team_cut(units, 1, threads, t + 1),
                       team + (size_t)t * p->each, 1);
    }
    if (wide_half(y->dtype))
        wide_store(y->dtype, y->data, 0, tensor_count(y), j.y);
    return OK;
}

const struct op op_attention = {"attention", OP_PURE | OP_TEAM, infer, prepare, run, NULL};
