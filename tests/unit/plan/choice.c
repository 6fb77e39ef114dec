/* SPDX-License-Identifier: Apache-2.0 */
/* Choices of a trial are honoured, what does not fit is not, and all ways give the same answer. */
#include "plan/choice.c"

#include "toy.h"

/* A convolution of 3 x 3 with a window that moves by `step`, and one of 1 x 1 that adds x. */
static void build(struct toy *t, int64_t step) {
    toy_init(t);
    value_id x = toy_input(t, "x", DT_F32, SHAPE(-1, 40, 17, 19));
    value_id a = toy_node(t, "conv", IDS(x, toy_weights(t, SHAPE(64, 40, 3, 3), 1)));
    ATTR_INTS_OF(t, "pads", 1, 1, 1, 1);
    ATTR_INTS_OF(t, "strides", step, step);
    value_id b = toy_node(t, "conv", IDS(a, toy_weights(t, SHAPE(64, 64, 1, 1), 2)));
    toy_output(t, toy_node(t, "relu", IDS(toy_node(t, "add", IDS(b, a)))));
}

static struct session *open_with(struct toy *t, const struct session_options *o) {
    struct session *s;
    struct err e;
    assert_int_equal(session_open(t->g->model, o, &s, &e), OK);
    return s;
}

static const struct session_step *conv_of(struct toy *t, struct session *s,
                                          const struct tensor *in) {
    struct session_step *rows;
    size_t n;
    struct err e;
    struct session_ask ask = {.inputs = in, .threads = 2};
    assert_int_equal(session_explain(s, &ask, &t->arena, &rows, &n, &e), OK);
    for (size_t i = 0; i < n; i++)
        if (rows[i].choice)
            return &rows[i];
    fail_msg("no node has several ways");
    return NULL;
}

static void every_way_answers_alike(void **unused) {
    (void)unused;
    for (int64_t step = 1; step <= 2; step++) {
        struct toy t;
        build(&t, step);
        struct tensor in = toy_tensor(&t, SHAPE(2, 40, 17, 19), 3);
        struct session *rule = open_with(&t, &(struct session_options){.way = CHOICE_RULE});
        const struct tensor want = toy_answer(&t, rule, &in);
        const int ways = conv_of(&t, rule, &in)->n_ways;
        int taken = 0;
        assert_true(ways > 1);
        for (int way = 1; way <= ways + 1; way++) { /* one more: no such way */
            struct session *s = open_with(&t, &(struct session_options){.way = way});
            const struct tensor got = toy_answer(&t, s, &in);
            toy_same(&got, &want, 2e-3); /* Winograd of 4 x 4 */
            taken += conv_of(&t, s, &in)->way == way;
            session_close(s);
        }
        assert_true(taken >= 2);
        session_close(rule);
        toy_deinit(&t);
    }
}

/* Winograd for a layer that the rule would not give it; nothing for a node of that name alone. */
static void choices_are_honoured(void **unused) {
    (void)unused;
    struct toy t;
    build(&t, 1);
    struct tensor in = toy_tensor(&t, SHAPE(1, 40, 17, 19), 3);
    struct session *rule = open_with(&t, &(struct session_options){0});
    const struct session_step *was = conv_of(&t, rule, &in);
    assert_false(was->tried);
    for (int way = 1; way <= was->n_ways + 1; way++) {
        struct choice choices[] = {{was->choice, way}, {was->choice + 1, 1}};
        struct session *s =
            open_with(&t, &(struct session_options){.choices = choices, .n_choices = 2});
        const struct session_step *is = conv_of(&t, s, &in);
        assert_true(is->choice == was->choice);
        assert_true(is->tried == (is->way == way));
        assert_true(is->way == way || is->way == was->way);
        session_close(s);
    }
    struct choice other = {was->choice + 1, 1};
    struct session *s = open_with(&t, &(struct session_options){.choices = &other, .n_choices = 1});
    assert_false(conv_of(&t, s, &in)->tried);
    session_close(s);
    session_close(rule);
    toy_deinit(&t);
}

/* Other shapes, and other teams, are other nodes. */
static void names(void **unused) {
    (void)unused;
    struct node n = {.op_name = LIT("conv")};
    struct op_value in = {DT_F32, true, *SHAPE(1, 8, 4, 4), LAYOUT_NHWC, NULL}, wide = in;
    value_id id = 0;
    n.in = &id, n.n_in = 1;
    wide.shape.dims[3] = 5;
    const uint64_t name = choice_node(&n, &in, NULL, 1);
    assert_true(name == choice_node(&n, &in, NULL, 1));
    assert_true(name != choice_node(&n, &in, NULL, 2));
    assert_true(name != choice_node(&n, &wide, NULL, 1));
}

static void finding(void **unused) {
    (void)unused;
    struct choice c[] = {{90, 3}, {7, 1}, {UINT64_MAX, 2}, {0, 4}};
    choice_sort(c, 4);
    assert_int_equal(choice_find(c, 4, 0), 4);
    assert_int_equal(choice_find(c, 4, 7), 1);
    assert_int_equal(choice_find(c, 4, 90), 3);
    assert_int_equal(choice_find(c, 4, UINT64_MAX), 2);
    assert_int_equal(choice_find(c, 4, 8), 0);
    assert_int_equal(choice_find(NULL, 0, 8), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_way_answers_alike),
                                       cmocka_unit_test(choices_are_honoured),
                                       cmocka_unit_test(names), cmocka_unit_test(finding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
