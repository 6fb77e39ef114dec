/* SPDX-License-Identifier: Apache-2.0 */
/* What outputs mean: names and signatures of the outcomes, where they are read, classes and labels.
 * Boxes: boxes.c, text: recipe.c, whole answers: tests/clients/test_media.py. */
#include "serve/outcome.c"

#include "stand.h"

static struct str labels[] = {{"cat", 3}, {"", 0}, {"eel", 3}};

static void test_names(void **state) {
    static const struct {
        struct recipe recipe;
        const char *names;
    } cases[] = {
        {{.top = 0}, ""},
        {{.softmax = true}, "classes scores "},
        {{.n_labels = 1}, "classes scores "},
        {{.boxed = true}, "boxes classes scores "},
        {{.ctc = true, .n_labels = 1}, "text confidence "},
    };
    struct str names[OUTCOME_MAX];
    struct live_io io;
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char text[64];
        size_t used = 0, n = outcome_names(&cases[c].recipe, names);
        for (size_t i = 0; i < n; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%.*s ", STR(names[i]));
            assert_true(outcome_io(&cases[c].recipe, names[i], &io) && str_eq(io.name, names[i]));
        }
        text[used] = '\0';
        assert_string_equal(text, cases[c].names);
        assert_false(outcome_io(&cases[c].recipe, LIT("other"), &io));
    }
    assert_true(outcome_io(&cases[3].recipe, LIT("boxes"), &io));
    assert_true(io.shape.rank == 3 && io.shape.dims[2] == 4 && io.dtype == DT_F32);
    assert_true(outcome_io(&cases[4].recipe, LIT("text"), &io));
    assert_true(io.shape.rank == 1 && io.dtype == DT_STRING);
}

static void test_source(void **state) {
    struct live_io inputs[] = {stand_io("x", DT_F32, STAND_DIMS(-1, 4))};
    struct live_io outputs[] = {stand_io("ids", DT_I64, STAND_DIMS(-1, 3)),
                                stand_io("boxes", DT_F32, STAND_DIMS(-1, 84, 100)),
                                stand_io("logits", DT_F32, STAND_DIMS(-1, 3))};
    const struct recipe classes = {.softmax = true}, boxes = {.boxed = true},
                        named = {.output = {"ids", 3}}, absent = {.output = {"z", 1}};
    struct stand s;
    struct err e;
    size_t at;
    (void)state;
    stand_open(&s, inputs, 1, outputs, 3);
    assert_ok(outcome_source(&classes, &s.live, &at, &e));
    assert_int_equal(at, 2);
    assert_ok(outcome_source(&boxes, &s.live, &at, &e));
    assert_int_equal(at, 1);
    assert_ok(outcome_source(&named, &s.live, &at, &e));
    assert_int_equal(at, 0);
    assert_fails(outcome_source(&absent, &s.live, &at, &e), INVALID, "'z'");
    s.live.n_outputs = 1;
    assert_fails(outcome_source(&classes, &s.live, &at, &e), INVALID, "postprocess");
    stand_close(&s);
}

static void test_classes(void **state) {
    static float logits[] = {1, 3, 2, 9, 0, 1000}; /* a plain exp of the last would overflow */
    const struct tensor t = {.dtype = DT_F32, .shape = {2, {2, 3}}, .data = logits};
    const struct recipe r = {.softmax = true, .labels = labels, .n_labels = 3, .top = 2};
    struct ask_tensor out[OUTCOME_MAX];
    struct arena a;
    struct err e;
    (void)state;
    arena_init(&a, 1 << 16);
    assert_int_equal(outcome_top(&r, 3), 2);
    assert_int_equal(outcome_top(&r, 1), 1);
    assert_int_equal(outcome_top(&(struct recipe){0}, 100), 5);
    assert_ok(outcome_make(&r, &t, NULL, 0, &a, out, &e));
    const struct str *names = out[0].tensor.data;
    const float *scores = out[1].tensor.data;
    assert_true(out[0].tensor.shape.dims[0] == 2 && out[0].tensor.shape.dims[1] == 2);
    assert_true(str_is(names[0], "1") && str_is(names[1], "eel")); /* an empty label: its number */
    assert_true(str_is(names[2], "eel") && str_is(names[3], "cat"));
    double sum = exp(-2.0) + 1 + exp(-1.0);
    assert_true(fabs((double)scores[0] - 1 / sum) < 1e-6);
    assert_true(fabs((double)scores[1] - exp(-1.0) / sum) < 1e-6);
    assert_true(scores[2] == 1 && scores[3] == 0);
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
