/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto and Example: every encoding of every type, what is short, long or of another kind. */
#include "job/tfproto.c"

#include "../base/check.h"

static struct arena arena;
static struct err e;
static struct buf b;
static struct tensor t;

static int begin(void **state) {
    (void)state;
    arena_init(&arena, 16 << 20);
    buf_init(&b, 1 << 20);
    return 0;
}

static int end(void **state) {
    (void)state;
    buf_deinit(&b);
    arena_deinit(&arena);
    return 0;
}

static struct span bytes_of(void) { return (struct span){(const uint8_t *)b.p, b.n}; }

/* A TensorProto begun anew: its type and dims; values follow. */
static void head(int number, int rank, const int64_t *dims) {
    buf_clear(&b);
    pb_put_u64(&b, 1, (uint64_t)number);
    put_shape(&b, &(struct shape){rank, {rank > 0 ? dims[0] : 0, rank > 1 ? dims[1] : 0}});
}
#define HEAD(number, ...)                                                                          \
    head(number, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                        \
         (int64_t[]){__VA_ARGS__})

static enum code take(void) { return tfproto_take(&arena, bytes_of(), LIT("x"), &t, &e); }

/* What is written is read again, whatever the type. */
static void round_trips(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        uint8_t data[6 * 16] = {0};
        struct str texts[6] = {LIT("a"), LIT(""), LIT("\xff\x00z"), LIT("d"), LIT("e"), LIT("f")};
        struct tensor in = {.dtype = row->dtype, .shape = {2, {2, 3}}, .data = data};
        size_t size = dtype_size(row->dtype);
        for (size_t k = 0; k < 6 * size; k++)
            data[k] = (uint8_t)(row->dtype == DT_BOOL ? k % 2 : 0x30 + k);
        if (row->dtype == DT_STRING)
            in.data = texts;
        buf_clear(&b);
        assert_ok(tfproto_put(&b, 9, &in, &e));
        struct pb_field f;
        struct pb p;
        bool more;
        pb_init(&p, bytes_of());
        assert_ok(pb_next(&p, &f, &more, &e));
        assert_int_equal(f.number, 9);
        assert_ok(tfproto_take(&arena, f.bytes, LIT("x"), &t, &e));
        assert_int_equal(t.dtype, row->dtype);
        assert_true(shape_eq(&t.shape, &in.shape));
        for (size_t k = 0; row->dtype == DT_STRING && k < 6; k++)
            assert_true(str_eq(((const struct str *)t.data)[k], texts[k]));
        if (row->dtype != DT_STRING && memcmp(t.data, data, 6 * size) != 0)
            stop("%s: other bytes", dtype_name(row->dtype));
    }
    const struct tensor none = {.dtype = DT_SEQUENCE};
    assert_fails(tfproto_put(&b, 1, &none, &e), UNSUPPORTED, "no name in TensorFlow");
}

/* tensor_content: the bytes themselves, copied only when they lie badly. */
static void contents(void **state) {
    (void)state;
    const float values[] = {1, 2, 3};
    HEAD(1, 3);
    pb_put_bytes(&b, 4, values, sizeof values);
    assert_ok(take());
    assert_memory_equal(t.data, values, sizeof values);
    HEAD(1, 4);
    pb_put_bytes(&b, 4, values, sizeof values);
    assert_fails(take(), INVALID, "tensor_content has 12 bytes, not those of its shape");
    HEAD(1, 3);
    pb_put_bytes(&b, 4, values, 11);
    assert_fails(take(), INVALID, "11 bytes");
    HEAD(10, 3); /* truths are 0 or 1, whatever was sent */
    pb_put_bytes(&b, 4, "\0\1\377", 3);
    assert_ok(take());
    assert_memory_equal(t.data, "\0\1\1", 3);
    HEAD(7, 1);
    pb_put_bytes(&b, 4, "abc", 3);
    assert_fails(take(), INVALID, "strings come in string_val");
}

/* Lists: packed or not, the last value repeats, none are zeros, more than there is room for not. */
static void lists(void **state) {
    (void)state;
    HEAD(3, 2, 2);
    pb_put_i64(&b, 7, 5);
    pb_put_i64(&b, 7, -6);
    assert_ok(take());
    assert_memory_equal(t.data, ((int32_t[]){5, -6, -6, -6}), 16);
    HEAD(9, 3);
    assert_ok(take());
    assert_memory_equal(t.data, ((int64_t[]){0, 0, 0}), 24);
    HEAD(3, 1);
    pb_put_i64(&b, 7, 5);
    pb_put_i64(&b, 7, 6);
    assert_fails(take(), INVALID, "2 values for a shape of 1 elements");
    HEAD(8, 2); /* complex: pairs */
    pb_put_bytes(&b, 9, ((float[]){1, 2}), 8);
    assert_ok(take());
    assert_memory_equal(t.data, ((float[]){1, 2, 1, 2}), 16);
    HEAD(8, 2);
    pb_put_bytes(&b, 9, ((float[]){1, 2, 3}), 12);
    assert_fails(take(), INVALID, "values for a shape");
    HEAD(1, 0);
    assert_ok(take());
    assert_int_equal(tensor_count(&t), 0);
}

static void heads_that_lie(void **state) {
    (void)state;
    HEAD(20, 1); /* DT_RESOURCE */
    assert_fails(take(), INVALID, "DataType 20 is not supported");
    HEAD(0, 1);
    assert_fails(take(), INVALID, "DataType 0");
    HEAD(1, -1);
    assert_fails(take(), INVALID, "none negative");
    HEAD(1, 1LL << 40, 1LL << 40); /* more elements than can be counted */
    assert_fails(take(), INVALID, "");
    HEAD(1, 1LL << 40); /* more than there is memory for */
    assert_true(take() != OK);
    buf_clear(&b);
    pb_put_u64(&b, 1, 1);
    size_t shape = pb_put_begin(&b, 2);
    for (int d = 0; d <= SHAPE_MAX; d++) {
        size_t dim = pb_put_begin(&b, 2);
        pb_put_i64(&b, 1, 1);
        pb_put_end(&b, dim);
    }
    pb_put_end(&b, shape);
    assert_fails(take(), INVALID, "up to 8 dims");
    buf_clear(&b);
    pb_put_u64(&b, 1, 1);
    shape = pb_put_begin(&b, 2);
    pb_put_u64(&b, 3, 1); /* unknown_rank */
    pb_put_end(&b, shape);
    assert_fails(take(), INVALID, "the rank of a tensor must be known");
    HEAD(1, 3);
    pb_put_bytes(&b, 4, "abcdefghijkl", 12);
    for (size_t n = b.n; n-- > 1;) /* cut anywhere: an error or fewer fields, never a crash */
        (void)!tfproto_take(&arena, (struct span){(const uint8_t *)b.p, n}, LIT("x"), &t, &e);
}

/* --- examples --- */

static void put_floats(const char *name, const float *v, size_t n) {
    size_t entry = pb_put_begin(&b, 1);
    pb_put_str(&b, 1, str_of(name));
    size_t feature = pb_put_begin(&b, 2), list = pb_put_begin(&b, 2);
    pb_put_bytes(&b, 1, v, n * sizeof *v);
    pb_put_end(&b, list);
    pb_put_end(&b, feature);
    pb_put_end(&b, entry);
}

/* Input{ExampleList} of examples with one feature each. */
static void put_example(const char *name, const float *v, size_t n) {
    size_t example = pb_put_begin(&b, 1), features = pb_put_begin(&b, 1);
    put_floats(name, v, n);
    pb_put_end(&b, features);
    pb_put_end(&b, example);
}

static struct live_io io[2];
static struct ask_tensor out[2];
static size_t n_out;

static enum code examples(size_t n_io) {
    return tfproto_examples(&arena, bytes_of(), io, n_io, out, &n_out, &e);
}

static void rows_of_features(void **state) {
    (void)state;
    io[0] = (struct live_io){.name = LIT("x"), .dtype = DT_F32, .shape = {2, {-1, 2}}};
    buf_clear(&b);
    size_t list = pb_put_begin(&b, 1);
    put_example("x", (float[]){1, 2}, 2);
    put_example("x", (float[]){3, 4}, 2);
    pb_put_end(&b, list);
    assert_ok(examples(1));
    assert_int_equal(n_out, 1);
    assert_true(shape_eq(&out[0].tensor.shape, &(struct shape){2, {2, 2}}));
    assert_memory_equal(out[0].tensor.data, ((float[]){1, 2, 3, 4}), 16);
    io[0].dtype = DT_F64; /* of another type: as the model has it */
    assert_ok(examples(1));
    assert_memory_equal(out[0].tensor.data, ((double[]){1, 2, 3, 4}), 32);
    io[0].dtype = DT_F32;
    io[0].name = LIT("other"); /* the only input takes the only feature */
    assert_ok(examples(1));
    io[0].shape = (struct shape){3, {-1, -1, 2}}; /* the one dim that is not known fits */
    assert_ok(examples(1));
    assert_true(shape_eq(&out[0].tensor.shape, &(struct shape){3, {2, 1, 2}}));
    io[0].shape = (struct shape){2, {-1, 3}};
    assert_fails(examples(1), INVALID, "2 values an example do not fit");
    io[0].dtype = DT_STRING;
    assert_fails(examples(1), INVALID, "'other'");
    io[0] = (struct live_io){.name = LIT("x"), .dtype = DT_F32, .shape = {2, {-1, 2}}};
    io[1] = (struct live_io){.name = LIT("y"), .dtype = DT_F32, .shape = {2, {-1, 2}}};
    assert_fails(examples(2), INVALID, "feature 'y' is missing");
    io[1].optional = true; /* what need not come is not asked for */
    assert_ok(examples(2));
    assert_int_equal(n_out, 1);
    io[1].optional = false;
}

/* ExampleListWithContext: what an example does not say, the context says for all. */
static void a_context(void **state) {
    (void)state;
    buf_clear(&b);
    size_t list = pb_put_begin(&b, 2);
    put_example("x", (float[]){1, 2}, 2);
    put_example("x", (float[]){3, 4}, 2);
    size_t context = pb_put_begin(&b, 2), features = pb_put_begin(&b, 1);
    put_floats("y", (float[]){7, 8}, 2);
    pb_put_end(&b, features);
    pb_put_end(&b, context);
    pb_put_end(&b, list);
    assert_ok(examples(2));
    assert_int_equal(n_out, 2);
    assert_memory_equal(out[1].tensor.data, ((float[]){7, 8, 7, 8}), 16);
}

static void examples_that_differ(void **state) {
    (void)state;
    buf_clear(&b);
    assert_fails(examples(1), INVALID, "Input is empty.");
    size_t list = pb_put_begin(&b, 1);
    pb_put_end(&b, list);
    assert_fails(examples(1), INVALID, "Input is empty.");
    buf_clear(&b);
    list = pb_put_begin(&b, 1);
    put_example("x", (float[]){1, 2}, 2);
    put_example("x", (float[]){3}, 1);
    pb_put_end(&b, list);
    assert_fails(examples(1), INVALID, "example 1: feature 'x' has another length");
    buf_clear(&b);
    list = pb_put_begin(&b, 1);
    put_example("x", (float[]){1, 2}, 2);
    size_t empty = pb_put_begin(&b, 1);
    pb_put_end(&b, empty);
    pb_put_end(&b, list);
    assert_fails(examples(1), INVALID, "example 1: feature 'x' is missing");
}

static void signatures(void **state) {
    (void)state;
    assert_ok(tfproto_signature((struct str){0}, &e));
    assert_ok(tfproto_signature(LIT("serving_default"), &e));
    assert_ok(tfproto_signature(LIT("predict"), &e));
    assert_fails(tfproto_signature(LIT("train"), &e), INVALID, "\"train\" not found");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(contents),
        cmocka_unit_test(lists),
        cmocka_unit_test(heads_that_lie),
        cmocka_unit_test(rows_of_features),
        cmocka_unit_test(a_context),
        cmocka_unit_test(examples_that_differ),
        cmocka_unit_test(signatures),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
