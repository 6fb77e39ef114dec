/* SPDX-License-Identifier: Apache-2.0 */
/* word_conv_embedding: a word's vector is the largest, over its windows of characters, of tanh of a
 * convolution over the characters' vectors (com.microsoft's WordConvEmbedding).
 *
 * Letters: S words, L characters of each, V characters there are, D numbers of one, K characters of
 * a window, F numbers of a word. sequence (S, L), w (F, 1, K, D), b (F), table (V, D) -> (S, F).
 *
 * 1. A word ends with its first character that is not above 0; one that begins so is zeros.
 * 2. A word shorter than a window is one window, of the characters that lie behind it too; where
 * the sequence itself ends, of zeros. */
#include "op/operand.h"
#include "op/product.h"
#include "op/scratch.h"

#include <math.h>

enum { IN_SEQUENCE, IN_W, IN_B, IN_TABLE };

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 4, e));
    operand_out_later(c, 0, DT_F32);
    if (c->in[IN_SEQUENCE].dtype != DT_I32 || c->in[IN_W].dtype != DT_F32 ||
        c->in[IN_B].dtype != DT_F32 || c->in[IN_TABLE].dtype != DT_F32)
        return operand_fail(c, e, INVALID, "words of %s with weights of %s",
                            dtype_name(c->in[IN_SEQUENCE].dtype), dtype_name(c->in[IN_W].dtype));
    if (!operand_known(c))
        return OK;
    const struct shape *s = &c->in[IN_SEQUENCE].shape, *w = &c->in[IN_W].shape,
                       *b = &c->in[IN_B].shape, *table = &c->in[IN_TABLE].shape;
    if (s->rank != 2 || w->rank != 4 || b->rank != 1 || table->rank != 2 || w->dims[1] != 1 ||
        w->dims[2] < 1 || w->dims[3] < 1 || w->dims[3] != table->dims[1] ||
        b->dims[0] != w->dims[0] || w->dims[2] > INT32_MAX || w->dims[3] > INT32_MAX)
        return operand_fail(c, e, INVALID,
                            "the shapes of words, weights, bias and table do not fit");
    if (attr_int(c->node, "embedding_size", w->dims[0]) != w->dims[0] ||
        attr_int(c->node, "conv_window_size", w->dims[2]) != w->dims[2] ||
        attr_int(c->node, "char_embedding_size", w->dims[3]) != w->dims[3])
        return operand_fail(c, e, INVALID, "its sizes are not those of its weights");
    return operand_out(c, 0, DT_F32, &(struct shape){2, {s->dims[0], w->dims[0]}}, e);
}

struct plan {
    size_t words, letters, window, depth, filters;
    struct product product;           /* of all windows of a word */
    size_t table, made, product_room; /* offsets in scratch */
};

static size_t most_windows(const struct plan *p) {
    return p->letters > p->window ? p->letters - p->window + 1 : 1;
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    const int64_t *s = c->in[IN_SEQUENCE].shape.dims, *w = c->in[IN_W].shape.dims;
    struct plan *p = ARENA_NEW(c->arena, struct plan);
    size_t room, made;
    if (!p)
        return arena_fail(c->arena, sizeof *p, "the plan of words", e);
    *p = (struct plan){.words = (size_t)s[0],
                       .letters = (size_t)s[1],
                       .window = (size_t)w[2],
                       .depth = (size_t)w[3],
                       .filters = (size_t)w[0]};
    p->product = (struct product){.m = most_windows(p),
                                  .n = p->filters,
                                  .k = p->window * p->depth,
                                  .a_row = p->depth, /* windows overlap */
                                  .b_row = p->window * p->depth,
                                  .c_row = p->filters,
                                  .b_transposed = true};
    if (!mul_size(p->letters + p->window, p->depth, &room) ||
        !mul_size(most_windows(p), p->filters, &made) ||
        !scratch_reserve(&c->scratch_bytes, room, sizeof(float), &p->table) ||
        !scratch_reserve(&c->scratch_bytes, made, sizeof(float), &p->made) ||
        !scratch_reserve(&c->scratch_bytes, product_scratch(&p->product), 1, &p->product_room))
        return operand_fail(c, e, LIMIT, "the words are too long");
    c->state = p;
    return OK;
}

/* The vectors of a word's windows; *n: characters it has. */
static enum code look_up(const struct op_call *c, const struct plan *p, size_t word, float *to,
                         size_t *n, struct err *e) {
    const int32_t *letters = (const int32_t *)c->in[IN_SEQUENCE]->data + word * p->letters;
    const struct tensor *table = c->in[IN_TABLE];
    size_t shown;
    for (*n = 0; *n < p->letters && letters[*n] > 0;)
        ++*n;
    shown = *n >= p->window ? *n : p->window < p->letters ? p->window : p->letters;
    for (size_t i = 0; i < shown && *n; i++) {
        const int64_t at = letters[i];
        if (at < 0 || at >= table->shape.dims[0])
            return operand_fail(c, e, INVALID, "character %lld of a table of %lld", (long long)at,
                                (long long)table->shape.dims[0]);
        memcpy(to + i * p->depth, (const float *)table->data + (size_t)at * p->depth,
               p->depth * sizeof *to);
    }
    for (size_t i = shown * p->depth; i < (p->letters + p->window) * p->depth; i++)
        to[i] = 0;
    return OK;
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct plan *p = c->state;
    char *scratch = c->scratch;
    float *letters = (float *)(void *)(scratch + p->table),
          *made = (float *)(void *)(scratch + p->made);
    for (size_t word = 0; word < p->words && p->filters; word++) {
        float *y = (float *)c->out[0]->data + word * p->filters;
        struct product product = p->product;
        size_t n;
        TRY(look_up(c, p, word, letters, &n, e));
        memset(y, 0, p->filters * sizeof *y);
        if (n == 0)
            continue;
        product.m = n > p->window ? n - p->window + 1 : 1;
        product.bias = c->in[IN_B]->data;
        product_run(&product, letters, c->in[IN_W]->data, made, scratch + p->product_room, 1);
        for (size_t i = 0; i < p->filters; i++) {
            float top = made[i];
            for (size_t row = 1; row < product.m; row++)
                top = fmaxf(top, made[row * p->filters + i]);
            y[i] = tanhf(top); /* tanh grows: the largest is that of the largest */
        }
    }
    return OK;
}

const struct op op_word_conv_embedding = {.name = "word_conv_embedding",
                                          .flags = OP_PURE,
                                          .infer = infer,
                                          .prepare = prepare,
                                          .run = run};
