/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_string.c"

#include "check.h"

static enum code read_one(struct str text, struct arena *a, struct str *out, struct err *e) {
    struct json r;
    json_init(&r, text, a);
    TRY(json_string(&r, out, e));
    return json_end(&r, e);
}

static void escapes_become_bytes(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\uD83D\\uDE00!\"", "\xf0\x9f\x98\x80!"},
        {"\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf"},
        {"\"plain, then \\n and more than eight bytes behind\"",
         "plain, then \n and more than eight bytes behind"},
        {"\"\xe2\x82\xac\\t\xe2\x82\xac\"", "\xe2\x82\xac\t\xe2\x82\xac"},
        {"\"\\\\\"", "\\"}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct arena a;
        struct err e;
        struct str out;
        arena_init(&a, 1000);
        assert_ok(read_one(str_of(cases[at][0]), &a, &out, &e));
        assert_str(out, cases[at][1]);
        arena_deinit(&a);
    }
}

static void plain_strings_are_borrowed(void **state) {
    (void)state;
    struct err e;
    struct str out;
    const char text[] = "  \"no escape here \xc3\xa9\" ";
    assert_ok(read_one(str_of(text), NULL, &out, &e));
    assert_ptr_equal(out.p, text + 3);
    assert_int_equal(out.n, 17);
    assert_ok(read_one(LIT("\"\""), NULL, &out, &e));
    assert_int_equal(out.n, 0);
}

static void nul_is_a_character(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct str out;
    arena_init(&a, 1000);
    assert_ok(read_one(LIT("\"a\\u0000b\""), &a, &out, &e));
    assert_true(str_eq(out, (struct str){"a\0b", 3}));
    arena_deinit(&a);
}

static void the_arena_bounds_them(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct str out = LIT("untouched");
    arena_init(&a, 4);
    assert_fails(read_one(LIT("\"abc\\n\""), &a, &out, &e), LIMIT, "JSON string: 5 bytes");
    assert_str(out, "untouched");
    arena_deinit(&a);
}

/* A special byte at each offset of the eight-byte stride, in plain strings and behind an escape. */
static void every_offset(void **state) {
    (void)state;
    static const char specials[] = {'"', '\\', '\n', '\x1f', '\x80', '\xff', '\x7f', ' '};
    for (size_t n = 1; n < 40; n++)
        for (size_t at = 0; at < n; at++)
            for (size_t s = 0; s < sizeof specials; s++) {
                char text[48];
                struct json r;
                struct err e;
                struct str out;
                memset(text, 'x', sizeof text);
                text[0] = '"';
                text[1 + at] = specials[s];
                text[1 + n] = '"';
                json_init(&r, (struct str){text, n + 2}, NULL);
                bool ok = json_take_string(&r, NULL, &e) == OK;
                json_init(&r, (struct str){text, n + 2}, NULL);
                if (specials[s] != '\\')
                    assert_int_equal(json_string(&r, &out, &e) == OK, ok);
                assert_int_equal(ok,
                                 specials[s] == '"' || specials[s] == '\x7f' || specials[s] == ' ');
                if (ok)
                    assert_int_equal(out.n, specials[s] == '"' ? at : n);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_become_bytes), cmocka_unit_test(plain_strings_are_borrowed),
        cmocka_unit_test(nul_is_a_character),   cmocka_unit_test(the_arena_bounds_them),
        cmocka_unit_test(every_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
