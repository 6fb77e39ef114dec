/* SPDX-License-Identifier: Apache-2.0 */
/* Export: the original bytes, to a file or a folder; damage and hostile names are refused and leave
 * nothing. */
#include "store/export.c"

#include "store/object.h"

#include "shelf.h"

static void same(struct shelf *sh, const char *path, struct span want) {
    struct span got = shelf_read(sh, path);
    assert_int_equal(got.n, want.n);
    if (want.n)
        assert_memory_equal(got.p, want.p, want.n);
}

static void one_file(void **state) {
    struct shelf *sh = *state;
    char path[300], folder[256];
    struct span bytes = shelf_bytes(sh, 100001, 1);
    struct store_piece pieces[] = {{7, 50000}, {50007, 3}, {60000, 40001}};
    shelf_add(sh, "m", bytes, pieces, 3);
    snprintf(path, sizeof path, "%s/out.onnx", sh->folder);
    SHELF_OK(sh, store_export(sh->s, LIT("m"), 1, path, &sh->e));
    same(sh, path, bytes);
    SHELF_OK(sh, store_export(sh->s, LIT("m"), 1, path, &sh->e)); /* over an existing file */
    same(sh, path, bytes);
    SHELF_OK(sh,
             store_export(sh->s, LIT("m"), 1, sh->folder, &sh->e)); /* into an existing folder */
    snprintf(path, sizeof path, "%s/model.bin", sh->folder);
    same(sh, path, bytes);
    snprintf(folder, sizeof folder, "%s/new/", sh->folder); /* into one to be made */
    SHELF_OK(sh, store_export(sh->s, LIT("m"), 1, folder, &sh->e));
    snprintf(path, sizeof path, "%s/new/model.bin", sh->folder);
    same(sh, path, bytes);
    SHELF_FAILS(sh, NOT_FOUND, "no version 2", store_export(sh->s, LIT("m"), 2, path, &sh->e));
    snprintf(path, sizeof path, "%s/absent/out.onnx", sh->folder);
    SHELF_FAILS(sh, NOT_FOUND, "absent", store_export(sh->s, LIT("m"), 1, path, &sh->e));
}

static void many_files(void **state) {
    struct shelf *sh = *state;
    char path[300], out[256];
    struct store_source sources[] = {{LIT("model.onnx"), shelf_bytes(sh, 5000, 1), NULL, 0},
                                     {LIT("data/a/weights"), shelf_bytes(sh, 9000, 2), NULL, 0},
                                     {LIT("data/empty"), {0}, NULL, 0}};
    struct store_new n = {.model = LIT("m"), .sources = sources, .n_sources = 3};
    struct store_added added;
    SHELF_OK(sh, store_add(sh->s, &n, &added, &sh->e));
    snprintf(out, sizeof out, "%s/out", sh->folder);
    SHELF_OK(sh, store_export(sh->s, LIT("m"), 1, out, &sh->e));
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%.*s", out, STR(sources[i].name));
        same(sh, path, sources[i].bytes);
    }
    snprintf(path, sizeof path, "%s/file", sh->folder);
    SHELF_OK(sh, file_publish(path, (struct span){0}, 0644, &sh->e));
    enum code code = store_export(sh->s, LIT("m"), 1, path, &sh->e); /* three files into a file */
    assert_int_not_equal(code, OK);
    assert_non_null(strstr(sh->e.text, path));
}

static void damaged(void **state) {
    struct shelf *sh = *state;
    char path[300], name[OBJECT_NAME];
    uint8_t hash[SHA256_BYTES];
    struct span bytes = shelf_bytes(sh, 10000, 1);
    struct store_piece piece = {0, 10000};
    shelf_add(sh, "m", bytes, &piece, 1);
    sha256_of(bytes, hash);
    object_name(hash, name);
    snprintf(path, sizeof path, "%s/objects/%s", sh->at, name);
    assert_int_equal(chmod(path, 0644), 0);
    FILE *f = fopen(path, "r+b");
    fputc(bytes.p[0] ^ 1, f);
    fclose(f);
    snprintf(path, sizeof path, "%s/out.onnx", sh->folder);
    SHELF_FAILS(sh, CORRUPT, "'model.bin' is damaged",
                store_export(sh->s, LIT("m"), 1, path, &sh->e));
    assert_false(file_exists(path));
    assert_int_equal(shelf_count(sh, ".."), shelf_count(sh, ".")); /* no draft beside it either */
}

static void hostile_name(void **state) {
    struct shelf *sh = *state;
    char path[300];
    struct store_source sources[] = {{LIT("a"), shelf_bytes(sh, 50, 1), NULL, 0}};
    struct store_new n = {.model = LIT("m"), .sources = sources, .n_sources = 1};
    struct store_added added;
    SHELF_OK(sh, store_add(sh->s, &n, &added, &sh->e));
    SHELF_OK(sh, store_begin(sh->s, &sh->e));
    SHELF_OK(sh, store_end(sh->s,
                           db_script(&sh->s->writer, "UPDATE file SET name = '../../evil'", &sh->e),
                           &sh->e));
    snprintf(path, sizeof path, "%s/x/y/", sh->folder);
    SHELF_FAILS(sh, INVALID, "damaged store", store_export(sh->s, LIT("m"), 1, path, &sh->e));
    snprintf(path, sizeof path, "%s/evil", sh->folder);
    assert_false(file_exists(path));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(one_file), TEST(many_files), TEST(damaged),
                                       TEST(hostile_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
