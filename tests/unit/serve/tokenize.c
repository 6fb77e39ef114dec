/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with token ids. The tokens themselves: tests/clients/test_texts.py, against
 * transformers. */
#include "serve/tokenize.c"

#include "stand.h"

static struct live_io inputs[3], outputs[1];

static void begin(struct stand *s, enum dtype mask) {
    inputs[0] = stand_io("attention_mask", mask, STAND_DIMS(-1, -1));
    inputs[1] = stand_io("input_ids", DT_I64, STAND_DIMS(-1, -1));
    inputs[2] = stand_io("token_type_ids", DT_I64, STAND_DIMS(-1, -1));
    inputs[1].text = inputs[0].filled = inputs[2].filled = true;
    outputs[0] = stand_io("y", DT_F32, STAND_DIMS(-1, 2));
    stand_open(s, inputs, 3, outputs, 1);
    stand_text(s, "");
    s->r.ask.live = &s->live;
}

static void test_numbers_get_a_mask_of_ones(void **state) {
    static int64_t ids[] = {5, 6, 7, 8, 9, 10};
    struct ask_tensor given[] = {
        {LIT("input_ids"), {.dtype = DT_I64, .shape = {2, {2, 3}}, .data = ids}, NULL}};
    struct stand s;
    struct err e;
    (void)state;
    begin(&s, DT_I32);
    s.r.ask.inputs = given;
    s.r.ask.n_inputs = 1;
    assert_ok(tokenize_inputs(&s.r, &e));
    assert_int_equal(s.r.ask.n_inputs, 3);
    const struct ask_tensor *t = s.r.ask.inputs;
    assert_true(str_is(t[0].name, "input_ids") && str_is(t[1].name, "attention_mask"));
    assert_true(str_is(t[2].name, "token_type_ids"));
    assert_true(t[1].tensor.dtype == DT_I32 && t[2].tensor.dtype == DT_I64);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(((const int32_t *)t[1].tensor.data)[i], 1);
        assert_int_equal(((const int64_t *)t[2].tensor.data)[i], 0);
    }
    stand_close(&s);
}

static void test_what_is_given_stays(void **state) {
    static int64_t ids[] = {5, 6}, mask[] = {1, 0}, types[] = {1, 1};
    struct ask_tensor given[] = {
        {{0}, {.dtype = DT_I64, .shape = {2, {1, 2}}, .data = mask}, NULL},
        {{0}, {.dtype = DT_I64, .shape = {2, {1, 2}}, .data = ids}, NULL},
        {{0}, {.dtype = DT_I64, .shape = {2, {1, 2}}, .data = types}, NULL}};
    struct stand s;
    struct err e;
    (void)state;
    begin(&s, DT_I64);
    s.r.ask.inputs = given;
    s.r.ask.n_inputs = 3;
    assert_ok(tokenize_inputs(&s.r, &e));
    assert_int_equal(s.r.ask.n_inputs, 3);
    assert_ptr_equal(s.r.ask.inputs[0].tensor.data, mask);
    assert_ptr_equal(s.r.ask.inputs[2].tensor.data, types);
    stand_close(&s);
}

static void test_the_mask_of_texts_ends_with_them(void **state) {
    int32_t ids[] = {2, 7, 3};
    struct row rows[] = {{ids, 3}, {ids, 1}};
    struct texts texts = {rows, 2, 4};
    struct tensor mask;
    struct stand s;
    struct err e;
    (void)state;
    begin(&s, DT_I64);
    assert_ok(make(&s.r, &inputs[0], &texts, true, &mask, &e));
    static const int64_t want[] = {1, 1, 1, 0, 1, 0, 0, 0};
    assert_memory_equal(mask.data, want, sizeof want);
    stand_close(&s);
}

static void test_models_without_text_are_left_alone(void **state) {
    static int64_t ids[] = {5, 6};
    struct ask_tensor given[] = {
        {LIT("input_ids"), {.dtype = DT_I64, .shape = {2, {1, 2}}, .data = ids}, NULL}};
    struct stand s;
    struct err e;
    (void)state;
    begin(&s, DT_I64);
    inputs[1].text = false;
    s.r.ask.inputs = given;
    s.r.ask.n_inputs = 1;
    assert_ok(tokenize_inputs(&s.r, &e));
    assert_int_equal(s.r.ask.n_inputs, 1);
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_get_a_mask_of_ones),
        cmocka_unit_test(test_what_is_given_stays),
        cmocka_unit_test(test_the_mask_of_texts_ends_with_them),
        cmocka_unit_test(test_models_without_text_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
