/* SPDX-License-Identifier: Apache-2.0 */
/* What all tokenizers have in common: the vocabulary, the special tokens that are cut out of a text
 * before its kind sees the rest, beginning and end. */
#include "base/mem.h"
#include "llm/tokenizer_in.h"

#include <stdlib.h>

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

static int longer_first(const void *a, const void *b) {
    return *(const uint16_t *)b - *(const uint16_t *)a;
}

static enum code find_specials(struct tokenizer *t, struct err *e) {
    uint8_t seen[TOKEN_BYTES_MAX + 1] = {0};
    map_init(&t->specials, &t->arena);
    t->special_lengths = ARENA_ARRAY(&t->arena, TOKEN_BYTES_MAX + 1, uint16_t);
    if (!t->special_lengths)
        return arena_fail(&t->arena, TOKEN_BYTES_MAX, "vocabulary", e);
    for (size_t i = 0; i < t->v.n; i++) {
        struct str name = t->v.names[i];
        if (name.n == 0 || (t->v.kinds[i] != TOKEN_CONTROL && t->v.kinds[i] != TOKEN_USER &&
                            t->v.kinds[i] != TOKEN_UNKNOWN))
            continue;
        TRY(map_put(&t->specials, name, (void *)(uintptr_t)(i + 1), e));
        uint8_t first = (uint8_t)name.p[0];
        t->special_first[first / 64] |= (uint64_t)1 << first % 64;
        if (!seen[name.n])
            t->special_lengths[t->n_special_lengths++] = (uint16_t)name.n;
        seen[name.n] = 1;
        if (t->v.kinds[i] != TOKEN_USER)
            t->v.texts[i] = (struct str){0};
    }
    qsort(t->special_lengths, t->n_special_lengths, sizeof *t->special_lengths, longer_first);
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

static enum code fill(struct tokenizer *t, const struct model *m, struct err *e) {
    TRY(find_kind(t, m, e));
    TRY(vocabulary_read(m, &t->arena, &t->v, e));
    t->bos = fact_id(t, m, "tok.bos");
    t->eos = fact_id(t, m, "tok.eos");
    t->unknown = fact_id(t, m, "tok.unk");
    t->cls = fact_id(t, m, "tok.cls");
    t->sep = fact_id(t, m, "tok.sep");
    if (t->kind->adds_separators && t->cls < 0)
        t->cls = t->bos;
    if (t->kind->adds_separators && t->sep < 0)
        t->sep = t->eos;
    t->add_bos = tokenizer_fact_bool(m, "tok.add_bos", t->kind->adds_bos);
    t->add_eos = tokenizer_fact_bool(m, "tok.add_eos", false);
    if (t->kind->open)
        TRY(t->kind->open(t, m, e));
    TRY(find_specials(t, e));
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

struct marked { /* text, and who wrote it */
    struct str text;
    bool controls;          /* control tokens count at all */
    const uint8_t *foreign; /* not where a byte of theirs is; NULL: anywhere */
};

static bool may_be_control(const struct marked *m, size_t at, size_t n) {
    return m->controls && (!m->foreign || !memchr(m->foreign + at, 1, n));
}

/* The special token at text[at], the longest; TOKEN_NONE: none that may count here. */
static int32_t special_at(const struct tokenizer *t, const struct marked *m, size_t at, size_t *n) {
    uint8_t first = (uint8_t)m->text.p[at];
    if (!(t->special_first[first / 64] >> first % 64 & 1))
        return TOKEN_NONE;
    for (size_t i = 0; i < t->n_special_lengths; i++) {
        struct str part = str_sub(m->text, at, at + t->special_lengths[i]);
        if (part.n != t->special_lengths[i])
            continue;
        int32_t id = (int32_t)(uintptr_t)map_get(&t->specials, part) - 1;
        if (id >= 0 && (t->v.kinds[id] == TOKEN_USER || may_be_control(m, at, part.n))) {
            *n = part.n;
            return id;
        }
    }
    return TOKEN_NONE;
}

static enum code encode_parts(const struct tokenizer *t, const struct marked *m,
                              struct token_out *out, struct err *e) {
    size_t begin = 0, n = 0;
    for (size_t at = 0; at < m->text.n;) {
        int32_t id = special_at(t, m, at, &n);
        if (id < 0) {
            at++;
            continue;
        }
        if (at > begin)
            TRY(t->kind->encode(t, str_sub(m->text, begin, at), true, out, e));
        token_put(out, id);
        begin = at += n;
    }
    return begin < m->text.n ? t->kind->encode(t, str_sub(m->text, begin, m->text.n), true, out, e)
                             : OK;
}

static enum code make_room(const struct tokenizer *t, struct str text, struct arena *a,
                           struct token_out *out, struct err *e) {
    /* A token takes at least a byte; a space of SentencePiece is three where it is no token. */
    out->room = (t->prefix_space || t->drop_space ? 3 : 1) * text.n + 16;
    out->scratch = a;
    out->ids = ARENA_ARRAY(a, out->room, int32_t);
    return out->ids ? OK : arena_fail(a, out->room * sizeof *out->ids, "tokens", e);
}

enum code tokenizer_encode(const struct tokenizer *t, struct str text, unsigned flags,
                           struct arena *a, int32_t **ids, size_t *n, struct err *e) {
    struct marked m = {text, flags & TOKENIZE_SPECIAL_PARSE, NULL};
    struct token_out out = {0};
    bool add = flags & TOKENIZE_SPECIAL_ADD, separators = t->kind->adds_separators;
    TRY(make_room(t, text, a, &out, e));
    if (add && separators)
        token_put(&out, t->cls);
    else if (add && t->add_bos)
        token_put(&out, t->bos);
    TRY(encode_parts(t, &m, &out, e));
    if (add && separators)
        token_put(&out, t->sep);
    else if (add && t->add_eos)
        token_put(&out, t->eos);
    *ids = out.ids;
    *n = out.n;
    return OK;
}

enum code tokenizer_encode_marked(const struct tokenizer *t, struct str text,
                                  const uint8_t *foreign, struct arena *a, int32_t **ids, size_t *n,
                                  struct err *e) {
    struct marked m = {text, true, foreign};
    struct token_out out = {0};
    TRY(make_room(t, text, a, &out, e));
    TRY(encode_parts(t, &m, &out, e));
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
bool tokenizer_adds_bos(const struct tokenizer *t) { return t->add_bos; }
