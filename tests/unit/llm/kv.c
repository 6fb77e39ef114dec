/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the cache: room, sharing, references, refusals. */
#include "llm/kv.c"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static struct kv *make(size_t pages) {
    struct kv *kv = NULL;
    struct err e;
    struct kv_shape s = {.kind = PAGE_F16,
                         .layers = 2,
                         .heads = 1,
                         .dim = 32,
                         .context = 100,
                         .sequences = 3,
                         .bytes = pages * 2 * 2 * 16 * 32 * 2};
    assert_int_equal(kv_open(&s, &kv, &e), OK);
    assert_int_equal(kv_pages(kv), pages);
    return kv;
}

static void test_reserve_all_or_nothing(void **state) {
    struct err e;
    struct kv *kv = make(5);
    (void)state;
    assert_int_equal(kv_reserve(kv, 0, 33, &e), OK);
    assert_int_equal(kv_length(kv, 0), 48);
    assert_int_equal(kv_free_pages(kv), 2);
    assert_int_equal(kv_reserve(kv, 1, 49, &e), ERR_OVERLOAD);
    assert_int_equal(kv_free_pages(kv), 2);
    assert_int_equal(kv_length(kv, 1), 0);
    assert_int_equal(kv_reserve(kv, 1, 101, &e), ERR_LIMIT);
    kv_truncate(kv, 0, 16);
    assert_int_equal(kv_free_pages(kv), 4);
    assert_int_equal(kv_page(kv, 0, 1), -1);
    kv_release(kv, 0);
    assert_int_equal(kv_free_pages(kv), 5);
    kv_close(kv);
}

static void test_pages_live_as_long_as_someone_shows_them(void **state) {
    struct err e;
    struct kv *kv = make(4);
    (void)state;
    assert_int_equal(kv_reserve(kv, 0, 40, &e), OK);
    int32_t pages[2] = {kv_page(kv, 0, 0), kv_page(kv, 0, 1)};
    kv_share(kv, 0, 1, 32);
    kv_page_ref(kv, pages[0]);
    kv_release(kv, 0);
    assert_int_equal(kv_free_pages(kv), 2);
    assert_int_equal(kv_page(kv, 1, 1), pages[1]);
    kv_release(kv, 1);
    assert_int_equal(kv_free_pages(kv), 3);
    kv_adopt(kv, 2, pages, 1);
    kv_page_unref(kv, pages[0]);
    assert_int_equal(kv_free_pages(kv), 3);
    kv_release(kv, 2);
    assert_int_equal(kv_free_pages(kv), 4);
    kv_close(kv);
}

static void test_refusals(void **state) {
    struct kv *kv = NULL;
    struct err e;
    struct kv_shape s = {.kind = PAGE_Q8,
                         .layers = 1,
                         .heads = 1,
                         .dim = 48,
                         .context = 16,
                         .sequences = 1,
                         .bytes = 1 << 20};
    (void)state;
    assert_int_equal(kv_open(&s, &kv, &e), ERR_UNSUPPORTED);
    s.kind = PAGE_F16, s.layers = 0;
    assert_int_equal(kv_open(&s, &kv, &e), ERR_INVALID);
    kv_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve_all_or_nothing),
        cmocka_unit_test(test_pages_live_as_long_as_someone_shows_them),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
