/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/selector.c"

#include "stand.h"

static struct stand s;
static struct err e;

static enum code chosen(const char *model) {
    struct request *r = stand_text(&s, "");
    r->ask.model = str_of(model);
    return selector_split(r, &e);
}

static void test_split(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    assert_ok(chosen("ocr"));
    assert_true(str_is(s.r.ask.model, "ocr") && s.r.ask.version == 0 && s.r.ask.alias.n == 0);
    assert_ok(chosen("ocr@12"));
    assert_true(str_is(s.r.ask.model, "ocr") && s.r.ask.version == 12);
    assert_ok(chosen("ocr@prod"));
    assert_true(str_is(s.r.ask.alias, "prod") && s.r.ask.version == 0);
    assert_ok(chosen("@v2@x")); /* the host will say that there is no model "" */
    assert_true(s.r.ask.model.n == 0 && str_is(s.r.ask.alias, "v2@x"));
    for (size_t i = 0; i < 5; i++) {
        const char *const wrong[] = {"m@0", "m@1x", "m@1.0", "m@18446744073709551616", "m@"};
        assert_int_equal(chosen(wrong[i]), ERR_INVALID);
    }
    stand_close(&s);
}

static void test_sole(void **state) {
    (void)state;
    struct live other;
    struct live *lives[] = {&other};
    struct route_model model, *models[2];
    stand_open(&s, NULL, 0, NULL, 0);
    struct request *r = stand_text(&s, "");
    r->ask.model = (struct str){0};
    assert_ok(selector_sole(r, "POST /x/MODEL", &e));
    assert_str(r->ask.model, "m");
    other = s.live;
    other.model = (char *)(uintptr_t) "n";
    model = s.model;
    model.name = other.model;
    model.lives = lives;
    models[0] = &s.model;
    models[1] = &model;
    s.host.models = models;
    s.host.n_models = 2;
    assert_int_equal(selector_sole(r, "POST /x/MODEL", &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "POST /x/MODEL, one of m, n"));
    s.host.n_models = 0;
    assert_int_equal(selector_sole(r, "POST /x/MODEL", &e), ERR_NOT_FOUND);
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split), cmocka_unit_test(test_sole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
