/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of word_conv_embedding. */
#include "op/words.c"

#include "op_case.h"

/* Two filters over windows of two characters of one number: their sum, and minus the second. */
static struct op_case words(int32_t letter) {
    struct op_case c = op_case("word_conv_embedding", 1);
    op_case_in(&c, T_I32(DIMS(3, 3), 1, 2, 3, 2, 0, 3, 0, letter, 1));
    op_case_in(&c, T_F32(DIMS(2, 1, 2, 1), 1, 1, 0, -1));
    op_case_in(&c, T_F32(DIMS(2), 0, 0.5F));
    op_case_in(&c, T_F32(DIMS(4, 1), 0.7F, 0.1F, 0.2F, 0.4F));
    return c;
}

static void windows_of_words(void **state) {
    (void)state;
    struct op_case c = words(1);
    /* 0.1 0.2 | 0.2 0.4: sums 0.3 and 0.6, second 0.2 and 0.4; 0.2 and what is behind it; none */
    op_case_out(&c, T_F32(DIMS(3, 2), tanhf(0.6F), tanhf(0.3F), tanhf(0.9F), tanhf(-0.2F), 0, 0));
    op_case_check(&c);
}

static void refuses(void **state) {
    (void)state;
    struct op_case size = words(1), far = op_case("word_conv_embedding", 1);
    op_case_int(&size, "embedding_size", 3);
    op_case_out(&size, T_F32(DIMS(3, 2), 0, 0, 0, 0, 0, 0));
    op_case_refuse(&size, ERR_INVALID, "its sizes are not those of its weights");
    op_case_in(&far, T_I32(DIMS(1, 1), 4));
    op_case_in(&far, T_F32(DIMS(1, 1, 1, 1), 1));
    op_case_in(&far, T_F32(DIMS(1), 0));
    op_case_in(&far, T_F32(DIMS(4, 1), 0, 1, 2, 3));
    op_case_out(&far, T_F32(DIMS(1, 1), 0));
    op_case_refuse(&far, ERR_INVALID, "character 4 of a table of 4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_words),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
