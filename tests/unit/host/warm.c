/* SPDX-License-Identifier: Apache-2.0 */
/* What a version runs before it is ready: a guess from its signature, or the requests that were
 * kept with it, of which one that fails makes it not ready and is named. */
#include "host/warm.c"

#include "shelf.h"

static int set_up(void **state) {
    cores_setup(2);
    return shelf_open(state);
}

/* y = x + 1 with these tapes (.n == 0: none), opened. */
static struct live *open_with(struct span tapes) {
    const struct store_part part = {LIT(TAPE_WARMUP), tapes};
    const struct host_options o = {.store = store, .threads = 2};
    uint64_t version;
    struct store_info is;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_ok(tiny_add_with(store, "m", 1, tapes.n ? &part : NULL, &version, &e));
    const struct store_ref ref = {.model = LIT("m"), .version = version};
    assert_ok(store_resolve(store, &ref, &a, &is, &e));
    struct live *l = live_new(LIT("m"), &is);
    arena_deinit(&a);
    assert_non_null(l);
    assert_ok(live_open(l, &o, &e));
    return l;
}

/* A request for each letter: x of one row, or, for 'w', of a wrong width, 'n', of a wrong name. */
static struct span tapes_of(const char *letters, struct buf *b) {
    static float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    buf_init(b, 1 << 20);
    for (const char *p = letters; *p; p++) {
        struct ask_tensor in = {*p == 'n' ? LIT("z") : LIT("x"),
                                {DT_F32, LAYOUT_PLAIN, {2, {1, *p == 'w' ? 3 : 4}}, x},
                                NULL};
        struct tape t = {.at_us = 1, .version = 1, .inputs = &in, .n_inputs = 1};
        tape_put(b, &t);
    }
    return (struct span){(const uint8_t *)b->p, b->n};
}

/* What runs cost is known afterwards, so that the first request may be brief. */
static void a_guess(void **state) {
    (void)state;
    struct live *l = open_with((struct span){0});
    assert_true(curve_single(&l->curve) == 0);
    assert_ok(live_warm(l, 2, &e));
    assert_true(session_steady(l->loaded.session) && curve_single(&l->curve) > 0);
    assert_int_equal(l->success, 0); /* no request of anybody's */
    live_unref(l);
}

static void kept_requests(void **state) {
    (void)state;
    struct buf b;
    struct live *l = open_with(tapes_of("xxx", &b));
    assert_ok(live_warm(l, 2, &e));
    assert_ok(live_warm(l, 1, &e));
    live_unref(l);
    buf_deinit(&b);
}

static void one_that_fails_is_named(void **state) {
    (void)state;
    static const struct {
        const char *letters, *why;
    } cases[] = {
        {"w", "warm-up: request 1: "},
        {"xxw", "warm-up: request 3: "},
        {"xn", "warm-up: request 2: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        struct live *l = open_with(tapes_of(cases[i].letters, &b));
        assert_fails(live_warm(l, 2, &e), INVALID, cases[i].why);
        live_unref(l);
        buf_deinit(&b);
    }
}

/* A tape that is damaged: what came before it ran, the version is not ready. */
static void a_damaged_tape(void **state) {
    (void)state;
    struct buf b;
    struct span whole = tapes_of("xx", &b);
    struct live *l = open_with((struct span){whole.p, whole.n / 2 + 9});
    (void)!live_warm(l, 2, &e); /* an end in the middle may be taken for the end */
    live_unref(l);
    l = open_with((struct span){(const uint8_t *)"this is no tape at all, is it?", 30});
    assert_true(live_warm(l, 2, &e) != OK);
    assert_non_null(strstr(e.text, "warm-up: request 1: "));
    live_unref(l);
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guess),
        cmocka_unit_test(kept_requests),
        cmocka_unit_test(one_that_fails_is_named),
        cmocka_unit_test(a_damaged_tape),
    };
    return cmocka_run_group_tests(tests, set_up, shelf_close);
}
