/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/protocol/settings.c"

#include "../../base/check.h"

static struct err e;

static struct setting said(const char *key, const char *value) {
    struct setting s = {.key = str_of(key)};
    if (value)
        s.texts[s.n++] = str_of(value);
    return s;
}

static void test_trace(void **state) {
    (void)state;
    struct probe p;
    struct setting s;
    static const struct {
        const char *key, *value, *why; /* why NULL: taken */
    } cases[] = {
        {"trace_level", "TIMESTAMPS", NULL},
        {"trace_level", "OFF", NULL},
        {"trace_level", "TENSORS", "tensors do not go into the log"},
        {"trace_level", "LOUD", "'LOUD' is none of OFF, TIMESTAMPS"},
        {"trace_rate", "500", NULL},
        {"trace_rate", "0", "no number from 1"},
        {"trace_rate", "-1", "no number from 1"},
        {"trace_rate", "1e3", "no number from 1"},
        {"trace_count", "-1", NULL},
        {"trace_count", "-2", "no number from -1"},
        {"trace_count", "99999999999999999999", "no number from -1"},
        {"trace_file", "", NULL},
        {"trace_file", "/etc/passwd", "cannot be changed here"},
        {"log_frequency", "0", NULL},
        {"log_frequency", "7", "cannot be changed here: it is \"0\""},
        {"trace_mode", "opentelemetry", "cannot be changed here: it is \"triton\""},
        {"trace_mood", "good", "unknown setting 'trace_mood'"},
        {"", "", "unknown setting ''"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        probe_default(&p);
        s = said(cases[i].key, cases[i].value);
        e.text[0] = '\0';
        enum code code = settings_trace(&p, &s, &e);
        if ((code == OK) == !!cases[i].why || (cases[i].why && !strstr(e.text, cases[i].why)))
            stop("%s=%s: %s", cases[i].key, cases[i].value, e.text);
    }
    p = (struct probe){true, 7, 5};
    s = said("trace_rate", NULL); /* back to the default */
    assert_ok(settings_trace(&p, &s, &e));
    assert_int_equal(p.rate, 1000);
    s = (struct setting){LIT("trace_level"), {LIT("OFF"), LIT("MAX")}, 2};
    assert_ok(settings_trace(&p, &s, &e));
    assert_true(p.on);
}

static void test_log(void **state) {
    (void)state;
    struct log_choice c = {.info = true};
    struct setting s = said("log_info", "false");
    assert_ok(settings_log(&c, &s, &e));
    assert_false(c.info);
    s = said("log_info", NULL);
    assert_ok(settings_log(&c, &s, &e));
    assert_true(c.info);
    s = said("log_error", "yes");
    assert_fails(settings_log(&c, &s, &e), INVALID, "log_error is true or false");
    s = said("log_verbose_level", "2");
    assert_ok(settings_log(&c, &s, &e));
    assert_int_equal(c.verbose, 2);
    s = said("log_verbose_level", "-2");
    assert_fails(settings_log(&c, &s, &e), INVALID, "'-2' is no number");
    s = said("log_file", "/tmp/x");
    assert_fails(settings_log(&c, &s, &e), UNSUPPORTED, "cannot be changed here");
    s = said("log_format", "ISO8601");
    assert_fails(settings_log(&c, &s, &e), UNSUPPORTED, "it is \"default\"");
}

/* What is done is what is said to be. */
static void test_log_is_set(void **state) {
    (void)state;
    struct log_choice before, now;
    settings_log_now(&before);
    settings_log_do(&(struct log_choice){.warning = true, .verbose = 3});
    settings_log_now(&now);
    assert_true(!now.info && now.warning && !now.error && now.verbose == 3);
    settings_log_do(&before);
    settings_log_now(&now);
    assert_true(now.info == before.info && now.warning == before.warning &&
                now.error == before.error && now.verbose == before.verbose);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
