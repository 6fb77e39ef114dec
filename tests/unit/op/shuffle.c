/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of channel_shuffle. */
#include "op/shuffle.c"

#include "op_case.h"

/* Channel g * each + c goes to c * group + g; odd sizes reach every edge of the transposes below.
 */
static void turns_channels(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{2, 3, 7},  {4, 28, 9}, {3, 5, 16},
                                       {4, 17, 5}, {8, 8, 3},  {1, 6, 4}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int64_t group = sizes[k][0], each = sizes[k][1], pixels = sizes[k][2],
                channels = group * each;
        struct op_case c = op_case("channel_shuffle", 1);
        struct tensor x = op_case_random(&c, DT_F32, DIMS(2, channels, pixels), 5), y;
        struct err e;
        assert_int_equal(tensor_new(&c.arena, DT_F32, &x.shape, &y, &e), OK);
        for (int64_t n = 0; n < 2; n++)
            for (int64_t ch = 0; ch < channels; ch++)
                for (int64_t p = 0; p < pixels; p++)
                    ((float *)y.data)[(n * channels + ch % each * group + ch / each) * pixels + p] =
                        ((const float *)x.data)[(n * channels + ch) * pixels + p];
        op_case_int(&c, "group", group);
        op_case_in(&c, x);
        op_case_out(&c, y);
        op_case_check(&c);
    }
}

static void refuses_uneven_groups(void **state) {
    (void)state;
    struct op_case c = op_case("channel_shuffle", 1);
    op_case_int(&c, "group", 2);
    op_case_in(&c, T_F32(DIMS(1, 3, 1), 1, 2, 3));
    op_case_out(&c, T_F32(DIMS(1, 3, 1), 1, 2, 3));
    op_case_refuse(&c, ERR_INVALID, "the channels are not a multiple of 2 groups");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(turns_channels),
                                       cmocka_unit_test(refuses_uneven_groups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
