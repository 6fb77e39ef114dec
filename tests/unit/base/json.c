/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.c"

#include "check.h"

/* --- the reader accepts JSON, all of it, and nothing else --- */

static enum code read_whole(struct str text, bool allow_nan, struct err *e) {
    struct json r;
    json_init(&r, text, NULL);
    r.allow_nan = allow_nan;
    TRY(json_skip(&r, NULL, e));
    return json_end(&r, e);
}

static void what_json_is(void **state) {
    (void)state;
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "1.5",
        "-0.5e-10",
        "1E+5",
        "1e5",
        "123456789012345678901234567890",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        " [ ] ",
        "\t{\r\n}\n",
        "[1]",
        "[1,2,3]",
        "[[],[[]]]",
        "[[[]],{}]",
        "{\"a\":1}",
        "{\"a\":1,\"b\":2}",
        "{\"\":0}",
        "{\"a\":[{\"b\":{}}]}",
        "[null,true,false,0,\"\",[],{}]",
        "{\"a\":1,\"a\":2}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0000\"",
        "\"\\u00e9\\uD83D\\uDE00\"",
        "\"\x7f\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "[1 , 2\n,\t3 ]",
        "{ \"a\" : 1 , \"b\" : 2 }",
        "\" \"",
        "[\"a\",\"b\"]",
        "1e-400",
        "1e400",
        "[0.1,0e1,0E0,0.0]",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]"
        "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    struct err e;
    for (size_t at = 0; at < sizeof texts / sizeof *texts; at++)
        if (read_whole(str_of(texts[at]), false, &e) != OK)
            fail_msg("%.60s: %s", texts[at], e.text);
}

static void what_json_is_not(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "column 1: expected a value, found the end of the text"},
        {" ", "column 2: expected a value, found the end"},
        {"nul", "expected null, found null"},
        {"nulL", "column 1"},
        {"truth", "column 1"},
        {"True", "expected a value, found 'T'"},
        {"nan", "column 1"},
        {"NaN", "expected a value, found 'N'"},
        {"Infinity", "found 'I'"},
        {"-Infinity", "column 2: a digit is missing"},
        {"01", "column 2: a number may not begin with 0"},
        {"-01", "column 3: a number may not begin with 0"},
        {"1.", "column 3: a digit is missing"},
        {".1", "found '.'"},
        {"+1", "found '+'"},
        {"-", "column 2: a digit is missing"},
        {"1e", "column 3: a digit is missing"},
        {"1e+", "column 4"},
        {"0x10", "column 2: expected the end of the text, found 'x'"},
        {"1 2", "column 3: expected the end of the text, found '2'"},
        {"[", "column 2: expected a value"},
        {"[1", "column 3: expected ',' or ']', found the end"},
        {"[1,", "column 4"},
        {"[1,]", "column 4: expected a value after ',', found ']'"},
        {"[,1]", "column 2: expected a value, found ','"},
        {"[1 2]", "column 4: expected ',' or ']', found '2'"},
        {"[1}", "column 3: expected ',' or ']', found '}'"},
        {"]", "found ']'"},
        {"{", "column 2: expected a key in quotes, found the end"},
        {"{\"a\"", "column 5: expected ':', found the end"},
        {"{\"a\":", "column 6: expected a value"},
        {"{\"a\":1", "column 7: expected ',' or '}', found the end"},
        {"{\"a\":1,}", "column 8: expected a key in quotes, found '}'"},
        {"{\"a\" 1}", "column 6: expected ':', found '1'"},
        {"{a:1}", "column 2: expected a key in quotes, found 'a'"},
        {"{'a':1}", "found '''"},
        {"{1:1}", "column 2: expected a key"},
        {"{\"a\":1 \"b\":2}", "column 8: expected ',' or '}', found '\"'"},
        {"{\"a\":1]", "expected ',' or '}', found ']'"},
        {"{,}", "column 2"},
        {"\"", "column 2: the text ends inside a string"},
        {"\"abc", "the text ends inside a string"},
        {"\"\\", "the text ends inside a string"},
        {"\"\\\"", "the text ends inside a string"},
        {"\"a\nb\"", "column 3: byte 0x0a in a string must be escaped"},
        {"\"\t\"", "byte 0x09"},
        {"\"\\x41\"", "column 2: no such escape"},
        {"\"\\u12\"", "four hexadecimal digits"},
        {"\"\\u12g4\"", "four hexadecimal digits"},
        {"\"\\uD800\"", "\\ud800 is half of a surrogate pair"},
        {"\"\\uDC00\"", "\\udc00 is half"},
        {"\"\\uD800\\uD800\"", "half of a surrogate pair"},
        {"\"\\uD800x\"", "half of a surrogate pair"},
        {"\"\\uD800\\n\"", "half of a surrogate pair"},
        {"\"\xff\"", "column 2: byte 0xff is not valid UTF-8"},
        {"\"abcdefghijkl\xc3\"", "column 14: byte 0xc3 is not valid UTF-8"},
        {"\"\xed\xa0\x80\"", "not valid UTF-8"},
        {"\"\xc0\x80\"", "not valid UTF-8"},
        {"'a'", "found '''"},
        {"/* */ 1", "found '/'"},
        {"\xef\xbb\xbf{}", "found byte 0xef"},
        {"[1]]", "column 4: expected the end of the text, found ']'"},
        {"{}}", "column 3"},
        {"[1\x0b]", "found byte 0x0b"},
        {"[\n1,\n  2,\n  x]", "line 4 column 3: expected a value, found 'x'"},
        {"{\"a\":\r\n\r\n tru}", "line 3 column 2"},
        {"\n\n", "line 3 column 1"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
         "column 65: nested deeper than 64"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[{\"a\":1}",
         "column 65: nested deeper than 64"},
    };
    struct err e;
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        if (read_whole(str_of(cases[at].text), false, &e) != ERR_INVALID)
            fail_msg("%s is accepted", cases[at].text);
        if (strncmp(e.text, "line ", 5) != 0 || !strstr(e.text, cases[at].says))
            fail_msg("%s: says \"%s\", expected \"%s\"", cases[at].text, e.text, cases[at].says);
    }
    assert_fails(read_whole((struct str){"\0", 1}, false, &e), INVALID, "found byte 0x00");
    assert_fails(read_whole((struct str){"\"\0\"", 3}, false, &e), INVALID,
                 "byte 0x00 in a string");
    assert_fails(read_whole((struct str){"1\0", 2}, false, &e), INVALID, "found byte 0x00");
}

static void bare_words_where_allowed(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(read_whole(LIT("[NaN,Infinity,-Infinity,-1]"), true, &e), OK);
    assert_fails(read_whole(LIT("[Nan]"), true, &e), INVALID, "column 2");
    assert_fails(read_whole(LIT("[-NaN]"), true, &e), INVALID, "column 3");
    assert_fails(read_whole(LIT("Inf"), true, &e), INVALID, "column 1");
}

/* Every prefix of a good text is bad, without a read beyond it (the sanitizer watches the
 * exact-size copy). */
static void every_prefix_ends_in_a_complaint(void **state) {
    (void)state;
    const struct str text = LIT(
        "{\"a\\u00e9\":[1.5e+3,\"\\ud83d\\ude00\xc3\xa9\",{\"b\":null}],\"c\":true,\"d\":-0.25}");
    struct err e;
    for (size_t n = 0; n < text.n; n++) {
        char *copy = test_malloc(n ? n : 1);
        memcpy(copy, text.p, n);
        assert_fails(read_whole((struct str){copy, n}, false, &e), INVALID, "line 1 column");
        test_free(copy);
    }
    assert_int_equal(read_whole(text, false, &e), OK);
}

/* --- the pull reader --- */

static void a_request_is_walked(void **state) {
    (void)state;
    struct json r;
    struct err e;
    struct str key, text;
    struct arena a;
    bool more, yes = false;
    int64_t i;
    double d;
    arena_init(&a, 1000);
    json_init(&r,
              LIT(" {\"id\" : \"x\", \"inputs\":[{\"n\":3.0,\"f\":0.1},[],7 ], \"on\":true, "
                  "\"off\":null} "),
              &a);
    assert_int_equal(json_peek(&r), JSON_OBJECT);
    assert_ok(json_enter_object(&r, &e));
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_str(key, "id");
    assert_ok(json_string(&r, &text, &e));
    assert_str(text, "x");
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_ok(json_enter_array(&r, &e));
    assert_ok(json_next_item(&r, &more, &e));
    assert_ok(json_enter_object(&r, &e));
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_ok(json_i64(&r, &i, &e));
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_ok(json_f64(&r, &d, &e));
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_false(more);
    assert_true(i == 3 && d == 0.1);
    assert_ok(json_next_item(&r, &more, &e));
    assert_ok(json_skip(&r, &text, &e));
    assert_str(text, "[]");
    assert_ok(json_next_item(&r, &more, &e));
    assert_true(more && json_peek(&r) == JSON_NUMBER);
    assert_ok(json_skip(&r, &text, &e));
    assert_str(text, "7");
    assert_ok(json_next_item(&r, &more, &e));
    assert_false(more);
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_ok(json_bool(&r, &yes, &e));
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_str(key, "off");
    assert_ok(json_null(&r, &e));
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_false(more);
    assert_ok(json_end(&r, &e));
    assert_true(yes && r.depth == 0 && json_peek(&r) == JSON_END);
    arena_deinit(&a);
}

static void wrong_kinds_are_named(void **state) {
    (void)state;
    struct json r;
    struct err e;
    struct str text;
    double d = 5;
    int64_t i;
    bool yes;
    json_init(&r, LIT("[1]"), NULL);
    assert_fails(json_enter_object(&r, &e), INVALID, "expected an object, found an array");
    assert_fails(json_f64(&r, &d, &e), INVALID, "expected a number, found an array");
    json_init(&r, LIT("\"x\""), NULL);
    assert_fails(json_i64(&r, &i, &e), INVALID, "expected a number, found a string");
    assert_fails(json_bool(&r, &yes, &e), INVALID, "expected true or false, found a string");
    assert_fails(json_null(&r, &e), INVALID, "expected null, found a string");
    assert_fails(json_enter_array(&r, &e), INVALID, "expected an array, found a string");
    json_init(&r, LIT("{}"), NULL);
    assert_fails(json_string(&r, &text, &e), INVALID, "expected a string, found an object");
    json_init(&r, LIT("12"), NULL);
    assert_fails(json_string(&r, &text, &e), INVALID, "expected a string, found a number");
    assert_true(d == 5);
}

static void a_caller_may_complain_too(void **state) {
    (void)state;
    struct json r;
    struct err e;
    json_init(&r, LIT("{\n \"x\": 1}"), NULL);
    assert_int_equal(json_skip(&r, NULL, &e), OK);
    assert_int_equal(json_fail(&r, &e, "no input '%s'", "x"), ERR_INVALID);
    assert_string_equal(e.text, "line 2 column 9: no input 'x'");
}

static void skipping_respects_what_is_open(void **state) {
    (void)state;
    struct json r;
    struct err e;
    struct str key, raw;
    bool more;
    json_init(&r, LIT("{\"a\": {\"b\":[1,{\"c\":[]}]} , \"d\":1}"), NULL);
    assert_ok(json_enter_object(&r, &e));
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_ok(json_skip(&r, &raw, &e));
    assert_str(raw, "{\"b\":[1,{\"c\":[]}]}");
    assert_int_equal(r.depth, 1);
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_str(key, "d");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_json_is),
        cmocka_unit_test(what_json_is_not),
        cmocka_unit_test(bare_words_where_allowed),
        cmocka_unit_test(every_prefix_ends_in_a_complaint),
        cmocka_unit_test(a_request_is_walked),
        cmocka_unit_test(wrong_kinds_are_named),
        cmocka_unit_test(a_caller_may_complain_too),
        cmocka_unit_test(skipping_respects_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
