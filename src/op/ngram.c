/* SPDX-License-Identifier: Apache-2.0 */
/* tf_idf_vectorizer: how often the n-grams of a pool occur in each row.
 *
 * The pool lists grams of one item, then of two, and so on (ngram_counts says where each length
 * begins); gram g adds to column ngram_indexes[g]. A gram's items may lie 1 to max_skip_count + 1
 * apart, equally; grams of one item are counted once. prepare makes a hash table of the pool. */
#include "op/operand.h"

enum ngram_mode { NGRAM_TF, NGRAM_IDF, NGRAM_TFIDF };

struct ngram_pool {
    enum ngram_mode mode;
    size_t min, max, skips;  /* lengths; distances: 1 to skips + 1 */
    const int64_t *indexes;  /* (n) columns */
    const float *weights;    /* (n) or NULL */
    const struct str *texts; /* pool_strings, or NULL */
    const int64_t *numbers;  /* pool_int64s, or NULL */
    size_t n_items, n_columns, n_grams;
    const int64_t *counts; /* (n_counts) first item of the grams of length 1, 2, ... */
    size_t n_counts;
    uint32_t *slots;          /* (room) gram + 1, or 0 */
    uint32_t *first, *length; /* (n_grams) items of a gram */
    size_t room;              /* a power of two */
};

static enum code pool_counts(const struct operand_at *at, struct ngram_pool *p, struct err *e) {
    const int64_t *counts = p->counts;
    for (size_t k = 0; k < p->n_counts; k++) {
        int64_t end = k + 1 < p->n_counts ? counts[k + 1] : (int64_t)p->n_items;
        if (counts[k] < 0 || counts[k] > end || (end - counts[k]) % (int64_t)(k + 1) ||
            end > (int64_t)p->n_items)
            return operand_fail(at, e, FORMAT, "ngram_counts[%zu] is %lld", k,
                                (long long)counts[k]);
        p->n_grams += (size_t)(end - counts[k]) / (k + 1);
    }
    return OK;
}

static enum code pool_lists(const struct operand_at *at, struct ngram_pool *p, struct err *e) {
    const struct attr *strings = attr_find(at->node, "pool_strings");
    const struct attr *weights = attr_find(at->node, "weights");
    size_t n_indexes = 0, n_numbers = 0;
    p->texts = strings && strings->kind == ATTR_STRS && strings->n ? strings->strs : NULL;
    attr_ints(at->node, "pool_int64s", &p->numbers, &n_numbers);
    p->n_items = p->texts ? strings->n : n_numbers;
    if (!attr_ints(at->node, "ngram_counts", &p->counts, &p->n_counts) ||
        !attr_ints(at->node, "ngram_indexes", &p->indexes, &n_indexes))
        return operand_fail(at, e, FORMAT, "ngram_counts and ngram_indexes are needed");
    TRY(pool_counts(at, p, e));
    if (n_indexes != p->n_grams || p->n_grams >= UINT32_MAX / 4)
        return operand_fail(at, e, FORMAT, "%zu ngram_indexes for %zu grams", n_indexes,
                            p->n_grams);
    for (size_t k = 0; k < n_indexes; k++) {
        if (p->indexes[k] < 0 || p->indexes[k] > 1 << 28)
            return operand_fail(at, e, FORMAT, "ngram_indexes[%zu] is %lld", k,
                                (long long)p->indexes[k]);
        if ((size_t)p->indexes[k] >= p->n_columns)
            p->n_columns = (size_t)p->indexes[k] + 1;
    }
    p->weights = weights && weights->kind == ATTR_FLOATS && weights->n ? weights->floats : NULL;
    if (p->weights && weights->n != p->n_grams)
        return operand_fail(at, e, FORMAT, "%zu weights for %zu grams", weights->n, p->n_grams);
    return OK;
}

static enum code pool_read(const struct operand_at *at, struct ngram_pool *p, struct err *e) {
    static const char *const modes[] = {"TF", "IDF", "TFIDF"};
    struct str mode = attr_str(at->node, "mode", "");
    int64_t min = attr_int(at->node, "min_gram_length", 1);
    int64_t max = attr_int(at->node, "max_gram_length", 1);
    int64_t skips = attr_int(at->node, "max_skip_count", 0);
    *p = (struct ngram_pool){.mode = NGRAM_TF};
    int k = 0;
    while (k < 3 && !str_is(mode, modes[k]))
        k++;
    if (k == 3 || min < 1 || max < min || max > 64 || skips < 0 || skips > 1 << 20)
        return operand_fail(at, e, FORMAT, "mode '%.*s' with grams of %lld to %lld, skipping %lld",
                            STR(mode), (long long)min, (long long)max, (long long)skips);
    p->mode = (enum ngram_mode)k;
    p->min = (size_t)min;
    p->max = (size_t)max;
    p->skips = (size_t)skips;
    return pool_lists(at, p, e);
}

/* x (C) or (N, C) */
static enum code infer_tf_idf(struct op_infer *c, struct err *e) {
    struct ngram_pool p;
    TRY(operand_need(c, 1, e));
    TRY(pool_read(OPERAND_AT(c), &p, e));
    enum dtype t = c->in[0].dtype;
    if (p.texts ? t != DT_STRING : t != DT_I32 && t != DT_I64)
        return operand_fail(c, e, INVALID, "items of type %s for a pool of %s", dtype_name(t),
                            p.texts ? "strings" : "integers");
    operand_out_later(c, 0, DT_F32);
    if (!c->in[0].known)
        return OK;
    struct shape out = c->in[0].shape;
    if (out.rank > 2)
        return operand_fail(c, e, INVALID, "the input has rank %d", out.rank);
    if (out.rank == 0)
        out.rank = 1;
    out.dims[out.rank - 1] = (int64_t)p.n_columns;
    return operand_out(c, 0, DT_F32, &out, e);
}

/* --- the table --- */

static uint64_t hash_item(uint64_t h, const void *bytes, size_t n) { /* FNV-1a */
    const uint8_t *p = bytes;
    for (size_t k = 0; k < n; k++)
        h = (h ^ p[k]) * 1099511628211U;
    return (h ^ 0xFF) * 1099511628211U;
}

static uint64_t hash_pool(const struct ngram_pool *p, size_t gram) {
    uint64_t h = 14695981039346656037U;
    for (size_t k = p->first[gram]; k < p->first[gram] + p->length[gram]; k++)
        h = p->texts ? hash_item(h, p->texts[k].p, p->texts[k].n)
                     : hash_item(h, &p->numbers[k], sizeof *p->numbers);
    return h;
}

static bool same_in_pool(const struct ngram_pool *p, uint32_t a, uint32_t b) {
    if (p->length[a] != p->length[b])
        return false;
    for (size_t k = 0; k < p->length[a]; k++) {
        const size_t x = p->first[a] + k, y = p->first[b] + k;
        if (p->texts ? !str_eq(p->texts[x], p->texts[y]) : p->numbers[x] != p->numbers[y])
            return false;
    }
    return true;
}

/* A gram that is there already is not put in again: nobody would find it. */
static void pool_fill(struct ngram_pool *p) {
    uint32_t gram = 0;
    for (size_t k = 0; k < p->n_counts; k++) {
        int64_t end = k + 1 < p->n_counts ? p->counts[k + 1] : (int64_t)p->n_items;
        for (int64_t at = p->counts[k]; at < end; at += (int64_t)k + 1, gram++) {
            p->first[gram] = (uint32_t)at;
            p->length[gram] = (uint32_t)k + 1;
            size_t slot = hash_pool(p, gram) & (p->room - 1);
            while (p->slots[slot] && !same_in_pool(p, p->slots[slot] - 1, gram))
                slot = (slot + 1) & (p->room - 1);
            if (!p->slots[slot])
                p->slots[slot] = gram + 1;
        }
    }
}

static enum code prepare_tf_idf(struct op_prepare *c, struct err *e) {
    struct ngram_pool *p = ARENA_NEW(c->arena, struct ngram_pool);
    if (!p)
        return arena_fail(c->arena, sizeof *p, "a pool of n-grams", e);
    TRY(pool_read(OPERAND_AT(c), p, e));
    for (p->room = 16; p->room < 2 * p->n_grams;)
        p->room *= 2;
    p->slots = ARENA_ARRAY(c->arena, p->room, uint32_t);
    p->first = ARENA_ARRAY(c->arena, p->n_grams + 1, uint32_t);
    p->length = ARENA_ARRAY(c->arena, p->n_grams + 1, uint32_t);
    if (!p->slots || !p->first || !p->length)
        return arena_fail(c->arena, p->room * sizeof(uint32_t), "a pool of n-grams", e);
    pool_fill(p);
    c->state = p;
    c->scratch_bytes = p->n_columns * sizeof(float);
    return OK;
}

/* --- counting --- */

struct gram { /* of a row */
    const struct tensor *t;
    size_t first, step, length;
};

static uint64_t hash_gram(const struct gram *g) {
    uint64_t h = 14695981039346656037U;
    for (size_t k = 0; k < g->length; k++) {
        size_t at = g->first + k * g->step;
        if (g->t->dtype == DT_STRING) {
            const struct str *s = (const struct str *)g->t->data + at;
            h = hash_item(h, s->p, s->n);
        } else {
            int64_t v = tensor_i64(g->t, at);
            h = hash_item(h, &v, sizeof v);
        }
    }
    return h;
}

static bool same_gram(const struct ngram_pool *p, uint32_t gram, const struct gram *g) {
    if (p->length[gram] != g->length)
        return false;
    for (size_t k = 0; k < g->length; k++) {
        size_t at = g->first + k * g->step, item = p->first[gram] + k;
        if (p->texts ? !str_eq(p->texts[item], ((const struct str *)g->t->data)[at])
                     : p->numbers[item] != tensor_i64(g->t, at))
            return false;
    }
    return true;
}

static void count_gram(const struct ngram_pool *p, const struct gram *g, float *row) {
    size_t slot = hash_gram(g) & (p->room - 1);
    for (; p->slots[slot]; slot = (slot + 1) & (p->room - 1)) {
        uint32_t gram = p->slots[slot] - 1;
        if (same_gram(p, gram, g)) {
            row[p->indexes[gram]] += 1;
            return;
        }
    }
}

static enum code count_row(const struct op_call *c, size_t row, size_t n, float *to,
                           struct err *e) {
    const struct ngram_pool *p = c->state;
    for (size_t step = 1; step <= p->skips + 1 && step <= n; step++) {
        TRY(c->host->check(c->host, e));
        for (size_t length = step > 1 && p->min == 1 ? 2 : p->min; length <= p->max; length++)
            for (size_t at = 0; at + (length - 1) * step < n; at++)
                count_gram(p, &(struct gram){c->in[0], row * n + at, step, length}, to);
    }
    return OK;
}

static void weigh_row(const struct ngram_pool *p, float *row, float *weight_of) {
    for (size_t k = 0; k < p->n_columns; k++)
        weight_of[k] = 1;
    for (size_t gram = 0; gram < p->n_grams && p->weights; gram++)
        weight_of[p->indexes[gram]] = p->weights[gram];
    for (size_t k = 0; k < p->n_columns; k++)
        row[k] = (p->mode == NGRAM_IDF && row[k] > 0 ? 1 : row[k]) * weight_of[k];
}

static enum code run_tf_idf(const struct op_call *c, struct err *e) {
    const struct ngram_pool *p = c->state;
    const struct shape *in = &c->in[0]->shape;
    size_t rows = in->rank == 2 ? (size_t)in->dims[0] : 1;
    size_t n = in->rank ? (size_t)in->dims[in->rank - 1] : 1;
    float *to = c->out[0]->data;
    if (tensor_bytes(c->out[0]))
        memset(to, 0, tensor_bytes(c->out[0]));
    for (size_t row = 0; row < rows; row++) {
        TRY(count_row(c, row, n, to + row * p->n_columns, e));
        if (p->mode != NGRAM_TF)
            weigh_row(p, to + row * p->n_columns, c->scratch);
    }
    return OK;
}

const struct op op_tf_idf_vectorizer = {.name = "tf_idf_vectorizer",
                                        .infer = infer_tf_idf,
                                        .prepare = prepare_tf_idf,
                                        .run = run_tf_idf};
