/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/attr.c"

#include "make_graph.h"

static void attributes_are_found_by_name_and_kind(void **state) {
    (void)state;
    struct graph sub = {0};
    struct attr attrs[] = {
        {.name = LIT("i"), .kind = ATTR_INT, .i = 7},
        {.name = LIT("f"), .kind = ATTR_FLOAT, .f = 0.5f},
        {.name = LIT("s"), .kind = ATTR_STR, .s = LIT("same")},
        {.name = LIT("is"), .kind = ATTR_INTS, .n = 2, .ints = (int64_t[]){1, 2}},
        {.name = LIT("g"), .kind = ATTR_GRAPH, .graph = &sub},
    };
    struct node n = {.attrs = attrs, .n_attrs = 5};
    const int64_t *ints;
    size_t count;
    assert_int_equal(attr_int(&n, "i", 1), 7);
    assert_int_equal(attr_int(&n, "j", 1), 1);
    assert_int_equal(attr_int(&n, "f", 1), 1);
    assert_true(attr_float(&n, "f", 0) == 0.5f);
    assert_true(attr_float(&n, "i", 2) == 2);
    assert_str(attr_str(&n, "s", "x"), "same");
    assert_str(attr_str(&n, "none", "x"), "x");
    assert_int_equal(attr_str(&n, "none", NULL).n, 0);
    assert_true(attr_ints(&n, "is", &ints, &count) && count == 2 && ints[1] == 2);
    assert_false(attr_ints(&n, "i", &ints, &count));
    assert_ptr_equal(attr_graph(&n, "g"), &sub);
    assert_null(attr_graph(&n, "i"));
    assert_null(attr_find(&n, "zz"));
    assert_ptr_equal(attr_find(&n, "g"), &attrs[4]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(attributes_are_found_by_name_and_kind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
