/* SPDX-License-Identifier: Apache-2.0 */
/* An ask's tensors against a signature: by name or by place, and every complaint. */
#include "host/bind.c"

#include "../base/check.h"

static struct arena arena;
static struct err e;
static struct live_io inputs[3], outputs[2];
static struct live live;
static struct ask ask;
static struct ask_tensor given[4];

static struct live_io io(const char *name, enum dtype dtype, int64_t last) {
    return (struct live_io){.name = str_of(name), .dtype = dtype, .shape = {2, {-1, last}}};
}

static int begin(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    inputs[0] = io("a", DT_F32, 2);
    inputs[1] = io("b", DT_I64, -1);
    inputs[2] = io("c", DT_F32, 2);
    inputs[2].optional = true;
    outputs[0] = io("y", DT_F32, 1);
    outputs[1] = io("z", DT_F32, 1);
    live = (struct live){
        .inputs = inputs, .n_inputs = 3, .outputs = outputs, .n_outputs = 2, .batches = true};
    return 0;
}

static int end(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void clear(void) { ask = (struct ask){.arena = &arena, .inputs = given}; }

static void give(const char *name, enum dtype dtype, int64_t rows, int64_t last) {
    given[ask.n_inputs++] = (struct ask_tensor){
        .name = str_of(name), .tensor = {.dtype = dtype, .shape = {2, {rows, last}}}};
}

static void test_by_name_and_place(void **state) {
    (void)state;
    clear();
    give("b", DT_I64, 3, 9);
    give("a", DT_F32, 3, 2);
    assert_ok(bind_ask(&live, &ask, &e));
    assert_int_equal(ask.rows, 3);
    assert_true(ask.bound[0].dtype == DT_F32 && ask.bound[1].shape.dims[1] == 9);
    assert_true(ask.bound[2].dtype == DT_NONE && ask.wanted == NULL);
    clear();
    give("", DT_F32, 2, 2); /* without names: in the model's order */
    give("", DT_I64, 2, 1);
    assert_ok(bind_ask(&live, &ask, &e));
    assert_true(ask.bound[0].dtype == DT_F32 && ask.bound[1].dtype == DT_I64);
}

static void test_complaints(void **state) {
    (void)state;
    clear();
    give("a", DT_F32, 1, 2);
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "input 'b' (i64 [-1,-1]) is missing");
    give("x", DT_I64, 1, 1);
    assert_fails(bind_ask(&live, &ask, &e), INVALID,
                 "unexpected input 'x'; the model has 'a', 'b'");
    clear();
    give("a", DT_F32, 1, 2);
    give("a", DT_F32, 1, 2);
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "input 'a' given twice");
    clear();
    give("a", DT_F64, 1, 2);
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "expected f32 [-1,2], got f64 [1,2]");
    clear();
    give("a", DT_F32, 1, 3);
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "expected shape [-1,2] (-1: any), got [1,3]");
    clear();
    give("a", DT_F32, 1, 2);
    given[0].tensor.shape.rank = 1;
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "got [1]");
    clear();
    for (int i = 0; i < 4; i++)
        give("", i == 1 ? DT_I64 : DT_F32, 1, 2);
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "4 inputs given, the model has 3");
    clear();
    give("a", DT_F32, 2, 2);
    give("b", DT_I64, 3, 1);
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "'b' has 3 rows, the inputs before it have 2");
    live.batches = false; /* nothing is joined: rows are nobody's business */
    assert_ok(bind_ask(&live, &ask, &e));
    assert_int_equal(ask.rows, 1);
    live.batches = true;
}

static void test_wanted_outputs(void **state) {
    (void)state;
    const struct str z = LIT("z"), no = LIT("no");
    clear();
    give("a", DT_F32, 1, 2);
    give("b", DT_I64, 1, 1);
    ask.want = &z;
    ask.n_want = 1;
    assert_ok(bind_ask(&live, &ask, &e));
    assert_true(!ask.wanted[0] && ask.wanted[1]);
    ask.want = &no;
    assert_fails(bind_ask(&live, &ask, &e), INVALID, "'no'; the model has 'y', 'z'");
}

/* Clients send [n, 2], the session takes [n, 1, 2]: of the same bytes. */
static void test_reshaped(void **state) {
    static const struct guise_tensor reshape = {LIT("a"), false, {2, {-1, 2}}, {3, {-1, 1, 2}}};
    static const struct guise guise = {.n_tensors = 1};
    const struct guise_tensor *of_inputs[3] = {&reshape}, *of_outputs[2] = {NULL};
    struct shape shape;
    (void)state;
    live.guise = &guise;
    live.input_guises = of_inputs;
    live.output_guises = of_outputs;
    clear();
    give("a", DT_F32, 3, 2);
    give("b", DT_I64, 3, 1);
    assert_ok(bind_ask(&live, &ask, &e));
    assert_true(shape_eq(&ask.bound[0].shape, &(struct shape){3, {3, 1, 2}}) && ask.rows == 3);
    assert_true(shape_eq(&ask.bound[1].shape, &(struct shape){2, {3, 1}}));
    shape = live_session_shape(&live, 0);
    assert_true(shape_eq(&shape, &reshape.model));
    shape = live_session_shape(&live, 1);
    assert_true(shape_eq(&shape, &inputs[1].shape));
    of_outputs[0] = &(struct guise_tensor){LIT("y"), true, {1, {-1}}, {2, {-1, 1}}};
    shape = (struct shape){2, {3, 1}};
    assert_ok(live_show_shape(&live, 0, &shape, &e));
    assert_true(shape_eq(&shape, &(struct shape){1, {3}}));
    shape = (struct shape){2, {3, 2}};
    assert_fails(live_show_shape(&live, 0, &shape, &e), INVALID, "the model made [3,2]");
    live.guise = NULL;
}

/* The list of names is cut, not the error. */
static void test_many_names(void **state) {
    (void)state;
    static struct live_io many[100];
    static char names_of[100][8];
    struct live wide = {.inputs = many, .n_inputs = 100};
    for (int i = 0; i < 100; i++) {
        snprintf(names_of[i], sizeof names_of[i], "in%d", i);
        many[i] = io(names_of[i], DT_F32, 2);
    }
    clear();
    give("nobody", DT_F32, 1, 2);
    assert_fails(bind_ask(&wide, &ask, &e), INVALID,
                 "unexpected input 'nobody'; the model has 'in0'");
    assert_true(strlen(e.text) < 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name_and_place), cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_wanted_outputs),    cmocka_unit_test(test_reshaped),
        cmocka_unit_test(test_many_names),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
