/* SPDX-License-Identifier: Apache-2.0 */
/* A maker's defaults of sampling: every fact finds its option, what is out of range is refused. */
#include "llm/preset.c"

#include "../base/check.h"

#include <math.h>

static struct attr facts[8];
static struct model m;
static struct preset p;
static struct err e;

static struct attr *fact(const char *name, enum attr_kind kind) {
    struct attr *a = &facts[m.n_facts++];
    *a = (struct attr){.name = str_of(name), .kind = kind};
    m.facts = facts;
    return a;
}

static void real(const char *name, float v) { fact(name, ATTR_FLOAT)->f = v; }
static void whole(const char *name, int64_t v) { fact(name, ATTR_INT)->i = v; }
static void begin(void) { m = (struct model){0}; }

static void test_every_fact(void **state) {
    (void)state;
    struct sample_options o;
    begin();
    real("sample.temperature", 0.6f);
    whole("sample.top_k", 20);
    real("sample.top_p", 0.9f);
    real("sample.min_p", 0.05f);
    real("sample.typical_p", 0.8f);
    real("sample.repetition_penalty", 1.1f);
    whole("sample.repeat_last_n", -1);
    assert_ok(preset_read(&m, &p, &e));
    sample_options_default(&o);
    o.seed = 7;
    preset_apply(&p, &o);
    assert_true(o.temperature == 0.6f && o.top_p == 0.9f && o.min_p == 0.05f);
    assert_true(o.typical == 0.8f && o.repeat_penalty == 1.1f);
    assert_true(o.top_k == 20 && o.repeat_last == -1 && o.seed == 7);
    for (int i = 0; i < PRESET_N; i++)
        assert_true(strlen(preset_name(i)) > 3 && !strchr(preset_name(i), '.'));
}

static void test_what_is_not_said_stays(void **state) {
    (void)state;
    struct sample_options before, o;
    begin();
    whole("sample.temperature", 1); /* a whole number stands for a real one, and the other way */
    real("sample.top_k", 40);
    fact("sample.top_p", ATTR_STR)->s = LIT("0.5"); /* a text is nobody's number */
    whole("general.top_k", 5);
    assert_ok(preset_read(&m, &p, &e));
    sample_options_default(&o);
    o.top_p = 0.7f;
    before = o;
    preset_apply(&p, &o);
    assert_true(o.temperature == 1 && o.top_k == 40 && o.top_p == before.top_p);
    begin();
    assert_ok(preset_read(&m, &p, &e));
    before = o;
    preset_apply(&p, &o);
    assert_memory_equal(&o, &before, sizeof o);
}

static void test_out_of_range(void **state) {
    (void)state;
    static const struct {
        const char *fact;
        float value;
    } cases[] = {{"sample.top_k", 1e30f},      {"sample.top_k", -2},
                 {"sample.repeat_last_n", -5}, {"sample.temperature", -1},
                 {"sample.temperature", NAN},  {"sample.top_p", 1.5f},
                 {"sample.top_p", -0.5f},      {"sample.min_p", 2},
                 {"sample.typical_p", -1},     {"sample.repeat_last_n", NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        real(cases[i].fact, cases[i].value);
        p.values[0] = 123; /* stays: out-parameters are untouched */
        if (preset_read(&m, &p, &e) == OK)
            stop("%s %g is taken", cases[i].fact, (double)cases[i].value);
        assert_non_null(strstr(e.text, "the model's own default"));
        assert_true(p.values[0] == 123);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_fact),
        cmocka_unit_test(test_what_is_not_said_stays),
        cmocka_unit_test(test_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
