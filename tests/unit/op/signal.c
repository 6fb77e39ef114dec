/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of dft, stft, windows, mel_weight_matrix. */
#include "op/signal.c"

#include "op_case.h"

static void dft_of_a_step(void **state) {
    (void)state;
    struct op_case c = op_case("dft", 20), old = op_case("dft", 17), part = op_case("dft", 20);
    op_case_in(&c, T_F32(DIMS(1, 4, 1), 1, 2, 3, 4));
    op_case_out(&c, T_F32(DIMS(1, 4, 2), 10, 0, -2, 2, -2, 0, -2, -2));
    op_case_check(&c);
    op_case_int(&old, "axis", 1);
    op_case_int(&old, "onesided", 1);
    op_case_in(&old, T_F32(DIMS(1, 4, 1), 1, 2, 3, 4));
    op_case_out(&old, T_F32(DIMS(1, 3, 2), 10, 0, -2, 2, -2, 0));
    op_case_check(&old);
    op_case_in(&part, T_F32(DIMS(2, 1), 1, 1)); /* padded to 4 */
    op_case_in(&part, T_I64(SCALAR, 4));
    op_case_in(&part, T_I64(SCALAR, 0));
    op_case_out(&part, T_F32(DIMS(4, 2), 2, 0, 1, -1, 0, 0, 1, 1));
    op_case_check(&part);
}

static void there_and_back(void **state) {
    (void)state;
    struct op_case back = op_case("dft", 20), real = op_case("dft", 20);
    op_case_int(&back, "inverse", 1);
    op_case_in(&back, T_F32(DIMS(4, 2), 10, 0, -2, 2, -2, 0, -2, -2));
    op_case_out(&back, T_F32(DIMS(4, 2), 1, 0, 2, 0, 3, 0, 4, 0));
    op_case_check(&back);
    op_case_int(&real, "inverse", 1);
    op_case_int(&real, "onesided", 1);
    op_case_in(&real, T_F32(DIMS(3, 2), 10, 0, -2, 2, -2, 0));
    op_case_out(&real, T_F32(DIMS(4, 1), 1, 2, 3, 4));
    op_case_check(&real);
}

static void dft_refuses(void **state) {
    (void)state;
    struct op_case last = op_case("dft", 20), length = op_case("dft", 20);
    op_case_in(&last, T_F32(DIMS(1, 1), 1));
    op_case_in(&last, T_ABSENT);
    op_case_in(&last, T_I64(SCALAR, -1));
    op_case_out(&last, T_F32(DIMS(1, 2), 1, 0));
    op_case_refuse(&last, ERR_INVALID, "axis 1 of a signal of rank 2");
    op_case_in(&length, T_F32(DIMS(1, 1), 1));
    op_case_in(&length, T_I64(SCALAR, INT64_MAX));
    op_case_out(&length, T_F32(DIMS(1, 2), 1, 0));
    op_case_refuse(&length, ERR_INVALID, "the length of the transform");
}

static void stft_slides_a_window(void **state) {
    (void)state;
    struct op_case c = op_case("stft", 17), wrong = op_case("stft", 17);
    op_case_in(&c, T_F32(DIMS(1, 6, 1), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_I64(SCALAR, 2));
    op_case_in(&c, T_F32(DIMS(4), 1, 1, 1, 0));
    op_case_out(&c, T_F32(DIMS(1, 2, 3, 2), 6, 0, -2, -2, 2, 0, 12, 0, -2, -4, 4, 0));
    op_case_check(&c);
    op_case_in(&wrong, T_F32(DIMS(1, 2, 1), 1, 2));
    op_case_in(&wrong, T_I64(SCALAR, 0));
    op_case_out(&wrong, T_F32(DIMS(1, 1, 1, 2), 1, 2));
    op_case_refuse(&wrong, ERR_INVALID, "frames of 2 every 0");
}

static void windows(void **state) {
    (void)state;
    struct op_case hann = op_case("hann_window", 17), blackman = op_case("blackman_window", 17),
                   hamming = op_case("hamming_window", 17);
    op_case_in(&hann, T_I64(SCALAR, 4));
    op_case_out(&hann, T_F32(DIMS(4), 0, 0.5F, 1, 0.5F));
    op_case_check(&hann);
    op_case_int(&blackman, "periodic", 0);
    op_case_in(&blackman, T_I32(SCALAR, 3));
    op_case_out(&blackman, T_F32(DIMS(3), 0, 1, 0));
    op_case_check(&blackman);
    op_case_int(&hamming, "output_datatype", 11);
    op_case_in(&hamming, T_I64(SCALAR, 2));
    op_case_out(&hamming, T_F64(DIMS(2), 4.0 / 46, 1));
    op_case_check(&hamming);
}

static void mel_triangles_fit_or_are_refused(void **state) {
    (void)state;
    struct op_case c = op_case("mel_weight_matrix", 17), wrong = op_case("mel_weight_matrix", 17);
    struct op_case *both[] = {&c, &wrong};
    for (int k = 0; k < 2; k++) {
        op_case_in(both[k], T_I64(SCALAR, 2));
        op_case_in(both[k], T_I64(SCALAR, 16));
        op_case_in(both[k], T_I64(SCALAR, 8192));
        op_case_in(both[k], T_F32(SCALAR, 0));
        op_case_in(both[k], T_F32(SCALAR, k ? 1e9F : 8192 / 2));
    }
    op_case_out(&c, T_F32(DIMS(9, 2), 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    op_case_run(&c);
    float top = 0;
    for (size_t k = 0; k < 18; k++)
        top = fmaxf(top, ((const float *)c.got[0].data)[k]);
    assert_float_equal(top, 1, 0);
    arena_deinit(&c.arena);
    op_case_out(&wrong, T_EMPTY(DT_F32, DIMS(9, 2)));
    op_case_refuse(&wrong, ERR_INVALID, "do not fit a transform");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dft_of_a_step), cmocka_unit_test(there_and_back),
        cmocka_unit_test(dft_refuses),   cmocka_unit_test(stft_slides_a_window),
        cmocka_unit_test(windows),       cmocka_unit_test(mel_triangles_fit_or_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
