/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars: what they accept, what is refused, and that masks say the same as the rules. */
#include "llm/grammar.c"

#include "../base/check.h"
#include "fake.h"

static void accepts(const char *grammar, const char *text) {
    struct grammar *g;
    struct err e;
    assert_ok(grammar_parse(str_of(grammar), &g, &e));
    if (!grammar_matches(g, str_of(text)))
        stop("%s: refuses \"%s\"", grammar, text);
    grammar_close(g);
}

static void refuses(const char *grammar, const char *text) {
    struct grammar *g;
    struct err e;
    assert_ok(grammar_parse(str_of(grammar), &g, &e));
    if (grammar_matches(g, str_of(text)))
        stop("%s: accepts \"%s\"", grammar, text);
    grammar_close(g);
}

static void invalid(const char *grammar, const char *part) {
    struct grammar *g;
    struct err e;
    assert_fails(grammar_parse(str_of(grammar), &g, &e), INVALID, part);
}

static void test_literals_and_classes(void **state) {
    (void)state;
    accepts("root ::= \"a\\n\\x41\\u00e9\\U0001F600\"", "a\nA\xc3\xa9\xf0\x9f\x98\x80");
    refuses("root ::= \"ab\"", "a");
    refuses("root ::= \"ab\"", "abc");
    accepts("root ::= [a-cx]", "x");
    refuses("root ::= [a-cx]", "d");
    accepts("root ::= [^\"\\\\] # a comment\n", "\xe2\x82\xac");
    refuses("root ::= [^\"\\\\]", "\"");
    refuses("root ::= [^a]", "\xed\xa0\x80"); /* a surrogate is no character */
    refuses("root ::= [^a]", "\xff");
    accepts("root ::= .", "\xf4\x8f\xbf\xbf");
    refuses("root ::= .", "\xf4\x90\x80\x80");
    accepts("root ::= [\\u4e00-\\u9fff]+", "\xe4\xb8\xad\xe6\x96\x87");
    refuses("root ::= [\\u4e00-\\u9fff]+", "\xe4\xb8\xad"
                                           "a");
    accepts("root ::= [a-]", "-");
}

static void test_repetition(void **state) {
    (void)state;
    accepts("root ::= \"ab\"*", "");
    accepts("root ::= \"ab\"*", "ababab");
    refuses("root ::= \"ab\"+", "");
    accepts("root ::= [0-9]{2,4}", "123");
    refuses("root ::= [0-9]{2,4}", "1");
    refuses("root ::= [0-9]{2,4}", "12345");
    accepts("root ::= (\"a\" | \"b\"){3}", "aba");
    refuses("root ::= (\"a\" | \"b\"){3}", "ab");
    accepts("root ::= \"x\"{,2} \"y\"", "xxy");
    refuses("root ::= \"x\"{,2} \"y\"", "xxxy");
    accepts("root ::= \"x\"{2,} \"y\"", "xxxxxy");
    refuses("root ::= \"x\"{2,} \"y\"", "xy");
    accepts("root ::= (\"a\"?){5} \"b\"", "aab");
    accepts("root ::= (\"a\"*)* \"b\"", "aaab");
    accepts("root ::= [a-z]{0,100000} \".\"", "hello.");
    accepts("root ::= (\"a\"?)? (\"\" | \"c\")", "");
}

static void test_recursion(void **state) {
    static const char brackets[] = "root ::= \"[\" (root (\",\" root)*)? \"]\"";
    char deep[GRAMMAR_DEPTH * 4 + 1];
    (void)state;
    accepts(brackets, "[[],[[],[]]]");
    refuses(brackets, "[[],[[],[]]");
    accepts("root ::= \"a\" root | \"b\"", "aaaaaaaaaaaaaaaaaaaaaaaaaab");
    memset(deep, 'a', sizeof deep - 2); /* right recursion does not grow the stack */
    deep[sizeof deep - 2] = 'b';
    deep[sizeof deep - 1] = '\0';
    accepts("root ::= \"a\" root | \"b\"", deep);
    accepts("root ::= (\"a\" root)? \"\" | \"b\"", "ab");
    accepts("root ::= x \"end\"\nx ::= \"(\" x \")\" |\n  \"\"\n", "((()))end");
    accepts("root ::= list\nlist ::= (\n  \"a\" # one\n  | \"b\"\n)+", "abab");
}

static void test_invalid(void **state) {
    (void)state;
    invalid("", "'root' is used and not defined");
    invalid("root ::= x", "'x' is used and not defined");
    invalid("root ::= \"a\" root", "recurs without end");
    invalid("root ::= a\na ::= b \"x\" | \"y\"\nb ::= a", "begin with itself");
    invalid("root ::= \"b\"? root \"x\" | \"c\"", "begin with itself");
    invalid("root ::= (\"a\"* root)* \"c\"", "begin with itself");
    invalid("root ::= \"a", "ends too early");
    invalid("root ::= [a", "']' is missing");
    invalid("root ::= (\"a\"", "')' is expected");
    invalid("root ::= \"a\"{3,1}", "ends before it begins");
    invalid("root ::= \"a\"{99999999999}", "over the limit");
    invalid("root ::= [z-a]", "ends before it begins");
    invalid("root ::= \"\\q\"", "unknown escape");
    invalid("root ::= \"\\uD800\"", "no character");
    invalid("root ::= \"a\"\nroot ::= \"b\"", "there twice");
    invalid("root = \"a\"", "'::=' is expected");
    invalid("root ::= \"a\" )", "unexpected ')'");
    invalid("root ::= \xff", "unexpected byte '\\377'");
    invalid("\xff", "a name is expected");
    char nested[GRAMMAR_NESTING * 2 + 32] = "root ::= ";
    memset(nested + 9, '(', GRAMMAR_NESTING + 1);
    invalid(nested, "nest deeper");
}

/* A mask allows exactly the tokens that grammar_allows does, and end where the text may end. */
static void check_masks(const char *grammar, const char *text) {
    struct grammar_machine *m;
    struct grammar_vocab *v;
    struct grammar *g;
    const uint64_t *mask;
    struct err e;
    int32_t s;
    assert_ok(grammar_parse(str_of(grammar), &g, &e));
    assert_ok(grammar_vocab_open(NULL, &v, &e));
    assert_ok(grammar_machine_open(g, v, &m, &e));
    grammar_close(g);
    assert_ok(grammar_begin(m, &s, &e));
    for (size_t at = 0;; at++) {
        assert_ok(grammar_mask(m, s, &mask, &e));
        for (int32_t i = 0; i < FAKE_VOCAB; i++)
            assert_int_equal(mask[i / 64] >> (i % 64) & 1, grammar_allows(m, s, i));
        assert_int_equal(mask[FAKE_END / 64] >> (FAKE_END % 64) & 1, grammar_may_end(m, s));
        if (!text[at])
            break;
        assert_ok(grammar_push(m, &s, (uint8_t)text[at], &e));
    }
    grammar_machine_close(m);
    grammar_vocab_close(v);
}

static void test_masks(void **state) {
    (void)state;
    check_masks("root ::= \"the \" [a-z]+ | \"true\" | .+ \"stop\"", "the \xe2\x82\xac");
    check_masks("root ::= \"{\\\"\" [a-z]* \"\\\": \" (\"true\" | [0-9]+) \"}\"", "{\"ab\": 12}");
}

/* Random walks along masks end in texts that the grammar accepts. */
static void test_walks(void **state) {
    static const char json[] =
        "root ::= value\n"
        "value ::= object | array | string | \"true\" | [0-9]{1,3}\n"
        "object ::= \"{\" (string \": \" value (\", \" string \": \" value)*)? \"}\"\n"
        "array ::= \"[\" (value (\",\" value)*)? \"]\"\n"
        "string ::= \"\\\"\" [^\"\\\\\\x00-\\x1f]{0,5} \"\\\"\"\n";
    struct grammar_machine *m;
    struct grammar_vocab *v;
    struct grammar *g;
    struct err e;
    uint64_t random = 88172645463325252u;
    (void)state;
    assert_ok(grammar_parse(str_of(json), &g, &e));
    assert_ok(grammar_vocab_open(NULL, &v, &e));
    assert_ok(grammar_machine_open(g, v, &m, &e));
    for (int walk = 0; walk < 200; walk++) {
        char text[2000];
        size_t n = 0;
        int32_t s;
        assert_ok(grammar_begin(m, &s, &e));
        while (!grammar_must_end(m, s) && n < 1000) {
            const uint64_t *mask;
            int32_t token;
            assert_ok(grammar_mask(m, s, &mask, &e));
            do /* closing is preferred, so that walks end */
                token = check_random(&random) % 3 ? "]}\"1"[check_random(&random) % 4]
                                                  : (int32_t)(check_random(&random) % FAKE_END);
            while (!(mask[token / 64] >> (token % 64) & 1));
            struct str piece = tokenizer_piece(NULL, token);
            memcpy(text + n, piece.p, piece.n);
            n += piece.n;
            assert_ok(grammar_push(m, &s, token, &e));
        }
        assert_int_equal(grammar_matches(g, (struct str){text, n}), grammar_may_end(m, s));
    }
    assert_true(grammar_machine_bytes(m) < 64 << 20);
    grammar_machine_close(m);
    grammar_vocab_close(v);
    grammar_close(g);
}

/* Ambiguity without end meets a cap, and nesting ends where the cap is. */
static void test_caps(void **state) {
    struct grammar_machine *m;
    struct grammar_vocab *v;
    struct grammar *g;
    struct err e;
    int32_t s, pushed = 0;
    (void)state;
    assert_ok(grammar_parse(LIT("root ::= \"[\" root \"]\" | \"x\""), &g, &e));
    assert_ok(grammar_vocab_open(NULL, &v, &e));
    assert_ok(grammar_machine_open(g, v, &m, &e));
    assert_ok(grammar_begin(m, &s, &e));
    for (; grammar_allows(m, s, '['); pushed++)
        assert_ok(grammar_push(m, &s, '[', &e));
    assert_in_range(pushed, GRAMMAR_DEPTH / 2, GRAMMAR_DEPTH + 2);
    assert_true(grammar_allows(m, s, 'x'));
    assert_ok(grammar_push(m, &s, 'x', &e));
    for (; pushed; pushed--)
        assert_ok(grammar_push(m, &s, ']', &e));
    assert_true(grammar_must_end(m, s));
    grammar_machine_close(m);
    grammar_vocab_close(v);
    grammar_close(g);
    accepts("root ::= (a a a)+\na ::= (\"x\" | \"x\" \"x\")+",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_and_classes),
        cmocka_unit_test(test_repetition),
        cmocka_unit_test(test_recursion),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
