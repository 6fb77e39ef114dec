/* SPDX-License-Identifier: Apache-2.0 */
/* Kept requests asked again: y = x + c, of two versions. The tapes are written here. */
#include "job/replay.c"

#include "../base/check.h"
#include "../host/tiny_model.h"
#include "base/file.h"

static char folder[64];
static struct store *store;
static struct arena arena;
static struct buf tapes;
static struct err e;
static struct replay_result result;
static float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static int begin(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-replay-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    arena_init(&arena, 64 << 20);
    buf_init(&tapes, 1 << 20);
    return !mkdtemp(folder) || store_open(folder, true, &store, &e) != OK ||
           tiny_add(store, "m", 1, NULL, &e) != OK || tiny_add(store, "m", 1.5f, NULL, &e) != OK;
}

static int end(void **state) {
    char command[96];
    (void)state;
    buf_deinit(&tapes);
    arena_deinit(&arena);
    store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* A request of `rows` rows whose answer was x + 1 of them, but for its first element. */
static void keep(const char *input, int64_t rows, const char *output, float first, uint64_t at) {
    float y[8];
    for (int i = 0; i < 8; i++)
        y[i] = x[i] + 1;
    y[0] = first;
    struct ask_tensor in = {str_of(input), {DT_F32, LAYOUT_PLAIN, {2, {rows, 4}}, x}, NULL};
    struct ask_tensor out = {str_of(output), {DT_F32, LAYOUT_PLAIN, {2, {rows, 4}}, y}, NULL};
    struct tape t = {
        .at_us = at, .version = 1, .inputs = &in, .n_inputs = 1, .outputs = &out, .n_outputs = 1};
    tape_put(&tapes, &t);
}

static enum code replay(uint64_t version, double absolute, uint64_t limit) {
    char path[128];
    snprintf(path, sizeof path, "%s/captures/m", folder);
    assert_ok(file_mkdirs(path, &e));
    snprintf(path, sizeof path, "%s/captures/m/00000000000000000001.tape", folder);
    assert_ok(file_publish(path, (struct span){(const uint8_t *)tapes.p, tapes.n}, 0600, &e));
    struct replay_job j = {
        .model = LIT("m"), .version = version, .absolute = absolute, .limit = limit, .threads = 1};
    return job_replay(store, &j, &arena, &result, &e);
}

static void two_versions(void **state) {
    (void)state;
    keep("x", 1, "y", 2, 100);
    keep("x", 2, "y", 2, 200);
    assert_ok(replay(1, 0, 0));
    assert_true(result.requests == 2 && result.same == 2 && !result.different && !result.failed);
    assert_true(result.n_versions == 1 && result.versions[0] == 1);
    assert_true(result.from_us == 100 && result.to_us == 200 && result.compute_ns > 0);
    assert_ok(replay(2, 0, 0));
    assert_true(result.same == 0 && result.different == 2);
    assert_true(result.n_outputs == 1 && result.outputs[0].compared == 2);
    assert_true(result.outputs[0].max_abs == 0.5 && result.outputs[0].top == 0);
    assert_ok(replay(2, 0.6, 0)); /* within what is allowed */
    assert_true(result.same == 2 && result.outputs[0].different == 0);
    assert_ok(replay(2, 0, 1));
    assert_int_equal(result.requests, 1);
}

/* The largest of a row was its first element then, and is its last now. */
static void what_moved(void **state) {
    (void)state;
    keep("x", 1, "y", 50, 1);
    assert_ok(replay(1, 0, 0));
    assert_true(result.different == 1 && result.outputs[0].top == 1);
    assert_true(result.outputs[0].max_abs == 48);
}

/* One that cannot be asked, one whose answer has another name: the others go on. */
static void what_does_not_fit(void **state) {
    (void)state;
    keep("z", 1, "y", 2, 1);
    keep("x", 1, "other", 2, 2);
    keep("x", 1, "y", 2, 3);
    assert_ok(replay(1, 0, 0));
    assert_true(result.requests == 3 && result.failed == 1 && result.different == 1);
    assert_int_equal(result.same, 1);
    assert_non_null(strstr(arena_strdup(&arena, result.first_failure), "z"));
}

static void nothing_to_ask(void **state) {
    struct replay_job j = {.model = LIT("m"), .version = 1, .threads = 1};
    (void)state;
    assert_fails(job_replay(store, &j, &arena, &result, &e), NOT_FOUND, "");
    j.version = 9;
    assert_fails(job_replay(store, &j, &arena, &result, &e), NOT_FOUND, "");
    keep("x", 1, "y", 2, 1);
    keep("x", 1, "y", 2, 2);
    tapes.n -= 3; /* the process died while it wrote the second */
    assert_ok(replay(1, 0, 0));
    assert_true(result.requests == 1 && result.same == 1);
}

static void texts(void **state) {
    struct str one[] = {LIT("a"), LIT("b")}, other[] = {LIT("a"), LIT("c")};
    struct tensor a = {DT_STRING, LAYOUT_PLAIN, {1, {2}}, one}, b = a;
    struct replay_output o = {.worst_cosine = 1};
    struct replay_job j = {0};
    struct replay r = {.job = &j};
    bool different = false;
    (void)state;
    compare_output(&r, &o, &a, &b, &different);
    assert_false(different);
    b.data = other;
    compare_output(&r, &o, &a, &b, &different);
    assert_true(different && o.compared == 2 && o.different == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_versions, begin, end),
        cmocka_unit_test_setup_teardown(what_moved, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_fit, begin, end),
        cmocka_unit_test_setup_teardown(nothing_to_ask, begin, end),
        cmocka_unit_test_setup_teardown(texts, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
