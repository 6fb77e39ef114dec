/* SPDX-License-Identifier: Apache-2.0 */
/* Names of nodes by what they compute; see choice.h. */
#include "plan/choice.h"

#include <stdlib.h>

/* FNV-1a over the bytes of numbers (Fowler, Noll, Vo). */
static uint64_t mix(uint64_t h, const void *p, size_t bytes) {
    for (const unsigned char *c = p; bytes--; c++)
        h = (h ^ *c) * 0x100000001b3u;
    return h;
}

static uint64_t mix_number(uint64_t h, int64_t v) { return mix(h, &v, sizeof v); }

static uint64_t mix_value(uint64_t h, const struct op_value *v) {
    h = mix_number(h, v->dtype);
    h = mix_number(h, v->layout);
    h = mix_number(h, v->data != NULL);
    for (int d = 0; v->known && d < v->shape.rank; d++)
        h = mix_number(h, v->shape.dims[d]);
    return h;
}

static uint64_t mix_attr(uint64_t h, const struct attr *a) {
    h = mix(h, a->name.p, a->name.n);
    if (a->kind == ATTR_INT)
        return mix_number(h, a->i);
    for (size_t i = 0; a->kind == ATTR_INTS && i < a->n; i++)
        h = mix_number(h, a->ints[i]);
    return h;
}

uint64_t choice_node(const struct node *n, const struct op_value *in, const struct op_value *out,
                     int threads) {
    uint64_t h = mix(0xcbf29ce484222325u, n->op_name.p, n->op_name.n);
    h = mix_number(h, threads);
    for (int i = 0; i < n->n_in; i++)
        h = mix_value(h, &in[i]);
    for (int i = 0; i < n->n_out; i++)
        h = mix_value(h, &out[i]);
    for (int i = 0; i < n->n_attrs; i++)
        h = mix_attr(h, &n->attrs[i]);
    for (int i = 0; i < n->n_post; i++)
        h = mix_number(h, n->post[i].kind);
    return h;
}

static int by_node(const void *a, const void *b) {
    const struct choice *x = a, *y = b;
    return x->node < y->node ? -1 : x->node > y->node;
}

void choice_sort(struct choice *choices, size_t n) { qsort(choices, n, sizeof *choices, by_node); }

int choice_find(const struct choice *choices, size_t n, uint64_t node) {
    size_t from = 0, to = n;
    while (from < to) {
        const size_t at = from + (to - from) / 2;
        if (choices[at].node == node)
            return choices[at].way;
        if (choices[at].node < node)
            from = at + 1;
        else
            to = at;
    }
    return 0;
}
