/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pb.c"

#include "check.h"

#define BYTES(text) ((struct span){(const uint8_t *)(text), sizeof(text) - 1})

/* Reads all fields; the last one in *f, their number returned through n. */
static enum code read_all(struct span bytes, struct pb_field *f, int *n, struct err *e) {
    struct pb r;
    bool more;
    pb_init(&r, bytes);
    for (*n = 0;; ++*n) {
        TRY(pb_next(&r, f, &more, e));
        if (!more)
            return OK;
    }
}

static void scalars_of_the_encoding_guide(void **state) {
    (void)state;
    struct pb_field f;
    struct err e;
    int n;
    uint64_t u;
    int64_t i;
    assert_ok(read_all(BYTES("\x08\x96\x01"), &f, &n, &e));
    assert_int_equal(n, 1);
    assert_ok(pb_u64(&f, &u, &e));
    assert_true(f.number == 1 && u == 150);
    assert_ok(read_all(BYTES("\x18\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &f, &n, &e));
    assert_ok(pb_i64(&f, &i, &e));
    assert_true(f.number == 3 && i == -2);
    struct str text;
    assert_ok(read_all(BYTES("\x12\x07\x74\x65\x73\x74\x69\x6e\x67"), &f, &n, &e));
    assert_ok(pb_str(&f, &text, &e));
    assert_str(text, "testing");
    assert_ok(read_all((struct span){NULL, 0}, &f, &n, &e));
    assert_int_equal(n, 0);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    struct buf b;
    struct err e;
    struct pb r, inner;
    struct pb_field f;
    bool more;
    int64_t i;
    float single;
    double wide;
    struct span bytes;
    buf_init(&b, 1 << 20);
    pb_put_i64(&b, 1, INT64_MIN);
    pb_put_f32(&b, 2, -1.5f);
    pb_put_f64(&b, 536870911, 2.5);
    size_t mark = pb_put_begin(&b, 4), deeper = pb_put_begin(&b, 5);
    static const char big[300] = {1};
    pb_put_bytes(&b, 6, big, sizeof big); /* lengths of two bytes move the body */
    pb_put_end(&b, deeper);
    pb_put_end(&b, mark);
    pb_put_end(&b, pb_put_begin(&b, 7));
    assert_ok(buf_check(&b, "message", &e));
    pb_init(&r, (struct span){(const uint8_t *)b.p, b.n});
    assert_ok(pb_next(&r, &f, &more, &e));
    assert_ok(pb_i64(&f, &i, &e));
    assert_true(i == INT64_MIN);
    assert_ok(pb_next(&r, &f, &more, &e));
    assert_ok(pb_f32(&f, &single, &e));
    assert_true(single == -1.5f);
    assert_ok(pb_next(&r, &f, &more, &e));
    assert_ok(pb_f64(&f, &wide, &e));
    assert_true(wide == 2.5 && f.number == 536870911);
    assert_ok(pb_next(&r, &f, &more, &e));
    assert_ok(pb_sub(&f, &inner, &e));
    assert_ok(pb_next(&inner, &f, &more, &e));
    assert_ok(pb_sub(&f, &inner, &e));
    assert_ok(pb_next(&inner, &f, &more, &e));
    assert_ok(pb_bytes(&f, &bytes, &e));
    assert_true(bytes.n == 300 && memcmp(bytes.p, big, 300) == 0);
    assert_ok(pb_next(&inner, &f, &more, &e));
    assert_false(more);
    assert_ok(pb_next(&r, &f, &more, &e));
    assert_true(f.number == 7 && f.bytes.n == 0);
    assert_ok(pb_next(&r, &f, &more, &e));
    assert_false(more);
    buf_deinit(&b);
}

static void a_full_buffer_stays_quiet(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 6);
    size_t mark = pb_put_begin(&b, 1);
    pb_put_str(&b, 2, LIT("too long to fit"));
    pb_put_end(&b, mark);
    assert_int_equal(b.code, ERR_LIMIT);
    buf_deinit(&b);
}

static void broken_bytes_are_named(void **state) {
    (void)state;
    static const struct {
        struct span bytes;
        const char *says;
    } cases[] = {
        {{(const uint8_t *)"\x08", 1}, "ends inside a number at byte 1"},
        {{(const uint8_t *)"\x08\x80", 2}, "ends inside a number at byte 1"},
        {{(const uint8_t *)"\x80", 1}, "ends inside a number at byte 0"},
        {{(const uint8_t *)"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},
         "longer than 64 bits"},
        {{(const uint8_t *)"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
         "longer than 64 bits"},
        {{(const uint8_t *)"\x00\x01", 2}, "field number 0 at byte 0"},
        {{(const uint8_t *)"\x80\x80\x80\x80\x10\x00", 6}, "field number 536870912"},
        {{(const uint8_t *)"\x0e", 1}, "wire type 6"},
        {{(const uint8_t *)"\x0f", 1}, "wire type 7"},
        {{(const uint8_t *)"\x0c", 1}, "wire type 4"}, /* an end without a start */
        {{(const uint8_t *)"\x0a\x05\x61", 3}, "field of 5 bytes at byte 1, 1 are left"},
        {{(const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
         "18446744073709551615 bytes"},
        {{(const uint8_t *)"\x0d\x00\x00\x00", 4}, "fixed number"},
        {{(const uint8_t *)"\x09\x00\x00\x00\x00\x00\x00\x00", 8}, "fixed number"},
        {{(const uint8_t *)"\x0b\x10\x01", 3}, "group 1 is not closed"},
        {{(const uint8_t *)"\x0b\x14", 2}, "group 1 closed as 2"},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct pb_field f;
        struct err e;
        int n;
        assert_fails(read_all(cases[at].bytes, &f, &n, &e), FORMAT, cases[at].says);
    }
}

static void groups_are_skipped_to_a_depth(void **state) {
    (void)state;
    struct pb_field f;
    struct err e;
    int n;
    /* group 1 { varint, group 2 { bytes }, fixed32 }, then field 3 */
    assert_ok(read_all(BYTES("\x0b\x08\x01\x13\x0a\x01\xff\x14\x1d\x01\x02\x03\x04\x0c\x18\x05"),
                       &f, &n, &e));
    assert_true(n == 1 && f.number == 3 && f.value == 5);
    uint8_t deep[2 * (GROUP_DEPTH + 1)];
    memset(deep, 0x0b, sizeof deep);
    memset(deep + GROUP_DEPTH, 0x0c, GROUP_DEPTH);
    assert_ok(read_all((struct span){deep, (size_t)2 * GROUP_DEPTH}, &f, &n, &e));
    memset(deep, 0x0b, sizeof deep);
    assert_fails(read_all((struct span){deep, sizeof deep}, &f, &n, &e), LIMIT, "deeper than 32");
}

static void wrong_types_are_refused(void **state) {
    (void)state;
    struct pb_field f;
    struct err e;
    int n;
    float single = 7;
    struct str text;
    assert_ok(read_all(BYTES("\x28\x01"), &f, &n, &e));
    assert_fails(pb_f32(&f, &single, &e), FORMAT, "field 5 is varint, expected 32-bit");
    assert_fails(pb_str(&f, &text, &e), FORMAT, "expected bytes");
    assert_true(single == 7);
}

static void repeated_numbers(void **state) {
    (void)state;
    struct pb_field f;
    struct err e;
    struct buf b;
    int n;
    buf_init(&b, 1000);
    assert_ok(read_all(BYTES("\x0a\x04\x01\xac\x02\x00"), &f, &n, &e)); /* packed 1, 300, 0 */
    assert_ok(pb_i64s(&f, &b, &e));
    assert_memory_equal(b.p, ((int64_t[]){1, 300, 0}), 24);
    assert_ok(read_all(BYTES("\x08\x05"), &f, &n, &e)); /* alone */
    assert_ok(pb_u64s(&f, &b, &e));
    assert_int_equal(b.n, 32);
    assert_fails(pb_f32s(&f, &b, &e), FORMAT, "expected 32-bit");
    assert_ok(read_all(BYTES("\x0a\x02\x01\x80"), &f, &n, &e)); /* ends inside */
    assert_fails(pb_i64s(&f, &b, &e), FORMAT, "ends inside");
    assert_int_equal(b.n, 32);
    assert_ok(read_all(BYTES("\x0a\x05\x00\x00\x80\x3f\x00"), &f, &n, &e));
    assert_fails(pb_f32s(&f, &b, &e), FORMAT, "5 bytes, no multiple of 4");
    assert_ok(read_all(BYTES("\x0a\x04\x00\x00\x80\x3f"), &f, &n, &e));
    buf_clear(&b);
    assert_ok(pb_f32s(&f, &b, &e));
    assert_memory_equal(b.p, ((float[]){1}), 4);
    assert_ok(read_all(BYTES("\x0d\x00\x00\x80\x3f"), &f, &n, &e));
    assert_ok(pb_f32s(&f, &b, &e));
    assert_memory_equal(b.p, ((float[]){1, 1}), 8);
    buf_deinit(&b);
    buf_init(&b, 8);
    assert_ok(read_all(BYTES("\x0a\x02\x01\x02"), &f, &n, &e));
    assert_fails(pb_i64s(&f, &b, &e), TOO_LARGE, "limit of 8 bytes");
    buf_deinit(&b);
}

static void zigzag(void **state) {
    (void)state;
    assert_true(pb_zigzag(0) == 0 && pb_zigzag(1) == -1 && pb_zigzag(2) == 1 &&
                pb_zigzag(UINT64_MAX) == INT64_MIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_of_the_encoding_guide),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_full_buffer_stays_quiet),
        cmocka_unit_test(broken_bytes_are_named),
        cmocka_unit_test(groups_are_skipped_to_a_depth),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(repeated_numbers),
        cmocka_unit_test(zigzag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
