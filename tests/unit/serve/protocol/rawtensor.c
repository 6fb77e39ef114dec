/* SPDX-License-Identifier: Apache-2.0 */
/* Binary tensors: used where they lie or copied, truths, texts, classes; lengths that do not fit.
 */
#include "serve/protocol/rawtensor.c"

#include "../stand.h"

static struct stand s;
static struct err e;

static int begin(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    (void)stand_text(&s, "");
    return 0;
}

static int end(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

static struct tensor of(enum dtype dtype, int64_t n) {
    return (struct tensor){.dtype = dtype, .shape = {1, {n}}};
}

static enum code read(const void *bytes, size_t n, struct tensor *t) {
    return rawtensor_read(s.r.arena, (struct span){bytes, n}, LIT("x"), t, &e);
}

static void numbers(void **state) {
    _Alignas(64) uint8_t bytes[17] = {0};
    float one = 1;
    (void)state;
    struct tensor t = of(DT_F32, 4);
    memcpy(bytes, &one, sizeof one);
    assert_ok(read(bytes, 16, &t));
    assert_ptr_equal(t.data, bytes); /* no copy */
    memmove(bytes + 1, bytes, 16);
    t = of(DT_F32, 4);
    assert_ok(read(bytes + 1, 16, &t));
    assert_true(t.data != bytes + 1 && ((float *)t.data)[0] == 1);
    t = of(DT_F32, 4);
    assert_true(read(bytes, 15, &t) == ERR_INVALID && strstr(e.text, "'x'"));
    t = of(DT_F32, 4);
    assert_int_equal(read(bytes, 17, &t), ERR_INVALID);
    t = of(DT_F32, INT64_MAX / 2);
    assert_true(read(bytes, 16, &t) != OK);
    t = of(DT_F32, 0);
    assert_ok(read(bytes, 0, &t));
}

/* Any byte but 0 is true, and is 1 from here on. */
static void truths(void **state) {
    uint8_t bytes[] = {0, 1, 2, 255};
    (void)state;
    struct tensor t = of(DT_BOOL, 4);
    assert_ok(read(bytes, 4, &t));
    assert_memory_equal(t.data, "\0\1\1\1", 4);
}

static void texts(void **state) {
    struct span back;
    (void)state;
    struct tensor t = of(DT_STRING, 3);
    assert_ok(read("\1\0\0\0a\0\0\0\0\3\0\0\0b\0c", 16, &t));
    const struct str *all = t.data;
    assert_true(str_is(all[0], "a") && all[1].n == 0 && all[2].n == 3 && all[2].p[2] == 'c');
    assert_ok(rawtensor_strings(&s.r, &t, &back, &e));
    assert_true(back.n == 16 && memcmp(back.p, "\1\0\0\0a\0\0\0\0\3\0\0\0b\0c", 16) == 0);
    for (size_t n = 0; n < 16; n++) { /* cut anywhere */
        t = of(DT_STRING, 3);
        assert_int_equal(read("\1\0\0\0a\0\0\0\0\3\0\0\0b\0c", n, &t), ERR_INVALID);
    }
    t = of(DT_STRING, 2); /* more than it says */
    assert_int_equal(read("\1\0\0\0a\0\0\0\0\3\0\0\0b\0c", 16, &t), ERR_INVALID);
    t = of(DT_STRING, 1);
    assert_int_equal(read("\377\377\377\377a", 5, &t), ERR_INVALID);
}

static void classes(void **state) {
    static float scores[] = {0.5f, 2, 1, -1, 7, 7};
    (void)state;
    struct tensor t = {.dtype = DT_F32, .shape = {2, {2, 3}}, .data = scores};
    assert_ok(rawtensor_classify(s.r.arena, &t, 2, &e));
    assert_true(t.dtype == DT_STRING);
    assert_shape(t, 2, 2);
    const struct str *all = t.data;
    assert_true(str_starts(all[0], "2.0") && str_ends(all[0], ":1") && str_ends(all[1], ":2"));
    assert_true(str_ends(all[2], ":1") && str_ends(all[3], ":2")); /* of equal ones the first */
    t = (struct tensor){.dtype = DT_F32, .shape = {2, {2, 3}}, .data = scores};
    assert_ok(rawtensor_classify(s.r.arena, &t, 9, &e));
    assert_shape(t, 2, 3);
    t = of(DT_STRING, 1);
    assert_true(rawtensor_classify(s.r.arena, &t, 1, &e) != OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers, begin, end),
        cmocka_unit_test_setup_teardown(truths, begin, end),
        cmocka_unit_test_setup_teardown(texts, begin, end),
        cmocka_unit_test_setup_teardown(classes, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
