/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of settings: what changes, what a mistake leaves as it was, what is said twice. */
#include "job/apply.c"

#include "../base/check.h"
#include "../host/tiny_model.h"

static char folder[64];
static struct store *store;
static struct arena arena;
static struct err e;
static struct apply_change *changes;
static size_t n;

static int open_store(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-apply-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    arena_init(&arena, 64 << 20);
    if (!mkdtemp(folder) || store_open(folder, true, &store, &e) != OK)
        return 1;
    for (int i = 1; i <= 3; i++)
        if (tiny_add(store, "m", (float)i, NULL, &e) != OK)
            return 1;
    return tiny_add(store, "n", 1, NULL, &e) != OK;
}

static int close_store(void **state) {
    (void)state;
    char command[128];
    arena_deinit(&arena);
    store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static enum code apply(const char *json) {
    return job_apply(store, str_of(json), false, &arena, &changes, &n, &e);
}

static const char *setting(const char *model, struct str name) {
    struct str text;
    assert_ok(job_setting(store, str_of(model), name, &arena, &text, &e));
    return text.n ? arena_strdup(&arena, text) : "";
}

static uint64_t alias(const char *name) {
    struct store_alias *all;
    size_t count;
    assert_ok(store_aliases(store, LIT("m"), &arena, &all, &count, &e));
    return alias_now(all, count, str_of(name));
}

static const char WHOLE[] =
    "{\"models\": {\"m\": {\"aliases\": {\"prod\": 1, \"next\": 2}, \"route\": "
    "{\"arms\": [{\"version\": 2, \"percent\": 10}]}, \"policy\": "
    "{\"pin\": true}}, \"n\": {\"policy\": {\"weight\": 2}}}}";

static void test_document(void **state) {
    (void)state;
    assert_ok(job_apply(store, str_of(WHOLE), true, &arena, &changes, &n, &e));
    assert_int_equal(n, 5);
    assert_int_equal(alias("prod"), 0); /* a dry run: nothing happened */
    assert_ok(apply(WHOLE));
    assert_int_equal(n, 5);
    assert_str(changes[0].text, "alias prod: 0 -> 1");
    assert_true(str_is(changes[4].model, "n") && str_starts(changes[4].text, "policy: {"));
    assert_int_equal(alias("next"), 2);
    assert_non_null(strstr(setting("m", ROLLOUT_SETTING), "\"percent\":10"));
    assert_ok(apply(WHOLE)); /* again: it is so already */
    assert_int_equal(n, 0);
    assert_ok(apply("{\"models\": {\"m\": {\"aliases\": {\"next\": null}, \"route\": null}}}"));
    assert_int_equal(n, 2);
    assert_str(changes[0].text, "alias next: dropped");
    assert_true(alias("next") == 0 && alias("prod") == 1); /* what is not mentioned stays */
    assert_string_equal(setting("m", ROLLOUT_SETTING), "");
    assert_non_null(strstr(setting("m", POLICY_SETTING), "pin"));
    assert_ok(apply("{}"));
    assert_int_equal(n, 0);
}

/* The last model's mistake undoes nothing, because nothing was done. */
static void test_one_mistake(void **state) {
    (void)state;
    static const struct {
        const char *last; /* of a document whose first model is right */
        enum code code;
        const char *why;
    } cases[] = {
        {"\"n\": {\"aliases\": {\"prod\": 9}}", ERR_NOT_FOUND, "n: "},
        {"\"n\": {\"aliases\": {\"prod\": -1}}", ERR_INVALID, "a number from 1, or null"},
        {"\"n\": {\"aliases\": {\"prod\": \"1\"}}", ERR_INVALID, "n: "},
        {"\"n\": {\"route\": {\"arms\": [{\"version\": 1, \"percent\": 101}]}}", ERR_INVALID,
         "n: "},
        {"\"n\": {\"route\": {\"arms\": [{\"version\": 7, \"percent\": 1}]}}", ERR_NOT_FOUND,
         "n: "},
        {"\"n\": {\"route\": {\"shadow\": {\"version\": 7, \"percent\": 1}}}", ERR_NOT_FOUND,
         "n: "},
        {"\"n\": {\"policy\": {\"weight\": -1}}", ERR_INVALID, "n: "},
        {"\"n\": {\"polici\": {}}", ERR_INVALID, "unexpected member \"polici\""},
        {"\"nobody\": {\"aliases\": {\"a\": 1}}", ERR_NOT_FOUND, "nobody: "},
        {"\"n\": []", ERR_INVALID, "n: "},
    };
    char text[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "{\"models\": {\"m\": {\"aliases\": {\"prod\": 3}}, %s}}",
                 cases[i].last);
        enum code code = apply(text);
        if (code != cases[i].code || !strstr(e.text, cases[i].why))
            stop("%s: %s \"%s\"", text, err_name(code), e.text);
        assert_int_equal(alias("prod"), 1);
    }
    assert_fails(apply("{\"model\": {}}"), INVALID, "unexpected member \"model\": models");
    assert_fails(apply("{\"models\": {}} x"), INVALID, "");
    assert_fails(apply("[]"), INVALID, "");
    assert_fails(apply(""), INVALID, "");
}

static void test_single_settings(void **state) {
    (void)state;
    assert_ok(job_set_policy(store, LIT("n"), LIT("{\"priority\": \"high\"}"), &e));
    assert_non_null(strstr(setting("n", POLICY_SETTING), "high"));
    assert_ok(job_set_policy(store, LIT("n"), LIT("{}"), &e)); /* all defaults: nothing to keep */
    assert_string_equal(setting("n", POLICY_SETTING), "");
    assert_ok(job_set_policy(store, LIT("n"), (struct str){0}, &e));
    assert_fails(job_set_policy(store, LIT("n"), LIT("{\"x\": 1}"), &e), INVALID, "");
    assert_fails(job_set_route(store, LIT("n"), LIT("{\"arms\": 1}"), &e), INVALID, "");
}

/* Taken, as it may come later, but said. */
static void test_a_draft_that_is_not_there(void **state) {
    (void)state;
    struct str doubt;
    static const char *const good[] = {
        "", "null", "{}", "{\"draft\": \"none\"}", "{\"draft\": \"n\"}", "{\"draft\": \"m@2\"}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(job_doubt_policy(store, str_of(good[i]), &arena, &doubt, &e));
        assert_int_equal(doubt.n, 0);
    }
    assert_ok(job_doubt_policy(store, LIT("{\"draft\": \"small\"}"), &arena, &doubt, &e));
    assert_non_null(strstr(doubt.p, "draft: no model 'small' in the store;"));
    assert_ok(job_doubt_policy(store, LIT("{\"draft\": \"m@9\"}"), &arena, &doubt, &e));
    assert_non_null(strstr(doubt.p, "no version 9"));
    assert_fails(job_doubt_policy(store, LIT("{"), &arena, &doubt, &e), INVALID, "policy: ");
    assert_ok(apply("{\"models\": {\"n\": {\"policy\": {\"draft\": \"small\"}}}}"));
    assert_int_equal(n, 2);
    assert_true(str_starts(changes[1].text, "warning: draft: no model 'small'"));
    assert_ok(apply("{\"models\": {\"n\": {\"policy\": {\"draft\": \"small\"}}}}"));
    assert_int_equal(n, 0); /* nothing changes, nothing is said */
    assert_ok(job_set_policy(store, LIT("n"), (struct str){0}, &e));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_one_mistake),
        cmocka_unit_test(test_single_settings),
        cmocka_unit_test(test_a_draft_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
