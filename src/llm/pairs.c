/* SPDX-License-Identifier: Apache-2.0 */
/* Merges as files list them, "left right" a line, most urgent first: a hash from the two tokens to
 * the rank and the token that comes out. */
#include "llm/tokenizer_in.h"

static uint64_t key_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t slot_of(const struct tokenizer *t, uint64_t key) {
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & (t->n_pairs - 1);
}

bool pairs_find(const struct tokenizer *t, int32_t left, int32_t right, uint32_t *rank,
                int32_t *id) {
    if (!t->pairs || left < 0 || right < 0)
        return false;
    uint64_t key = key_of(left, right);
    for (size_t i = slot_of(t, key); t->pairs[i].rank; i = (i + 1) & (t->n_pairs - 1))
        if (t->pairs[i].key == key) {
            *rank = t->pairs[i].rank - 1;
            *id = t->pairs[i].id;
            return true;
        }
    return false;
}

static void put(struct tokenizer *t, int32_t left, int32_t right, uint32_t rank, int32_t id) {
    uint64_t key = key_of(left, right);
    size_t i = slot_of(t, key);
    while (t->pairs[i].rank && t->pairs[i].key != key)
        i = (i + 1) & (t->n_pairs - 1);
    if (!t->pairs[i].rank) /* of equal pairs the first counts */
        t->pairs[i] = (struct pair_slot){key, rank + 1, id};
}

/* Merges of tokens that do not exist can never apply and are left out. */
static enum code read_one(struct tokenizer *t, struct str line, uint32_t rank, struct err *e) {
    char joined[2 * TOKEN_BYTES_MAX];
    size_t at;
    if (line.n < 3 || !str_find(str_sub(line, 1, line.n), ' ', &at) || at + 2 == line.n)
        return fail(e, FORMAT, "merge %u of the tokenizer is not two tokens", rank);
    struct str left = str_sub(line, 0, at + 1), right = str_sub(line, at + 2, line.n);
    int32_t a = vocabulary_find(&t->v, left), b = vocabulary_find(&t->v, right);
    if (a < 0 || b < 0)
        return OK;
    memcpy(joined, left.p, left.n);
    memcpy(joined + left.n, right.p, right.n);
    int32_t id = vocabulary_word(&t->v, (struct str){joined, left.n + right.n});
    if (id >= 0)
        put(t, a, b, rank, id);
    return OK;
}

enum code pairs_read(struct tokenizer *t, const struct model *m, struct err *e) {
    const struct attr *f = model_fact(m, "tok.merges");
    size_t room = 16;
    if (!f || f->kind != ATTR_STRS)
        return fail(e, FORMAT, "the tokenizer has no merges");
    if (f->n > 1 << 24)
        return fail(e, LIMIT, "%zu merges, limit %d", f->n, 1 << 24);
    while (room < 2 * f->n)
        room *= 2;
    t->pairs = ARENA_ARRAY(&t->arena, room, struct pair_slot);
    if (!t->pairs)
        return arena_fail(&t->arena, room * sizeof *t->pairs, "merges", e);
    t->n_pairs = room;
    for (size_t i = 0; i < f->n; i++)
        TRY(read_one(t, f->strs[i], (uint32_t)i, e));
    return OK;
}
