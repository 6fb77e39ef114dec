/* SPDX-License-Identifier: Apache-2.0 */
/* A language model ready to answer: see language.h. */
#include "llm/language.h"

#include "base/mem.h"

#include <math.h>

enum { SEQUENCES = 64, ROWS = 512, QUEUE = 256, CONTEXT = 32768 };

static size_t or_default(size_t v, size_t otherwise) { return v ? v : otherwise; }

static struct forward_options forward_options_of(const struct language *l,
                                                 const struct language_options *o) {
    size_t most = l->facts.context > 0 ? (size_t)l->facts.context : CONTEXT;
    size_t context = or_default(o->context, most < CONTEXT ? most : CONTEXT);
    return (struct forward_options){
        .threads = o->threads > 0 ? o->threads : 1,
        .max_rows = or_default(o->rows, ROWS),
        .max_sequences = o->sequences > 0 ? o->sequences : SEQUENCES,
        .kv_bytes = o->kv_bytes,
        .kv_dtype = o->kv_dtype,
        .context = context < most ? context : most,
        .keeper = o->keeper,
    };
}

static enum code open_text(struct language *l, const struct model *m, struct err *e) {
    TRY(llm_facts_read(m, &l->facts, e));
    TRY(tokenizer_open(m, &l->tokenizer, e));
    l->template = chat_source(m, false);
    l->tool_template = chat_source(m, true);
    return chat_open_model(m, l->tokenizer, &l->chat, e);
}

enum code language_draft_fits(const struct model *m, const struct model *draft, struct err *e) {
    const struct attr *a = model_fact(m, "tok.tokens"), *b = model_fact(draft, "tok.tokens");
    if (!a || !b || a->kind != ATTR_STRS || b->kind != ATTR_STRS)
        return fail(e, INVALID, "the draft model needs the model's vocabulary: one has none");
    size_t least = a->n < b->n ? a->n : b->n, most = a->n < b->n ? b->n : a->n;
    if (most - least > LANGUAGE_PADDING)
        return fail(e, INVALID,
                    "the draft model has %zu tokens, the model %zu: they must share a vocabulary",
                    b->n, a->n);
    for (size_t i = 0; i < least; i++)
        if (!str_eq(a->strs[i], b->strs[i]))
            return fail(e, INVALID,
                        "token %zu is '%.*s' to the draft model and '%.*s' to the model: they must "
                        "share a vocabulary",
                        i, STR(str_sub(b->strs[i], 0, 40)), STR(str_sub(a->strs[i], 0, 40)));
    return OK;
}

static enum code open_draft(struct language *l, const struct model *m, const struct model *draft,
                            const struct language_options *o, struct forward_options f,
                            struct err *e) {
    struct llm_facts facts;
    if (!draft)
        return OK;
    f.keeper = o->draft_keeper;
    TRY(language_draft_fits(m, draft, e));
    TRY(llm_facts_read(draft, &facts, e));
    TRY(forward_open(draft, &facts, &f, &l->draft, e));
    if (!forward_is_encoder(l->draft))
        return OK;
    return fail(e, INVALID, "the draft model is an encoder: it has nothing to guess");
}

static enum code open_decode(struct language *l, const struct language_options *o,
                             const struct forward_options *f, struct err *e) {
    const struct decode_options d = {
        .forward = l->forward,
        .draft = l->draft,
        .tokenizer = l->tokenizer,
        .sequences = f->max_sequences,
        .rows = f->max_rows,
        .queue = or_default(o->queue, QUEUE),
        .speculate = l->draft && o->speculate == 0 ? 4 : o->speculate,
        .model = o->model,
        .version = o->version,
    };
    return decode_open(&d, &l->decode, e);
}

static enum code open_all(struct language *l, const struct model *m, const struct model *draft,
                          const struct language_options *o, struct err *e) {
    TRY(open_text(l, m, e));
    if (!o->plain)
        TRY(preset_read(m, &l->preset, e));
    struct forward_options f = forward_options_of(l, o);
    TRY(forward_open(m, &l->facts, &f, &l->forward, e));
    l->encoder = forward_is_encoder(l->forward);
    l->sequences = (size_t)f.max_sequences;
    if (l->encoder)
        return OK;
    TRY(open_draft(l, m, draft, o, f, e));
    return open_decode(l, o, &f, e);
}

enum code language_open(const struct model *m, const struct model *draft,
                        const struct language_options *o, struct language **out, struct err *e) {
    struct language *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return fail(e, NOMEM, "no memory for a language model");
    pthread_mutex_init(&l->embedding, NULL);
    enum code code = open_all(l, m, draft, o, e);
    if (code == OK)
        *out = l;
    else
        language_close(l);
    return code;
}

void language_close(struct language *l) {
    if (!l)
        return;
    decode_close(l->decode);
    forward_close(l->draft);
    forward_close(l->forward);
    if (l->chat)
        chat_close(l->chat);
    if (l->tokenizer)
        tokenizer_close(l->tokenizer);
    pthread_mutex_destroy(&l->embedding);
    mem_free(l);
}

/* --- embedding --- */

struct tokens {
    int32_t *ids;
    size_t n;
};

/* As many whole texts as fit one step, from all[from] on. */
static size_t fill_rows(const struct language *l, const struct tokens *all, size_t from, size_t n,
                        struct forward_row *rows, size_t *n_rows) {
    size_t room = forward_max_rows(l->forward), k = from;
    for (*n_rows = 0; k < n && k - from < l->sequences && *n_rows + all[k].n <= room; k++)
        for (size_t i = 0; i < all[k].n; i++)
            rows[(*n_rows)++] =
                (struct forward_row){all[k].ids[i], (int32_t)i, (int32_t)(k - from), false};
    return k;
}

static enum code run_encoder(struct language *l, const struct tokens *all, size_t n,
                             struct forward_row *rows, float *out, struct err *e) {
    size_t width = forward_width(l->forward), n_rows;
    for (size_t at = 0, next; at < n; at = next) {
        next = fill_rows(l, all, at, n, rows, &n_rows);
        if (next == at)
            return fail(e, INVALID, "a text has %zu tokens, the model takes %zu", all[at].n,
                        forward_max_rows(l->forward));
        TRY(forward_embed(l->forward, rows, n_rows, out + at * width, e));
    }
    return OK;
}

enum code language_embed(struct language *l, const struct str *texts, size_t n, bool cut,
                         struct arena *a, float *out, int32_t *tokens, struct err *e) {
    struct tokens *all = ARENA_ARRAY(a, n, struct tokens);
    struct forward_row *rows = ARENA_ARRAY(a, forward_max_rows(l->forward), struct forward_row);
    size_t context = forward_context(l->forward), longest = (size_t)l->facts.longest_text;
    size_t most = longest < context ? longest : context;
    if (!all || !rows)
        return arena_fail(a, n * sizeof *all, "texts", e);
    for (size_t i = 0; i < n; i++) {
        TRY(tokenizer_encode(l->tokenizer, texts[i], TOKENIZE_SPECIAL_ADD, a, &all[i].ids,
                             &all[i].n, e));
        if (cut)
            tokenizer_cut(l->tokenizer, most, all[i].ids, &all[i].n);
        if (all[i].n > most)
            return fail(e, INVALID, "text %zu has %zu tokens, the model takes %zu", i, all[i].n,
                        most);
        tokens[i] = (int32_t)all[i].n;
    }
    pthread_mutex_lock(&l->embedding);
    enum code code = run_encoder(l, all, n, rows, out, e);
    pthread_mutex_unlock(&l->embedding);
    return code;
}
