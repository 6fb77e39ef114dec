/* SPDX-License-Identifier: Apache-2.0 */
/* A model's facts to a vocabulary. Everything comes from a file: lengths, kinds and spellings are
 * checked here once. */
#include "llm/vocabulary.h"

enum { TOKENS_MAX = 1 << 22 };

int32_t vocabulary_find(const struct vocabulary *v, struct str name) {
    return (int32_t)(uintptr_t)map_get(&v->ids, name) - 1;
}

int32_t vocabulary_word(const struct vocabulary *v, struct str name) {
    int32_t id = vocabulary_find(v, name);
    bool plain = id >= 0 && (v->kinds[id] == TOKEN_NORMAL || v->kinds[id] == TOKEN_USER ||
                             v->kinds[id] == TOKEN_UNUSED);
    return plain ? id : TOKEN_NONE;
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<0x1F>" */
static int byte_of(struct str name) {
    if (name.n != 6 || !str_starts(name, "<0x") || name.p[5] != '>')
        return -1;
    int high = hex(name.p[3]), low = hex(name.p[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static enum code read_kinds(const struct model *m, struct arena *a, struct vocabulary *v,
                            struct err *e) {
    const struct attr *f = model_fact(m, "tok.types");
    v->kinds = ARENA_ARRAY(a, v->n, uint8_t);
    if (!v->kinds)
        return arena_fail(a, v->n, "vocabulary", e);
    if (f && (f->kind != ATTR_INTS || f->n != v->n))
        return fail(e, FORMAT, "the tokenizer has %zu tokens and %zu token types", v->n, f->n);
    for (size_t i = 0; i < v->n; i++) {
        int64_t kind = f ? f->ints[i] : TOKEN_NORMAL;
        if (kind < 0 || kind > TOKEN_BYTE)
            return fail(e, FORMAT, "token %zu has the unknown type %lld", i, (long long)kind);
        v->kinds[i] = kind ? (uint8_t)kind : TOKEN_NORMAL;
    }
    return OK;
}

static enum code read_scores(const struct model *m, struct vocabulary *v, struct err *e) {
    const struct attr *f = model_fact(m, "tok.scores");
    if (!f)
        return OK;
    if (f->kind != ATTR_FLOATS || f->n != v->n)
        return fail(e, FORMAT, "the tokenizer has %zu tokens and %zu scores", v->n, f->n);
    for (size_t i = 0; i < v->n; i++)
        if (f->floats[i] != f->floats[i])
            return fail(e, FORMAT, "the score of token %zu is no number", i);
    v->scores = f->floats;
    return OK;
}

static enum code read_bytes(struct vocabulary *v, struct arena *a, size_t i, struct err *e) {
    int byte = byte_of(v->names[i]);
    char *text = arena_push(a, 1);
    if (byte < 0)
        return fail(e, FORMAT, "byte token %zu is spelt '%.*s', not like <0x1F>", i,
                    STR(str_sub(v->names[i], 0, 32)));
    if (!text)
        return arena_fail(a, 1, "vocabulary", e);
    *text = (char)byte;
    v->texts[i] = (struct str){text, 1};
    v->bytes[byte] = (int32_t)i;
    return OK;
}

enum code vocabulary_read(const struct model *m, struct arena *a, struct vocabulary *out,
                          struct err *e) {
    const struct attr *f = model_fact(m, "tok.tokens");
    if (!f || f->kind != ATTR_STRS || f->n == 0)
        return fail(e, FORMAT, "the model has no vocabulary");
    if (f->n > TOKENS_MAX)
        return fail(e, LIMIT, "%zu tokens, limit %d", f->n, TOKENS_MAX);
    *out = (struct vocabulary){.n = f->n, .names = f->strs};
    out->texts = ARENA_ARRAY(a, f->n, struct str);
    if (!out->texts)
        return arena_fail(a, f->n * sizeof *out->texts, "vocabulary", e);
    memcpy(out->texts, out->names, f->n * sizeof *out->texts);
    for (int b = 0; b < 256; b++)
        out->bytes[b] = TOKEN_NONE;
    TRY(read_kinds(m, a, out, e));
    TRY(read_scores(m, out, e));
    map_init(&out->ids, a);
    for (size_t i = 0; i < f->n; i++) {
        if (out->names[i].n > TOKEN_BYTES_MAX)
            return fail(e, LIMIT, "token %zu has %zu bytes, limit %d", i, out->names[i].n,
                        TOKEN_BYTES_MAX);
        if (out->names[i].n > out->longest)
            out->longest = out->names[i].n;
        if (out->kinds[i] == TOKEN_BYTE)
            TRY(read_bytes(out, a, i, e));
        if (!map_has(&out->ids, out->names[i])) /* of equal spellings the first counts */
            TRY(map_put(&out->ids, out->names[i], (void *)(uintptr_t)(i + 1), e));
    }
    return OK;
}
