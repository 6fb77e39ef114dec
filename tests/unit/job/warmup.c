/* SPDX-License-Identifier: Apache-2.0 */
/* Files of warm-up requests: TFRecords made here, each way of breaking them, tapes. */
#include "job/warmup.c"

#include "../base/check.h"

static const struct live_io signature_of_x = {
    .name = LIT("x"), .dtype = DT_F32, .shape = {2, {-1, 2}}};
static struct buf file, tapes;

static int set_up(void **state) {
    (void)state;
    buf_init(&file, 1 << 20);
    buf_init(&tapes, 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    buf_deinit(&file);
    buf_deinit(&tapes);
    return 0;
}

static void put_sum(size_t from) {
    uint32_t crc = crc32c(0, file.p + from, file.n - from);
    crc = ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
    buf_put(&file, &crc, sizeof crc);
}

static void put_record(const struct buf *message) {
    uint64_t n = message->n;
    buf_put(&file, &n, sizeof n);
    put_sum(file.n - sizeof n);
    buf_put(&file, message->p, message->n);
    put_sum(file.n - message->n);
}

/* PredictionLog.predict_log.request.inputs["x"]: DT_FLOAT [rows, 2] of one repeated value. */
static void put_predict(int64_t rows) {
    struct buf m;
    buf_init(&m, 1 << 16);
    size_t log = pb_put_begin(&m, 6), request = pb_put_begin(&m, 1), entry = pb_put_begin(&m, 2);
    pb_put_str(&m, 1, LIT("x"));
    size_t tensor = pb_put_begin(&m, 2);
    pb_put_u64(&m, 1, 1);
    size_t shape = pb_put_begin(&m, 2);
    for (int d = 0; d < 2; d++) {
        size_t dim = pb_put_begin(&m, 2);
        pb_put_i64(&m, 1, d ? 2 : rows);
        pb_put_end(&m, dim);
    }
    pb_put_end(&m, shape);
    pb_put_f32(&m, 5, 7);
    pb_put_end(&m, tensor);
    pb_put_end(&m, entry);
    pb_put_end(&m, request);
    pb_put_end(&m, log);
    put_record(&m);
    buf_deinit(&m);
}

static enum code read_file(size_t n, struct err *e) {
    buf_clear(&tapes);
    return warmup_read((struct span){(const uint8_t *)file.p, n}, &signature_of_x, 1, &tapes, e);
}

static void records_become_tapes(void **state) {
    struct arena a;
    struct tape t;
    struct err e;
    bool found;
    (void)state;
    arena_init(&a, 1 << 20);
    put_predict(1);
    put_predict(3);
    assert_ok(read_file(file.n, &e));
    struct span rest = {(const uint8_t *)tapes.p, tapes.n};
    for (int64_t rows = 1; rows < 4; rows += 2) {
        assert_ok(tape_next(&rest, &a, &t, &found, &e));
        assert_true(found && t.n_inputs == 1 && t.n_outputs == 0);
        assert_true(str_is(t.inputs[0].name, "x") && t.inputs[0].tensor.dtype == DT_F32);
        assert_int_equal(t.inputs[0].tensor.shape.dims[0], rows);
        assert_true(((float *)t.inputs[0].tensor.data)[2 * rows - 1] == 7);
    }
    assert_int_equal(rest.n, 0);
    /* a tape is taken as it is */
    struct buf again;
    buf_init(&again, 1 << 20);
    assert_ok(warmup_read((struct span){(const uint8_t *)tapes.p, tapes.n}, &signature_of_x, 1,
                          &again, &e));
    assert_true(again.n == tapes.n && memcmp(again.p, tapes.p, again.n) == 0);
    buf_deinit(&again);
    arena_deinit(&a);
}

static void nothing_is_no_record(void **state) {
    struct err e;
    (void)state;
    assert_ok(read_file(0, &e));
    assert_int_equal(tapes.n, 0);
}

/* Cut anywhere, changed anywhere: an error with the record's number. */
static void damage_is_said(void **state) {
    struct err e;
    (void)state;
    put_predict(1);
    size_t one = file.n;
    put_predict(2);
    for (size_t n = 1; n < file.n; n++) {
        if (n == one)
            continue;
        assert_int_equal(read_file(n, &e), ERR_CORRUPT);
        assert_non_null(strstr(e.text, n < one ? "record 1: " : "record 2: "));
    }
    for (size_t i = 0; i < file.n; i++) {
        file.p[i] ^= 0x10;
        assert_int_equal(read_file(file.n, &e), ERR_CORRUPT);
        file.p[i] ^= 0x10;
    }
    assert_ok(read_file(file.n, &e));
}

static void there_is_an_end(void **state) {
    struct err e;
    (void)state;
    for (int i = 0; i < WARMUP_RECORDS; i++)
        put_predict(1);
    assert_ok(read_file(file.n, &e));
    put_predict(1);
    assert_int_equal(read_file(file.n, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "more than 1000 records"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_become_tapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_no_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_is_an_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
