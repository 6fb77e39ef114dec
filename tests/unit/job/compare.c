/* SPDX-License-Identifier: Apache-2.0 */
/* Two sessions over the same inputs: y = x + c of two versions; inputs made up, or kept. */
#include "job/compare.c"

#include "../host/shelf.h"
#include "base/file.h"

static struct arena arena;
static struct compare_result result;

static int begin(void **state) {
    arena_init(&arena, 16 << 20);
    return shelf_open(state) || tiny_add(store, "m", 1, NULL, &e) != OK ||
           tiny_add(store, "m", 1.5f, NULL, &e) != OK || tiny_add(store, "n", 2, NULL, &e) != OK;
}

static int end(void **state) {
    arena_deinit(&arena);
    return shelf_close(state);
}

/* Rows of i, i+1, i+2, i+3; `*ctx` counts. */
static enum code make(void *ctx, const struct session *s, uint64_t i, struct arena *a,
                      struct tensor *out, struct err *err) {
    (void)s;
    ++*(int *)ctx;
    if (i == 7)
        return err_set(err, ERR_INVALID, __FILE__, __LINE__, "nothing comes to mind");
    TRY(tensor_new(a, DT_F32, &(struct shape){2, {1, 4}}, out, err));
    for (int k = 0; k < 4; k++)
        ((float *)out->data)[k] = (float)((int)i + k);
    return OK;
}

static enum code compare(struct compare_side a, struct compare_side b, uint64_t samples,
                         int *made) {
    *made = 0;
    struct compare_job j = {
        .a = a, .b = b, .samples = samples, .threads = 1, .turns = 1, .make = make, .ctx = made};
    return job_compare(store, &j, &arena, &result, &e);
}

static struct compare_side side(const char *model, uint64_t version) {
    return (struct compare_side){
        .model = str_of(model), .version = version, .precision = PRECISION_F32};
}

static void two_versions(void **state) {
    (void)state;
    int made;
    assert_ok(compare(side("m", 1), side("m", 1), 3, &made));
    assert_true(result.samples == 3 && result.recorded == 0 && made == 3 &&
                !result.different_shapes);
    assert_true(result.n_outputs == 1 && result.outputs[0].max_abs == 0);
    assert_true(result.outputs[0].rows == 3 && result.outputs[0].moved == 0);
    assert_ok(compare(side("m", 1), side("m", 2), 3, &made));
    assert_true(result.outputs[0].max_abs == 0.5 && result.outputs[0].moved == 0);
    assert_true(result.outputs[0].cosine > 0.9 && result.outputs[0].cosine < 1);
    assert_ok(compare(side("m", 1), side("n", 1), 1, &made));
    assert_true(result.outputs[0].max_abs == 1);
    assert_true(result.a_ms > 0 && result.b_ms > 0);
}

static void what_cannot_be_compared(void **state) {
    (void)state;
    int made;
    assert_fails(compare(side("m", 9), side("m", 1), 1, &made), NOT_FOUND, "9");
    assert_fails(compare(side("m", 1), side("none", 1), 1, &made), NOT_FOUND, "none");
    assert_fails(compare(side("m", 1), side("m", 2), 9, &made), INVALID, "nothing comes to mind");
    assert_int_equal(result.samples, 7);
}

/* Worst of all outputs, and the share of rows whose largest element stayed. */
static void a_verdict(void **state) {
    (void)state;
    struct quality q;
    struct compare_result r = {.samples = 10, .recorded = 4, .different_shapes = 1, .n_outputs = 2};
    r.outputs[0] = (struct compare_output){.largest = 0.1, .cosine = 0.99, .rows = 6, .moved = 1};
    r.outputs[1] = (struct compare_output){.largest = 0.3, .cosine = 0.999, .rows = 2, .moved = 1};
    job_quality(&r, &q);
    assert_true(q.samples == 9 && q.recorded == 4 && q.largest == 0.3 && q.cosine == 0.99);
    assert_true(q.top == 0.75);
    r.n_outputs = 0;
    job_quality(&r, &q);
    assert_true(q.top == 1 && q.cosine == 1 && q.largest == 0);
}

/* Kept requests go before what is made up; one that names another input is an error. */
static void kept_ones(void **state) {
    (void)state;
    char path[160];
    int made;
    float x[4] = {4, 3, 2, 1};
    static const char *const inputs[] = {"x", "z"};
    for (int i = 0; i < 2; i++) {
        struct buf b;
        struct ask_tensor in = {str_of(inputs[i]), {DT_F32, LAYOUT_PLAIN, {2, {1, 4}}, x}, NULL};
        struct tape t = {.at_us = 1, .version = 1, .inputs = &in, .n_inputs = 1};
        buf_init(&b, 1 << 20);
        tape_put(&b, &t);
        tape_put(&b, &t);
        snprintf(path, sizeof path, "%s/captures/m", folder);
        assert_ok(file_mkdirs(path, &e));
        snprintf(path, sizeof path, "%s/captures/m/1.tape", folder);
        assert_ok(file_publish(path, (struct span){(const uint8_t *)b.p, b.n}, 0600, &e));
        buf_deinit(&b);
        if (i == 0)
            assert_ok(compare(side("m", 1), side("m", 2), 9, &made));
        else
            assert_fails(compare(side("m", 1), side("m", 2), 9, &made), INVALID,
                         "there is no input 'z'");
        assert_true(made == 0 && result.recorded == (i == 0 ? 2 : 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_versions),
        cmocka_unit_test(what_cannot_be_compared),
        cmocka_unit_test(a_verdict),
        cmocka_unit_test(kept_ones),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
