/* SPDX-License-Identifier: Apache-2.0 */
/* A language model without weights, for tests of what surrounds one: a vocabulary of bytes and a
 * few longer words, and logits that are a hash of every token the KV cache holds for a sequence
 * (read back through its pages: a page that is wrong, stale or shared wrongly changes the answer).
 */
#pragma once

#include "base/mem.h"
#include "llm/forward.h"
#include "llm/tokenizer.h"

#include <string.h>

enum { FAKE_WORDS = 8, FAKE_END = 256 + FAKE_WORDS, FAKE_VOCAB, FAKE_SEQUENCES = 64 };

static const char *const fake_words[FAKE_WORDS] = {
    "the ", " and", "{\"", "\": ", "true", "\xe2\x82", "\", \"", "stop"};
static char fake_bytes[256];

struct tokenizer {
    int unused;
};
struct kv {
    size_t pages, free;
    int32_t *refs;                  /* (pages) */
    int32_t (*tokens)[KV_PAGE];     /* (pages) */
    int32_t *table[FAKE_SEQUENCES]; /* (pages) */
    size_t n[FAKE_SEQUENCES];
};
struct forward {
    struct kv kv;
    size_t context, rows;
    float *logits;
    uint64_t salt;  /* another model */
    float end_bias; /* added to the end token's logit */
    size_t steps, n_rows, fail_at;
    int repeats;           /* > 0: the token `repeats` positions before is the likeliest */
    size_t vocab;          /* less than FAKE_VOCAB: a draft model that lacks the last */
    volatile bool *leaves; /* set during step leave_at */
    size_t leave_at;
};

size_t tokenizer_vocab(const struct tokenizer *t) { return (void)t, FAKE_VOCAB; }
bool tokenizer_ends(const struct tokenizer *t, int32_t id) { return (void)t, id == FAKE_END; }
struct str tokenizer_piece(const struct tokenizer *t, int32_t id) {
    (void)t;
    if (id >= FAKE_END)
        return (struct str){0};
    if (id >= 256)
        return str_of(fake_words[id - 256]);
    fake_bytes[id] = (char)id;
    return (struct str){&fake_bytes[id], 1};
}
struct str tokenizer_name(const struct tokenizer *t, int32_t id) {
    return tokenizer_piece(t, id);
}

/* --- kv --- */
size_t kv_pages(const struct kv *k) { return k->pages; }
size_t kv_free_pages(const struct kv *k) { return k->free; }
int32_t kv_page(const struct kv *k, int s, size_t i) { return k->table[s][i]; }
void kv_page_ref(struct kv *k, int32_t p) { k->refs[p]++; }
void kv_page_unref(struct kv *k, int32_t p) { k->free += --k->refs[p] == 0; }

void kv_truncate(struct kv *k, int s, size_t positions) {
    while (k->n[s] > (positions + KV_PAGE - 1) / KV_PAGE)
        kv_page_unref(k, k->table[s][--k->n[s]]);
}
void kv_release(struct kv *k, int s) { kv_truncate(k, s, 0); }

enum code kv_reserve(struct kv *k, int s, size_t positions, struct err *e) {
    size_t want = (positions + KV_PAGE - 1) / KV_PAGE;
    if (want > k->n[s] && want - k->n[s] > k->free)
        return err_set(e, ERR_OVERLOAD, __FILE__, __LINE__, "no page free");
    for (int32_t p = 0; k->n[s] < want; p++)
        if (k->refs[p] == 0) {
            memset(k->tokens[p], 0xff, sizeof k->tokens[p]);
            k->refs[p] = 1;
            k->free--;
            k->table[s][k->n[s]++] = p;
        }
    return OK;
}

void kv_adopt(struct kv *k, int s, const int32_t *pages, size_t n) {
    for (size_t i = 0; i < n; i++) {
        kv_page_ref(k, pages[i]);
        k->table[s][k->n[s]++] = pages[i];
    }
}

/* --- forward --- */
struct kv *forward_kv(struct forward *f) {
    return &f->kv;
}
size_t forward_vocab(const struct forward *f) { return f->vocab; }
size_t forward_context(const struct forward *f) { return f->context; }

static void fake_logits(const struct forward *f, const struct forward_row *row, float *out) {
    const struct kv *k = &f->kv;
    uint64_t h = f->salt;
    for (int32_t at = 0; at <= row->position; at++) {
        int32_t token = k->tokens[k->table[row->sequence][at / KV_PAGE]][at % KV_PAGE];
        h = (h ^ (uint64_t)(uint32_t)token) * 0x9e3779b97f4a7c15u;
        h ^= h >> 31;
    }
    for (size_t i = 0; i < f->vocab; i++) {
        uint64_t z = (h + i) * 0xbf58476d1ce4e5b9u;
        z ^= z >> 29;
        z *= 0x94d049bb133111ebu;
        out[i] = (float)(z >> 40) / (float)(1 << 24) * 8 - 4;
    }
    if (f->vocab > FAKE_END)
        out[FAKE_END] += f->end_bias;
    if (f->repeats > 0 && row->position >= f->repeats) {
        int32_t at = row->position - f->repeats + 1;
        out[k->tokens[k->table[row->sequence][at / KV_PAGE]][at % KV_PAGE]] += 20;
    }
}

enum code forward_step(struct forward *f, const struct forward_row *rows, size_t n,
                       const float **logits, struct err *e) {
    size_t wanted = 0;
    f->steps++;
    f->n_rows += n;
    if (f->leaves && f->steps == f->leave_at)
        __atomic_store_n(f->leaves, true, __ATOMIC_RELAXED);
    if (f->fail_at && f->steps == f->fail_at)
        return err_set(e, ERR_INTERNAL, __FILE__, __LINE__, "the step failed");
    if (n > f->rows)
        return err_set(e, ERR_INTERNAL, __FILE__, __LINE__, "%zu rows in a step of %zu", n,
                       f->rows);
    for (size_t i = 0; i < n; i++) {
        const struct forward_row *r = &rows[i];
        if ((size_t)r->position >= f->kv.n[r->sequence] * KV_PAGE)
            return err_set(e, ERR_INTERNAL, __FILE__, __LINE__,
                           "position %d of sequence %d has no page", (int)r->position,
                           (int)r->sequence);
        if ((size_t)r->token >= f->vocab)
            return err_set(e, ERR_INTERNAL, __FILE__, __LINE__, "no token %d", (int)r->token);
        f->kv.tokens[f->kv.table[r->sequence][r->position / KV_PAGE]][r->position % KV_PAGE] =
            r->token;
        if (r->want)
            fake_logits(f, r, f->logits + wanted++ * f->vocab);
    }
    *logits = f->logits;
    return OK;
}

static inline void fake_open(struct forward *f, size_t pages, size_t rows, size_t context) {
    *f = (struct forward){.context = context, .rows = rows, .end_bias = -4, .vocab = FAKE_VOCAB};
    f->kv.pages = f->kv.free = pages;
    f->kv.refs = mem_zalloc(pages, sizeof *f->kv.refs);
    f->kv.tokens = mem_zalloc(pages, sizeof *f->kv.tokens);
    for (int i = 0; i < FAKE_SEQUENCES; i++)
        f->kv.table[i] = mem_zalloc(pages, sizeof(int32_t));
    f->logits = mem_zalloc(rows * FAKE_VOCAB, sizeof *f->logits);
}

static inline void fake_close(struct forward *f) {
    mem_free(f->kv.refs);
    mem_free(f->kv.tokens);
    for (int i = 0; i < FAKE_SEQUENCES; i++)
        mem_free(f->kv.table[i]);
    mem_free(f->logits);
}

/* --- text: the pieces as they are --- */
void detokenizer_begin(struct detokenizer *d, const struct tokenizer *t) { (void)d, (void)t; }
struct str detokenizer_push(struct detokenizer *d, int32_t id) {
    return (void)d, tokenizer_piece(NULL, id);
}
struct str detokenizer_show(struct detokenizer *d, int32_t id) {
    return detokenizer_push(d, id);
}
struct str detokenizer_end(struct detokenizer *d) {
    return (void)d, (struct str){0};
}
