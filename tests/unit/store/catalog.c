/* SPDX-License-Identifier: Apache-2.0 */
/* Resolving and listing. */
#include "store/catalog.c"

#include "shelf.h"

static enum code resolve_text(struct shelf *sh, const char *text, struct store_info *info) {
    struct store_ref ref;
    TRY(store_ref_parse(str_of(text), &ref, &sh->e));
    return store_resolve(sh->s, &ref, &sh->a, info, &sh->e);
}

static void resolving(void **state) {
    struct shelf *sh = *state;
    struct store_info info = {.version = 77};
    SHELF_FAILS(sh, NOT_FOUND, "no model 'm'", resolve_text(sh, "m", &info));
    struct store_added one = shelf_add_seed(sh, "m", 1);
    shelf_add_seed(sh, "m", 2);
    SHELF_OK(sh, resolve_text(sh, "m", &info));
    assert_int_equal(info.version, 2);
    SHELF_OK(sh, resolve_text(sh, "m@1", &info));
    assert_true(info.version == 1 && str_is(info.digest, one.digest) && str_is(info.model, "m"));
    assert_true(str_is(info.format, "onnx") && str_is(info.origin, "model.bin"));
    assert_true(info.size_bytes == 10000 && info.created_us > 1600000000000000 &&
                info.n_aliases == 0);
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 1, &sh->e));
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("canary"), 1, &sh->e));
    SHELF_OK(sh, resolve_text(sh, "m@prod", &info));
    assert_true(info.version == 1 && info.n_aliases == 2 && str_is(info.aliases[0], "canary"));
    SHELF_OK(sh, resolve_text(sh, "m", &info)); /* no selector: the newest, whatever aliases say */
    assert_int_equal(info.version, 2);
    struct store_info before = info;
    SHELF_FAILS(sh, NOT_FOUND, "no version 9 (the newest is 2)", resolve_text(sh, "m@9", &info));
    SHELF_FAILS(sh, NOT_FOUND, "no alias 'dev'", resolve_text(sh, "m@dev", &info));
    SHELF_FAILS(sh, NOT_FOUND, "no model 'x'", resolve_text(sh, "x@prod", &info));
    assert_memory_equal(&before, &info, sizeof info);
    struct arena small;
    arena_init(&small, 16);
    struct store_ref ref = {.model = LIT("m")};
    SHELF_FAILS(sh, LIMIT, "", store_resolve(sh->s, &ref, &small, &info, &sh->e));
    arena_deinit(&small);
}

static void listing(void **state) {
    struct shelf *sh = *state;
    struct store_info *list = NULL;
    size_t n = 77;
    SHELF_OK(sh, store_list(sh->s, (struct str){0}, &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, 0);
    SHELF_FAILS(sh, NOT_FOUND, "no model 'b'",
                store_list(sh->s, LIT("b"), &sh->a, &list, &n, &sh->e));
    shelf_add_seed(sh, "b", 1);
    shelf_add_seed(sh, "a", 2);
    shelf_add_seed(sh, "b", 3);
    shelf_add_seed(sh, "B", 3);
    SHELF_OK(sh, store_list(sh->s, (struct str){0}, &sh->a, &list, &n, &sh->e));
    static const struct {
        const char *model;
        uint64_t version;
    } want[] = {{"B", 1}, {"a", 1}, {"b", 2}, {"b", 1}};
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        assert_true(str_is(list[i].model, want[i].model) && list[i].version == want[i].version);
    SHELF_OK(sh, store_list(sh->s, LIT("b"), &sh->a, &list, &n, &sh->e));
    assert_true(n == 2 && list[0].version == 2 && list[1].version == 1);
    SHELF_OK(sh, store_remove(sh->s, LIT("a"), 1, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no versions any more",
                store_list(sh->s, LIT("a"), &sh->a, &list, &n, &sh->e));
    struct store_info info;
    SHELF_FAILS(sh, NOT_FOUND, "no versions any more", resolve_text(sh, "a", &info));
}

static void own_bytes(void **state) {
    struct shelf *sh = *state;
    struct store_info *list;
    size_t n;
    struct store_piece pieces[] = {{0, 10000}, {10000, 20000}};
    uint8_t *bytes = (uint8_t *)(uintptr_t)shelf_bytes(sh, 30000, 1).p;
    shelf_add(sh, "m", (struct span){bytes, 30000}, pieces, 2);
    SHELF_OK(sh, store_list(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(list[0].own_bytes, 30001);
    bytes[0] ^= 1;
    shelf_add(sh, "m", (struct span){bytes, 30000}, pieces, 2);
    SHELF_OK(sh, store_list(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(list[0].own_bytes, 10000);
    assert_int_equal(list[1].own_bytes, 10000);
    assert_int_equal(list[1].size_bytes, 30000);
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh, store_list(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(list[0].own_bytes, 30001);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(resolving), TEST(listing), TEST(own_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
