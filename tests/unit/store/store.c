/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: new, existing, absent, foreign, newer, read-only; and what other handles see. */
#include "store/store.c"

#include "shelf.h"

static void create_and_reopen(void **state) {
    struct shelf *sh = *state;
    assert_string_equal(store_folder(sh->s), sh->at);
    shelf_add_seed(sh, "m", 1);
    store_close(sh->s);
    SHELF_OK(sh, store_open(sh->at, false, &sh->s, &sh->e));
    struct store_info *list;
    size_t n;
    SHELF_OK(sh, store_list(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, 1);
    store_close(sh->s);
    SHELF_OK(
        sh, store_open(sh->at, true, &sh->s, &sh->e)); /* create on an existing one only opens it */
    SHELF_OK(sh, store_list(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, 1);
    assert_int_equal(shelf_count(sh, "drafts"), 0);
}

static void absent(void **state) {
    struct shelf *sh = *state;
    struct store *s = NULL;
    char path[256];
    snprintf(path, sizeof path, "%s/none", sh->folder);
    SHELF_FAILS(sh, NOT_FOUND, "slipway add",
                (mkdir(path, 0755), store_open(path, false, &s, &sh->e)));
    snprintf(path, sizeof path, "%s/none/deeper", sh->folder);
    SHELF_FAILS(sh, NOT_FOUND, "does not exist", store_open(path, false, &s, &sh->e));
    assert_null(s);
    assert_false(file_exists(path)); /* looking made nothing */
    snprintf(path, sizeof path, "%s/none/a/b", sh->folder);
    SHELF_OK(sh, store_open(path, true, &s, &sh->e));
    store_close(s);
    store_close(NULL);
}

static void relative_path_survives_chdir(void **state) {
    struct shelf *sh = *state;
    struct store *s;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(sh->folder), 0);
    SHELF_OK(sh, store_open("rel", true, &s, &sh->e));
    assert_int_equal(chdir("/"), 0);
    struct store *mine = sh->s;
    sh->s = s;
    shelf_add_seed(sh, "m", 1); /* opens the writer only now */
    shelf_verify(sh);
    sh->s = mine;
    store_close(s);
    assert_int_equal(chdir(before), 0);
}

static void set_pragma(struct shelf *sh, const char *sql) {
    struct db d;
    char path[256];
    snprintf(path, sizeof path, "%s/store.db", sh->at);
    SHELF_OK(sh, db_open(&d, sh->at, path, DB_WRITE, &sh->e));
    SHELF_OK(sh, db_script(&d, sql, &sh->e));
    db_close(&d);
}

/* A store of schema 1, with what a program of that day wrote, opens as one of today. */
static void older_schema(void **state) {
    struct shelf *sh = *state;
    struct store *s = NULL;
    struct store_event *log;
    size_t n = 0;
    shelf_add_seed(sh, "m", 1);
    set_pragma(sh, "DROP TABLE event; DROP TABLE setting; DROP TABLE access_key;"
                   "CREATE TABLE event (id INTEGER PRIMARY KEY,"
                   " model_id INTEGER NOT NULL REFERENCES model (id), at_us INTEGER NOT NULL,"
                   " what TEXT NOT NULL, version INTEGER NOT NULL,"
                   " previous INTEGER NOT NULL DEFAULT 0, alias TEXT NOT NULL DEFAULT '') STRICT;"
                   "INSERT INTO event VALUES (7, 1, 1700000000000000, 'add', 1, 0, '');"
                   "PRAGMA user_version = 1;");
    SHELF_OK(sh, store_open(sh->at, false, &s, &sh->e));
    SHELF_OK(sh, store_log(s, LIT("m"), &sh->a, &log, &n, &sh->e));
    assert_int_equal(n, 1);
    assert_true(str_is(log[0].what, "add") && log[0].version == 1 && log[0].who.n == 0);
    SHELF_OK(sh, store_setting_put(s, LIT("m"), LIT("route"), LIT("{}"), &sh->e));
    store_close(s);
    SHELF_OK(sh, store_open(sh->at, false, &s, &sh->e)); /* and again: nothing to do */
    store_close(s);
}

static void newer_schema(void **state) {
    struct shelf *sh = *state;
    struct store *s = NULL;
    SHELF_OK(sh, store_fact_put(sh->s, LIT("a"), LIT("b"), LIT("c"), &sh->e));
    set_pragma(sh, "PRAGMA user_version = 3;");
    SHELF_FAILS(sh, UNSUPPORTED, "schema 3", store_open(sh->at, false, &s, &sh->e));
    SHELF_FAILS(sh, UNSUPPORTED, "schema 3", store_open(sh->at, true, &s, &sh->e));
    /* and a handle that was open before does not write any more */
    SHELF_FAILS(sh, UNSUPPORTED, "newer slipway",
                store_fact_put(sh->s, LIT("a"), LIT("b"), LIT("d"), &sh->e));
    set_pragma(sh, "PRAGMA user_version = 2;");
    SHELF_OK(sh, store_fact_put(sh->s, LIT("a"), LIT("b"), LIT("d"), &sh->e));
}

static void foreign_files(void **state) {
    struct shelf *sh = *state;
    struct store *s = NULL;
    char folder[128], path[256];
    snprintf(folder, sizeof folder, "%s/foreign", sh->folder);
    snprintf(path, sizeof path, "%s/store.db", folder);
    SHELF_OK(sh, file_mkdirs(folder, &sh->e));
    SHELF_OK(sh, file_publish(path, (struct span){0}, 0644, &sh->e));
    SHELF_FAILS(sh, CORRUPT, "not a Slipway store", store_open(folder, true, &s, &sh->e));
    static const char text[] =
        "this is not a database, but it is long enough to be looked at as one ...............";
    SHELF_OK(sh,
             file_publish(path, (struct span){(const uint8_t *)text, sizeof text}, 0644, &sh->e));
    SHELF_FAILS(sh, CORRUPT, "not a store", store_open(folder, true, &s, &sh->e));
    struct db d;
    unlink(path);
    SHELF_OK(sh, db_open(&d, folder, path, DB_CREATE, &sh->e));
    SHELF_OK(sh, db_script(&d, "CREATE TABLE theirs (x);", &sh->e));
    db_close(&d);
    SHELF_FAILS(sh, CORRUPT, "not a Slipway store", store_open(folder, true, &s, &sh->e));
    assert_null(s);
}

/* --- without write access --- */

static void read_only_use(struct shelf *sh) {
    struct store_version *v;
    struct store_info info;
    struct span bytes;
    struct store_swept swept;
    SHELF_OK(sh, store_open(sh->at, true, &sh->s, &sh->e));
    SHELF_OK(sh,
             store_resolve(sh->s, &(struct store_ref){.model = LIT("m")}, &sh->a, &info, &sh->e));
    SHELF_OK(sh, store_version_open(sh->s, LIT("m"), 1, &v, &sh->e));
    SHELF_OK(sh, store_version_bytes(v, 0, 100, 5000, &bytes, &sh->e));
    store_version_unref(v);
    shelf_verify(sh);
    SHELF_OK(sh, store_gc(sh->s, 0, true, &swept, &sh->e));
    SHELF_FAILS(sh, DENIED, "store '", store_fact_put(sh->s, LIT("a"), LIT("b"), LIT("c"), &sh->e));
    SHELF_FAILS(sh, DENIED, "store '", store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_FAILS(sh, DENIED, "store '", store_gc(sh->s, 0, false, &swept, &sh->e));
    struct store_source source = {LIT("f"), shelf_bytes(sh, 5000, 9), NULL, 0};
    struct store_new n = {.model = LIT("m"), .sources = &source, .n_sources = 1};
    struct store_added added;
    SHELF_FAILS(sh, DENIED, "store '", store_add(sh->s, &n, &added, &sh->e));
    store_close(sh->s);
}

static int lock_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)at;
    return chmod(path, kind == FTW_DP ? 0555 : st->st_mode & 0444);
}

static void read_only_folder(void **state) {
    struct shelf *sh = *state;
    shelf_add_seed(sh, "m", 1);
    store_close(sh->s);
    sh->s = NULL;
    nftw(sh->at, lock_one, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(shelf_as_nobody(read_only_use, sh), 0);
    assert_int_equal(shelf_count(sh, "."), 4); /* store.db and three blobs: nothing was made */
}

static void read_only_beside_a_writer(
    void **state) { /* its log and shared memory are there to be read */
    struct shelf *sh = *state;
    shelf_add_seed(sh, "m", 1);
    assert_int_equal(shelf_as_nobody(read_only_use, sh), 0);
}

static void expect_denied(struct shelf *sh) {
    struct store *s;
    SHELF_FAILS(sh, DENIED, "not closed properly", store_open(sh->at, false, &s, &sh->e));
}

static void read_only_after_a_crash(void **state) {
    struct shelf *sh = *state;
    char log[256];
    pid_t child = fork();
    if (child == 0) { /* dies with the log full and the store open */
        store_close(sh->s);
        if (store_open(sh->at, false, &sh->s, &sh->e) == OK)
            shelf_add_seed(sh, "m", 1);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    store_close(sh->s);
    SHELF_OK(sh, store_open(sh->at, false, &sh->s, &sh->e));
    shelf_add_seed(sh, "m", 2);
    snprintf(log, sizeof log, "%s/store.db-wal", sh->at);
    assert_true(file_exists(log));
    struct span left = shelf_read(sh, log);
    store_close(sh->s);
    sh->s = NULL;
    SHELF_OK(sh, file_publish(log, left, 0644, &sh->e));
    nftw(sh->at, lock_one, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(shelf_as_nobody(expect_denied, sh), 0);
}

static void unwritable_parent(struct shelf *sh) {
    struct store *s;
    char path[256];
    snprintf(path, sizeof path, "%s/new", sh->folder);
    SHELF_FAILS(sh, DENIED, path, store_open(path, true, &s, &sh->e));
}

static void no_permission_to_create(void **state) {
    struct shelf *sh = *state;
    chmod(sh->folder, 0555);
    assert_int_equal(shelf_as_nobody(unwritable_parent, sh), 0);
    chmod(sh->folder, 0755);
}

/* --- other handles --- */

static void generation(void **state) {
    struct shelf *sh = *state;
    uint64_t a, b, c;
    SHELF_OK(sh, store_generation(sh->s, &a, &sh->e));
    SHELF_OK(sh, store_generation(sh->s, &b, &sh->e));
    assert_int_equal(a, b);
    shelf_add_seed(sh, "m", 1); /* by this handle */
    SHELF_OK(sh, store_generation(sh->s, &b, &sh->e));
    assert_int_not_equal(a, b);
    pid_t child = fork();
    if (child == 0) { /* by another process */
        struct store *s;
        if (store_open(sh->at, false, &s, &sh->e) != OK ||
            store_alias_set(s, LIT("m"), LIT("prod"), 1, &sh->e) != OK)
            _exit(1);
        store_close(s);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    SHELF_OK(sh, store_generation(sh->s, &c, &sh->e));
    assert_int_not_equal(b, c);
}

/* Many processes make the same store at the same moment: one database, and all of them get it. */
static void created_by_many(void **state) {
    struct shelf *sh = *state;
    char path[256];
    snprintf(path, sizeof path, "%s/race", sh->folder);
    enum { N = 8 };
    pid_t children[N];
    for (int i = 0; i < N; i++)
        if ((children[i] = fork()) == 0) {
            struct store *s;
            char key[8];
            snprintf(key, sizeof key, "%d", i);
            if (store_open(path, true, &s, &sh->e) != OK ||
                store_fact_put(s, LIT("race"), str_of(key), LIT("x"), &sh->e) != OK) {
                fprintf(stderr, "%s\n", sh->e.text);
                _exit(1);
            }
            store_close(s);
            _exit(0);
        }
    for (int i = 0; i < N; i++) {
        int status;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    struct store *s;
    SHELF_OK(sh, store_open(path, false, &s, &sh->e));
    for (int i = 0; i < N; i++) {
        char key[8];
        struct str value;
        snprintf(key, sizeof key, "%d", i);
        SHELF_OK(sh, store_fact_get(s, LIT("race"), str_of(key), &sh->a, &value, &sh->e));
    }
    store_close(s);
}

/* Of its messages only the place goes. */
static void hide_folder(void **state) {
    struct shelf *sh = *state;
    char text[1024];
    snprintf(text, sizeof text, "store '%s': bad; no model 'm' in the store '%s', store '%sx'",
             sh->at, sh->at, sh->at);
    store_hide(sh->s, text);
    assert_non_null(strstr(text, "the store: bad; no model 'm' in the store, store '"));
    snprintf(text, sizeof text, "nothing of a store '");
    store_hide(sh->s, text);
    assert_string_equal(text, "nothing of a store '");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(create_and_reopen),
                                       TEST(hide_folder),
                                       TEST(absent),
                                       TEST(relative_path_survives_chdir),
                                       TEST(newer_schema),
                                       TEST(older_schema),
                                       TEST(foreign_files),
                                       TEST(read_only_folder),
                                       TEST(read_only_beside_a_writer),
                                       TEST(read_only_after_a_crash),
                                       TEST(no_permission_to_create),
                                       TEST(generation),
                                       TEST(created_by_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
