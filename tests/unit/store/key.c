/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: added once, revoked for ever, listed with their hashes; the store's own history. */
#include "store/key.c"

#include "shelf.h"

static void keys(void **state) {
    struct shelf *sh = *state;
    struct store_key k = {.name = LIT("ann"), .rights = LIT("predict")}, *all;
    struct store_event *log;
    size_t n = 0;
    memset(k.digest, 7, sizeof k.digest);
    SHELF_OK(sh, store_key_add(sh->s, &k, &sh->e));
    SHELF_FAILS(sh, EXISTS, "'ann'", store_key_add(sh->s, &k, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "'bob'", store_key_revoke(sh->s, LIT("bob"), &sh->e));
    SHELF_OK(sh, store_key_revoke(sh->s, LIT("ann"), &sh->e));
    SHELF_OK(sh, store_key_revoke(sh->s, LIT("ann"), &sh->e)); /* again: nothing */
    SHELF_FAILS(sh, EXISTS, "", store_key_add(sh->s, &k, &sh->e));
    SHELF_OK(sh, store_keys(sh->s, &sh->a, &all, &n, &sh->e));
    assert_int_equal(n, 1);
    assert_true(str_is(all[0].name, "ann") && all[0].revoked_us && all[0].digest[31] == 7);
    SHELF_OK(sh, store_log(sh->s, (struct str){0}, &sh->a, &log, &n, &sh->e));
    assert_int_equal(n, 2);
    assert_true(str_is(log[0].what, "key-revoke") && str_is(log[1].what, "key-add"));
    assert_true(str_is(log[1].alias, "ann") && str_is(log[1].note, "predict"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys, shelf_setup, shelf_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
