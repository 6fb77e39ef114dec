/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct fields {
    const char *name;
    int64_t number;
    uint64_t size;
    bool flag;
    struct option_list list;
};

static const struct option table[] = {
    {"name", 'n', OPTION_TEXT, offsetof(struct fields, name), "TEXT", "", NULL},
    {"number", 0, OPTION_INT, offsetof(struct fields, number), "N", "", "SLIPWAY_TEST_NUMBER"},
    {"size", 0, OPTION_SIZE, offsetof(struct fields, size), "SIZE", "", NULL},
    {"flag", 'f', OPTION_FLAG, offsetof(struct fields, flag), NULL, "", NULL},
    {"list", 'l', OPTION_LIST, offsetof(struct fields, list), "X", "", NULL},
    {0},
};

static const struct command test_command = {.name = "test",
                                            .synopsis = "A [B]",
                                            .min_args = 1,
                                            .max_args = 2,
                                            .options = table,
                                            .options_bytes = sizeof(struct fields)};

static struct cli c;
static struct err e;
static bool help;

static enum code parse(int argc, const char **argv) {
    arena_deinit(&c.arena);
    c = (struct cli){0};
    arena_init(&c.arena, 1 << 20);
    help = false;
    return options_parse(&test_command, argc, (char **)argv, &c, &help, &e);
}
#define PARSE(...)                                                                                 \
    parse((int)(sizeof((const char *[]){"test", __VA_ARGS__}) / sizeof(char *)),                   \
          (const char *[]){"test", __VA_ARGS__})

static void all_kinds(void **state) {
    (void)state;
    assert_int_equal(PARSE("a", "--name=x", "--number", "-7", "--size", "3k", "-f", "-l", "1",
                           "--list", "2", "b"),
                     OK);
    const struct fields *f = c.options;
    assert_string_equal(f->name, "x");
    assert_int_equal(f->number, -7);
    assert_int_equal(f->size, 3072);
    assert_true(f->flag);
    assert_int_equal(f->list.n, 2);
    assert_int_equal(c.n_args, 2);
    assert_string_equal(c.args[1], "b");
}

static void environment_is_the_default(void **state) {
    (void)state;
    setenv("SLIPWAY_TEST_NUMBER", "5", 1);
    assert_int_equal(PARSE("a"), OK);
    assert_int_equal(((struct fields *)c.options)->number, 5);
    assert_int_equal(PARSE("a", "--number", "6"), OK);
    assert_int_equal(((struct fields *)c.options)->number, 6);
    setenv("SLIPWAY_TEST_NUMBER", "x", 1);
    assert_int_equal(PARSE("a"), ERR_USAGE);
    assert_non_null(strstr(e.text, "SLIPWAY_TEST_NUMBER"));
    unsetenv("SLIPWAY_TEST_NUMBER");
}

static void wrong_usage(void **state) {
    (void)state;
    assert_int_equal(PARSE("a", "--nme", "x"), ERR_USAGE);
    assert_non_null(strstr(e.text, "no option '--nme'"));
    assert_int_equal(PARSE("a", "--name"), ERR_USAGE);
    assert_int_equal(PARSE("a", "--flag=1"), ERR_USAGE);
    assert_int_equal(PARSE("a", "--number", "1.5"), ERR_USAGE);
    assert_int_equal(PARSE("a", "--size", "99999999999G"), ERR_USAGE);
    assert_int_equal(PARSE("--flag"), ERR_USAGE);
    assert_int_equal(PARSE("a", "b", "c"), ERR_USAGE);
    assert_non_null(strstr(e.text, "'c'"));
}

static void help_and_end_of_options(void **state) {
    (void)state;
    assert_int_equal(PARSE("--help"), OK);
    assert_true(help);
    assert_int_equal(PARSE("--", "--name"), OK);
    assert_string_equal(c.args[0], "--name");
    assert_int_equal(PARSE("-"), OK);
    assert_string_equal(c.args[0], "-");
}

static void kv_types(void **state) {
    enum dtype t = DT_F64;
    (void)state;
    assert_int_equal(options_kv_type("q4_0", &t, &e), ERR_USAGE);
    assert_int_equal(options_kv_type("i32", &t, &e), ERR_USAGE);
    assert_int_equal(options_kv_type("", &t, &e), ERR_USAGE);
    assert_int_equal(t, DT_F64);
    assert_int_equal(options_kv_type("q8_0", &t, &e), OK);
    assert_int_equal(t, DT_Q8_0);
    assert_int_equal(options_kv_type(NULL, &t, &e), OK);
    assert_int_equal(t, DT_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),   cmocka_unit_test(environment_is_the_default),
        cmocka_unit_test(wrong_usage), cmocka_unit_test(help_and_end_of_options),
        cmocka_unit_test(kv_types),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&c.arena);
    return failed;
}
