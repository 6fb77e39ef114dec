/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of asks: what is copied and what not, and how two answers compare, in whichever order they
 * come. The host that takes the copy is this file. */
#define host_submit take_copy
#include "host/shadow.c"

#include "table.h"

static struct host h;
static struct live *primary, *second;
static struct arena arena;
static struct ask ask, *copied; /* what went in; what the host was given */
static struct ask_tensor input, outputs[2];
static float x[4] = {1, 2, 3, 4}, y[2] = {5, 6};
static struct err e;

/* The copy waits until the test answers it. */
bool take_copy(struct host *to, struct ask *a) {
    assert_ptr_equal(to, &h);
    copied = a;
    return false;
}

static struct ask_tensor tensor(const char *name, float *data, int64_t n) {
    return (struct ask_tensor){str_of(name), {DT_F32, LAYOUT_PLAIN, {1, {n}}, data}, NULL};
}

static void submit(uint32_t share, int64_t n) {
    static struct split *split;
    input = tensor("x", x, n);
    split = split_new(&(struct rollout){.shadow = 2, .shadow_share = share, .relative = 1e-3});
    split->shadow = live_ref(second);
    copied = NULL;
    ask = (struct ask){.model = LIT("m"),
                       .inputs = &input,
                       .n_inputs = 1,
                       .arena = &arena,
                       .live = live_ref(primary),
                       .split = split};
    shadow_begin(&h, &ask);
}

static void answer_asker(float first, enum code code) {
    y[0] = first;
    outputs[0] = tensor("y", y, 2);
    ask.outputs = outputs;
    ask.n_outputs = 1;
    ask.code = code;
    if (ask.shadow)
        shadow_answer(&ask);
    x[0] = y[0] = -1; /* its memory is another's from here on */
}

static void answer_copy(float first, enum code code) {
    copied->code = code;
    copied->n_outputs = 1;
    copied->outputs = ARENA_ARRAY(copied->arena, 1, struct ask_tensor);
    copied->outputs[0] = outputs[0];
    assert_ok(
        tensor_new(copied->arena, DT_F32, &(struct shape){1, {2}}, &copied->outputs[0].tensor, &e));
    ((float *)copied->outputs[0].tensor.data)[0] = first;
    ((float *)copied->outputs[0].tensor.data)[1] = 6;
    copied->done(copied);
}

static void end_ask(void) {
    ask_end(&ask);
    x[0] = 1;
    assert_int_equal(h.n_shadows, 0);
    assert_int_equal(atomic_load(&primary->refs), 1); /* the table's own */
    assert_int_equal(atomic_load(&second->refs), 2);  /* and as what is chosen */
}

static long results_of(enum shadow_result r) { return (long)second->shadow_results[r]; }

static int begin(void **state) {
    (void)state;
    table_open(&h);
    struct route_model *m = table_add(&h, "m", 2);
    second = m->lives[0];
    primary = m->lives[1];
    arena_init(&arena, 1 << 20);
    return 0;
}

static int end(void **state) {
    (void)state;
    arena_deinit(&arena);
    table_close(&h);
    return 0;
}

static void two_answers_compare(void **state) {
    static const struct {
        float asker, copy;
        enum code asker_code, copy_code;
        enum shadow_result want;
    } cases[] = {
        {5, 5, OK, OK, SHADOW_SAME},
        {5, 5.004f, OK, OK, SHADOW_SAME},
        {5, 5.1f, OK, OK, SHADOW_DIFFERENT},
        {5, 5, OK, ERR_INTERNAL, SHADOW_FAILED},
        {5, 5, OK, ERR_OVERLOAD, SHADOW_SKIPPED},
        {5, 5, OK, ERR_TIMEOUT, SHADOW_SKIPPED},
        {5, 5, ERR_INVALID, OK, SHADOW_SKIPPED},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool copy_first = i % 2;
        long before = results_of(cases[i / 2].want);
        submit(ROLLOUT_WHOLE, 4);
        assert_non_null(copied);
        assert_true(copied->priority == PRIORITY_SHADOW && copied->live == second);
        outputs[0] = tensor("y", y, 2);
        if (copy_first)
            answer_copy(cases[i / 2].copy, cases[i / 2].copy_code);
        answer_asker(cases[i / 2].asker, cases[i / 2].asker_code);
        if (!copy_first) {
            assert_true(((const float *)copied->inputs[0].tensor.data)[0] == 1); /* a copy */
            answer_copy(cases[i / 2].copy, cases[i / 2].copy_code);
        }
        assert_int_equal(results_of(cases[i / 2].want), before + 1);
        end_ask();
    }
}

static void texts_compare(void **state) {
    struct str one[] = {LIT("a"), LIT("b")}, other[] = {LIT("a"), LIT("c")};
    struct tensor a = {DT_STRING, LAYOUT_PLAIN, {1, {2}}, one}, b = a;
    (void)state;
    assert_true(same_text(&a, &b));
    b.data = other;
    assert_false(same_text(&a, &b));
    b.shape.dims[0] = 1;
    assert_false(same_text(&a, &b));
}

/* A share of none; too many under way; more than may be copied. */
static void what_is_not_copied(void **state) {
    (void)state;
    submit(0, 4);
    assert_null(copied);
    answer_asker(5, OK);
    end_ask();
    h.n_shadows = IN_FLIGHT;
    submit(ROLLOUT_WHOLE, 4);
    assert_true(!copied && results_of(SHADOW_SKIPPED) == 1 && h.n_shadows == IN_FLIGHT);
    h.n_shadows = 0;
    end_ask();
    submit(ROLLOUT_WHOLE, COPY_BYTES / 4 + 1);
    assert_true(!copied && results_of(SHADOW_SKIPPED) == 2);
    end_ask();
    submit(ROLLOUT_WHOLE, 4);
    outputs[1] = tensor("z", y, COPY_BYTES); /* an answer that is too large to keep */
    ask.outputs = &outputs[1];
    ask.n_outputs = 1;
    ask.code = OK;
    shadow_answer(&ask);
    outputs[0] = tensor("y", y, 2);
    answer_copy(5, OK);
    assert_int_equal(results_of(SHADOW_SKIPPED), 3);
    end_ask();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_answers_compare, begin, end),
        cmocka_unit_test_setup_teardown(texts_compare, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_copied, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
