/* SPDX-License-Identifier: Apache-2.0 */
/* A heap of candidate pairs. A candidate whose symbols have changed meanwhile is stale and dropped
 * when it comes up: every merge adds at most two candidates, so there are at most 3n. */
#include "llm/merge.h"

struct candidate {
    float priority;
    int32_t left, right, id;
    uint32_t n; /* bytes of both: tells a stale one */
};

struct heap {
    struct candidate *c;
    size_t n;
};

static bool before(const struct candidate *a, const struct candidate *b) {
    return a->priority != b->priority ? a->priority < b->priority : a->left < b->left;
}

static void push(struct heap *h, const struct candidate *c) {
    size_t i = h->n++;
    while (i > 0 && before(c, &h->c[(i - 1) / 2])) {
        h->c[i] = h->c[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->c[i] = *c;
}

static struct candidate pop(struct heap *h) {
    struct candidate top = h->c[0], last = h->c[--h->n];
    size_t i = 0;
    for (size_t child = 1; child < h->n; child = 2 * i + 1) {
        if (child + 1 < h->n && before(&h->c[child + 1], &h->c[child]))
            child++;
        if (!before(&h->c[child], &last))
            break;
        h->c[i] = h->c[child];
        i = child;
    }
    h->c[i] = last;
    return top;
}

struct merging {
    struct symbol *s;
    struct str text;
    merge_fn *pair;
    const void *ctx;
    struct heap heap;
};

static void consider(struct merging *m, int32_t left, int32_t right) {
    struct merge found;
    if (left < 0 || right < 0 || !m->pair(m->ctx, m->text, &m->s[left], &m->s[right], &found))
        return;
    push(&m->heap,
         &(struct candidate){found.priority, left, right, found.id, m->s[left].n + m->s[right].n});
}

static void apply(struct merging *m, const struct candidate *c) {
    struct symbol *left = &m->s[c->left], *right = &m->s[c->right];
    if (left->n == 0 || right->n == 0 || left->next != c->right || left->n + right->n != c->n)
        return;
    left->n += right->n;
    left->id = c->id;
    left->next = right->next;
    right->n = 0;
    if (left->next >= 0)
        m->s[left->next].previous = c->left;
    consider(m, left->previous, c->left);
    consider(m, c->left, left->next);
}

enum code merge_all(struct symbol *symbols, size_t n, struct str text, merge_fn *pair,
                    const void *ctx, struct arena *a, struct err *e) {
    struct merging m = {.s = symbols, .text = text, .pair = pair, .ctx = ctx};
    if (n > INT32_MAX / 4)
        return fail(e, LIMIT, "text of %zu characters is too long to merge", n);
    for (size_t i = 0; i < n; i++) {
        symbols[i].previous = (int32_t)i - 1;
        symbols[i].next = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    if (n < 2)
        return OK;
    m.heap.c = ARENA_ARRAY(a, 3 * n, struct candidate);
    if (!m.heap.c)
        return arena_fail(a, 3 * n * sizeof *m.heap.c, "tokens", e);
    for (size_t i = 0; i + 1 < n; i++)
        consider(&m, (int32_t)i, (int32_t)i + 1);
    while (m.heap.n) {
        struct candidate top = pop(&m.heap);
        apply(&m, &top);
    }
    return OK;
}
