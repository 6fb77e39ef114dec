/* SPDX-License-Identifier: Apache-2.0 */
/* Crates and the names of what is in them: see crate.h. */
#include "plan/crate.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

static const char magic[8] = {'S', 'L', 'I', 'P', 'C', 'R', 'A', 'T'};
enum { HEAD = 64 };

struct entry { /* as it lies in the file */
    uint64_t a, b, packing, bytes, offset;
};

/* --- reading --- */

static const struct entry *entries(const struct crate *c) {
    return (const struct entry *)(const void *)(c->bytes.p + HEAD);
}

static bool lies_within(const struct crate *c, const struct entry *x) {
    return x->offset % MEM_LINE == 0 && x->offset <= c->bytes.n &&
           x->bytes <= c->bytes.n - x->offset;
}

struct crate crate_open(struct span bytes) {
    const struct crate none = {0};
    struct crate c = {.bytes = bytes};
    uint64_t n;
    if (bytes.n < HEAD || memcmp(bytes.p, magic, sizeof magic) != 0)
        return none;
    memcpy(&n, bytes.p + sizeof magic, sizeof n);
    if (n > (bytes.n - HEAD) / sizeof(struct entry))
        return none;
    c.n = (size_t)n;
    for (size_t k = 0; k < c.n; k++)
        if (!lies_within(&c, &entries(&c)[k]))
            return none;
    return c;
}

static int compare(const struct crate_item *x, const struct crate_item *y) {
    if (x->of.a != y->of.a)
        return x->of.a < y->of.a ? -1 : 1;
    if (x->of.b != y->of.b)
        return x->of.b < y->of.b ? -1 : 1;
    if (x->packing != y->packing)
        return x->packing < y->packing ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

struct crate_item crate_at(const struct crate *c, size_t index) {
    const struct entry *x = &entries(c)[index];
    return (struct crate_item){{x->a, x->b}, x->packing, x->bytes, c->bytes.p + x->offset};
}

const void *crate_find(const struct crate *c, const struct crate_item *name) {
    size_t low = 0, high = c->n; /* the answer is in [low, high) */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct crate_item x = crate_at(c, middle);
        const int order = compare(&x, name);
        if (order == 0)
            return x.data;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool crate_holds(const struct crate *c, const void *p) {
    const uintptr_t from = (uintptr_t)c->bytes.p, at = (uintptr_t)p;
    return at >= from && at - from < c->bytes.n;
}

/* --- writing --- */

static int by_name(const void *a, const void *b) { return compare(a, b); }

static size_t padded(uint64_t bytes) { return mem_round_up((size_t)bytes, MEM_LINE); }

/* Sorted, each once, those that fit: how many. */
static size_t choose(struct crate_item *items, size_t n, size_t cap_bytes) {
    size_t kept = 0, left = cap_bytes > HEAD ? cap_bytes - HEAD : 0;
    qsort(items, n, sizeof *items, by_name);
    for (size_t k = 0; k < n; k++) {
        const bool again = kept && compare(&items[kept - 1], &items[k]) == 0;
        if (again || items[k].bytes > left ||
            padded(items[k].bytes) + sizeof(struct entry) + MEM_LINE > left)
            continue;
        left -= padded(items[k].bytes) + sizeof(struct entry);
        items[kept++] = items[k];
    }
    return kept;
}

static void put_zeros(struct buf *out, size_t to) {
    static const char zeros[MEM_LINE];
    buf_put(out, zeros, to - out->n);
}

void crate_write(struct crate_item *items, size_t n, struct buf *out) {
    n = choose(items, n, out->cap_bytes);
    uint64_t count = n, at = padded(HEAD + n * sizeof(struct entry));
    buf_put(out, magic, sizeof magic);
    buf_put(out, &count, sizeof count);
    put_zeros(out, HEAD);
    for (size_t k = 0; k < n; k++) {
        const struct crate_item *x = &items[k];
        buf_put(out, &(struct entry){x->of.a, x->of.b, x->packing, x->bytes, at},
                sizeof(struct entry));
        at += padded(x->bytes);
    }
    for (size_t k = 0; k < n; k++) {
        put_zeros(out, padded(out->n));
        buf_put(out, items[k].data, (size_t)items[k].bytes);
    }
}

/* --- names --- */

/* Zeros where it has no length. */
static struct provenance provenance_of_place(const struct origin *o) {
    return (struct provenance){o->offset, (uint64_t)(o->file + 1) << 48 ^ o->length};
}

struct provenance provenance_of(const struct value *v) {
    return provenance_told(v->made) || v->origin.file < 0 ? v->made
                                                          : provenance_of_place(&v->origin);
}

struct provenance provenance_of_attr(const struct attr *a) {
    return a->origin.length ? provenance_of_place(&a->origin) : (struct provenance){0};
}

struct provenance provenance_then(struct provenance from, const char *how, const void *parameters,
                                  size_t n) {
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    struct provenance made;
    if (!provenance_told(from))
        return from;
    sha256_begin(&h);
    sha256_add(&h, &from, sizeof from);
    sha256_add(&h, how, strlen(how) + 1);
    sha256_add(&h, parameters, n);
    sha256_end(&h, digest);
    memcpy(&made, digest, sizeof made);
    return made;
}
