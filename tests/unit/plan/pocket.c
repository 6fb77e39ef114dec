/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a loop's iterations: emptied by each, carried values apart, all of it within the run's
 * limit and on its meter. */
#include "plan/pocket.c"

#include "toy.h"

enum { CAP = 1 << 16, PIECE = 1 << 12 };

struct stage {
    struct area outer;
    struct area_meter meter;
    struct run_terms terms;
    struct pocket *pocket;
};

static void begin(struct stage *s) {
    *s = (struct stage){0};
    area_init(&s->outer);
    area_reset(&s->outer, CAP, &s->meter);
    s->terms = (struct run_terms){.area = &s->outer, .meter = &s->meter};
    s->pocket = pocket_open(&s->terms);
    assert_non_null(s->pocket);
}

static void end(struct stage *s) {
    pocket_close(s->pocket);
    assert_int_equal(s->meter.now, s->outer.used_bytes);
    area_deinit(&s->outer);
    assert_int_equal(s->meter.now, 0);
}

/* A hundred iterations that take a quarter of the limit each. */
static void iterations_are_emptied(void **unused) {
    (void)unused;
    struct stage s;
    begin(&s);
    for (int k = 0; k < 100; k++) {
        pocket_enter(s.pocket);
        assert_ptr_not_equal(s.terms.area, &s.outer);
        for (int i = 0; i < 4; i++)
            assert_non_null(area_push(s.terms.area, PIECE));
        pocket_leave(s.pocket);
        assert_ptr_equal(s.terms.area, &s.outer);
    }
    assert_int_equal(s.meter.peak, 4 * PIECE);
    end(&s);
}

/* What is carried is there in the next iteration, texts too. */
static void carried(void **unused) {
    (void)unused;
    struct stage s;
    struct err e;
    begin(&s);
    int64_t number = 1;
    char text[8] = "1";
    struct str word = {text, 1};
    struct tensor values[2] = {{DT_I64, LAYOUT_PLAIN, {0}, &number},
                               {DT_STRING, LAYOUT_PLAIN, {0}, &word}};
    for (int k = 2; k < 50; k++) {
        assert_int_equal(pocket_keep(s.pocket, values, 2, &e), OK);
        assert_int_equal(*(const int64_t *)values[0].data, k - 1);
        snprintf(text, sizeof text, "?"); /* what was kept is a copy */
        pocket_enter(s.pocket);
        int64_t *next = area_push(s.terms.area, sizeof *next);
        struct str *said = area_push(s.terms.area, sizeof *said);
        *next = *(const int64_t *)values[0].data + 1;
        char before[8];
        snprintf(before, sizeof before, "%d", k - 1);
        assert_true(str_is(*(const struct str *)values[1].data, before));
        *said = (struct str){area_push(s.terms.area, 8), 0};
        said->n = (size_t)snprintf((char *)(uintptr_t)said->p, 8, "%d", k);
        values[0].data = next;
        values[1].data = said;
        pocket_leave(s.pocket);
    }
    end(&s);
}

/* Nothing to copy: an absent value, no elements. */
static void nothing_carried(void **unused) {
    (void)unused;
    struct stage s;
    struct err e;
    begin(&s);
    struct tensor values[2] = {{0}, {DT_F32, LAYOUT_PLAIN, *SHAPE(0, 3), NULL}};
    assert_int_equal(pocket_keep(s.pocket, values, 2, &e), OK);
    assert_null(values[1].data);
    assert_int_equal(s.meter.now, 0);
    end(&s);
}

/* The work, what is carried and what the run held before share one limit. */
static void limited(void **unused) {
    (void)unused;
    struct stage s;
    struct err e;
    static char big[CAP];
    begin(&s);
    assert_non_null(area_push(&s.outer, CAP / 2));
    struct tensor values[1] = {{DT_U8, LAYOUT_PLAIN, *SHAPE(CAP / 4), big}};
    assert_int_equal(pocket_keep(s.pocket, values, 1, &e), OK);
    pocket_enter(s.pocket);
    assert_null(area_push(s.terms.area, CAP / 4 + 1));
    assert_non_null(area_push(s.terms.area, CAP / 4));
    pocket_leave(s.pocket);
    values[0].data = big;
    assert_int_equal(pocket_keep(s.pocket, values, 1, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "a loop needs more than the run's limit"));
    assert_int_equal(s.meter.peak, CAP);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iterations_are_emptied),
        cmocka_unit_test(carried),
        cmocka_unit_test(nothing_carried),
        cmocka_unit_test(limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
