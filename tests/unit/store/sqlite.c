/* SPDX-License-Identifier: Apache-2.0 */
/* The database wrapper: values in and out, transactions, errors in our words. */
#include "store/sqlite.c"

#include "shelf.h"

struct fixture {
    struct shelf sh;
    char path[160];
    struct db d;
};

static int begin(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    shelf_begin(&f->sh);
    snprintf(f->path, sizeof f->path, "%s/test.db", f->sh.folder);
    SHELF_OK(&f->sh, db_open(&f->d, "here", f->path, DB_CREATE, &f->sh.e));
    SHELF_OK(
        &f->sh,
        db_script(&f->d,
                  "PRAGMA journal_mode=WAL; CREATE TABLE t (a INTEGER, b TEXT, c BLOB) STRICT;",
                  &f->sh.e));
    *state = f;
    return 0;
}

static int end(void **state) {
    struct fixture *f = *state;
    db_close(&f->d);
    db_close(&f->d); /* idempotent */
    shelf_end(&f->sh);
    free(f);
    return 0;
}

static const char insert[] = "INSERT INTO t VALUES (?1, ?2, ?3)",
                  count[] = "SELECT count(*) FROM t";

static int64_t rows_in(struct db *d) {
    struct err e;
    int64_t n = -1;
    bool found = false;
    assert_int_equal(db_one(d, count, DB_NONE, &n, &found, &e), OK);
    assert_true(found);
    return n;
}

static void values(void **state) {
    struct fixture *f = *state;
    struct err *e = &f->sh.e;
    struct str text = {"a'\0;--\"b", 8}; /* quotes and a NUL are only bytes */
    SHELF_OK(&f->sh, db_run(&f->d, insert,
                            DB_BIND(db_int(INT64_MIN), db_text(text), db_bytes("\0\xff", 2)), e));
    SHELF_OK(&f->sh, db_run(&f->d, insert,
                            DB_BIND(db_int(2), db_text((struct str){0}), db_bytes(NULL, 0)), e));
    static const char all[] = "SELECT a, b, c FROM t ORDER BY a";
    struct query q;
    bool row = false;
    SHELF_OK(&f->sh, query_begin(&q, &f->d, all, DB_NONE, e));
    SHELF_OK(&f->sh, query_step(&q, &row, e));
    assert_true(row && query_int(&q, 0) == INT64_MIN && str_eq(query_text(&q, 1), text));
    assert_true(query_bytes(&q, 2).n == 2 && query_bytes(&q, 2).p[1] == 0xff);
    SHELF_OK(&f->sh, query_step(&q, &row, e));
    assert_true(row && query_text(&q, 1).n == 0 && query_bytes(&q, 2).n == 0);
    SHELF_OK(&f->sh, query_step(&q, &row, e));
    assert_false(row);
    query_end(&q);
    bool found = true;
    int64_t none = 77;
    SHELF_OK(&f->sh, db_one(&f->d, "SELECT a FROM t WHERE a = 3", DB_NONE, &none, &found, e));
    assert_true(!found && none == 77);
}

static void statements_are_kept(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 200; i++)
        SHELF_OK(&f->sh, db_run(&f->d, insert,
                                DB_BIND(db_int(i), db_text(LIT("x")), db_bytes("", 0)), &f->sh.e));
    assert_int_equal(rows_in(&f->d), 200);
    assert_int_equal(f->d.n_statements, 2);
}

static void transactions(void **state) {
    struct fixture *f = *state;
    struct err *e = &f->sh.e;
    SHELF_OK(&f->sh, db_begin(&f->d, true, e));
    SHELF_OK(&f->sh,
             db_run(&f->d, insert, DB_BIND(db_int(1), db_text(LIT("x")), db_bytes("", 0)), e));
    enum code wrong = err_set(e, ERR_INVALID, __FILE__, __LINE__, "no");
    SHELF_FAILS(&f->sh, INVALID, "no", db_end(&f->d, wrong, e));
    assert_int_equal(rows_in(&f->d), 0);
    SHELF_OK(&f->sh, db_begin(&f->d, true, e));
    SHELF_OK(&f->sh,
             db_run(&f->d, insert, DB_BIND(db_int(1), db_text(LIT("x")), db_bytes("", 0)), e));
    SHELF_OK(&f->sh, db_end(&f->d, OK, e));
    assert_int_equal(rows_in(&f->d), 1);
    SHELF_OK(&f->sh, db_begin(&f->d, true, e)); /* left open: the next one starts anew */
    SHELF_OK(&f->sh, db_begin(&f->d, true, e));
    SHELF_OK(&f->sh, db_end(&f->d, OK, e));
}

static void readers_see_one_moment(void **state) {
    struct fixture *f = *state;
    struct err *e = &f->sh.e;
    struct db reader;
    SHELF_OK(&f->sh, db_open(&reader, "here", f->path, DB_READ, e));
    SHELF_OK(&f->sh, db_begin(&reader, false, e));
    assert_int_equal(rows_in(&reader), 0);
    SHELF_OK(&f->sh,
             db_run(&f->d, insert, DB_BIND(db_int(1), db_text(LIT("x")), db_bytes("", 0)), e));
    assert_int_equal(rows_in(&reader), 0);
    SHELF_OK(&f->sh, db_end(&reader, OK, e));
    assert_int_equal(rows_in(&reader), 1);
    SHELF_FAILS(&f->sh, DENIED, "read-only",
                db_run(&reader, insert, DB_BIND(db_int(1), db_text(LIT("x")), db_bytes("", 0)), e));
    db_close(&reader);
}

static void busy(void **state) {
    struct fixture *f = *state;
    struct err *e = &f->sh.e;
    struct db other;
    SHELF_OK(&f->sh, db_open(&other, "here", f->path, DB_WRITE, e));
    sqlite3_busy_timeout(other.handle, 20);
    SHELF_OK(&f->sh, db_begin(&f->d, true, e));
    SHELF_FAILS(&f->sh, TIMEOUT, "another process", db_begin(&other, true, e));
    SHELF_OK(&f->sh, db_end(&f->d, OK, e));
    SHELF_OK(&f->sh, db_begin(&other, true, e));
    SHELF_OK(&f->sh, db_end(&other, OK, e));
    db_close(&other);
}

static void errors(void **state) {
    struct fixture *f = *state;
    struct err *e = &f->sh.e;
    struct db bad;
    char path[300];
    snprintf(path, sizeof path, "%s/absent/x.db", f->sh.folder);
    SHELF_FAILS(&f->sh, NOT_FOUND, "store 'here'", db_open(&bad, "here", path, DB_WRITE, e));
    snprintf(path, sizeof path, "%s/text.db", f->sh.folder);
    char text[5000];
    memset(text, 'x', sizeof text);
    SHELF_OK(&f->sh, file_publish(path, (struct span){(uint8_t *)text, sizeof text}, 0644, e));
    SHELF_FAILS(&f->sh, CORRUPT, "not a store", db_open(&bad, "here", path, DB_CREATE, e));
    static const struct {
        int rc;
        enum code code;
    } map[] = {{SQLITE_FULL, ERR_IO},         {SQLITE_IOERR_NOMEM, ERR_NOMEM},
               {SQLITE_NOMEM, ERR_NOMEM},     {SQLITE_READONLY, ERR_DENIED},
               {SQLITE_IOERR_FSYNC, ERR_IO},  {SQLITE_BUSY, ERR_TIMEOUT},
               {SQLITE_CORRUPT, ERR_CORRUPT}, {SQLITE_TOOBIG, ERR_LIMIT},
               {SQLITE_MISUSE, ERR_INTERNAL}, {SQLITE_CONSTRAINT, ERR_INTERNAL}};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        assert_int_equal(fail_db(&f->d, map[i].rc, e), map[i].code);
        assert_true(strncmp(e->text, "store 'here'", 12) == 0);
    }
}

static void immutable(void **state) {
    struct fixture *f = *state;
    struct err *e = &f->sh.e;
    char path[300];
    struct db d;
    snprintf(path, sizeof path, "%s/a%%20?b#c.db", f->sh.folder);
    SHELF_OK(&f->sh, db_open(&d, "here", path, DB_CREATE, e));
    SHELF_OK(
        &f->sh,
        db_script(&d,
                  "PRAGMA journal_mode=WAL; CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);",
                  e));
    db_close(&d);
    assert_true(file_exists(path));
    SHELF_OK(&f->sh, db_open(&d, "here", path, DB_IMMUTABLE, e));
    assert_int_equal(rows_in(&d), 1);
    snprintf(path + strlen(path), 8, "-shm");
    assert_false(file_exists(path)); /* it made nothing beside the file */
    assert_true(db_is_readonly(&d));
    db_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values, begin, end),
        cmocka_unit_test_setup_teardown(statements_are_kept, begin, end),
        cmocka_unit_test_setup_teardown(transactions, begin, end),
        cmocka_unit_test_setup_teardown(readers_see_one_moment, begin, end),
        cmocka_unit_test_setup_teardown(busy, begin, end),
        cmocka_unit_test_setup_teardown(errors, begin, end),
        cmocka_unit_test_setup_teardown(immutable, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
