/* SPDX-License-Identifier: Apache-2.0 */
/* Versions turned into sessions: what opens, what does not and leaves nothing, who guesses for a
 * language model. */
#include "host/loaded.c"

#include "shelf.h"

static bool is_zero(const struct loaded *l) {
    static const struct loaded zero;
    return memcmp(l, &zero, sizeof zero) == 0;
}

static void a_graph(void **state) {
    (void)state;
    struct loaded l;
    struct session_run run;
    uint64_t version;
    float x[4] = {1, 2, 3, 4};
    struct tensor in = {DT_F32, LAYOUT_PLAIN, {2, {1, 4}}, x};
    assert_ok(tiny_add(store, "m", 10, &version, &e));
    assert_ok(loaded_open(store, LIT("m"), version, NULL, &l, &e));
    assert_true(l.session && l.keep && !l.language && !l.tokenizer && l.load_ns > 0);
    assert_ok(
        session_begin(l.session, &(struct session_ask){.inputs = &in, .threads = 1}, &run, &e));
    assert_true(((const float *)run.outputs[0].data)[3] == 14);
    session_end(l.session, &run);
    loaded_keep(&l, true);
    loaded_close(&l);
    assert_true(is_zero(&l));
    loaded_close(&l);                                               /* again: nothing */
    assert_ok(loaded_open_model(store, LIT("m"), version, &l, &e)); /* for facts: no session */
    assert_true(l.model && !l.session && !l.keep);
    loaded_close(&l);
}

static void what_does_not_open(void **state) {
    (void)state;
    struct loaded l;
    struct store_added added;
    struct store_source source = {LIT("a"), {(const uint8_t *)"a", 1}, NULL, 0};
    struct store_part part = {LIT("graph"), {(const uint8_t *)"no graph", 8}};
    struct store_new add = {.model = LIT("bad"),
                            .format = LIT("test"),
                            .sources = &source,
                            .n_sources = 1,
                            .parts = &part,
                            .n_parts = 1};
    assert_fails(loaded_open(store, LIT("none"), 1, NULL, &l, &e), NOT_FOUND, "none");
    assert_true(is_zero(&l));
    assert_ok(store_add(store, &add, &added, &e));
    assert_true(loaded_open(store, LIT("bad"), 1, NULL, &l, &e) != OK);
    assert_non_null(strstr(e.text, "bad@1: "));
    assert_true(is_zero(&l));
    part.name = LIT("else"); /* no graph at all */
    assert_ok(store_add(store, &add, &added, &e));
    assert_true(loaded_open(store, LIT("bad"), 2, NULL, &l, &e) != OK);
    assert_non_null(strstr(e.text, "bad@2: "));
    assert_true(is_zero(&l));
}

/* The policy's word goes before the version's, the version's before the server's; "none" ends it.
 */
static void who_guesses(void **state) {
    (void)state;
    struct loaded says, silent;
    uint64_t version;
    const struct store_part part = {LIT(DRAFT_PART), {(const uint8_t *)"small", 5}};
    assert_ok(tiny_add_with(store, "says", 1, &part, &version, &e));
    assert_ok(tiny_add(store, "silent", 1, &version, &e));
    assert_ok(loaded_open_model(store, LIT("says"), 1, &says, &e));
    assert_ok(loaded_open_model(store, LIT("silent"), 1, &silent, &e));
    static const struct {
        const char *first, *last, *of_says, *of_silent;
    } cases[] = {
        {"", "", "small", ""},    {"", "tiny", "small", "tiny"}, {"mine", "tiny", "mine", "mine"},
        {"none", "tiny", "", ""}, {"", "none", "small", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct loaded_draft d = {str_of(cases[i].first), str_of(cases[i].last)};
        assert_str(loaded_draft_name(&says, &d), cases[i].of_says);
        assert_str(loaded_draft_name(&silent, &d), cases[i].of_silent);
    }
    loaded_close(&says);
    loaded_close(&silent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph),
        cmocka_unit_test(what_does_not_open),
        cmocka_unit_test(who_guesses),
    };
    return cmocka_run_group_tests(tests, shelf_open, shelf_close);
}
