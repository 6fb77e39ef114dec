/* SPDX-License-Identifier: Apache-2.0 */
#include "format/onnx_data.c"

#include "make_onnx.h"

static struct err e;
static struct arena arena;
static struct buf b;

static int fresh(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    buf_init(&b, 1 << 20);
    return 0;
}

static int drop(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&b);
    return 0;
}

static void sequences_hold_values(void **state) {
    (void)state;
    struct tensor t;
    make_text(&b, 1, "name");
    pb_put_i64(&b, 2, 1);
    make_raw(&b, 3, "a", 7, "1", &(int64_t){7}, 8);
    make_raw(&b, 3, "b", 1, "2", (float[]){1, 2}, 8);
    assert_ok(onnx_tensor_read_sequence(make_span(&b), &arena, &t, &e));
    assert_int_equal(t.dtype, DT_SEQUENCE);
    struct sequence *s = t.data;
    assert_int_equal(s->n, 2);
    assert_int_equal(tensor_i64(&s->items[0], 0), 7);
    assert_true(tensor_f64(&s->items[1], 1) == 2);
    assert_false(s->absent);
    buf_clear(&b);
    assert_ok(onnx_tensor_read_sequence((struct span){0}, &arena, &t, &e));
    assert_int_equal(((struct sequence *)t.data)->n, 0);
}

static void optionals_hold_one_or_none(void **state) {
    (void)state;
    struct tensor t;
    assert_ok(onnx_tensor_read_optional((struct span){0}, &arena, &t, &e));
    assert_true(((struct sequence *)t.data)->absent);
    make_raw(&b, 3, "a", 7, "1", &(int64_t){7}, 8);
    assert_ok(onnx_tensor_read_optional(make_span(&b), &arena, &t, &e));
    struct sequence *s = t.data;
    assert_false(s->absent);
    assert_int_equal(s->n, 1);
    make_raw(&b, 3, "a", 7, "1", &(int64_t){7}, 8);
    assert_fails(onnx_tensor_read_optional(make_span(&b), &arena, &t, &e), FORMAT, "2 values");
}

static void nesting_is_capped(void **state) {
    (void)state;
    struct tensor t;
    size_t marks[DEPTH_MAX + 2];
    for (int depth = 0; depth < DEPTH_MAX + 2; depth++)
        marks[depth] = pb_put_begin(&b, 5);
    for (int depth = DEPTH_MAX + 1; depth >= 0; depth--)
        pb_put_end(&b, marks[depth]);
    assert_fails(onnx_tensor_read_sequence(make_span(&b), &arena, &t, &e), LIMIT, "nested deeper");
    buf_clear(&b);
    pb_put_bytes(&b, 6, "", 0);
    assert_fails(onnx_tensor_read_sequence(make_span(&b), &arena, &t, &e), FORMAT, "keys");
}

/* values of f32, indices as text of i64 dims, dims of the whole */
static void put_sparse(const char *values_dims, const float *values, size_t n,
                       const char *index_dims, const int64_t *index, size_t n_index,
                       const int64_t *dims, size_t rank) {
    buf_clear(&b);
    make_raw(&b, 1, "s", 1, values_dims, values, n * 4);
    make_raw(&b, 2, "", 7, index_dims, index, n_index * 8);
    for (size_t d = 0; d < rank; d++)
        pb_put_i64(&b, 3, dims[d]);
}

static void sparse_becomes_dense(void **state) {
    (void)state;
    struct tensor t;
    struct str name;
    float v[2] = {5, 6};
    int64_t dims[2] = {2, 3};
    put_sparse("2", v, 2, "2", (int64_t[]){1, 5}, 2, dims, 2);
    assert_ok(onnx_tensor_dense(make_span(&b), &arena, &name, &t, &e));
    assert_str(name, "s");
    assert_memory_equal(t.data, ((float[]){0, 5, 0, 0, 0, 6}), 24);
    put_sparse("2", v, 2, "2 2", (int64_t[]){0, 2, 1, 0}, 4, dims, 2);
    assert_ok(onnx_tensor_dense(make_span(&b), &arena, &name, &t, &e));
    assert_memory_equal(t.data, ((float[]){0, 0, 5, 6, 0, 0}), 24);
    put_sparse("2", v, 2, "2", (int64_t[]){1, 6}, 2, dims, 2);
    assert_fails(onnx_tensor_dense(make_span(&b), &arena, &name, &t, &e), FORMAT,
                 "index 1 lies outside");
    put_sparse("2", v, 2, "2 2", (int64_t[]){0, 3, 1, 0}, 4, dims, 2);
    assert_fails(onnx_tensor_dense(make_span(&b), &arena, &name, &t, &e), FORMAT,
                 "index 0 lies outside");
    put_sparse("2", v, 2, "1", (int64_t[]){1}, 1, dims, 2);
    assert_fails(onnx_tensor_dense(make_span(&b), &arena, &name, &t, &e), FORMAT, "disagree");
    put_sparse("2", v, 2, "2", (int64_t[]){1, 5}, 2, (int64_t[]){1 << 20, 1 << 20}, 2);
    assert_fails(onnx_tensor_dense(make_span(&b), &arena, &name, &t, &e), LIMIT,
                 "more than 64 MiB");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sequences_hold_values, fresh, drop),
        cmocka_unit_test_setup_teardown(optionals_hold_one_or_none, fresh, drop),
        cmocka_unit_test_setup_teardown(nesting_is_capped, fresh, drop),
        cmocka_unit_test_setup_teardown(sparse_becomes_dense, fresh, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
