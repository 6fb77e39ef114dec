/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out, everywhere in base that allocates: the failure is reported as one, and
 * nothing leaks. */
#include "fault_loop.h"

#include "base/base64.h"
#include "base/counter.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"
#include "base/pb.h"
#include "base/thread.h"

static enum code read_text(struct arena *a, struct buf *numbers, struct err *e) {
    struct json r;
    struct json_tensor shape;
    struct str key, text;
    bool more;
    json_init(&r, LIT("{\"n\\u0061me\": \"a\\nb\", \"x\": [[1,2,3],[4,5,6]]}"), a);
    TRY(json_enter_object(&r, e));
    TRY(json_next_key(&r, &key, &more, e));
    TRY(json_string(&r, &text, e));
    TRY(json_next_key(&r, &key, &more, e));
    TRY(json_tensor(&r, JN_F32, numbers, &shape, e));
    return json_next_key(&r, &key, &more, e);
}

static void json_reads(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct arena a;
        struct buf numbers;
        struct err e = {0};
        enum code code = OK;
        arena_init(&a, 1 << 20);
        buf_init(&numbers, 1 << 20);
        FAULT_BODY(f) { code = read_text(&a, &numbers, &e); }
        assert_true(code == OK ? numbers.n == 24 : code == ERR_NOMEM && f.fired);
        buf_deinit(&numbers);
        arena_deinit(&a);
    }
}

static void write_text(struct buf *b) {
    static const float values[1000] = {1.5f};
    struct json_out w;
    json_out_init(&w, b, 2);
    json_put_object(&w);
    json_put_member_text(&w, "name", "a\nb");
    json_put_key(&w, "x");
    json_put_tensor(&w, JN_F32, values, 2, (const int64_t[]){10, 100});
    json_put_object_end(&w);
}

static void json_writes(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct buf b;
        struct err e;
        buf_init(&b, 1 << 20);
        FAULT_BODY(f) { write_text(&b); }
        assert_int_equal(buf_check(&b, "answer", &e), f.fired ? ERR_NOMEM : OK);
        buf_deinit(&b);
    }
}

static enum code fill_map(struct map *m, struct err *e) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        TRY(map_put(m, str_of(names[at]), (void *)(uintptr_t)names[at], e));
    return OK;
}

static void map_grows(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct arena a;
        struct map m;
        struct err e = {0};
        enum code code = OK;
        arena_init(&a, 1 << 20);
        map_init(&m, &a);
        FAULT_BODY(f) { code = fill_map(&m, &e); }
        assert_true(code == OK ? m.n == 12 && map_get(&m, LIT("l")) : code == ERR_NOMEM && f.fired);
        arena_deinit(&a);
    }
}

static void counters_survive_no_memory(void **state) {
    (void)state;
    static const struct counter_family family = {.name = "things_total",
                                                 .help = "things",
                                                 .kind = COUNTER_TOTAL,
                                                 .n_labels = 1,
                                                 .labels = {"model"}};
    FAULT_LOOP(f) {
        struct counter *c = NULL;
        struct str value = LIT("ocr");
        FAULT_BODY(f) { c = counter_get(&family, &value); }
        assert_true(c || f.fired);
        counter_add(c, 3);
        assert_int_equal(counter_total(c), c ? 3 : 0);
        counter_drop(c);
    }
}

static void codecs(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct buf b;
        struct err e = {0};
        enum code code = OK;
        buf_init(&b, 1 << 20);
        FAULT_BODY(f) {
            code = base64_take(LIT("aGVsbG8="), &b, &e);
            pb_put_str(&b, 1, LIT("x"));
        }
        assert_true(code == OK ? f.fired == (b.code != OK) : code == ERR_NOMEM && f.fired);
        buf_deinit(&b);
    }
}

static void *answer(void *arg) {
    *(int *)arg = 42;
    return arg;
}

static void thread_starts(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        pthread_t t;
        int got = 0;
        struct err e = {0};
        enum code code = OK;
        FAULT_BODY(f) { code = thread_start(&t, "answer", answer, &got, &e); }
        if (code == OK)
            pthread_join(t, NULL);
        assert_int_equal(got, code == OK ? 42 : 0);
        assert_true(code == OK || (code == ERR_NOMEM && f.fired));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_reads), cmocka_unit_test(json_writes),
        cmocka_unit_test(map_grows),  cmocka_unit_test(counters_survive_no_memory),
        cmocka_unit_test(codecs),     cmocka_unit_test(thread_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
