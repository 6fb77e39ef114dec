/* SPDX-License-Identifier: Apache-2.0 */
/* A plan in words, and what a run says of itself when it is traced. */
#include "plan/explain.c"

#include "toy.h"

struct told {
    struct session_step *rows;
    size_t n;
};

static struct told explain(struct toy *t, struct session *s, const struct tensor *in) {
    struct told told;
    struct err e = {0};
    struct session_ask ask = {.inputs = in, .threads = 2}; /* as toy_answer asks */
    if (session_explain(s, &ask, &t->arena, &told.rows, &told.n, &e) != OK)
        fail_msg("session_explain: %s", e.text);
    return told;
}

static struct session *open_profiled(struct toy *t) {
    struct session *s;
    struct err e;
    struct session_options o = {.profile = true};
    assert_int_equal(session_open(t->g->model, &o, &s, &e), OK);
    return s;
}

/* Rows of steps, and their times when asked for. */
static void steps_and_times(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 8));
    value_id m = toy_node(&t, "mul", IDS(x, toy_weights(&t, SHAPE(8), 1)));
    value_id a = toy_node(&t, "add", IDS(m, toy_weights(&t, SHAPE(1, 8), 2)));
    toy_output(&t, toy_node(&t, "add", IDS(toy_node(&t, "relu", IDS(a)), x)));
    struct session *s = open_profiled(&t);
    struct tensor in = toy_tensor(&t, SHAPE(3, 8), 1);
    (void)toy_answer(&t, s, &in);
    (void)toy_answer(&t, s, &in);
    struct told told = explain(&t, s, &in);
    assert_int_equal(told.n, 1);
    assert_true(str_is(told.rows[0].op, "mul+add+relu+add"));
    assert_true(str_is(told.rows[0].shapes, "3x8, 8, 1x8, 3x8 -> 3x8"));
    assert_int_equal(told.rows[0].calls, 2);
    assert_true(told.rows[0].total_ns >= told.rows[0].min_ns);
    assert_int_equal(told.rows[0].computes, DT_F32);
    assert_true(told.rows[0].bytes == 4 * (3 * 8 + 8 + 8 + 3 * 8)); /* x is read once */
    session_close(s);
    toy_deinit(&t);
}

/* What only data tells is told once it has run: by data of the last run. */
static void late_steps_tell_what_they_saw(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1));
    toy_output(&t, toy_node(&t, "non_zero", IDS(x)));
    struct session *s = open_profiled(&t);
    float data[4] = {0, 1, 2, 0};
    struct tensor in = {DT_F32, LAYOUT_PLAIN, *SHAPE(4), data};
    struct told told = explain(&t, s, &in);
    assert_true(told.rows[0].late && str_is(told.rows[0].shapes, "4 -> ?"));
    assert_true(told.rows[0].bytes == 16);
    (void)toy_answer(&t, s, &in);
    told = explain(&t, s, &in);
    assert_true(told.rows[0].late && str_is(told.rows[0].shapes, "4 -> 1x2"));
    assert_true(told.rows[0].bytes == 16 + 2 * 8);
    session_close(s);
    toy_deinit(&t);
}

/* The branch that was taken is planned, and its steps follow its If. */
static void bodies_follow(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1)), c = toy_input(&t, "c", DT_BOOL, SCALAR);
    toy_output(&t, toy_node(&t, "abs", IDS(toy_choose(&t, c, x))));
    struct session *s = open_profiled(&t);
    uint8_t yes = 1;
    struct tensor in[2] = {toy_tensor(&t, SHAPE(3), 1), {DT_BOOL, LAYOUT_PLAIN, {0}, &yes}};
    assert_int_equal(explain(&t, s, in).n, 2); /* nothing has run */
    (void)toy_answer(&t, s, in);
    struct told told = explain(&t, s, in);
    assert_int_equal(told.n, 3);
    assert_true(str_is(told.rows[0].op, "if") && told.rows[0].depth == 0);
    assert_true(str_is(told.rows[1].op, "neg") && told.rows[1].depth == 1);
    assert_true(str_is(told.rows[2].op, "abs") && told.rows[2].depth == 0);
    assert_true(told.rows[1].plan != told.rows[0].plan && told.rows[2].plan == told.rows[0].plan);
    assert_int_equal(told.rows[1].calls, 1);
    session_close(s);
    toy_deinit(&t);
}

/* Each call once, a body's within its If's; what does not fit is counted. */
static void traced(void **unused) {
    (void)unused;
    struct toy t;
    struct err e;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1)), c = toy_input(&t, "c", DT_BOOL, SCALAR);
    toy_output(&t, toy_node(&t, "abs", IDS(toy_choose(&t, c, x))));
    struct session *s = open_profiled(&t);
    uint8_t no = 0;
    struct tensor in[2] = {toy_tensor(&t, SHAPE(3), 1), {DT_BOOL, LAYOUT_PLAIN, {0}, &no}};
    struct session_event events[4];
    struct session_trace trace = {events, 0, 4, 0};
    struct session_ask ask = {.inputs = in, .threads = 2, .trace = &trace};
    struct session_run run;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(session_begin(s, &ask, &run, &e), OK);
        session_end(s, &run);
    }
    assert_int_equal(trace.n, 4);
    assert_int_equal(trace.lost, 2);
    /* an event is noted when it ends: the body's first */
    struct told told = explain(&t, s, in);
    for (int k = 0; k < 3; k++) {
        static const int row_of[] = {1, 0, 2};
        const struct session_step *row = &told.rows[row_of[k]];
        assert_true(events[k].plan == row->plan && events[k].step == row->step);
    }
    assert_true(events[0].began_ns >= events[1].began_ns);
    assert_true(events[0].began_ns + events[0].ns <= events[1].began_ns + events[1].ns);
    assert_true(events[2].began_ns >= events[1].began_ns + events[1].ns);
    session_close(s);
    toy_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_and_times),
        cmocka_unit_test(late_steps_tell_what_they_saw),
        cmocka_unit_test(bodies_follow),
        cmocka_unit_test(traced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
