/* SPDX-License-Identifier: Apache-2.0 */
/* Tapes: what is put comes back; torn and changed ones are told apart. */
#include "host/tape.c"

#include "../base/check.h"

static float numbers[6] = {1, 2, 3, 4, 5, 6};
static struct str words[2];
static struct ask_tensor inputs[2], outputs[1];

static struct tape sample(void) {
    words[0] = LIT("one");
    words[1] = LIT("");
    inputs[0] = (struct ask_tensor){LIT("x"), {DT_F32, LAYOUT_PLAIN, {2, {2, 3}}, numbers}};
    inputs[1] = (struct ask_tensor){LIT("s"), {DT_STRING, LAYOUT_PLAIN, {1, {2}}, words}};
    outputs[0] = (struct ask_tensor){LIT("y"), {DT_F32, LAYOUT_PLAIN, {0}, numbers}};
    return (struct tape){123, 4, inputs, outputs, 2, 1};
}

static void test_round_trip(void **state) {
    (void)state;
    struct err e;
    struct buf b;
    struct arena a;
    struct tape t = sample(), got;
    bool found;
    buf_init(&b, 1 << 20);
    arena_init(&a, 1 << 20);
    tape_put(&b, &t);
    tape_put(&b, &t);
    struct span rest = {(const uint8_t *)b.p, b.n};
    for (int i = 0; i < 2; i++) {
        assert_ok(tape_next(&rest, &a, &got, &found, &e));
        assert_true(found && got.at_us == 123 && got.version == 4 && got.n_inputs == 2);
        assert_true(str_is(got.inputs[0].name, "x") && got.inputs[0].tensor.shape.dims[1] == 3);
        assert_memory_equal(got.inputs[0].tensor.data, numbers, sizeof numbers);
        assert_true(str_is(((struct str *)got.inputs[1].tensor.data)[0], "one"));
        assert_true(got.outputs[0].tensor.shape.rank == 0);
    }
    assert_ok(tape_next(&rest, &a, &got, &found, &e));
    assert_false(found);
    arena_deinit(&a);
    buf_deinit(&b);
}

static void test_damage(void **state) {
    (void)state;
    struct err e;
    struct buf b;
    struct tape t = sample(), got;
    buf_init(&b, 1 << 20);
    tape_put(&b, &t);
    for (size_t n = 0; n < b.n; n++) { /* cut anywhere: a torn record, no error */
        struct arena a;
        struct span rest = {(const uint8_t *)b.p, n};
        bool found = true;
        arena_init(&a, 1 << 20);
        assert_ok(tape_next(&rest, &a, &got, &found, &e));
        assert_false(found);
        arena_deinit(&a);
    }
    for (size_t n = 0; n < b.n; n++) { /* a changed byte: never a record */
        struct arena a;
        struct span rest = {(const uint8_t *)b.p, b.n};
        bool found = false;
        arena_init(&a, 1 << 20);
        b.p[n] ^= 1;
        enum code code = tape_next(&rest, &a, &got, &found, &e);
        assert_true(code == ERR_CORRUPT || (code == OK && !found));
        b.p[n] ^= 1;
        arena_deinit(&a);
    }
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
