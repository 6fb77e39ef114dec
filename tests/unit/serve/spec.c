/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/spec.c"

#include "../base/check.h"

static struct arena arena;

static enum code write(const char *input, const char *output, const char *labels, struct span *out,
                       struct err *e) {
    struct spec s = {.input = str_of(input),
                     .output = str_of(output),
                     .labels = {(const uint8_t *)labels, labels ? strlen(labels) : 0}};
    arena_deinit(&arena);
    arena_init(&arena, 1 << 20);
    return spec_write(&s, &arena, out, e);
}

static void test_written(void **state) {
    (void)state;
    static const struct {
        const char *input, *output, *labels, *json;
    } cases[] = {
        {"image", NULL, NULL, "{\"image\":{}}"},
        {"image:8x6,crop,short=9,bgr,fill=114", NULL, NULL,
         "{\"image\":{\"width\":8,\"height\":6,\"resize\":\"crop\",\"short_side\":9,\"order\":"
         "\"BGR\",\"fill\":114}}"},
        {"text", NULL, NULL, "{\"text\":{}}"},
        {"text:128", "softmax", NULL,
         "{\"text\":{\"most\":128},\"postprocess\":{\"softmax\":true}}"},
        {"x=image,unit,pad", NULL, "a\nb",
         "{\"input\":\"x\",\"image\":{\"mean\":0.0,\"scale\":0.00392156862745098,\"resize\":"
         "\"pad\"},"
         "\"labels\":\"a\\nb\"}"},
        {NULL, "classes:3,softmax", "[\"a\"]",
         "{\"labels\":[\"a\"],\"postprocess\":{\"top\":3,\"softmax\":true}}"},
        {NULL, "softmax", NULL, "{\"postprocess\":{\"softmax\":true}}"},
        {NULL, "y=boxes:yolov5,score=0.5,agnostic", NULL,
         "{\"postprocess\":{\"output\":\"y\",\"boxes\":{\"form\":\"yolov5\",\"score\":0.5,"
         "\"agnostic\":true}}}"},
        {NULL, "text,blank=1,space", "a\nb",
         "{\"postprocess\":{\"ctc\":{\"charset\":\"a\\nb\",\"blank\":1,\"space\":true}}}"},
    };
    struct span out;
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(write(cases[i].input, cases[i].output, cases[i].labels, &out, &e));
        char *text = arena_printf(&arena, "%.*s", (int)out.n, (const char *)out.p);
        assert_string_equal(text, cases[i].json);
    }
}

static void test_imagenet(void **state) {
    (void)state;
    struct recipe r;
    struct span out;
    struct err e;
    assert_ok(write("image:448x448,imagenet", "softmax", "cat\ndog\n", &out, &e));
    assert_ok(recipe_read(out, &arena, &r, &e));
    assert_true(r.fit == FIT_CROP && r.short_side == 512 && r.width == 448 && r.n_labels == 2);
    assert_true(r.softmax && r.filter == RESAMPLE_ANTIALIAS && r.mean[0] == 123.675f);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *input, *output, *why;
    } cases[] = {
        {"picture", NULL, "expected image[:WxH]"},
        {"image:224", NULL, "no word '224'"},
        {"image:99999x1", NULL, "1 to 8192 pixels"},
        {"image,short=1;2", NULL, "no word 'short=1;2'"},
        {"image,short=1.2.3", NULL, "recipe"},
        {"text:all", NULL, "no number of tokens"},
        {"text:1", NULL, "2 to 131072 tokens"},
        {"x=text", NULL, "expected image[:WxH]"},
        {NULL, "boxes:ssd", "no word 'ssd'"},
        {NULL, "classes:many", "no word 'many'"},
        {NULL, "classes:0", "1 to 1000"},
        {NULL, "text", "needs a \"charset\""},
        {NULL, "boxes,score=2", "0 to 1"},
    };
    struct span out;
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(write(cases[i].input, cases[i].output, NULL, &out, &e) != OK);
        if (i != 4) /* any complaint will do */
            assert_true(strstr(e.text, cases[i].why) != NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_imagenet),
        cmocka_unit_test(test_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
