/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights: see packs.h. Two hash tables that only grow, in arenas that end with the session.
 */
#include "plan/packs.h"

#include "base/cpu.h"
#include "base/mem.h"

#include <stdio.h>

struct pack {
    const void *constant;
    uint64_t packing;
    size_t bytes;
    void *data;
    struct pack *older;           /* of those this prepare writes */
    bool found, lasting, written; /* found: the keeper's memory */
};

struct owned {
    const void *data;
    const struct tensor *tensor; /* NULL: numbers of an attribute */
    struct provenance of;        /* where they are from */
    bool made;                   /* by a pass */
};

/* What is smaller than KEPT_LEAST is packed faster than a file of its own would be opened. */
enum { FIRST_ROOM = 64, NAMES_CAP = 256 << 20, KEPT_LEAST = 128 << 10 };

/* Of what the keeper has of a session. Raise them when the bytes change: of the forms, or of what
 * a pass makes under the same provenance. */
static const char forms_revision[] = "1", crate_revision[] = "1";
enum { WORD = 32 };

static uint64_t mix(const void *p, uint64_t packing) {
    uint64_t h = ((uint64_t)(uintptr_t)p >> 4 ^ packing) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static bool grow_table(struct packs *p) {
    size_t room = p->room ? p->room * 2 : FIRST_ROOM;
    struct pack **table = ARENA_ARRAY(&p->names, room, struct pack *);
    if (!table)
        return false;
    for (size_t k = 0; k < p->room; k++) {
        if (!p->table[k])
            continue;
        size_t at = mix(p->table[k]->constant, p->table[k]->packing);
        while (table[at & (room - 1)])
            at++;
        table[at & (room - 1)] = p->table[k];
    }
    p->table = table;
    p->room = room;
    return true;
}

static struct pack *find(struct packs *p, const void *constant, uint64_t packing, size_t bytes) {
    for (size_t at = mix(constant, packing); p->room && p->table[at & (p->room - 1)]; at++) {
        struct pack *k = p->table[at & (p->room - 1)];
        if (k->constant == constant && k->packing == packing && k->bytes == bytes)
            return k;
    }
    return NULL;
}

/* --- what outlives the session --- */

static const struct owned *owned_of(const struct packs *p, const void *constant) {
    for (size_t at = mix(constant, 0); p->room_owned && p->owned[at & (p->room_owned - 1)].data;
         at++)
        if (p->owned[at & (p->room_owned - 1)].data == constant)
            return &p->owned[at & (p->room_owned - 1)];
    return NULL;
}

bool packs_owns(const struct packs *p, const void *constant) {
    return owned_of(p, constant) != NULL;
}

static void word_of(const char *what, char word[WORD]) {
    (void)snprintf(word, WORD, "%s-%x", what, cpu_flags());
}

/* The shape is no part of the constant's bytes, and decides how they are packed. */
static uint64_t packing_of(const struct owned *o, uint64_t packing) {
    uint64_t shape = o->tensor ? o->tensor->dtype : 0;
    for (int d = 0; o->tensor && d < o->tensor->shape.rank; d++)
        shape = (shape ^ (uint64_t)o->tensor->shape.dims[d]) * 0x100000001b3u;
    return packing ^ shape * 0x9E3779B97F4A7C15u;
}

/* How the keeper knows a form of a blob: tiles depend on the instruction set. */
static struct keeper_pack name_of(const struct packs *p, const struct pack *k, char layout[WORD]) {
    const struct owned *o = owned_of(p, k->constant);
    word_of("graph", layout);
    return (struct keeper_pack){.constant = k->constant,
                                .constant_bytes = tensor_bytes(o->tensor),
                                .layout = layout,
                                .revision = forms_revision,
                                .packing = packing_of(o, k->packing),
                                .bytes = k->bytes};
}

static struct crate_item item_of(const struct packs *p, const struct pack *k) {
    const struct owned *o = owned_of(p, k->constant);
    return (struct crate_item){o->of, packing_of(o, k->packing), k->bytes, k->data};
}

enum home { HOME_NONE, HOME_FILE, HOME_CRATE };

static enum home home_of(const struct packs *p, const struct pack *k) {
    const struct owned *o = owned_of(p, k->constant);
    if (!k->lasting || !p->keeper || !o)
        return HOME_NONE;
    if (o->tensor && !o->made && k->bytes >= KEPT_LEAST)
        return HOME_FILE;
    return provenance_told(o->of) && p->keeper->keep_whole ? HOME_CRATE : HOME_NONE;
}

static void *found(struct packs *p, const struct pack *k) {
    const enum home home = home_of(p, k);
    char layout[WORD];
    const void *data = NULL;
    if (home == HOME_CRATE) {
        const struct crate_item name = item_of(p, k);
        data = crate_find(&p->crate, &name);
    } else if (home == HOME_FILE) {
        struct keeper_pack name = name_of(p, k, layout);
        data = p->keeper->find(p->keeper, &name);
    }
    return (void *)(uintptr_t)data;
}

static bool fresh(const struct packs *p, const struct pack *k, enum home home) {
    return k && !k->found && k->written && home_of(p, k) == home;
}

size_t packs_made(const struct packs *p, struct packs_made *out, size_t room) {
    size_t n = 0;
    for (size_t at = 0; at < p->room; at++) {
        const struct pack *k = p->table[at];
        if (!fresh(p, k, HOME_FILE))
            continue;
        if (n < room) {
            out[n].pack = name_of(p, k, out[n].layout);
            out[n].data = k->data;
        }
        n++;
    }
    return n;
}

/* --- the crate --- */

struct stowing {
    struct crate_item *items; /* or NULL: only counted */
    size_t n;
};

static void stow(struct stowing *s, struct crate_item item) {
    if (s->items)
        s->items[s->n] = item;
    s->n++;
}

static void stow_fresh(const struct packs *p, struct stowing *s) {
    for (size_t at = 0; at < p->room; at++)
        if (fresh(p, p->table[at], HOME_CRATE))
            stow(s, item_of(p, p->table[at]));
    for (size_t at = 0; at < p->room_owned; at++) {
        const struct owned *o = &p->owned[at];
        if (o->data && o->made && !crate_holds(&p->crate, o->data))
            stow(s, (struct crate_item){o->of, CRATE_PLAIN, tensor_bytes(o->tensor), o->data});
    }
}

enum code packs_crate(const struct packs *p, struct buf *out, size_t *added, struct err *e) {
    struct stowing s = {0};
    *added = 0;
    if (!p->keeper || !p->keeper->keep_whole)
        return OK;
    stow_fresh(p, &s);
    *added = s.n;
    if (!out || !s.n)
        return OK;
    s = (struct stowing){mem_zalloc(s.n + p->crate.n, sizeof *s.items), 0};
    if (!s.items)
        return fail(e, NOMEM, "no memory for a list of packed weights");
    stow_fresh(p, &s);
    for (size_t at = 0; at < p->crate.n; at++)
        stow(&s, crate_at(&p->crate, at));
    crate_write(s.items, s.n, out);
    mem_free(s.items);
    return buf_check(out, "packed weights", e);
}

static struct crate open_crate(struct keeper *k) {
    char word[WORD];
    word_of("crate", word);
    return k && k->find_whole ? crate_open(k->find_whole(k, word, crate_revision))
                              : (struct crate){0};
}

enum code packs_keep_crate(const struct packs *p, struct span crate, struct err *e) {
    char word[WORD];
    word_of("crate", word);
    return p->keeper->keep_whole(p->keeper, word, crate_revision, crate, e);
}

/* --- for operators --- */

static struct pack *add(struct packs *p, const struct pack *what) {
    if (p->n * 2 >= p->room && !grow_table(p))
        return NULL;
    struct pack *k = ARENA_NEW(&p->names, struct pack);
    if (!k)
        return NULL;
    *k = *what;
    size_t at = mix(k->constant, k->packing);
    while (p->table[at & (p->room - 1)])
        at++;
    p->table[at & (p->room - 1)] = k;
    p->n++;
    return k;
}

/* The form as the session has it, else as the keeper does. */
static struct pack *known(struct packs *p, const struct pack *what) {
    struct pack *k = find(p, what->constant, what->packing, what->bytes);
    void *data = k ? NULL : found(p, what);
    if (data && (k = add(p, what))) {
        k->data = data;
        k->found = k->written = true;
    }
    return k;
}

static const void *get_written(struct op_packs *face, const void *constant, uint64_t packing,
                               size_t bytes) {
    const struct pack what = {constant, packing, bytes, .lasting = true};
    struct packs *p = (struct packs *)face;
    struct pack *k = packs_owns(p, constant) ? known(p, &what) : NULL;
    return k && k->written ? k->data : NULL;
}

static void *get(struct op_packs *face, const void *constant, uint64_t packing, size_t bytes,
                 bool lasting, bool *filled) {
    const struct pack what = {constant, packing, bytes, .lasting = lasting};
    struct packs *p = (struct packs *)face;
    *filled = false;
    if (!packs_owns(p, constant))
        return p->moment ? arena_push_aligned(p->moment, bytes, MEM_LINE) : NULL;
    struct pack *k = known(p, &what);
    if (!k) {
        void *data = arena_push_aligned(&p->memory, bytes, MEM_LINE);
        if (!data || !(k = add(p, &what)))
            return NULL;
        k->data = data;
        p->bytes += bytes;
    }
    *filled = k->written;
    if (!k->written) {
        k->written = true;
        k->older = p->fresh;
        p->fresh = k;
    }
    return k->data;
}

void packs_begin(struct packs *p) { p->fresh = NULL; }

void packs_undo(struct packs *p) {
    for (; p->fresh; p->fresh = p->fresh->older)
        p->fresh->written = false;
}

void packs_init(struct packs *p, size_t cap_bytes, struct keeper *keeper) {
    *p = (struct packs){.face = {get, get_written}, .keeper = keeper, .crate = open_crate(keeper)};
    arena_init(&p->memory, cap_bytes);
    arena_init(&p->names, NAMES_CAP);
}

void packs_deinit(struct packs *p) {
    arena_deinit(&p->memory);
    arena_deinit(&p->names);
}

/* --- whose constants they are --- */

static void put_owned(struct owned *table, size_t room, struct owned o) {
    size_t at = mix(o.data, 0);
    while (table[at & (room - 1)].data && table[at & (room - 1)].data != o.data)
        at++;
    table[at & (room - 1)] = o;
}

/* The numbers of an attribute, or NULL: forests are written in attributes. */
static const void *attr_numbers(const struct attr *a) {
    switch ((int)a->kind) {
    case ATTR_INTS: return a->n ? a->ints : NULL;
    case ATTR_FLOATS: return a->n ? a->floats : NULL;
    case ATTR_TENSOR: return a->tensor->data;
    default: return NULL;
    }
}

static size_t count_owned(const struct graph *g) {
    size_t n = (size_t)g->n_values;
    for (int k = 0; k < g->n_nodes; k++)
        n += (size_t)g->nodes[k].n_attrs;
    return n;
}

enum code packs_own(struct packs *p, const struct graph *g, struct err *e) {
    const size_t n = p->n_owned + count_owned(g);
    size_t room = FIRST_ROOM;
    while (room < n * 2)
        room *= 2;
    struct owned *table = ARENA_ARRAY(&p->names, room, struct owned);
    if (!table)
        return arena_fail(&p->names, room * sizeof *table, "the table of constants", e);
    for (size_t k = 0; k < p->room_owned; k++)
        if (p->owned[k].data)
            put_owned(table, room, p->owned[k]);
    for (int v = 0; v < g->n_values; v++)
        if (g->values[v].constant && g->values[v].constant->data)
            put_owned(table, room,
                      (struct owned){g->values[v].constant->data, g->values[v].constant,
                                     provenance_of(&g->values[v]),
                                     provenance_told(g->values[v].made)});
    for (int k = 0; k < g->n_nodes; k++)
        for (int i = 0; i < g->nodes[k].n_attrs; i++)
            if (attr_numbers(&g->nodes[k].attrs[i]))
                put_owned(table, room,
                          (struct owned){attr_numbers(&g->nodes[k].attrs[i]), NULL,
                                         provenance_of_attr(&g->nodes[k].attrs[i]), false});
    p->n_owned = n;
    p->owned = table;
    p->room_owned = room;
    for (int k = 0; k < g->n_nodes; k++)
        for (int i = 0; i < g->nodes[k].n_attrs; i++)
            if (g->nodes[k].attrs[i].kind == ATTR_GRAPH)
                TRY(packs_own(p, g->nodes[k].attrs[i].graph, e));
    return OK;
}
