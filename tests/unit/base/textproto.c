/* SPDX-License-Identifier: Apache-2.0 */
#include "base/textproto.c"

#include "check.h"

static struct arena arena;
static struct textproto t;

/* All fields as "name=value;", messages as "name{...}". */
static void print(const char *text, char *out, size_t room, struct err *e) {
    struct textproto_field f;
    size_t n = 0;
    bool more;
    int depth = 0;
    arena_deinit(&arena);
    arena_init(&arena, 1 << 20);
    textproto_init(&t, str_of(text), &arena);
    out[0] = '\0';
    for (;;) {
        if (textproto_next(&t, &f, &more, e) != OK) {
            snprintf(out, room, "%s", e->text);
            return;
        }
        if (!more && depth-- == 0)
            return;
        if (!more)
            n += (size_t)snprintf(out + n, room - n, "}");
        else if (f.message)
            n += (size_t)snprintf(out + n, room - n, "%.*s{", STR(f.name));
        else
            n += (size_t)snprintf(out + n, room - n, "%.*s=%.*s;", STR(f.name), STR(f.value));
        depth += more && f.message;
    }
}

static void test_forms(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"a: 1 b: 'x'; c: \"y\" 'z', d: true # end", "a=1;b=x;c=yz;d=true;"},
        {"a { b < c: 1 > } a: { }", "a{b{c=1;}}a{}"},
        {"a: [1, 2] b: [] c: [ { d: 1 }, { } ]", "a=1;a=2;c{d=1;}c{}"},
        {"a: - 5 b: -7 c: 1.5e+3", "a=-5;b=-7;c=1.5e+3;"},
        {"a: '\\n\\x41\\102\\''", "a=\nAB';"},
        {"a", "line 1 column 2: expected ':' or '{' after 'a'"},
        {"a:", "line 1 column 3: expected a value of 'a'"},
        {"a {\n b: 1", "line 2 column 6: a message does not end: expected '}'"},
        {"a: 'x\n'", "line 1 column 6: a string does not end"},
        {"a: '\\q'", "line 1 column 7: an escape '\\q' is not known here"},
        {"a { b: 1 >", "line 1 column 10: expected the name of a field"},
        {"[type.x/y] { }", "line 1 column 1: expected the name of a field"},
        {"a: [1", "line 1 column 6: expected a value of 'a'"},
    };
    char out[600];
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print(cases[i][0], out, sizeof out, &e);
        assert_string_equal(out, cases[i][1]);
    }
}

static void test_bounds(void **state) {
    (void)state;
    char text[4000], out[600];
    struct err e;
    for (size_t i = 0; i < 1000; i++)
        memcpy(text + 2 * i, "a{", 2);
    text[2000] = '\0';
    print(text, out, sizeof out, &e);
    assert_non_null(strstr(out, "nested deeper than 32"));
    for (size_t i = 0; i < 799; i++)
        memcpy(text + 5 * i, "a:[] ", 5);
    text[3995] = '\0';
    print(text, out, sizeof out, &e); /* many empty lists, one after the other */
    assert_string_equal(out, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bounds),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
