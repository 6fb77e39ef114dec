/* SPDX-License-Identifier: Apache-2.0 */
/* Windows into shared memory objects: what may be registered, what stays inside, and clients that
 * cut their object short. */
#include "serve/region.c"

#include "../base/check.h"

enum { BYTES = 256 };

static char key[64];
static struct regions *all;
static struct err e;

static int open_object_of_ours(void **state) {
    (void)state;
    snprintf(key, sizeof key, "/slipway-region-%d", (int)getpid());
    int fd = shm_open(key, O_RDWR | O_CREAT | O_EXCL, 0600);
    bool made = fd >= 0 && ftruncate(fd, BYTES) == 0;
    if (fd >= 0)
        close(fd);
    return !made || regions_open(&all, &e) != OK;
}

static int drop_object(void **state) {
    (void)state;
    regions_close(all);
    return shm_unlink(key);
}

static enum code enlist(const char *name, uint64_t offset, uint64_t bytes) {
    return region_register(all, str_of(name), str_of(key), offset, bytes, &e);
}

static size_t listed(void) {
    struct region_info *list;
    struct arena a;
    size_t n;
    arena_init(&a, 1 << 20);
    assert_ok(region_list(all, (struct str){0}, &a, &list, &n, &e));
    arena_deinit(&a);
    return n;
}

static void test_register(void **state) {
    (void)state;
    struct region_info *list;
    struct arena a;
    size_t n;
    assert_ok(enlist("all", 0, BYTES));
    assert_ok(enlist("none", BYTES, 0));
    assert_fails(enlist("all", 0, 1), EXISTS, "'all' already in manager");
    assert_fails(enlist("long", 0, BYTES + 1), INVALID, "fewer than 0 + 257 bytes");
    assert_fails(enlist("late", BYTES + 1, 0), INVALID, "fewer than 257 + 0 bytes");
    assert_fails(enlist("sum", 8, BYTES), INVALID, "fewer than");
    assert_fails(enlist("wraps", UINT64_MAX, 2), INVALID, "within 63 bits");
    assert_fails(enlist("wraps", 2, UINT64_MAX), INVALID, "within 63 bits");
    assert_fails(enlist("", 0, 1), INVALID, "a name, a key");
    assert_fails(region_register(all, LIT("k"), LIT("/slipway\0x"), 0, 1, &e), INVALID,
                 "a name, a key"); /* would be cut at the zero byte */
    assert_fails(region_register(all, LIT("k"), LIT("/slipway-no-such"), 0, 1, &e), INVALID,
                 "there is none");
    assert_fails(region_register(all, LIT("k"), LIT("/../etc/passwd"), 0, 1, &e), INVALID,
                 "Unable to open");
    arena_init(&a, 1 << 20);
    assert_ok(region_list(all, LIT("none"), &a, &list, &n, &e));
    assert_int_equal(n, 1);
    assert_str(list[0].key, key);
    assert_int_equal(list[0].offset, BYTES);
    assert_fails(region_list(all, LIT("long"), &a, &list, &n, &e), NOT_FOUND, "'long'");
    arena_deinit(&a);
    assert_int_equal(listed(), 2);
    region_unregister(all, LIT("unknown")); /* no error, as in Triton */
    region_unregister(all, LIT("all"));
    assert_int_equal(listed(), 1);
    region_unregister(all, (struct str){0});
    assert_int_equal(listed(), 0);
}

static void test_copies_stay_inside(void **state) {
    (void)state;
    char back[8] = "";
    const struct span seven = {(const uint8_t *)"seven..", 8};
    const struct str w = LIT("window");
    assert_ok(enlist("window", 16, 32));
    assert_ok(enlist("whole", 0, BYTES));
    assert_ok(region_write(all, w, 24, seven, &e)); /* its last 8 bytes */
    assert_ok(region_read(all, LIT("whole"), 40, back, 8, &e));
    assert_string_equal(back, "seven..");
    assert_ok(region_read(all, w, 32, back, 0, &e));
    assert_fails(region_read(all, w, 25, back, 8, &e), INVALID, "Invalid offset + byte size");
    assert_fails(region_read(all, w, 33, back, 0, &e), INVALID, "Invalid offset + byte size");
    assert_fails(region_read(all, w, UINT64_MAX - 3, back, 8, &e), INVALID, "Invalid offset");
    assert_fails(region_write(all, w, 25, seven, &e), INVALID, "Invalid offset");
    assert_fails(region_write(all, LIT("x"), 0, seven, &e), INVALID, "Unable to find");
    region_unregister(all, (struct str){0});
}

/* Through a map this would be SIGBUS. */
static void test_object_is_cut(void **state) {
    (void)state;
    char back[64];
    assert_ok(enlist("window", 0, BYTES));
    int fd = shm_open(key, O_RDWR, 0);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 32), 0);
    assert_ok(region_read(all, LIT("window"), 0, back, 32, &e));
    assert_fails(region_read(all, LIT("window"), 0, back, 64, &e), INVALID, "was cut short");
    assert_fails(region_read(all, LIT("window"), 128, back, 1, &e), INVALID, "was cut short");
    assert_int_equal(ftruncate(fd, BYTES), 0);
    close(fd);
    region_unregister(all, (struct str){0});
}

static void test_regions_are_few(void **state) {
    (void)state;
    char name[16];
    for (int i = 0; i < REGIONS_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        assert_ok(enlist(name, 0, 1));
    }
    assert_fails(enlist("one more", 0, 1), LIMIT, "more than 256");
    region_unregister(all, LIT("r100"));
    assert_ok(enlist("one more", 0, 1)); /* regions_close lets go of the rest */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_copies_stay_inside),
        cmocka_unit_test(test_object_is_cut),
        cmocka_unit_test(test_regions_are_few),
    };
    return cmocka_run_group_tests(tests, open_object_of_ours, drop_object);
}
