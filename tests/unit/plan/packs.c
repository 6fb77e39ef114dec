/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights: the same constant packed the same way is packed once, for as long as the session
 * lives; what dies with a plan is not remembered; what a keeper has is not packed again. */
#include "plan/packs.c"

#include "toy.h"

enum { BYTES = 256 };

static void *take(struct packs *p, const void *constant, uint64_t packing, size_t bytes,
                  bool *filled) {
    return p->face.get(&p->face, constant, packing, bytes, false, filled);
}

/* Where the numbers of a constant lie. */
static const void *numbers(const struct graph *g, value_id v) {
    return g->values[v].constant->data;
}

static void packed_once(void **unused) {
    (void)unused;
    struct toy t;
    struct packs p;
    struct err e;
    bool filled;
    toy_init(&t);
    const void *w = numbers(t.g, toy_weights(&t, SHAPE(64), 1));
    packs_init(&p, 1 << 20, NULL);
    assert_int_equal(packs_own(&p, t.g, &e), OK);
    void *first = take(&p, w, 7, BYTES, &filled);
    assert_non_null(first);
    assert_false(filled);
    assert_int_equal((uintptr_t)first % MEM_LINE, 0);
    assert_ptr_equal(take(&p, w, 7, BYTES, &filled), first);
    assert_true(filled);
    assert_ptr_not_equal(take(&p, w, 8, BYTES, &filled), first); /* another packing */
    assert_false(filled);
    assert_ptr_not_equal(take(&p, w, 7, 2 * BYTES, &filled), first); /* another size */
    assert_false(filled);
    assert_int_equal(p.bytes, 4 * BYTES);
    packs_deinit(&p);
    toy_deinit(&t);
}

/* A prepare that failed may have left its form half written. */
static void failed_prepare(void **unused) {
    (void)unused;
    struct toy t;
    struct packs p;
    struct err e;
    bool filled;
    toy_init(&t);
    const void *w = numbers(t.g, toy_weights(&t, SHAPE(64), 1));
    packs_init(&p, 1 << 20, NULL);
    assert_int_equal(packs_own(&p, t.g, &e), OK);
    assert_null(p.face.find(&p.face, w, 7, BYTES));
    packs_begin(&p);
    void *before = take(&p, w, 6, BYTES, &filled);
    packs_begin(&p);
    void *first = take(&p, w, 7, BYTES, &filled);
    assert_ptr_equal(p.face.find(&p.face, w, 7, BYTES), first);
    packs_undo(&p);
    assert_null(p.face.find(&p.face, w, 7, BYTES));
    packs_begin(&p);
    assert_ptr_equal(take(&p, w, 7, BYTES, &filled), first);
    assert_false(filled);
    assert_ptr_equal(take(&p, w, 7, BYTES, &filled), first);
    assert_true(filled);
    assert_ptr_equal(take(&p, w, 6, BYTES, &filled), before);
    assert_true(filled);
    packs_deinit(&p);
    toy_deinit(&t);
}

/* The table grows; every pack stays where it was. */
static void many(void **unused) {
    (void)unused;
    enum { MANY = 500 };
    struct toy t;
    struct packs p;
    struct err e;
    static const void *constants[MANY];
    static void *packed[MANY];
    bool filled;
    toy_init(&t);
    for (unsigned k = 0; k < MANY; k++)
        constants[k] = numbers(t.g, toy_weights(&t, SHAPE(4), k));
    packs_init(&p, 1 << 24, NULL);
    assert_int_equal(packs_own(&p, t.g, &e), OK);
    for (int k = 0; k < MANY; k++)
        packed[k] = take(&p, constants[k], (uint64_t)k % 3, BYTES, &filled);
    for (int k = 0; k < MANY; k++) {
        assert_ptr_equal(take(&p, constants[k], (uint64_t)k % 3, BYTES, &filled), packed[k]);
        assert_true(filled);
    }
    packs_deinit(&p);
    toy_deinit(&t);
}

/* Numbers of attributes and of bodies are the session's too; others go to the plan being made. */
static void whose_they_are(void **unused) {
    (void)unused;
    struct toy t;
    struct packs p;
    struct err e;
    bool filled;
    static const float ours[] = {1, 2}, theirs[] = {1, 2};
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(4)), c = toy_input(&t, "c", DT_BOOL, SCALAR);
    toy_choose(&t, c, x);
    struct graph *body = attr_graph(&t.g->nodes[t.g->n_nodes - 1], "then_branch");
    float inner = 3;
    const void *within = numbers(body, toy_constant(&t, body, DT_F32, SCALAR, &inner));
    toy_node(&t, "exp", IDS(x));
    struct attr *a = toy_attr(t.g, "numbers", ATTR_FLOATS);
    a->floats = ours;
    a->n = 2;
    packs_init(&p, 1 << 20, NULL);
    assert_int_equal(packs_own(&p, t.g, &e), OK);
    assert_true(packs_owns(&p, ours) && packs_owns(&p, within));
    assert_false(packs_owns(&p, theirs));
    assert_null(take(&p, theirs, 0, BYTES, &filled)); /* no plan is being made */
    p.moment = &t.arena;
    void *moment = take(&p, theirs, 0, BYTES, &filled);
    assert_non_null(moment);
    assert_ptr_not_equal(take(&p, theirs, 0, BYTES, &filled), moment);
    assert_false(filled);
    assert_int_equal(p.bytes, 0);
    packs_deinit(&p);
    toy_deinit(&t);
}

static void limited(void **unused) {
    (void)unused;
    struct toy t;
    struct packs p;
    struct err e;
    bool filled;
    toy_init(&t);
    const void *w = numbers(t.g, toy_weights(&t, SHAPE(4), 1));
    packs_init(&p, 1 << 10, NULL);
    assert_int_equal(packs_own(&p, t.g, &e), OK);
    assert_null(take(&p, w, 0, 1 << 20, &filled));
    packs_deinit(&p);
    toy_deinit(&t);
}

/* A keeper over a list. */
enum { KEPT_MOST = 8 };
struct shelf_of_packs {
    struct keeper face; /* first */
    int n, asked;
    struct {
        struct keeper_pack pack;
        char layout[32];
        void *data;
    } kept[KEPT_MOST];
    struct arena arena;
    struct span whole;
    int stowed;
};

static const void *shelf_find(struct keeper *face, const struct keeper_pack *p) {
    struct shelf_of_packs *s = (struct shelf_of_packs *)face;
    s->asked++;
    for (int i = 0; i < s->n; i++) {
        const struct keeper_pack *k = &s->kept[i].pack;
        if (k->constant == p->constant && k->constant_bytes == p->constant_bytes &&
            k->packing == p->packing && k->bytes == p->bytes &&
            strcmp(s->kept[i].layout, p->layout) == 0)
            return s->kept[i].data;
    }
    return NULL;
}

static enum code shelf_keep(struct keeper *face, const struct keeper_pack *p, const void *packed,
                            struct err *e) {
    (void)e;
    struct shelf_of_packs *s = (struct shelf_of_packs *)face;
    assert_true(s->n < KEPT_MOST);
    s->kept[s->n].pack = *p;
    (void)snprintf(s->kept[s->n].layout, 32, "%s", p->layout);
    s->kept[s->n].data = arena_push_aligned(&s->arena, p->bytes, MEM_LINE);
    memcpy(s->kept[s->n++].data, packed, p->bytes);
    return OK;
}

static struct span shelf_find_whole(struct keeper *face, const char *layout, const char *revision) {
    (void)revision;
    assert_true(strncmp(layout, "crate-", 6) == 0);
    return ((struct shelf_of_packs *)face)->whole;
}

static enum code shelf_keep_whole(struct keeper *face, const char *layout, const char *revision,
                                  struct span bytes, struct err *e) {
    (void)layout, (void)revision, (void)e;
    struct shelf_of_packs *s = (struct shelf_of_packs *)face;
    uint8_t *copy = arena_push_aligned(&s->arena, bytes.n, MEM_LINE);
    memcpy(copy, bytes.p, bytes.n);
    s->whole = (struct span){copy, bytes.n};
    s->stowed++;
    return OK;
}

static struct session *open_with(struct toy *t, struct keeper *k) {
    struct session *s = NULL;
    struct err e = {0};
    assert_int_equal(session_open(t->g->model, &(struct session_options){.keeper = k}, &s, &e), OK);
    return s;
}

static size_t packed_bytes(struct session *s) {
    struct session_memory m;
    session_memory(s, &m);
    return m.packed_bytes;
}

/* Two large products, one small: the second session takes the large ones' packs from the keeper. */
static void kept_and_found(void **unused) {
    (void)unused;
    struct toy t;
    struct shelf_of_packs shelf = {.face = {shelf_find, shelf_keep}};
    struct err e = {0};
    arena_init(&shelf.arena, 64 << 20);
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 256));
    value_id y = toy_node(&t, "mat_mul", IDS(x, toy_weights(&t, SHAPE(256, 512), 1)));
    y = toy_node(&t, "mat_mul", IDS(y, toy_weights(&t, SHAPE(512, 256), 2)));
    toy_output(&t, toy_node(&t, "mat_mul", IDS(y, toy_weights(&t, SHAPE(256, 16), 3))));
    struct tensor in = toy_tensor(&t, SHAPE(4, 256), 3);

    struct session *first = open_with(&t, &shelf.face), *none = toy_open(&t, 0);
    struct tensor a = toy_answer(&t, first, &in), b = toy_answer(&t, none, &in);
    toy_same(&a, &b, 0);
    assert_int_equal(session_unkept(first), 2);
    assert_int_equal(session_unkept(none), 0);
    const atomic_bool go = false, stop = true;
    assert_int_equal(session_keep(first, &stop, &e), OK);
    assert_int_equal(shelf.n, 0);
    assert_int_equal(session_keep(first, &go, &e), OK);
    assert_int_equal(shelf.n, 2);
    const size_t all = packed_bytes(first);
    session_close(first);

    shelf.asked = 0;
    struct session *second = open_with(&t, &shelf.face);
    b = toy_answer(&t, second, &in);
    toy_same(&a, &b, 0);
    assert_int_equal(shelf.asked, 2);
    assert_int_equal(session_unkept(second), 0);
    assert_true(packed_bytes(second) * 8 < all);
    session_close(second);
    session_close(none);
    toy_deinit(&t);
    arena_deinit(&shelf.arena);
}

/* A constant as a file has it: it can be named. */
static value_id of_file(struct toy *t, value_id v, uint64_t offset) {
    t->g->values[v].origin = (struct origin){0, offset, tensor_bytes(t->g->values[v].constant)};
    return v;
}

static value_id ones(struct toy *t, int64_t n) {
    value_id v = toy_weights(t, SHAPE(n), 7);
    for (int64_t i = 0; i < n; i++)
        ((float *)t->g->values[v].constant->data)[i] += 2;
    return v;
}

/* A normalisation goes into a filter, another filter stays: the second session finds the filter
 * with it and the packed forms of both, a third with another normalisation does not. */
static void stowed_together(void **unused) {
    (void)unused;
    struct shelf_of_packs shelf = {
        .face = {shelf_find, shelf_keep, shelf_find_whole, shelf_keep_whole}};
    struct err e = {0};
    const atomic_bool go = false;
    arena_init(&shelf.arena, 64 << 20);
    for (int round = 0; round < 3; round++) {
        struct toy t;
        toy_init(&t);
        value_id y = toy_input(&t, "x", DT_F32, SHAPE(-1, 16, 8, 8));
        y = toy_node(&t, "conv", IDS(y, of_file(&t, toy_weights(&t, SHAPE(32, 16, 3, 3), 1), 64)));
        value_id scale = ones(&t, 32);
        if (round == 2)
            ((float *)t.g->values[scale].constant->data)[31] = 5;
        y = toy_node(&t, "batch_normalization",
                     IDS(y, scale, ones(&t, 32), ones(&t, 32), ones(&t, 32)));
        y = toy_node(&t, "conv",
                     IDS(y, of_file(&t, toy_weights(&t, SHAPE(8, 32, 1, 1), 2), 99968)));
        toy_output(&t, y);
        struct tensor in = toy_tensor(&t, SHAPE(1, 16, 8, 8), 3);
        struct session *with = open_with(&t, &shelf.face), *none = toy_open(&t, 0);
        struct tensor a = toy_answer(&t, with, &in), b = toy_answer(&t, none, &in);
        toy_same(&a, &b, 0);
        assert_int_equal(session_unkept(with), round == 0 ? 3 : round == 1 ? 0 : 2);
        if (round == 1)
            assert_int_equal(packed_bytes(with), 0);
        assert_int_equal(session_keep(with, &go, &e), OK);
        assert_int_equal(shelf.stowed, round == 0 ? 1 : round);
        session_close(with);
        session_close(none);
        toy_deinit(&t);
    }
    assert_int_equal(crate_open(shelf.whole).n, 5);
    arena_deinit(&shelf.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_once),     cmocka_unit_test(many),
        cmocka_unit_test(failed_prepare),  cmocka_unit_test(whose_they_are),
        cmocka_unit_test(limited),         cmocka_unit_test(kept_and_found),
        cmocka_unit_test(stowed_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
