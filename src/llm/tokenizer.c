/* SPDX-License-Identifier: Apache-2.0 */
/* What all tokenizers have in common: the vocabulary, beginning and end; parts.c cuts the special
 * tokens out of a text before its kind sees the rest. */
#include "base/mem.h"
#include "llm/parts.h"

enum { ARENA_BYTES = 1 << 30 };

static const struct tokenizer_kind *const kinds[] = {&tokenizer_bpe, &tokenizer_spm,
                                                     &tokenizer_unigram, &tokenizer_wordpiece};

/* --- open --- */

bool tokenizer_fact_bool(const struct model *m, const char *name, bool otherwise) {
    const struct attr *f = model_fact(m, name);
    return f && f->kind == ATTR_INT ? f->i != 0 : otherwise;
}

/* An id out of range counts as absent: files write -1 or 2^32-1 for "none". */
static int32_t fact_id(const struct tokenizer *t, const struct model *m, const char *name) {
    const struct attr *f = model_fact(m, name);
    bool sound = f && f->kind == ATTR_INT && f->i >= 0 && (uint64_t)f->i < t->v.n;
    return sound ? (int32_t)f->i : TOKEN_NONE;
}

static void mark_end(struct tokenizer *t, int32_t id) {
    if (id >= 0 && (size_t)id < t->v.n)
        t->ends[id] = 1;
}

/* Those the model names, and control tokens whose spelling means an end everywhere: files that
 * forget to say so are common, and a model that never stops is the complaint. ("</s>" may be a tag
 * of HTML that a vocabulary holds as text.) */
static enum code find_ends(struct tokenizer *t, const struct model *m, struct err *e) {
    static const char *const spellings[] = {
        "<|eot_id|>",    "<|im_end|>", "<|end|>",         "<end_of_turn>",
        "<|endoftext|>", "<|eom_id|>", "<|end_of_text|>", "<EOT>",
        "_<EOT>",        "</s>",       "<eos>",           "<end_of_utterance>"};
    const struct attr *list = model_fact(m, "tok.end");
    t->ends = ARENA_ARRAY(&t->arena, t->v.n, uint8_t);
    if (!t->ends)
        return arena_fail(&t->arena, t->v.n, "vocabulary", e);
    mark_end(t, t->eos);
    mark_end(t, fact_id(t, m, "tok.eot"));
    mark_end(t, fact_id(t, m, "tok.eom"));
    for (size_t i = 0; list && list->kind == ATTR_INTS && i < list->n; i++)
        mark_end(t, list->ints[i] < INT32_MAX ? (int32_t)list->ints[i] : TOKEN_NONE);
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        int32_t id = vocabulary_find(&t->v, str_of(spellings[i]));
        if (id >= 0 && t->v.kinds[id] == TOKEN_CONTROL)
            mark_end(t, id);
    }
    return OK;
}

static enum code find_kind(struct tokenizer *t, const struct model *m, struct err *e) {
    const struct attr *f = model_fact(m, "tok.kind");
    if (!f || f->kind != ATTR_STR)
        return fail(e, NOT_FOUND, "the model has no tokenizer");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (str_is(f->s, kinds[i]->name))
            t->kind = kinds[i];
    return t->kind ? OK : fail(e, UNSUPPORTED, "tokenizer '%.*s'", STR(str_sub(f->s, 0, 64)));
}

static int32_t find_pad(const struct tokenizer *t, const struct model *m) {
    static const char *const names[] = {"[PAD]", "<pad>", "<|endoftext|>"};
    int32_t id = fact_id(t, m, "tok.pad");
    for (size_t i = 0; id < 0 && i < sizeof names / sizeof *names; i++)
        id = tokenizer_find(t, str_of(names[i]));
    return id;
}

static enum code fill(struct tokenizer *t, const struct model *m, struct err *e) {
    TRY(find_kind(t, m, e));
    TRY(vocabulary_read(m, &t->arena, &t->v, e));
    t->bos = fact_id(t, m, "tok.bos");
    t->eos = fact_id(t, m, "tok.eos");
    t->unknown = fact_id(t, m, "tok.unk");
    t->cls = fact_id(t, m, "tok.cls");
    t->sep = fact_id(t, m, "tok.sep");
    t->pad = find_pad(t, m);
    if (t->kind->adds_separators && t->cls < 0)
        t->cls = t->bos;
    if (t->kind->adds_separators && t->sep < 0)
        t->sep = t->eos;
    t->add_bos = tokenizer_fact_bool(m, "tok.add_bos", t->kind->adds_bos);
    t->add_eos = tokenizer_fact_bool(m, "tok.add_eos", false);
    if (t->kind->open)
        TRY(t->kind->open(t, m, e));
    TRY(parts_open(t, m, e));
    return find_ends(t, m, e);
}

enum code tokenizer_open(const struct model *m, struct tokenizer **out, struct err *e) {
    struct tokenizer *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return fail(e, NOMEM, "out of memory");
    arena_init(&t->arena, ARENA_BYTES);
    enum code code = fill(t, m, e);
    if (code != OK) {
        tokenizer_close(t);
        return code;
    }
    *out = t;
    return OK;
}

void tokenizer_close(struct tokenizer *t) {
    if (!t)
        return;
    arena_deinit(&t->arena);
    mem_free(t);
}

/* --- encode --- */

void token_put(struct token_out *out, int32_t id) {
    if (id >= 0 && out->n < out->room)
        out->ids[out->n++] = id;
}

void token_put_bytes(const struct tokenizer *t, struct str text, struct token_out *out) {
    for (size_t i = 0; i < text.n; i++) {
        int32_t id = t->v.bytes[(uint8_t)text.p[i]];
        if (id < 0) {
            token_put(out, t->unknown);
            return;
        }
        token_put(out, id);
    }
}

/* What is added behind a text. */
static int32_t last_of(const struct tokenizer *t) {
    return t->kind->adds_separators ? t->sep : t->add_eos ? t->eos : TOKEN_NONE;
}

/* Room for every token that can come: each takes at least a byte of what its kind reads, where a
 * space may have become three. */
static enum code encode_parts(const struct tokenizer *t, const struct marked *m, struct arena *a,
                              struct token_out *out, struct err *e) {
    struct parts parts = {0};
    TRY(parts_cut(t, m, a, &parts, e));
    out->room = 3 * parts.bytes + 4 * parts.n + 4;
    out->scratch = a;
    out->ids = ARENA_ARRAY(a, out->room, int32_t);
    if (!out->ids)
        return arena_fail(a, out->room * sizeof *out->ids, "tokens", e);
    if (m->add)
        token_put(out, t->kind->adds_separators ? t->cls : t->add_bos ? t->bos : TOKEN_NONE);
    for (size_t i = 0; i < parts.n; i++) {
        const struct part *p = &parts.list[i];
        if (p->id >= 0)
            token_put(out, p->id);
        else
            TRY(t->kind->encode(t, p->text, p->first, out, e));
    }
    if (m->add)
        token_put(out, last_of(t));
    return OK;
}

enum code tokenizer_encode(const struct tokenizer *t, struct str text, unsigned flags,
                           struct arena *a, int32_t **ids, size_t *n, struct err *e) {
    struct marked m = {.text = text,
                       .controls = flags & TOKENIZE_SPECIAL_PARSE,
                       .add = flags & TOKENIZE_SPECIAL_ADD};
    struct token_out out = {0};
    TRY(encode_parts(t, &m, a, &out, e));
    *ids = out.ids;
    *n = out.n;
    return OK;
}

enum code tokenizer_encode_marked(const struct tokenizer *t, struct str text,
                                  const uint8_t *foreign, struct arena *a, int32_t **ids, size_t *n,
                                  struct err *e) {
    struct marked m = {.text = text, .controls = true, .foreign = foreign};
    struct token_out out = {0};
    TRY(encode_parts(t, &m, a, &out, e));
    *ids = out.ids;
    *n = out.n;
    return OK;
}

/* --- look --- */

static bool in_range(const struct tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->v.n;
}

struct str tokenizer_piece(const struct tokenizer *t, int32_t id) {
    return in_range(t, id) ? t->v.texts[id] : (struct str){0};
}

struct str tokenizer_name(const struct tokenizer *t, int32_t id) {
    return in_range(t, id) ? t->v.names[id] : (struct str){0};
}

int32_t tokenizer_find(const struct tokenizer *t, struct str name) {
    return vocabulary_find(&t->v, name);
}

bool tokenizer_ends(const struct tokenizer *t, int32_t id) {
    return in_range(t, id) && t->ends[id];
}

bool tokenizer_control(const struct tokenizer *t, int32_t id) {
    return in_range(t, id) && t->v.kinds[id] == TOKEN_CONTROL;
}

size_t tokenizer_vocab(const struct tokenizer *t) { return t->v.n; }
int32_t tokenizer_bos(const struct tokenizer *t) { return t->bos; }
int32_t tokenizer_eos(const struct tokenizer *t) { return t->eos; }
int32_t tokenizer_pad(const struct tokenizer *t) { return t->pad; }
bool tokenizer_adds_bos(const struct tokenizer *t) { return t->add_bos; }

void tokenizer_cut(const struct tokenizer *t, size_t most, int32_t *ids, size_t *n) {
    if (*n <= most)
        return;
    *n = most;
    if (most && last_of(t) != TOKEN_NONE)
        ids[most - 1] = last_of(t);
}
