/* SPDX-License-Identifier: Apache-2.0 */
/* Thoughts split off what models write, cut into pieces of every size. */
#include "llm/reasoning.c"

#include "../base/check.h"

static char thoughts[500], answer[500];

static void add(char *to, struct str text) {
    size_t n = strlen(to);
    memcpy(to + n, text.p, text.n);
    to[n + text.n] = '\0';
}
static void on_thought(void *ctx, struct str text) {
    (void)ctx;
    add(thoughts, text);
}
static void on_answer(void *ctx, struct str text) {
    (void)ctx;
    add(answer, text);
}

static void reads(const struct reasoning_form *f, bool inside, const char *text,
                  const char *thought, const char *rest) {
    const struct reasoning_sink sink = {NULL, on_thought, on_answer};
    for (size_t size = 1; size < 60; size++) {
        struct reasoning_reader r;
        thoughts[0] = answer[0] = '\0';
        reasoning_begin(&r, f, inside);
        for (size_t at = 0; at < strlen(text); at += size)
            reasoning_feed(&r, str_sub(str_of(text), at, at + size), &sink);
        reasoning_end(&r, &sink);
        if (strcmp(thoughts, thought) != 0 || strcmp(answer, rest) != 0)
            stop("pieces of %zu: \"%s\" and \"%s\", expected \"%s\" and \"%s\"", size, thoughts,
                 answer, thought, rest);
    }
}

static void test_thoughts_and_answers(void **state) {
    const struct reasoning_form *f = reasoning_form_of(LIT("{{ '<think>' }} {{ '</think>' }}"));
    (void)state;
    assert_non_null(f);
    reads(f, false, "<think>\nTwo and\ntwo.\n</think>\n\nFour.\n", "Two and\ntwo.", "Four.\n");
    reads(f, false, "\n<think></think>Four.", "", "Four.");
    reads(f, false, "  Four < five </think>.", "", "  Four < five </think>.");
    reads(f, false, "<thin air>", "", "<thin air>");
    reads(f, false, "<think>cut off </th", "cut off </th", "");
    reads(f, false, "<think>a</think>b<think>c</think>", "a", "b<think>c</think>");
    reads(f, true, "Hm.\n\n</think>\n\nFour.", "Hm.", "Four.");
    reads(f, true, "never ends \n", "never ends", "");
    reads(f, false, "", "", "");
    reads(f, false, " \n", "", " \n");
    reads(f, false, "<th", "", "<th");
    reads(NULL, false, "<think>a</think>b", "", "<think>a</think>b");
}

static void test_families(void **state) {
    (void)state;
    const struct reasoning_form *f = reasoning_form_of(LIT("... [THINK]{{ x }}[/THINK] ..."));
    assert_non_null(f);
    assert_string_equal(f->open, "[THINK]");
    reads(f, false, "[THINK]a[/THINK]b", "a", "b");
    assert_null(reasoning_form_of(LIT("{{ messages }}")));
    assert_null(reasoning_form_of((struct str){0}));
}

static void test_a_prompt_that_begins_the_thoughts(void **state) {
    const struct reasoning_form *f = reasoning_form_of(LIT("</think>"));
    (void)state;
    assert_true(reasoning_begun(f, LIT("<|assistant|><think>\n")));
    assert_false(reasoning_begun(f, LIT("<think>\n\n</think>\n\n")));
    assert_false(reasoning_begun(f, LIT("")));
    assert_false(reasoning_begun(NULL, LIT("<think>")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thoughts_and_answers),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_a_prompt_that_begins_the_thoughts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
