/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: put, replaced, taken away; seen with their model; one event per real change. */
#include "store/setting.c"

#include "shelf.h"

static void settings(void **state) {
    struct shelf *sh = *state;
    struct store_setting *all;
    struct store_event *log;
    size_t n = 0;
    SHELF_FAILS(sh, NOT_FOUND, "no model 'm'",
                store_setting_put(sh->s, LIT("m"), LIT("route"), LIT("{}"), &sh->e));
    shelf_add_seed(sh, "m", 1);
    shelf_add_seed(sh, "k", 1);
    SHELF_FAILS(sh, NOT_FOUND, "no setting 'route'",
                store_setting_put(sh->s, LIT("m"), LIT("route"), (struct str){0}, &sh->e));
    SHELF_FAILS(sh, INVALID, "", store_setting_put(sh->s, LIT("m"), LIT("a b"), LIT("{}"), &sh->e));
    SHELF_OK(sh, store_setting_put(sh->s, LIT("m"), LIT("route"), LIT("1"), &sh->e));
    SHELF_OK(sh, store_setting_put(sh->s, LIT("m"), LIT("route"), LIT("1"), &sh->e)); /* the same */
    SHELF_OK(sh, store_setting_put(sh->s, LIT("m"), LIT("route"), LIT("2"), &sh->e));
    SHELF_OK(sh, store_setting_put(sh->s, LIT("m"), LIT("policy"), LIT("p"), &sh->e));
    SHELF_OK(sh, store_setting_put(sh->s, LIT("k"), LIT("route"), LIT("3"), &sh->e));
    SHELF_OK(sh, store_settings(sh->s, (struct str){0}, &sh->a, &all, &n, &sh->e));
    assert_int_equal(n, 3);
    assert_true(str_is(all[0].model, "k") && str_is(all[0].value, "3"));
    assert_true(str_is(all[1].name, "policy") && str_is(all[2].value, "2"));
    SHELF_OK(sh, store_setting_put(sh->s, LIT("m"), LIT("route"), (struct str){0}, &sh->e));
    SHELF_OK(sh, store_settings(sh->s, LIT("m"), &sh->a, &all, &n, &sh->e));
    assert_int_equal(n, 1);
    SHELF_OK(sh, store_log(sh->s, LIT("m"), &sh->a, &log, &n, &sh->e));
    assert_int_equal(n, 5);
    assert_true(str_is(log[0].what, "route") && str_is(log[0].note, "none"));
    assert_true(str_is(log[2].what, "route") && str_is(log[2].note, "2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(settings, shelf_setup, shelf_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
