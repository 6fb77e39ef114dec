/* SPDX-License-Identifier: Apache-2.0 */
#include "net/exchange.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_reuse(void **state) {
    (void)state;
    struct exchange_pool pool;
    exchange_pool_init(&pool, 1024, 1 << 20);
    struct exchange *x = exchange_begin(&pool);
    assert_non_null(arena_push(&x->pub.arena, 100));
    assert_true(exchange_reserve_body(x, 5000));
    x->pub.user = x;
    x->pub.gone = x->announced = x->close = x->drains = true;
    x->phase = EXCHANGE_ANSWERED;
    exchange_end(&pool, x);
    uint64_t before = mem_count();
    assert_ptr_equal(exchange_begin(&pool), x);
    assert_non_null(arena_push(&x->pub.arena, 100));
    assert_true(exchange_reserve_body(x, 5000));
    assert_int_equal(mem_count() - before, 0);
    assert_null(x->pub.user);
    assert_false(x->pub.gone || x->announced || x->close || x->drains);
    assert_int_equal(x->phase, EXCHANGE_RECEIVING);
    exchange_end(&pool, x);
    exchange_pool_deinit(&pool);
}

static void test_large_memory_is_not_kept(void **state) {
    (void)state;
    struct exchange_pool pool;
    exchange_pool_init(&pool, 1024, 1 << 20);
    struct exchange *x = exchange_begin(&pool);
    assert_non_null(arena_push(&x->pub.arena, 500000));
    assert_true(exchange_reserve_body(x, 500000));
    exchange_end(&pool, x);
    assert_null(x->body);
    assert_null(x->pub.arena.chunk);
    exchange_pool_deinit(&pool);
}

static void test_pool_is_bounded(void **state) {
    (void)state;
    struct exchange_pool pool;
    struct exchange *all[KEEP_EXCHANGES + 10];
    exchange_pool_init(&pool, 1024, 1 << 20);
    for (int i = 0; i < KEEP_EXCHANGES + 10; i++)
        assert_non_null(all[i] = exchange_begin(&pool));
    for (int i = 0; i < KEEP_EXCHANGES + 10; i++)
        exchange_end(&pool, all[i]);
    assert_int_equal(pool.n_free, KEEP_EXCHANGES);
    exchange_pool_deinit(&pool);
}

/* Every other piece is written in place, as a read would. */
static void check_growing_body(struct exchange_pool *pool, uint64_t aligned_at) {
    struct exchange *x = exchange_begin(pool);
    const struct span *body = &x->pub.request.body;
    x->pub.body_aligned_at = aligned_at;
    for (size_t n = 0; n < 100000; n += 777) {
        uint8_t piece[777];
        size_t room;
        assert_true(exchange_reserve_body(x, n + sizeof piece));
        uint8_t *end = exchange_body_end(x, &room), *at = n % 2 ? end : piece;
        assert_true(room >= sizeof piece);
        for (size_t i = 0; i < sizeof piece; i++)
            at[i] = (uint8_t)(n + i);
        exchange_take_body(x, (struct span){at, sizeof piece});
        assert_int_equal(body->n, n + sizeof piece);
        assert_int_equal(((uintptr_t)body->p + aligned_at) % 64, 0);
    }
    for (size_t i = 0; i < body->n; i++)
        assert_int_equal(body->p[i], (uint8_t)i);
    assert_false(exchange_reserve_body(x, SIZE_MAX - 1));
    assert_int_equal(body->p[1000], (uint8_t)1000);
    exchange_end(pool, x);
}

static void test_body_grows_and_is_aligned(void **state) {
    (void)state;
    struct exchange_pool pool;
    exchange_pool_init(&pool, 1024, 1 << 20);
    check_growing_body(&pool, 0);
    check_growing_body(&pool, 113);
    check_growing_body(&pool, UINT64_MAX);
    check_growing_body(&pool, 64);
    exchange_pool_deinit(&pool);
}

static void test_long_head_goes_to_the_arena(void **state) {
    (void)state;
    struct exchange_pool pool;
    char value[2000];
    memset(value, 'v', sizeof value);
    const struct http_header header = {LIT("X"), {value, sizeof value}};
    const struct http_response r = {.status = 200, .headers = &header, .n_headers = 1};
    const struct reply_date date = {0};
    exchange_pool_init(&pool, 1024, 4000);
    struct exchange *x = exchange_begin(&pool);
    assert_true(exchange_put_answer(x, &r, REPLY_KEEP, &date));
    assert_true(x->out[0].n > sizeof value);
    assert_memory_equal(x->out[0].p + x->out[0].n - 4, "\r\n\r\n", 4);
    exchange_end(&pool, x);
    x = exchange_begin(&pool);
    assert_non_null(arena_push(&x->pub.arena, 3000)); /* no room left: nothing is half done */
    assert_false(exchange_put_answer(x, &r, REPLY_KEEP, &date));
    assert_int_equal(x->n_out, 0);
    assert_int_equal(x->phase, EXCHANGE_RECEIVING);
    exchange_end(&pool, x);
    exchange_pool_deinit(&pool);
}

/* What follows the head closely is one span with it; what does not fit keeps its place. */
static void test_short_bodies_ride_with_the_head(void **state) {
    (void)state;
    struct exchange_pool pool;
    static uint8_t large[EXCHANGE_HEAD];
    const struct span few = {(const uint8_t *)"abc", 3}, many = {large, sizeof large};
    struct http_response r = {.status = 200, .parts = {few, few}, .n_parts = 2};
    const struct reply_date date = {0};
    exchange_pool_init(&pool, 1024, 4000);
    struct exchange *x = exchange_begin(&pool);
    assert_true(exchange_put_answer(x, &r, REPLY_KEEP, &date));
    assert_int_equal(x->n_out, 1);
    assert_memory_equal(x->out[0].p + x->out[0].n - 10, "\r\n\r\nabcabc", 10);
    exchange_end(&pool, x);
    x = exchange_begin(&pool);
    r.parts[0] = many;
    assert_true(exchange_put_answer(x, &r, REPLY_KEEP, &date));
    assert_int_equal(x->n_out, 3);
    assert_ptr_equal(x->out[1].p, large);
    assert_ptr_equal(x->out[2].p, few.p);
    exchange_end(&pool, x);
    exchange_pool_deinit(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reuse),
                                       cmocka_unit_test(test_large_memory_is_not_kept),
                                       cmocka_unit_test(test_pool_is_bounded),
                                       cmocka_unit_test(test_body_grows_and_is_aligned),
                                       cmocka_unit_test(test_long_head_goes_to_the_arena),
                                       cmocka_unit_test(test_short_bodies_ride_with_the_head)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
