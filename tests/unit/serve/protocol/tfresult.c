/* SPDX-License-Identifier: Apache-2.0 */
/* Classifications and regressions out of a model's outputs: by name, else the first of floats; what
 * a class is called. */
#include "serve/protocol/tfresult.c"

#include "../stand.h"

static struct stand s;
static struct err e;
static struct tfresult t;
static float scores[6] = {1, 2, 3, 4, 5, 6};

static int begin(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    s.r.ask.live = NULL;
    stand_close(&s);
    return 0;
}

static struct request *ask(void) {
    struct request *r = stand_text(&s, "");
    r->ask.live = &s.live;
    return r;
}

static const char *label(size_t at) {
    struct str out;
    assert_ok(tfresult_label(&t, at, s.r.arena, &out, &e));
    return arena_strdup(s.r.arena, out);
}

static void by_name_else_the_first_of_floats(void **state) {
    (void)state;
    int64_t ids[2] = {7, 8};
    struct request *r = ask();
    stand_output(&s, "ids", DT_I64, STAND_DIMS(2, 1), ids);
    stand_output(&s, "logits", DT_F32, STAND_DIMS(2, 3), scores);
    assert_ok(tfresult_classes(r, &t, &e));
    assert_true(t.rows == 2 && t.classes == 3 && t.scores->data == scores && !t.names);
    assert_string_equal(label(4), "1"); /* no labels: the index in its row */
    stand_output(&s, "scores", DT_F32, STAND_DIMS(2, 2), scores);
    assert_ok(tfresult_classes(r, &t, &e));
    assert_int_equal(t.classes, 2);
}

static void what_a_class_is_called(void **state) {
    (void)state;
    const struct str names[4] = {LIT("a"), LIT("b"), LIT("c"), LIT("d")};
    const struct str columns[2] = {LIT("no"), LIT("yes")};
    struct request *r = ask();
    stand_output(&s, "scores", DT_F32, STAND_DIMS(2, 2), scores);
    r->ask.outputs[0].columns = columns;
    assert_ok(tfresult_classes(r, &t, &e));
    assert_string_equal(label(3), "yes");
    stand_output(&s, "classes", DT_STRING, STAND_DIMS(2, 2), names); /* goes before */
    assert_ok(tfresult_classes(r, &t, &e));
    assert_string_equal(label(3), "d");
    r->ask.outputs[1].tensor.shape.dims[1] = 1; /* not one for each score: not theirs */
    assert_ok(tfresult_classes(r, &t, &e));
    assert_null(t.names);
}

static void no_classification(void **state) {
    (void)state;
    int64_t ids[2] = {7, 8};
    const struct str text[1] = {LIT("a")};
    struct request *r = ask();
    assert_fails(tfresult_classes(r, &t, &e), INVALID, "no output of scores");
    stand_output(&s, "ids", DT_I64, STAND_DIMS(2), ids);
    assert_fails(tfresult_classes(r, &t, &e), INVALID, "no output of scores");
    stand_output(&s, "scores", DT_STRING, STAND_DIMS(1), text);
    assert_fails(tfresult_classes(r, &t, &e), INVALID, "no output of scores");
    r = ask();
    stand_output(&s, "scores", DT_F32, 0, NULL, scores); /* a bare number has no rows */
    assert_fails(tfresult_classes(r, &t, &e), INVALID, "no output of scores");
    r = ask();
    stand_output(&s, "scores", DT_F32, STAND_DIMS(0, 3), scores);
    assert_ok(tfresult_classes(r, &t, &e));
    assert_true(t.rows == 0 && t.classes == 0);
}

static void one_number_a_row(void **state) {
    (void)state;
    const struct tensor *values;
    struct request *r = ask();
    stand_output(&s, "y", DT_F32, STAND_DIMS(6, 1), scores);
    assert_ok(tfresult_values(&r->ask, &values, &e));
    assert_ptr_equal(values->data, scores);
    r->ask.outputs[0].tensor.shape = (struct shape){1, {6}};
    assert_ok(tfresult_values(&r->ask, &values, &e));
    r->ask.outputs[0].tensor.shape = (struct shape){2, {3, 2}};
    assert_fails(tfresult_values(&r->ask, &values, &e), INVALID, "no output of one number a row");
    stand_output(&s, "outputs", DT_F32, STAND_DIMS(2, 1), scores);
    assert_ok(tfresult_values(&r->ask, &values, &e));
    assert_int_equal(values->shape.dims[0], 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_name_else_the_first_of_floats),
        cmocka_unit_test(what_a_class_is_called),
        cmocka_unit_test(no_classification),
        cmocka_unit_test(one_number_a_row),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
