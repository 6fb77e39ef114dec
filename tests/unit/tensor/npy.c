/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/npy.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct arena arena;
static struct err e;

static struct span file(const char *header, const void *data, size_t n) {
    static uint8_t bytes[1024] __attribute__((aligned(64)));
    size_t length = strlen(header), at = 10 + length;
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (uint8_t)length;
    bytes[9] = (uint8_t)(length >> 8);
    memcpy(bytes + 10, header, length);
    memcpy(bytes + at, data, n);
    return (struct span){bytes, at + n};
}

static void round_trip(void **state) {
    (void)state;
    float values[6] = {0, 1, 2, 3, 4, 5.5f};
    struct tensor t = {DT_F32, LAYOUT_PLAIN, {2, {2, 3}}, values}, back;
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(npy_put(&t, &b, &e), OK);
    assert_int_equal((b.n - sizeof values) % 64, 0);
    assert_int_equal(npy_read((struct span){(uint8_t *)b.p, b.n}, &arena, &back, &e), OK);
    assert_int_equal(back.dtype, DT_F32);
    assert_true(shape_eq(&back.shape, &t.shape));
    assert_memory_equal(back.data, values, sizeof values);
    buf_deinit(&b);
}

static void fortran_order_and_big_endian(void **state) {
    (void)state;
    struct tensor t;
    int16_t columns[6] = {1, 4, 2, 5, 3, 6};
    assert_int_equal(
        npy_read(file("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }", columns, 12),
                 &arena, &t, &e),
        OK);
    int16_t rows[6] = {1, 2, 3, 4, 5, 6};
    assert_memory_equal(t.data, rows, sizeof rows);
    const uint8_t big[4] = {0x3f, 0x80, 0, 0};
    assert_int_equal(
        npy_read(file("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", big, 4), &arena,
                 &t, &e),
        OK);
    assert_true(*(float *)t.data == 1.0f);
}

static void text(void **state) {
    (void)state;
    struct tensor t;
    const uint32_t wide[4] = {'a', 0xe7, 'b', 0};
    assert_int_equal(
        npy_read(file("{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }", wide, 16),
                 &arena, &t, &e),
        OK);
    struct str *s = t.data;
    assert_true(str_is(s[0], "a\xc3\xa7") && str_is(s[1], "b"));
}

static void wrong_files(void **state) {
    (void)state;
    struct tensor t;
    static const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        "{'shape': (1,), }",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_not_equal(npy_read(file(headers[i], "abcdefgh", 8), &arena, &t, &e), OK);
    assert_int_equal(npy_read((struct span){(const uint8_t *)"\x93NUMPY", 6}, &arena, &t, &e),
                     ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(fortran_order_and_big_endian),
        cmocka_unit_test(text),
        cmocka_unit_test(wrong_files),
    };
    arena_init(&arena, 1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
