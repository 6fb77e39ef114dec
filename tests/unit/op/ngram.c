/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of tf_idf_vectorizer. */
#include "op/ngram.c"

#include "op_case.h"

/* The pool of ONNX's own examples: 2 3 5 4, then 5 6, 7 8, 6 7. */
static struct op_case vectorizer(const char *mode, int64_t min, int64_t max, int64_t skips) {
    struct op_case c = op_case("tf_idf_vectorizer", 9);
    op_case_str(&c, "mode", mode);
    op_case_int(&c, "min_gram_length", min);
    op_case_int(&c, "max_gram_length", max);
    op_case_int(&c, "max_skip_count", skips);
    op_case_ints(&c, "ngram_counts", 2, (int64_t[]){0, 4});
    op_case_ints(&c, "ngram_indexes", 7, (int64_t[]){0, 1, 2, 3, 4, 5, 6});
    op_case_ints(&c, "pool_int64s", 10, (int64_t[]){2, 3, 5, 4, 5, 6, 7, 8, 6, 7});
    return c;
}

static void counts_grams(void **state) {
    (void)state;
    struct op_case both = vectorizer("TF", 1, 2, 5), pairs = vectorizer("TF", 2, 2, 0),
                   idf = vectorizer("IDF", 1, 1, 0);
    op_case_in(&both, T_I32(DIMS(12), 1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8));
    op_case_out(&both, T_F32(DIMS(7), 0, 3, 1, 0, 1, 3, 1));
    op_case_check(&both);
    op_case_in(&pairs, T_I64(DIMS(2, 4), 7, 8, 6, 7, 5, 6, 5, 6));
    op_case_out(&pairs, T_F32(DIMS(2, 7), 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2, 0, 0));
    op_case_check(&pairs);
    op_case_floats(&idf, "weights", 7, (float[]){1, 2, 3, 4, 5, 6, 7});
    op_case_in(&idf, T_I64(DIMS(3), 3, 3, 4));
    op_case_out(&idf, T_F32(DIMS(7), 0, 2, 0, 4, 0, 0, 0));
    op_case_check(&idf);
}

static void texts_and_weights(void **state) {
    (void)state;
    struct op_case c = op_case("tf_idf_vectorizer", 9);
    op_case_str(&c, "mode", "TFIDF");
    op_case_ints(&c, "ngram_counts", 1, (int64_t[]){0});
    op_case_ints(&c, "ngram_indexes", 2, (int64_t[]){2, 0});
    op_case_strs(&c, "pool_strings", 2, (struct str[]){LIT("a"), LIT("b")});
    op_case_floats(&c, "weights", 2, (float[]){0.5F, 2});
    op_case_in(&c, T_STR(DIMS(3), LIT("a"), LIT("b"), LIT("a")));
    op_case_out(&c, T_F32(DIMS(3), 2, 0, 1));
    op_case_check(&c);
}

static void pools_are_hostile(void **state) {
    (void)state;
    struct op_case counts = op_case("tf_idf_vectorizer", 9),
                   indexes = op_case("tf_idf_vectorizer", 9);
    struct op_case *both[] = {&counts, &indexes};
    for (int k = 0; k < 2; k++) {
        op_case_str(both[k], "mode", "TF");
        op_case_ints(both[k], "ngram_counts", 1, (int64_t[]){k ? 0 : 7});
        op_case_ints(both[k], "ngram_indexes", 1, (int64_t[]){INT64_MAX});
        op_case_ints(both[k], "pool_int64s", 1, (int64_t[]){2});
        op_case_in(both[k], T_I64(DIMS(1), 2));
        op_case_out(both[k], T_F32(DIMS(1), 2));
    }
    op_case_refuse(&counts, ERR_FORMAT, "ngram_counts[0] is 7");
    op_case_refuse(&indexes, ERR_FORMAT, "ngram_indexes[0] is");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_grams),
        cmocka_unit_test(texts_and_weights),
        cmocka_unit_test(pools_are_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
