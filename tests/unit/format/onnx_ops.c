/* SPDX-License-Identifier: Apache-2.0 */
#include "format/onnx_ops.c"

#include "op/op_list.h"

#include "../base/check.h"

static struct arena arena;
static struct onnx_ops ops;
static struct err e;

static int index_all(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    return onnx_ops_index(&ops, &arena, &e) != OK;
}

static int drop(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static const struct onnx_op *find(const char *domain, const char *type, int opset) {
    const struct onnx_op *other;
    return onnx_ops_find(&ops, str_of(domain), str_of(type), opset, &other);
}

static void rows_are_found_in_their_range(void **state) {
    (void)state;
    const struct onnx_op *other = NULL;
    assert_string_equal(find("", "Conv", 11)->name, "conv");
    assert_ptr_equal(find("ai.onnx", "Conv", 11), find("", "Conv", 1));
    assert_string_equal(find("", "Scatter", 10)->name, "scatter_elements");
    assert_null(onnx_ops_find(&ops, LIT(""), LIT("Scatter"), 11, &other));
    assert_int_equal(other->until, 10);
    assert_null(onnx_ops_find(&ops, LIT(""), LIT("Gelu"), 19, &other));
    assert_int_equal(other->since, 20);
    assert_non_null(find("com.microsoft", "Gelu", 1));
    assert_null(find("", "conv", 11));
    assert_null(find("com.nobody", "Conv", 11));
    char name[400];
    memset(name, 'x', sizeof name);
    assert_null(onnx_ops_find(&ops, LIT(""), (struct str){name, sizeof name}, 11, &other));
    assert_null(other);
}

static void domains_know_their_newest_opset(void **state) {
    (void)state;
    assert_int_equal(onnx_ops_newest(LIT("")), ONNX_OPSET_NEWEST);
    assert_int_equal(onnx_ops_newest(LIT("ai.onnx.ml")), 5);
    assert_int_equal(onnx_ops_newest(LIT("com.nobody")), 0);
}

/* Rows of one name stand together and do not overlap: find() stops at the first that differs. */
static void rows_of_a_name_are_neighbours(void **state) {
    (void)state;
    for (int s = 0; s < N_SECTIONS; s++) {
        for (size_t i = 0; i < sections[s].n; i++) {
            const struct onnx_op *row = &sections[s].rows[i];
            assert_true(row->since >= 1 && row->since <= sections[s].newest);
            assert_true(row->until == 0 || row->until >= row->since);
            for (size_t k = i + 1; k < sections[s].n; k++) {
                const struct onnx_op *later = &sections[s].rows[k];
                if (strcmp(row->type, later->type) != 0)
                    continue;
                if (strcmp(sections[s].rows[k - 1].type, row->type) != 0 || !row->until ||
                    row->until >= later->since)
                    fail_msg("the rows of %s are apart, or overlap", row->type);
            }
        }
    }
}

/* Made by passes or by functions of com.microsoft only; every other operator must be reachable from
 * a file. */
static const char *const inner[] = {
    "constant",     "silu",          "reorder",         "channel_shuffle",      "conv_bf16",
    "mat_mul_bf16", "gather_n_bits", "q_linear_concat", "q_linear_average_pool"};

static bool reachable(const char *name) {
    for (int s = 0; s < N_SECTIONS; s++)
        for (size_t i = 0; i < sections[s].n; i++)
            if (strcmp(sections[s].rows[i].name, name) == 0)
                return true;
    for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
        if (strcmp(inner[i], name) == 0)
            return true;
    return false;
}

static void every_operator_is_reachable(void **state) {
    (void)state;
    for (size_t i = 0; i < op_count(); i++)
        if (!reachable(op_at(i)->name))
            fail_msg(
                "operator '%s' has no row in onnx_ops.c (if only passes make it, list it here)",
                op_at(i)->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_in_their_range),
        cmocka_unit_test(domains_know_their_newest_opset),
        cmocka_unit_test(rows_of_a_name_are_neighbours),
        cmocka_unit_test(every_operator_is_reachable),
    };
    return cmocka_run_group_tests(tests, index_all, drop);
}
