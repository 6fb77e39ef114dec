/* SPDX-License-Identifier: Apache-2.0 */
/* History: every change leaves its event, refused ones leave none. */
#include "store/history.c"

#include "shelf.h"

static void events(void **state) {
    struct shelf *sh = *state;
    struct store_event *log;
    size_t n = 77;
    uint64_t to;
    SHELF_FAILS(sh, NOT_FOUND, "no model 'm'",
                store_log(sh->s, LIT("m"), &sh->a, &log, &n, &sh->e));
    shelf_add_seed(sh, "m", 1);
    shelf_add_seed(sh, "other", 1);
    shelf_add_seed(sh, "m", 2);
    shelf_add_seed(sh, "m", 2); /* existed: no event */
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 1, &sh->e));
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 2, &sh->e));
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 2, &sh->e)); /* no move: no event */
    SHELF_OK(sh, store_alias_rollback(sh->s, LIT("m"), LIT("prod"), &to, &sh->e));
    SHELF_FAILS(sh, IN_USE, "", store_remove(sh->s, LIT("m"), 1, &sh->e)); /* refused: no event */
    SHELF_OK(sh, store_alias_drop(sh->s, LIT("m"), LIT("prod"), &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh, store_log(sh->s, LIT("m"), &sh->a, &log, &n, &sh->e));
    static const struct {
        const char *what, *alias;
        uint64_t version, previous;
    } want[] = {{"remove", "", 1, 0},    {"drop-alias", "prod", 0, 1}, {"rollback", "prod", 1, 2},
                {"alias", "prod", 2, 1}, {"alias", "prod", 1, 0},      {"add", "", 2, 0},
                {"add", "", 1, 0}};
    assert_int_equal(n, sizeof want / sizeof *want);
    for (size_t i = 0; i < n; i++) {
        assert_true(str_is(log[i].what, want[i].what) && str_is(log[i].alias, want[i].alias));
        assert_true(log[i].version == want[i].version && log[i].previous == want[i].previous);
        assert_true(log[i].at_us > 1600000000000000 &&
                    (i == 0 || log[i].at_us <= log[i - 1].at_us));
    }
}

/* Whoever signed last on this thread stands behind a change; a setting's event tells its text. */
static void signatures(void **state) {
    struct shelf *sh = *state;
    struct store_event *log;
    size_t n = 0;
    store_sign(LIT("ann"), LIT("because"));
    shelf_add_seed(sh, "m", 1);
    SHELF_OK(sh, store_setting_put(sh->s, LIT("m"), LIT("route"), LIT("{}"), &sh->e));
    store_sign((struct str){0}, (struct str){0});
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 1, &sh->e));
    SHELF_OK(sh, store_log(sh->s, LIT("m"), &sh->a, &log, &n, &sh->e));
    assert_int_equal(n, 3);
    assert_true(log[0].who.n == 0 && log[0].note.n == 0);
    assert_true(str_is(log[1].what, "route") && str_is(log[1].who, "ann") &&
                str_is(log[1].note, "{}"));
    assert_true(str_is(log[2].what, "add") && str_is(log[2].note, "because"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events, shelf_setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(signatures, shelf_setup, shelf_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
