/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as token ids: see tokenize.h. */
#include "serve/tokenize.h"

#include "llm/tokenizer.h"
#include "serve/media.h"

enum { TEXTS_MAX = 1024, TOKENS = 512 };

struct row {
    int32_t *ids; /* (n) in the request's arena */
    size_t n;
};

struct texts {
    struct row *rows; /* (n); NULL: numbers were sent */
    size_t n, width;  /* width: of the tensor */
};

static const struct live_io *find_ids(const struct live *l) {
    const struct live_io *io;
    size_t n = live_inputs(l, &io);
    for (size_t i = 0; i < n; i++)
        if (io[i].text)
            return &io[i];
    return NULL;
}

static struct ask_tensor *given(struct ask *a, const struct live *l, struct str name) {
    const struct live_io *io;
    size_t n = live_inputs(l, &io);
    for (size_t i = 0; i < a->n_inputs; i++) {
        struct ask_tensor *t = &a->inputs[i];
        if (t->name.n ? str_eq(t->name, name) : i < n && str_eq(io[i].name, name))
            return t;
    }
    return NULL;
}

/* --- rows of tokens --- */

/* Cut to `most`, but for the token that ends it. */
static void cut(const struct tokenizer *t, struct row *row, size_t most) {
    if (row->n <= most)
        return;
    if (tokenizer_control(t, row->ids[row->n - 1]))
        row->ids[most - 1] = row->ids[row->n - 1];
    row->n = most;
}

static enum code read_rows(struct request *r, const struct tensor *texts, size_t most,
                           struct row *rows, size_t *longest, struct err *e) {
    const struct tokenizer *t = live_tokenizer(r->ask.live);
    const struct str *text = texts->data;
    size_t n = tensor_count(texts);
    *longest = 0;
    for (size_t i = 0; i < n; i++) {
        TRY(tokenizer_encode(t, text[i], TOKENIZE_SPECIAL_ADD, r->arena, &rows[i].ids, &rows[i].n,
                             e));
        cut(t, &rows[i], most);
        *longest = rows[i].n > *longest ? rows[i].n : *longest;
    }
    return OK;
}

static void put_id(struct tensor *t, size_t at, int64_t id) {
    if (t->dtype == DT_I64)
        ((int64_t *)t->data)[at] = id;
    else
        ((int32_t *)t->data)[at] = (int32_t)id;
}

/* Rows of `width`: the ids of each, or with `mask` a 1 for each, and what fills the rest. */
static enum code make(struct request *r, const struct live_io *io, const struct texts *t, bool mask,
                      struct tensor *out, struct err *e) {
    struct shape shape = {2, {(int64_t)t->n, (int64_t)t->width}};
    int64_t pad = mask ? 0 : tokenizer_pad(live_tokenizer(r->ask.live)), rest = pad < 0 ? 0 : pad;
    TRY(tensor_new(r->arena, io->dtype, &shape, out, e));
    for (size_t row = 0, at = 0; row < t->n; row++)
        for (size_t k = 0; k < t->width; k++, at++)
            put_id(out, at, k >= t->rows[row].n ? rest : mask ? 1 : t->rows[row].ids[k]);
    return OK;
}

/* --- what goes with them --- */

/* The same number everywhere, in the shape of the ids. */
static enum code constant(struct request *r, const struct live_io *io, const struct tensor *ids,
                          int64_t value, struct tensor *out, struct err *e) {
    TRY(tensor_new(r->arena, io->dtype, &ids->shape, out, e));
    for (size_t i = 0; i < tensor_count(out); i++)
        put_id(out, i, value);
    return OK;
}

static enum code fill(struct request *r, const struct tensor *ids, const struct texts *texts,
                      struct err *e) {
    struct ask *a = &r->ask;
    const struct live_io *io;
    size_t n = live_inputs(a->live, &io);
    struct ask_tensor *all = ARENA_ARRAY(r->arena, a->n_inputs + n, struct ask_tensor);
    if (!all)
        return arena_fail(r->arena, n * sizeof *all, "inputs", e);
    memcpy(all, a->inputs, a->n_inputs * sizeof *all);
    for (size_t i = 0; i < a->n_inputs; i++)
        if (!all[i].name.n && i < n)
            all[i].name = io[i].name;
    a->inputs = all;
    for (size_t i = 0; i < n; i++) {
        if (!io[i].filled || given(a, a->live, io[i].name))
            continue;
        struct ask_tensor *t = &all[a->n_inputs];
        bool is_mask = str_is(io[i].name, "attention_mask");
        t->name = io[i].name;
        if (is_mask && texts->rows)
            TRY(make(r, &io[i], texts, true, &t->tensor, e));
        else
            TRY(constant(r, &io[i], ids, is_mask, &t->tensor, e));
        a->n_inputs++;
    }
    return OK;
}

static enum code take_texts(struct request *r, const struct live_io *io, struct tensor *t,
                            struct texts *out, struct err *e) {
    size_t n = tensor_count(t), longest;
    int64_t fixed = io->shape.dims[1];
    if (n == 0 || n > TEXTS_MAX || t->shape.rank > 2 || t->shape.dims[0] != (int64_t)n)
        return fail(e, INVALID, "expected texts, one a row, 1 to %d of them", TEXTS_MAX);
    TRY(media_read(r, e));
    int most = r->media->recipe.most ? r->media->recipe.most : TOKENS;
    struct row *rows = ARENA_ARRAY(r->arena, n, struct row);
    if (!rows)
        return arena_fail(r->arena, n * sizeof *rows, "texts", e);
    if (fixed > 0 && fixed < most)
        most = (int)fixed;
    TRY(read_rows(r, t, (size_t)most, rows, &longest, e));
    *out = (struct texts){rows, n, fixed > 0 ? (size_t)fixed : longest};
    return make(r, io, out, false, t, e);
}

enum code tokenize_inputs(struct request *r, struct err *e) {
    const struct live_io *io = r->ask.live ? find_ids(r->ask.live) : NULL;
    struct ask_tensor *ids = io ? given(&r->ask, r->ask.live, io->name) : NULL;
    struct texts texts = {0};
    if (!ids)
        return OK;
    if (ids->tensor.dtype == DT_STRING && take_texts(r, io, &ids->tensor, &texts, e) != OK)
        return err_prefix(e, "input '%.*s'", STR(io->name));
    return ids->tensor.shape.rank == 2 ? fill(r, &ids->tensor, &texts, e) : OK;
}
