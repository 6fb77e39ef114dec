/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls as models write them, cut into pieces of every size. */
#include "llm/toolcall.c"

#include "../base/check.h"

static char seen[2000];

static void note(const char *what, struct str text) {
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof seen - n, "%s%.*s", what, STR(text));
}
static char last;
static void on_content(void *ctx, struct str text) {
    (void)ctx;
    note(last == 't' ? "" : "|text:", text);
    last = 't';
}
static void on_call(void *ctx, int index, struct str name) {
    char head[32];
    (void)ctx;
    snprintf(head, sizeof head, "|call%d:", index);
    note(head, name);
    last = 'c';
}
static void on_arguments(void *ctx, int index, struct str piece) {
    (void)ctx;
    (void)index;
    note(last == 'a' ? "" : "|args:", piece);
    last = 'a';
}

static void reads(enum toolcall_family f, const char *text, const char *want) {
    const struct toolcall_sink sink = {NULL, on_content, on_call, on_arguments};
    for (size_t size = 1; size < 80; size++) {
        struct toolcall_reader r;
        seen[0] = last = '\0';
        toolcall_begin(&r, f);
        for (size_t at = 0; at < strlen(text); at += size)
            toolcall_feed(&r, str_sub(str_of(text), at, at + size), &sink);
        toolcall_end(&r, &sink);
        if (strcmp(seen, want) != 0)
            stop("pieces of %zu: \"%s\", expected \"%s\"", size, seen, want);
    }
}

static void test_hermes(void **state) {
    (void)state;
    reads(TOOLCALL_HERMES, "hello < world", "|text:hello < world");
    reads(TOOLCALL_HERMES,
          "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"{\", \"b\": "
          "[1]}}\n</tool_call>",
          "|call0:f|args:{\"a\": \"}\\\"{\", \"b\": [1]}");
    reads(TOOLCALL_HERMES,
          "I look.\n<tool_call>\n{\"arguments\": {\"a\": 1}, \"name\": \"f\"}\n</tool_call>\n"
          "<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>",
          "|text:I look.\n|call0:f|args:{\"a\": 1}|call1:g|args:{}");
    reads(TOOLCALL_HERMES, "<tool_call>\n{\"name\": \"f\"}\n</tool_call>", "|call0:f|args:{}");
    reads(TOOLCALL_HERMES, "<tool_call>nonsense</tool_call>",
          "|text:<tool_call>nonsense</tool_call>");
    reads(TOOLCALL_HERMES,
          "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": ", "|call0:f|args:{\"a\": ");
    reads(TOOLCALL_HERMES, "a <tool_ca", "|text:a <tool_ca");
    reads(TOOLCALL_HERMES, "<tool_call>{\"name\": \"f\"}</tool_call>\n\nThat was it. ",
          "|call0:f|args:{}|text:That was it. ");
    reads(TOOLCALL_HERMES, "<tool_call>{\"arguments\": \\x\", \"name\": \"f\"]",
          "|call0:f|args:\\x\""); /* named before it went wrong */
    reads(TOOLCALL_HERMES,
          "<tool_call>{\"name\": \"f\", \"arguments\": {}, \"arguments\": 1}</tool_call>",
          "|call0:f|args:{}");
}

static void test_mistral(void **state) {
    (void)state;
    reads(TOOLCALL_MISTRAL,
          "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"x\": 1}}, {\"name\": \"g\", "
          "\"arguments\": {}}]",
          "|call0:f|args:{\"x\": 1}|call1:g|args:{}");
    reads(TOOLCALL_MISTRAL, "just text", "|text:just text");
}

static void test_llama(void **state) {
    (void)state;
    reads(TOOLCALL_LLAMA, "{\"name\": \"f\", \"parameters\": {\"x\": \"y\"}}",
          "|call0:f|args:{\"x\": \"y\"}");
    reads(TOOLCALL_LLAMA,
          "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}",
          "|call0:f|args:{}|call1:g|args:{}");
    reads(TOOLCALL_LLAMA, "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"x\": 1}}",
          "|call0:f|args:{\"x\": 1}");
    reads(TOOLCALL_LLAMA, "{\"answer\": 42}", "|text:{\"answer\": 42}");
    reads(TOOLCALL_LLAMA, "A set {1, 2}", "|text:A set {1, 2}");
}

static void test_families(void **state) {
    (void)state;
    assert_int_equal(toolcall_family_of(LIT("x <tool_call> y")), TOOLCALL_HERMES);
    assert_int_equal(toolcall_family_of(LIT("[TOOL_CALLS]")), TOOLCALL_MISTRAL);
    assert_int_equal(toolcall_family_of(LIT("<|python_tag|>")), TOOLCALL_LLAMA);
    assert_int_equal(toolcall_family_of((struct str){0}), TOOLCALL_HERMES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hermes),
        cmocka_unit_test(test_mistral),
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
