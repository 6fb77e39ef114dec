/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a version: removing them, what stays, what is refused. (record_add is tested by
 * add.c.) */
#include "store/record.c"

#include "shelf.h"

static int64_t rows_of(struct shelf *sh, const char *sql) {
    int64_t n = -1;
    bool found;
    db_lock(&sh->s->reader);
    enum code code = db_one(&sh->s->reader, sql, DB_NONE, &n, &found, &sh->e);
    db_unlock(&sh->s->reader);
    SHELF_OK(sh, code);
    return n;
}

static void removed(void **state) {
    struct shelf *sh = *state;
    struct store_piece piece = {0, 5000};
    struct span a = shelf_bytes(sh, 6000, 1);
    shelf_add(sh, "m", a, &piece, 1);
    uint8_t *b = (uint8_t *)(uintptr_t)shelf_bytes(sh, 6000, 1).p;
    b[5999] ^= 1; /* shares the piece */
    shelf_add(sh, "m", (struct span){b, 6000}, &piece, 1);
    assert_int_equal(rows_of(sh, "SELECT count(*) FROM blob"), 4); /* piece, 2 packed, part */
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    assert_int_equal(rows_of(sh, "SELECT count(*) FROM blob "), 3);
    assert_int_equal(rows_of(sh, "SELECT count(*) FROM version"), 1);
    assert_int_equal(shelf_verify(sh).blobs, 3); /* what version 2 shares is there */
    SHELF_FAILS(sh, NOT_FOUND, "no version 1 (the newest is 2)",
                store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 2, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no versions any more", store_remove(sh->s, LIT("m"), 2, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no model 'x'", store_remove(sh->s, LIT("x"), 1, &sh->e));
    static const char *const empty[] = {"SELECT count(*) FROM slot", "SELECT count(*) FROM segment",
                                        "SELECT count(*) FROM file", "SELECT count(*) FROM part",
                                        "SELECT count(*) FROM blob  "};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        assert_int_equal(rows_of(sh, empty[i]), 0);
    assert_int_equal(shelf_count(sh, "objects"), 4);         /* files are gc's business */
    assert_int_equal(shelf_add_seed(sh, "m", 9).version, 3); /* numbers are not used twice */
}

static void in_use(void **state) {
    struct shelf *sh = *state;
    shelf_add_seed(sh, "m", 1);
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 1, &sh->e));
    SHELF_FAILS(sh, IN_USE, "m@prod points to", store_remove(sh->s, LIT("m"), 1, &sh->e));
    shelf_verify(sh);
    SHELF_OK(sh, store_alias_drop(sh->s, LIT("m"), LIT("prod"), &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
}

static void parents(void **state) {
    struct shelf *sh = *state;
    shelf_add_seed(sh, "m", 1);
    struct store_source source = {LIT("f"), shelf_bytes(sh, 5000, 6), NULL, 0};
    struct store_new n = {.model = LIT("m"), .parent = 1, .sources = &source, .n_sources = 1};
    struct store_added added;
    struct store_info info;
    SHELF_OK(sh, store_add(sh->s, &n, &added, &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1,
                              &sh->e)); /* a parent may go; the child still says what it was */
    SHELF_OK(sh,
             store_resolve(sh->s, &(struct store_ref){.model = LIT("m")}, &sh->a, &info, &sh->e));
    assert_true(info.version == 2 && info.parent == 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(removed), TEST(in_use), TEST(parents)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
