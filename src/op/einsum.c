/* SPDX-License-Identifier: Apache-2.0 */
/* einsum: sums of products over labelled axes, "bij,bjk->bik".
 *
 * 1. A label is a letter, or one of the dims that an ellipsis stands for, aligned at the right. An
 * operand is seen as one stride per label: 0 where it lacks the label or repeats, the sum of the
 * strides of a label named twice (a diagonal).
 * 2. f32 (and f16, bf16, widened) operands are joined two at a time, from the left, by one batched
 * matrix product: labels of both and needed later are the batch, of one and needed later rows or
 * columns, of both and needed no more are summed over. Labels of one operand that nobody needs are
 * summed before.
 * 3. Everything else goes by the definition: for each output element a walk over all summed labels;
 * floats in double, integers wrapping around.
 * 4. All strides, orders and places in the scratch memory are settled by prepare. */
#include "op/operand.h"
#include "op/product.h"
#include "op/scratch.h"
#include "op/stride.h"
#include "op/team.h"
#include "op/wide.h"

enum { LETTERS = 52, LABELS = LETTERS + SHAPE_MAX, TERMS = 16 };

struct term {
    uint64_t labels; /* bit per label */
    int64_t stride[LABELS];
};

struct equation {
    int n_terms, n_out;
    struct term term[TERMS];
    int out[SHAPE_MAX]; /* labels of the output, outermost first */
    int64_t size[LABELS];
};

/* --- parsing --- */

struct reader {
    const struct operand_at *at;
    struct str text;
    size_t next;
};

static int peek(struct reader *r) {
    while (r->next < r->text.n && r->text.p[r->next] == ' ')
        r->next++;
    return r->next < r->text.n ? (unsigned char)r->text.p[r->next] : 0;
}

static int label_of(int ch) {
    if (ch >= 'A' && ch <= 'Z')
        return ch - 'A';
    return ch >= 'a' && ch <= 'z' ? 26 + ch - 'a' : -1;
}

/* Where a term's text stops: its labels in order, and where among them the ellipsis is. */
struct spelled {
    int n, label[SHAPE_MAX + 1], ellipsis; /* ellipsis: -1 when there is none */
};

static enum code spell(struct reader *r, struct spelled *s, struct err *e) {
    *s = (struct spelled){.ellipsis = -1};
    for (int ch = peek(r); ch && ch != ',' && ch != '-'; ch = peek(r)) {
        const int label = label_of(ch);
        if (ch == '.' && s->ellipsis < 0 && r->next + 2 < r->text.n &&
            r->text.p[r->next + 1] == '.' && r->text.p[r->next + 2] == '.') {
            s->ellipsis = s->n;
            r->next += 3;
            continue;
        }
        if (label < 0)
            return operand_fail(r->at, e, INVALID, "equation '%.*s': character %zu is no label",
                                STR(r->text), r->next);
        if (s->n == SHAPE_MAX)
            return operand_fail(r->at, e, LIMIT, "equation '%.*s' has a term of over %d labels",
                                STR(r->text), SHAPE_MAX);
        s->label[s->n++] = label;
        r->next++;
    }
    return OK;
}

static enum code add_axis(const struct reader *r, struct equation *q, struct term *t, int label,
                          int64_t dim, int64_t stride, struct err *e) {
    int64_t *size = &q->size[label];
    if (*size < 0 || *size == 1)
        *size = dim;
    else if (dim != 1 && dim != *size)
        return operand_fail(r->at, e, INVALID,
                            "equation '%.*s': a label is of %lld and of %lld elements",
                            STR(r->text), (long long)*size, (long long)dim);
    t->labels |= (uint64_t)1 << label;
    t->stride[label] += dim == 1 ? 0 : stride;
    return OK;
}

/* Gives the axes of operand `index` their labels; wide: dims of the longest ellipsis. */
static enum code add_term(const struct reader *r, struct equation *q, int index,
                          const struct spelled *s, const struct shape *shape, int wide,
                          struct err *e) {
    struct term *t = &q->term[index];
    int64_t strides[SHAPE_MAX];
    const int dots = shape->rank - s->n;
    if (dots < 0 || (dots > 0 && s->ellipsis < 0))
        return operand_fail(r->at, e, INVALID, "equation '%.*s': input %d has rank %d",
                            STR(r->text), index, shape->rank);
    shape_strides(shape, strides);
    for (int axis = 0, own = 0; axis < shape->rank; axis++) {
        bool dotted = s->ellipsis >= 0 && axis >= s->ellipsis && axis < s->ellipsis + dots;
        int label = dotted ? LETTERS + wide - dots + axis - s->ellipsis : s->label[own];
        own += !dotted;
        TRY(add_axis(r, q, t, label, shape->dims[axis], strides[axis], e));
    }
    return OK;
}

static enum code add_out(const struct reader *r, struct equation *q, int label, struct err *e) {
    for (int k = 0; k < q->n_out; k++)
        if (q->out[k] == label)
            return operand_fail(r->at, e, INVALID,
                                "equation '%.*s': a label is twice in the output", STR(r->text));
    if (q->size[label] < 0)
        return operand_fail(r->at, e, INVALID, "equation '%.*s': the output has a label of its own",
                            STR(r->text));
    if (q->n_out == SHAPE_MAX)
        return operand_fail(r->at, e, LIMIT, "equation '%.*s': an output of over %d dims",
                            STR(r->text), SHAPE_MAX);
    q->out[q->n_out++] = label;
    return OK;
}

/* "->" and what follows it; without it, the labels that are named once, in order. */
static enum code read_out(struct reader *r, struct equation *q, int wide, const int *named,
                          struct err *e) {
    if (!peek(r)) {
        for (int k = 0; k < wide; k++)
            TRY(add_out(r, q, LETTERS + k, e));
        for (int label = 0; label < LETTERS; label++)
            if (named[label] == 1)
                TRY(add_out(r, q, label, e));
        return OK;
    }
    struct spelled s;
    if (r->next + 1 >= r->text.n || r->text.p[r->next + 1] != '>')
        return operand_fail(r->at, e, INVALID, "equation '%.*s': '->' was expected", STR(r->text));
    r->next += 2;
    TRY(spell(r, &s, e));
    if (peek(r))
        return operand_fail(r->at, e, INVALID, "equation '%.*s' goes on behind its output",
                            STR(r->text));
    for (int k = 0; k <= s.n; k++) {
        for (int dot = 0; dot < wide && k == s.ellipsis; dot++)
            TRY(add_out(r, q, LETTERS + dot, e));
        if (k < s.n)
            TRY(add_out(r, q, s.label[k], e));
    }
    return OK;
}

static enum code equation_of(const struct operand_at *at, const struct shape *shapes, int n,
                             struct equation *q, struct err *e) {
    struct reader r = {.at = at, .text = attr_str(at->node, "equation", "")};
    struct spelled terms[TERMS];
    int wide = 0, named[LABELS] = {0};
    memset(q, 0, sizeof *q);
    for (int label = 0; label < LABELS; label++)
        q->size[label] = -1;
    if (n > TERMS)
        return operand_fail(at, e, LIMIT, "%d operands, limit %d", n, TERMS);
    for (int k = 0; k < n; k++) {
        TRY(spell(&r, &terms[k], e));
        const int dots = shapes[k].rank - terms[k].n;
        wide = terms[k].ellipsis >= 0 && dots > wide ? dots : wide;
        for (int own = 0; own < terms[k].n; own++)
            named[terms[k].label[own]]++;
        if ((peek(&r) == ',') != (k + 1 < n))
            return operand_fail(at, e, INVALID, "equation '%.*s' does not name %d operands",
                                STR(r.text), n);
        r.next += k + 1 < n;
    }
    for (int k = 0; k < n; k++)
        TRY(add_term(&r, q, k, &terms[k], &shapes[k], wide, e));
    q->n_terms = n;
    return read_out(&r, q, wide, named, e);
}

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, c->node->n_in > 1 ? c->node->n_in : 1, e));
    const enum dtype t = c->in[0].dtype;
    operand_out_later(c, 0, t);
    if (!dtype_is_float(t) && !dtype_is_integer(t))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(t));
    struct shape shapes[TERMS], out = {0};
    for (int i = 0; i < c->node->n_in; i++) {
        if (c->in[i].dtype != t)
            return operand_fail(c, e, INVALID, "operands of type %s and %s", dtype_name(t),
                                dtype_name(c->in[i].dtype));
        if (i < TERMS)
            shapes[i] = c->in[i].shape;
    }
    if (!operand_known(c))
        return OK;
    struct equation q;
    TRY(equation_of(OPERAND_AT(c), shapes, c->node->n_in, &q, e));
    for (int k = 0; k < q.n_out; k++)
        out.dims[out.rank++] = q.size[q.out[k]];
    return operand_out(c, 0, t, &out, e);
}

/* --- by the definition --- */

/* A walk over some labels, with the position in every operand. */
struct walk {
    int n, n_terms;
    size_t count;
    size_t dims[LABELS], at[LABELS];
    int64_t stride[LABELS][TERMS];
    int64_t position[TERMS];
};

static void walk_push(struct walk *w, const struct equation *q, int label) {
    w->dims[w->n] = (size_t)q->size[label];
    w->count *= w->dims[w->n];
    for (int k = 0; k < q->n_terms; k++)
        w->stride[w->n][k] = q->term[k].stride[label];
    w->n++;
}

static void walk_start(struct walk *w, size_t index, const int64_t *from) {
    for (int k = 0; k < w->n_terms; k++)
        w->position[k] = from ? from[k] : 0;
    for (int d = w->n - 1; d >= 0 && w->count; index /= w->dims[d], d--) {
        w->at[d] = index % w->dims[d];
        for (int k = 0; k < w->n_terms; k++)
            w->position[k] += (int64_t)w->at[d] * w->stride[d][k];
    }
}

static void walk_next(struct walk *w) {
    for (int d = w->n - 1; d >= 0; d--) {
        const bool turns = ++w->at[d] == w->dims[d];
        const int64_t steps = turns ? 1 - (int64_t)w->dims[d] : 1;
        for (int k = 0; k < w->n_terms; k++)
            w->position[k] += steps * w->stride[d][k];
        if (!turns)
            return;
        w->at[d] = 0;
    }
}

static bool is_out(const struct equation *q, int label) {
    for (int k = 0; k < q->n_out; k++)
        if (q->out[k] == label)
            return true;
    return false;
}

struct define {
    const struct equation *q;
    const struct tensor *const *in;
    const struct tensor *out;
    struct walk outer, inner;
};

static void define_begin(struct define *d, const struct equation *q) {
    d->q = q;
    d->outer = d->inner = (struct walk){.n_terms = q->n_terms, .count = 1};
    for (int k = 0; k < q->n_out; k++)
        walk_push(&d->outer, q, q->out[k]);
    for (int label = 0; label < LABELS; label++)
        if (q->size[label] >= 0 && !is_out(q, label))
            walk_push(&d->inner, q, label);
}

static void define_one(const struct define *d, struct walk *inner, size_t at) {
    const bool whole = dtype_is_integer(d->out->dtype);
    const size_t bytes = dtype_size(d->out->dtype);
    double sum = 0;
    uint64_t total = 0;
    for (size_t k = 0; k < inner->count; k++, walk_next(inner)) {
        double product = 1;
        uint64_t factor = 1;
        for (int t = 0; t < inner->n_terms; t++)
            if (whole)
                factor *= (uint64_t)tensor_i64(d->in[t], (size_t)inner->position[t]);
            else
                product *= tensor_f64(d->in[t], (size_t)inner->position[t]);
        sum += product;
        total += factor;
    }
    if (whole)
        memcpy((char *)d->out->data + at * bytes, &total, bytes); /* little-endian */
    else
        operand_put(d->out, at, sum);
}

static void define_some(const struct define *d, size_t begin, size_t end) {
    struct walk outer = d->outer, inner = d->inner;
    walk_start(&outer, begin, NULL);
    for (size_t at = begin; at < end; at++, walk_next(&outer)) {
        walk_start(&inner, 0, outer.position);
        define_one(d, &inner, at);
    }
}

static void define_all(const struct define *d, int threads) {
    const size_t n = d->outer.count;
    threads = team_size(threads, (double)n * (double)d->inner.count * 8);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int t = 0; t < threads; t++)
        define_some(d, team_cut(n, 1, threads, t), team_cut(n, 1, threads, t + 1));
}

/* --- by products --- */

/* An operand on its way: the strides of its labels, and where it lies. */
struct piece {
    struct term term;
    int input;    /* of the node; -1: in the scratch memory */
    size_t place; /* bytes */
};

/* left and right are brought into (batch, rows, sums) and (batch, sums, columns), multiplied, and
 * the result is (batch, rows, columns). */
struct join {
    struct piece left, right;
    struct stride left_copy, right_copy;
    bool left_dense, right_dense; /* no copy needed */
    size_t left_place, right_place, out_place;
    size_t batch, rows, sums, columns;
    size_t *offsets; /* (3, batch): of each product in left, right and result */
};

/* A term from which labels are summed away first. */
struct thin {
    struct equation *q;
    int input;
    size_t place;
};

struct plan {
    bool joins; /* else by the definition */
    struct equation q;
    int n_joins, n_thin;
    struct join join[TERMS];
    struct thin thin[TERMS];
    size_t wide[TERMS], wide_out; /* f16, bf16: operands and output as f32 */
    struct stride last;           /* the last result in the order of the output */
    size_t last_place;
    size_t scratch, product_place;
};

static bool push_labels(struct stride *s, const struct equation *q, const struct term *t,
                        uint64_t labels) {
    for (int label = 0; label < LABELS; label++)
        if (labels >> label & 1u) {
            if (s->rank == STRIDE_MAX)
                return false;
            stride_push(s, q->size[label], 0, t->stride[label]);
        }
    return true;
}

static bool is_dense(const struct stride *s) {
    for (int k = 0; k < s->rank; k++)
        if (s->dims[k] != 1 && s->to[k] != s->from[k])
            return false;
    return true;
}

/* The copy of t into the order of three sets of labels; its size in *count. */
static bool order_of(const struct equation *q, const struct term *t, const uint64_t sets[3],
                     struct stride *s, size_t *count) {
    s->rank = 0;
    *count = 1;
    for (int k = 0; k < 3; k++)
        if (!push_labels(s, q, t, sets[k]))
            return false;
    for (int k = 0; k < s->rank; k++)
        if (!mul_size(*count, (size_t)s->dims[k], count))
            return false;
    stride_dense(s);
    return true;
}

static size_t size_of(const struct equation *q, uint64_t labels) {
    size_t n = 1;
    for (int label = 0; label < LABELS; label++)
        if (labels >> label & 1u && !mul_size(n, (size_t)q->size[label], &n))
            return SIZE_MAX;
    return n;
}

static bool plan_join(struct plan *p, struct piece *left, const struct piece *right,
                      uint64_t needed) {
    struct join *j = &p->join[p->n_joins++];
    const struct equation *q = &p->q;
    const uint64_t both = left->term.labels & right->term.labels;
    const uint64_t batch = both & needed, sums = both & ~needed, rows = left->term.labels & ~both,
                   columns = right->term.labels & ~both;
    size_t count;
    j->left = *left;
    j->right = *right;
    j->batch = size_of(q, batch);
    j->sums = size_of(q, sums);
    j->rows = size_of(q, rows);
    j->columns = size_of(q, columns);
    if (!order_of(q, &left->term, (uint64_t[]){batch, rows, sums}, &j->left_copy, &count))
        return false;
    j->left_dense = is_dense(&j->left_copy);
    if (!scratch_reserve(&p->scratch, j->left_dense ? 0 : count, sizeof(float), &j->left_place) ||
        !order_of(q, &right->term, (uint64_t[]){batch, sums, columns}, &j->right_copy, &count))
        return false;
    j->right_dense = is_dense(&j->right_copy);
    if (!scratch_reserve(&p->scratch, j->right_dense ? 0 : count, sizeof(float), &j->right_place))
        return false;
    struct term out = {.labels = batch | rows | columns};
    struct stride s;
    if (!order_of(q, &out, (uint64_t[]){batch, rows, columns}, &s, &count) ||
        !scratch_reserve(&p->scratch, count, sizeof(float), &j->out_place))
        return false;
    int at = 0;
    for (int set = 0; set < 3; set++)
        for (int label = 0; label < LABELS; label++)
            if ((set == 0 ? batch : set == 1 ? rows : columns) >> label & 1u)
                out.stride[label] = s.to[at++];
    *left = (struct piece){.term = out, .input = -1, .place = j->out_place};
    return true;
}

/* Labels that operand `index` alone has and the output does not are summed away. */
static bool plan_thin(struct plan *p, struct arena *a, int index, uint64_t needed,
                      struct piece *piece) {
    const struct term *t = &p->q.term[index];
    struct thin *thin = &p->thin[p->n_thin];
    *piece = (struct piece){.term = *t, .input = index};
    if (!(t->labels & ~needed))
        return true;
    p->n_thin++;
    thin->input = index;
    struct equation *q = thin->q = arena_push(a, sizeof *q);
    if (!q)
        return false;
    memset(q, 0, sizeof *q);
    q->n_terms = 1;
    q->term[0] = *t;
    int64_t step = 1;
    for (int label = LABELS - 1; label >= 0; label--) {
        bool there = t->labels >> label & 1u;
        q->size[label] = there ? p->q.size[label] : -1;
        piece->term.stride[label] = 0;
        if (!there || !(needed >> label & 1u))
            continue;
        piece->term.stride[label] = step;
        step *= p->q.size[label];
    }
    for (int label = 0; label < LABELS; label++)
        if (t->labels & needed & (uint64_t)1 << label) {
            if (q->n_out == SHAPE_MAX)
                return false;
            q->out[q->n_out++] = label;
        }
    piece->term.labels = t->labels & needed;
    piece->input = -1;
    if (!scratch_reserve(&p->scratch, (size_t)step, sizeof(float), &thin->place))
        return false;
    piece->place = thin->place;
    return true;
}

static uint64_t labels_besides(const struct equation *q, int index, int from) {
    uint64_t labels = 0;
    for (int k = 0; k < q->n_out; k++)
        labels |= (uint64_t)1 << q->out[k];
    for (int k = from; k < q->n_terms; k++)
        labels |= k == index ? 0 : q->term[k].labels;
    return labels;
}

static struct product product_of(const struct join *j) {
    return (struct product){.m = j->rows,
                            .n = j->columns,
                            .k = j->sums,
                            .a_row = j->sums,
                            .b_row = j->columns,
                            .c_row = j->columns};
}

static bool plan_products(struct plan *p, struct arena *a, int threads) {
    size_t most = 0;
    for (int k = 0; k < p->n_joins; k++) {
        struct join *j = &p->join[k];
        struct product m = product_of(j);
        size_t bytes = product_batch_scratch(&m, j->batch, threads);
        most = bytes > most ? bytes : most;
        j->offsets = ARENA_ARRAY(a, 3 * j->batch, size_t);
        for (size_t b = 0; b < j->batch && j->offsets; b++) {
            j->offsets[b] = b * j->rows * j->sums;
            j->offsets[j->batch + b] = b * j->sums * j->columns;
            j->offsets[2 * j->batch + b] = b * j->rows * j->columns;
        }
        if (!j->offsets)
            return false;
    }
    return scratch_reserve(&p->scratch, most, 1, &p->product_place);
}

/* false: the equation is not for products, or too large; it goes by the definition. */
static bool plan_joins(struct plan *p, enum dtype t, struct arena *a, int threads) {
    const struct equation *q = &p->q;
    struct piece left, right;
    if ((t != DT_F32 && !wide_half(t)) || q->n_terms < 2)
        return false;
    if (!plan_thin(p, a, 0, labels_besides(q, 0, 0), &left))
        return false;
    for (int k = 1; k < q->n_terms; k++)
        if (!plan_thin(p, a, k, labels_besides(q, k, 0), &right) ||
            !plan_join(p, &left, &right, labels_besides(q, -1, k + 1)))
            return false;
    p->last_place = left.place;
    for (int k = 0; k < q->n_out; k++)
        stride_push(&p->last, q->size[q->out[k]], 0, left.term.stride[q->out[k]]);
    stride_dense(&p->last);
    return plan_products(p, a, threads);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct plan *p = arena_push(c->arena, sizeof *p);
    if (!p)
        return arena_fail(c->arena, sizeof *p, "the plan of an einsum", e);
    memset(p, 0, sizeof *p);
    struct shape shapes[TERMS];
    const enum dtype t = c->in[0].dtype;
    for (int i = 0; i < c->node->n_in && i < TERMS; i++)
        shapes[i] = c->in[i].shape;
    TRY(equation_of(OPERAND_AT(c), shapes, c->node->n_in, &p->q, e));
    size_t empty = 0;
    c->flops = 2;
    for (int label = 0; label < LABELS; label++) {
        empty += p->q.size[label] == 0;
        c->flops *= p->q.size[label] < 0 ? 1 : (double)p->q.size[label];
    }
    p->joins = !empty && plan_joins(p, t, c->arena, c->threads);
    if (!p->joins)
        p->scratch = 0;
    for (int i = 0; i < c->node->n_in && p->joins && wide_half(t); i++) {
        size_t n;
        if (!shape_count(&shapes[i], &n) ||
            !scratch_reserve(&p->scratch, n, sizeof(float), &p->wide[i]))
            return operand_fail(c, e, LIMIT, "the operands are too large");
    }
    size_t n_out;
    if (!shape_count(&c->out[0].shape, &n_out) ||
        !scratch_reserve(&p->scratch, p->joins && wide_half(t) ? n_out : 0, sizeof(float),
                         &p->wide_out))
        return operand_fail(c, e, LIMIT, "the output is too large");
    c->scratch_bytes = p->scratch;
    c->kernel = p->joins ? "matrix products" : "definition";
    c->state = p;
    return OK;
}

/* --- run --- */

static const float *operand_f32(const struct op_call *c, int i) {
    const struct plan *p = c->state;
    if (c->in[i]->dtype == DT_F32)
        return c->in[i]->data;
    return (const float *)(const void *)((const char *)c->scratch + p->wide[i]);
}

static const float *piece_at(const struct op_call *c, const struct piece *piece) {
    if (piece->input >= 0)
        return operand_f32(c, piece->input);
    return (const float *)(const void *)((const char *)c->scratch + piece->place);
}

static void run_join(const struct op_call *c, const struct join *j) {
    const struct plan *p = c->state;
    char *scratch = c->scratch;
    const float *a = piece_at(c, &j->left), *b = piece_at(c, &j->right);
    if (!j->left_dense) {
        stride_copy(&j->left_copy, scratch + j->left_place, a, sizeof *a, c->threads);
        a = (const float *)(const void *)(scratch + j->left_place);
    }
    if (!j->right_dense) {
        stride_copy(&j->right_copy, scratch + j->right_place, b, sizeof *b, c->threads);
        b = (const float *)(const void *)(scratch + j->right_place);
    }
    struct product_batch batch = {.product = product_of(j),
                                  .batch = j->batch,
                                  .a_at = j->offsets,
                                  .b_at = j->offsets + j->batch,
                                  .c_at = j->offsets + 2 * j->batch,
                                  .a = a,
                                  .b = b,
                                  .c = (float *)(void *)(scratch + j->out_place)};
    product_batch_run(&batch, scratch + p->product_place, c->threads);
}

static void run_thin(const struct op_call *c, const struct thin *thin) {
    const struct tensor in = {.dtype = DT_F32,
                              .data = (void *)(uintptr_t)operand_f32(c, thin->input)},
                        *one = &in,
                        out = {.dtype = DT_F32, .data = (char *)c->scratch + thin->place};
    struct define d = {.in = &one, .out = &out};
    define_begin(&d, thin->q);
    define_all(&d, c->threads);
}

static void run_joins(const struct op_call *c) {
    const struct plan *p = c->state;
    const struct tensor *y = c->out[0];
    char *scratch = c->scratch;
    const bool half = wide_half(y->dtype);
    for (int i = 0; i < p->q.n_terms && half; i++)
        wide_load(y->dtype, c->in[i]->data, 0, tensor_count(c->in[i]),
                  (float *)(void *)(scratch + p->wide[i]));
    for (int k = 0; k < p->n_thin; k++)
        run_thin(c, &p->thin[k]);
    for (int k = 0; k < p->n_joins; k++)
        run_join(c, &p->join[k]);
    float *to = half ? (float *)(void *)(scratch + p->wide_out) : y->data;
    stride_copy(&p->last, to, scratch + p->last_place, sizeof *to, c->threads);
    if (half)
        wide_store(y->dtype, y->data, 0, tensor_count(y), to);
}

static enum code run(const struct op_call *c, struct err *e) {
    (void)e;
    const struct plan *p = c->state;
    if (tensor_count(c->out[0]) == 0)
        return OK;
    if (p->joins) {
        run_joins(c);
        return OK;
    }
    struct define d = {.in = c->in, .out = c->out[0]};
    define_begin(&d, &p->q);
    define_all(&d, c->threads);
    return OK;
}

const struct op op_einsum = {"einsum", OP_PURE | OP_TEAM, infer, prepare, run, NULL};
