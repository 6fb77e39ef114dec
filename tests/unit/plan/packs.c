/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/packs.c"

#include "toy.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_and_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
