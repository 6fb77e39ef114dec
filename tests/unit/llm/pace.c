/* SPDX-License-Identifier: Apache-2.0 */
/* Whether guessing pays, over machines that are made up: what a step takes and yields is said. */
#include "llm/pace.c"

#include "../base/check.h"

struct machine {
    double plain_ns, guessed_ns, reading_ns; /* of a step of one sequence; of a token to catch up */
    double each_ns;                          /* more for each further sequence's guesses */
    unsigned yields;                         /* tokens of a step with guesses */
    size_t behind;
    unsigned guessed, plain;  /* steps that were made */
    double spent_ns, reading; /* reading: of it, on catching up */
};

static void step(struct pace *p, struct machine *m, size_t n) {
    if (!pace_guesses(p, n, m->behind)) {
        pace_note(p, n, false, (uint64_t)m->plain_ns, n);
        m->behind += n;
        m->plain++;
        m->spent_ns += m->plain_ns;
        return;
    }
    double ns = m->guessed_ns + m->each_ns * (double)(n - 1);
    if (m->behind > n) {
        pace_note_reading(p, m->behind, (uint64_t)((double)m->behind * m->reading_ns));
        m->reading += (double)m->behind * m->reading_ns;
        ns += (double)m->behind * m->reading_ns;
    } else {
        pace_note(p, n, true, (uint64_t)ns, n * m->yields);
    }
    m->behind = 0;
    m->guessed++;
    m->spent_ns += ns;
}

static void run(struct pace *p, struct machine *m, size_t n, int steps) {
    m->guessed = m->plain = 0;
    m->spent_ns = m->reading = 0;
    for (int i = 0; i < steps; i++)
        step(p, m, n);
}

static const struct machine SIMPLE = {
    .plain_ns = 1e6, .guessed_ns = 1.5e6, .each_ns = 1e6, .reading_ns = 1e4, .yields = 3};

/* One sequence gains, eight lose; both are found out and kept, whatever came between. */
static void test_by_how_many(void **state) {
    struct pace p = {0};
    struct machine m = SIMPLE;
    (void)state;
    run(&p, &m, 1, 100);
    assert_in_range(m.plain, PACE_LEARN, PACE_LEARN + 5);
    run(&p, &m, 8, 500);
    assert_in_range(m.guessed, PACE_LEARN, 60);
    for (int k = 0; k < 5; k++) {
        run(&p, &m, 1, 200);
        assert_in_range(m.plain, 1, 16);
        run(&p, &m, 8, 200);
        assert_in_range(m.guessed, 0, 30);
    }
}

/* Text that cannot be guessed turns it off, text that can turns it on again. */
static void test_by_what_is_right(void **state) {
    struct pace p = {0};
    struct machine m = SIMPLE;
    (void)state;
    run(&p, &m, 1, 300);
    assert_true(m.guessed > 250);
    m.yields = 1;
    run(&p, &m, 1, 300);
    run(&p, &m, 1, 3000);
    assert_true(m.guessed < 100);
    m.yields = 3;
    run(&p, &m, 1, 3000);
    assert_true(m.guessed > 1000);
}

/* Trials of what loses stay within their share, also where catching up is what is dear. */
static void test_trials_are_few(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct pace p = {0};
        struct machine m = SIMPLE;
        m.reading_ns = k ? 1e6 : 1e4;
        m.yields = 1;
        run(&p, &m, 4, 200);
        run(&p, &m, 4, 20000);
        double lost = (double)m.guessed * (m.guessed_ns + 3 * m.each_ns) + m.reading;
        assert_true(lost < 0.05 * m.spent_ns);
    }
}

/* A step during which another program had the cores turns nothing round. */
static void test_outliers(void **state) {
    struct pace p = {0};
    struct machine m = SIMPLE;
    (void)state;
    run(&p, &m, 1, 300);
    for (int k = 0; k < 3; k++)
        pace_note(&p, 1, true, (uint64_t)1e9, 3);
    run(&p, &m, 1, 300);
    assert_in_range(m.plain, 1, 20);
    m.yields = 1;
    run(&p, &m, 1, 1000);
    for (int k = 0; k < 20; k++)
        pace_note(&p, 1, false, (uint64_t)1e9, 1);
    assert_true(p.classes[0].without); /* not without a trial */
}

static void test_classes(void **state) {
    struct pace p = {0};
    const size_t n[] = {1, 2, 3, 4, 5, 8, 9, 16, 64, 65, 1024};
    const size_t want[] = {0, 1, 2, 2, 3, 3, 4, 4, 6, 7, 7};
    (void)state;
    for (size_t i = 0; i < sizeof n / sizeof *n; i++)
        assert_ptr_equal(class_of(&p, n[i]), &p.classes[want[i]]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_how_many),    cmocka_unit_test(test_by_what_is_right),
        cmocka_unit_test(test_trials_are_few), cmocka_unit_test(test_outliers),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
