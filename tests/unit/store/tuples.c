/* SPDX-License-Identifier: Apache-2.0 */
/* Rows into arrays: order, none, caps, and that the statement is free again whatever happened. */
#include "store/tuples.c"

#include "shelf.h"

struct pair {
    int64_t number;
    struct str text;
};

static enum code read_pair(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct pair *p = element;
    p->number = query_int(q, 0);
    if (r->ctx && p->number == *(int64_t *)r->ctx)
        return err_set(e, ERR_INVALID, __FILE__, __LINE__, "stop here");
    return tuples_text(r, q, 1, &p->text, e);
}

static const char series[] =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?1)"
    " SELECT x, 'row ' || x FROM c WHERE x <= ?1";

static enum code read_series(struct db *d, int64_t n, struct tuples *r, struct err *e) {
    struct query q;
    TRY(query_begin(&q, d, series, DB_BIND(db_int(n)), e));
    return tuples_read(r, &q, e);
}

static void test(void **state) {
    struct shelf *sh = *state;
    struct db d;
    char path[160];
    snprintf(path, sizeof path, "%s/rows.db", sh->folder);
    SHELF_OK(sh, db_open(&d, "here", path, DB_CREATE, &sh->e));
    struct tuples r = {.arena = &sh->a, .row_bytes = sizeof(struct pair), .read = read_pair};
    SHELF_OK(sh, read_series(&d, 1000, &r, &sh->e));
    assert_int_equal(r.n, 1000);
    const struct pair *pairs = r.p;
    assert_int_equal(pairs[999].number, 1000);
    assert_true(str_is(pairs[41].text, "row 42"));
    SHELF_OK(sh, read_series(&d, 0, &r, &sh->e));
    assert_int_equal(r.n, 0);
    int64_t stop = 7;
    r.ctx = &stop;
    SHELF_FAILS(sh, INVALID, "stop here", read_series(&d, 1000, &r, &sh->e));
    r.ctx = NULL;
    struct arena small;
    arena_init(&small, 5000);
    r.arena = &small;
    SHELF_FAILS(sh, LIMIT, "", read_series(&d, 1000, &r, &sh->e));
    arena_deinit(&small);
    r.arena = &sh->a;
    SHELF_OK(sh, read_series(&d, 3, &r, &sh->e));
    assert_int_equal(r.n, 3);
    db_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test, shelf_setup, shelf_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
