/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/recipe.c"

#include "../base/check.h"

static struct arena arena;

static enum code parse(const char *text, struct recipe *out, struct err *e) {
    arena_deinit(&arena);
    arena_init(&arena, 1 << 20);
    return recipe_read((struct span){(const uint8_t *)text, strlen(text)}, &arena, out, e);
}

static void test_defaults(void **state) {
    (void)state;
    struct err e;
    struct recipe r;
    assert_ok(parse("", &r, &e));
    assert_true(r.fit == FIT_STRETCH && r.filter == RESAMPLE_LINEAR && !r.bgr && !r.nhwc &&
                !r.ctc && r.mean[0] == 0);
    assert_true(r.scale[2] == 1.0f / 255.0f);
}

static void test_members(void **state) {
    (void)state;
    struct err e;
    struct recipe r;
    assert_ok(parse("{\"input\": \"x\", \"image\": {\"width\": 320, \"height\": 48, \"resize\": "
                    "\"height\", \"filter\": \"antialias\", "
                    "\"mean\": [1, 2, 3], \"scale\": 0.5, \"order\": \"BGR\", \"layout\": "
                    "\"NHWC\", \"min_width\": 7, \"fill\": 114, "
                    "\"place\": \"centre\", \"channels\": 1}, \"labels\": [\"a\", \"b\"], "
                    "\"postprocess\": {\"top\": 3, \"ctc\": "
                    "{\"charset\": \"x\\ny\\r\\n\\u00e9\", \"blank\": 1, \"space\": true}}}",
                    &r, &e));
    assert_true(str_is(r.input, "x") && r.width == 320 && r.height == 48 && r.fit == FIT_HEIGHT &&
                r.filter == RESAMPLE_ANTIALIAS);
    assert_true(r.mean[1] == 2 && r.scale[0] == 0.5f && r.scale[2] == 0.5f && r.bgr && r.nhwc &&
                r.min_width == 7 && r.fill == 114);
    assert_true(r.centre && r.channels == 1 && r.n_labels == 2 && str_is(r.labels[1], "b") &&
                r.top == 3);
    assert_true(r.ctc && r.ctc_blank == 1 && r.ctc_space && r.n_charset == 3 &&
                str_is(r.charset[1], "y"));
    assert_true(str_is(r.charset[2], "\xc3\xa9"));
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"[", "expected"},
        {"{\"images\": {}}", "no member \"images\" here"},
        {"{\"image\": {\"colour\": \"RGB\"}}", "no member \"colour\""},
        {"{\"image\": {\"width\": 0}}", "1 to 8192 pixels"},
        {"{\"image\": {\"order\": \"GBR\"}}", "\"GBR\" is none of \"RGB\", \"BGR\""},
        {"{\"image\": {\"mean\": [1, 2]}}", "expected 1 or 3 numbers, got 2"},
        {"{\"image\": {\"mean\": [1, 2, 3, 4]}}", "expected 1 or 3 numbers"},
        {"{\"image\": {\"fill\": 256}}", "0 to 255"},
        {"{\"image\": {\"channels\": 2}}", "1 or 3"},
        {"{\"labels\": [[\"a\"]]}", "expected an array of strings"},
        {"{\"postprocess\": {\"top\": 0}}", "1 to 1000"},
        {"{\"postprocess\": {\"ctc\": {}}}", "needs a \"charset\""},
        {"{\"postprocess\": {\"ctc\": {\"charset\": \"a\", \"blank\": -1}}}", "number of a class"},
        {"{} x", "line 1 column"},
    };
    struct err e;
    struct recipe r;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(parse(cases[i].text, &r, &e), INVALID, cases[i].why);
        assert_non_null(strstr(e.text, "\"preprocess\" part: line 1 column"));
    }
}

/* steps: the best class of each, score .5 + .05 * class */
static void reads(const struct recipe *r, const char *steps, const char *want) {
    enum { CLASSES = 6 };
    struct err e;
    float scores[32 * CLASSES] = {0};
    int64_t n = (int64_t)strlen(steps);
    for (int64_t i = 0; i < n; i++)
        scores[i * CLASSES + steps[i] - '0'] = 0.5f + 0.05f * (float)(steps[i] - '0');
    struct tensor t = {.dtype = DT_F32, .shape = {3, {1, n, CLASSES}}, .data = scores};
    struct str text;
    double confidence;
    assert_ok(recipe_text(r, &t, &arena, &text, &confidence, &e));
    if (!str_is(text, want))
        stop("\"%.*s\", expected \"%s\"", STR(text), want);
    t.shape = (struct shape){2, {n, CLASSES}};
    assert_ok(recipe_text(r, &t, &arena, &text, &confidence, &e));
    assert_true(str_is(text, want));
}

static void test_text(void **state) {
    (void)state;
    struct err e;
    struct recipe r;
    struct str text;
    double confidence;
    assert_ok(parse("{\"postprocess\": {\"ctc\": {\"charset\": [\"a\", \"b\", \"\xc3\xa9\"], "
                    "\"space\": true}}}",
                    &r, &e));
    reads(&r, "0110122", "aab");
    reads(&r, "000", "");
    reads(&r, "", "");
    reads(&r, "4343", " \xc3\xa9 \xc3\xa9");
    reads(&r, "1515", "aa"); /* class 5 has no character */
    assert_ok(
        parse("{\"postprocess\": {\"ctc\": {\"charset\": \"a\\nb\", \"blank\": 2}}}", &r, &e));
    reads(&r, "0112012", "abab");
    float scores[] = {0.1f, 0.9f, 0.9f, 0.2f};
    struct tensor t = {.dtype = DT_F32, .shape = {2, {2, 2}}, .data = scores};
    assert_ok(recipe_text(&r, &t, &arena, &text, &confidence, &e));
    assert_true(confidence > 0.899 && confidence < 0.901);
    t.shape = (struct shape){3, {2, 1, 2}};
    assert_fails(recipe_text(&r, &t, &arena, &text, &confidence, &e), INVALID,
                 "text needs an output f32 [1,T,C]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
