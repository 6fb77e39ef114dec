/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.c"

#include "check.h"

static void what_was_put_is_found(void **state) {
    (void)state;
    enum { N = 5000 };
    static char names[N][16];
    struct arena a;
    struct map m;
    struct err e;
    arena_init(&a, 1 << 22);
    map_init(&m, &a);
    assert_null(map_get(&m, LIT("x")));
    for (int at = 0; at < N; at++) {
        snprintf(names[at], sizeof names[at], "n%d", at);
        assert_ok(map_put(&m, str_of(names[at]), names[at], &e));
    }
    assert_int_equal(m.n, N);
    for (int at = 0; at < N; at++) {
        char copy[16];
        memcpy(copy, names[at], sizeof copy);
        assert_ptr_equal(map_get(&m, str_of(copy)), names[at]);
    }
    assert_null(map_get(&m, LIT("n5000")));
    assert_false(map_has(&m, LIT("")));
    arena_deinit(&a);
}

static void putting_again_replaces(void **state) {
    (void)state;
    struct arena a;
    struct map m;
    struct err e;
    int one, two;
    arena_init(&a, 1 << 16);
    map_init(&m, &a);
    assert_ok(map_put(&m, LIT("k"), &one, &e));
    assert_ok(map_put(&m, LIT("k"), &two, &e));
    assert_int_equal(m.n, 1);
    assert_ptr_equal(map_get(&m, LIT("k")), &two);
    assert_ok(map_put(&m, LIT("nothing"), NULL, &e));
    assert_null(map_get(&m, LIT("nothing")));
    assert_true(map_has(&m, LIT("nothing")));
    assert_ok(map_put(&m, (struct str){NULL, 0}, &one, &e));
    assert_ptr_equal(map_get(&m, LIT("")), &one);
    arena_deinit(&a);
}

static void the_arena_bounds_it(void **state) {
    (void)state;
    struct arena a;
    struct map m;
    struct err e;
    static char names[40][8];
    arena_init(&a, FIRST_ROOM * sizeof(struct map_slot));
    map_init(&m, &a);
    int at = 0;
    for (; at < FIRST_ROOM / 2; at++) {
        snprintf(names[at], sizeof names[at], "%d", at);
        assert_ok(map_put(&m, str_of(names[at]), names[at], &e));
    }
    assert_fails(map_put(&m, LIT("more"), names, &e), LIMIT, "hash table");
    assert_ptr_equal(map_get(&m, LIT("3")), names[3]); /* as before */
    assert_int_equal(m.n, FIRST_ROOM / 2);
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(putting_again_replaces),
        cmocka_unit_test(the_arena_bounds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
