/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.c"

#include "check.h"

#include <dirent.h>
#include <stdlib.h>

static char folder[64];

static const char *in_folder(const char *name) {
    static char paths[4][4200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/slipway-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static void remove_all(const char *path) {
    DIR *d = opendir(path);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char inner[4200];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (unlink(inner) != 0)
            remove_all(inner);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static int teardown(void **state) {
    (void)state;
    remove_all(folder);
    return 0;
}

static struct span text_span(const char *text) {
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static void published_bytes_are_read_back(void **state) {
    (void)state;
    struct err e;
    struct arena a;
    struct span got;
    struct stat st;
    uint64_t n;
    const char *path = in_folder("object");
    arena_init(&a, 1 << 20);
    assert_false(file_exists(path));
    assert_ok(file_publish(path, text_span("first"), 0640, &e));
    assert_ok(file_publish(path, text_span("second!"), 0600, &e));
    assert_ok(file_read(path, 7, &a, &got, &e));
    assert_int_equal(got.n, 7);
    assert_string_equal((const char *)got.p, "second!"); /* NUL-terminated past the end */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_ok(file_size(path, &n, &e));
    assert_int_equal(n, 7);
    assert_fails(file_read(path, 6, &a, &got, &e), LIMIT, "has 7 bytes, limit 6");
    assert_ok(file_unlink(path, &e));
    assert_ok(file_unlink(path, &e));
    assert_fails(file_read(path, 10, &a, &got, &e), NOT_FOUND, "cannot open");
    assert_fails(file_size(path, &n, &e), NOT_FOUND, "cannot examine");
    arena_deinit(&a);
}

static void the_arena_bounds_reading(void **state) {
    (void)state;
    struct err e;
    struct arena a;
    struct span got;
    arena_init(&a, 5);
    assert_ok(file_publish(in_folder("six"), text_span("sixsix"), 0600, &e));
    assert_fails(file_read(in_folder("six"), 100, &a, &got, &e), LIMIT, "six");
    arena_deinit(&a);
}

static void maps_hold_the_file(void **state) {
    (void)state;
    struct err e;
    struct map_file m = {0}, other = {0};
    assert_ok(file_publish(in_folder("m"), text_span("mapped"), 0600, &e));
    assert_ok(map_file_open(&m, in_folder("m"), &e));
    assert_ok(map_file_open(&other, in_folder("m"), &e));
    assert_int_equal(m.bytes.n, 6);
    assert_memory_equal(m.bytes.p, "mapped", 6);
    assert_int_equal((uintptr_t)m.bytes.p % 4096, 0);
    assert_true(m.inode == other.inode && m.device == other.device && m.inode);
    map_file_close(&m);
    map_file_close(&m);
    map_file_close(&other);
    assert_ok(file_publish(in_folder("empty"), (struct span){NULL, 0}, 0600, &e));
    assert_ok(map_file_open(&m, in_folder("empty"), &e));
    assert_int_equal(m.bytes.n, 0);
    map_file_close(&m);
}

static void an_open_file_is_mapped_and_stays_open(void **state) {
    (void)state;
    struct err e;
    struct map_file m = {0};
    int ends[2];
    assert_ok(file_publish(in_folder("fd"), text_span("by descriptor"), 0600, &e));
    int fd = open(in_folder("fd"), O_RDONLY | O_CLOEXEC);
    assert_ok(map_file_fd(&m, fd, "fd", &e));
    assert_memory_equal(m.bytes.p, "by descriptor", 13);
    map_file_close(&m);
    char first;
    assert_int_equal(read(fd, &first, 1), 1);
    close(fd);
    assert_fails(map_file_fd(&m, -1, "gone", &e), IO, "cannot examine 'gone'");
    assert_int_equal(pipe(ends), 0);
    assert_fails(map_file_fd(&m, ends[0], "pipe", &e), INVALID, "'pipe' is not a regular file");
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(m.bytes.n, 0);
}

/* A FIFO must not hang the reader, a folder must not be mapped. */
static void only_regular_files(void **state) {
    (void)state;
    struct err e;
    struct arena a;
    struct span got;
    struct map_file m = {0};
    arena_init(&a, 1 << 20);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_fails(file_read(in_folder("fifo"), 10, &a, &got, &e), INVALID, "special file");
    assert_fails(map_file_open(&m, folder, &e), INVALID, "is a folder");
    assert_fails(map_file_open(&m, "/dev/null", &e), INVALID, "special file");
    arena_deinit(&a);
}

static void folders_are_made_like_mkdir_p(void **state) {
    (void)state;
    struct err e;
    assert_ok(file_mkdirs(in_folder("a/b//c/"), &e));
    assert_ok(file_mkdirs(in_folder("a/b/c"), &e));
    assert_true(file_exists(in_folder("a/b/c")));
    assert_ok(file_mkdirs("/", &e));
    assert_ok(file_mkdirs(".", &e));
    assert_ok(file_publish(in_folder("plain"), text_span("x"), 0600, &e));
    assert_fails(file_mkdirs(in_folder("plain"), &e), EXISTS, "is no folder");
    assert_fails(file_mkdirs(in_folder("plain/d"), &e), NOT_FOUND, "cannot create folder");
    assert_ok(file_sync_folder(folder, &e));
    assert_fails(file_sync_folder(in_folder("none"), &e), NOT_FOUND, "cannot open folder");
}

static void a_dropped_draft_leaves_nothing(void **state) {
    (void)state;
    struct err e;
    struct file_draft d;
    assert_ok(file_mkdirs(in_folder("drafts"), &e));
    assert_ok(file_draft_open(&d, in_folder("drafts/x"), 0644, &e));
    assert_ok(file_draft_write(&d, "abc", 3, &e));
    assert_true(file_exists(d.path));
    file_draft_drop(&d);
    file_draft_drop(&d);
    assert_int_equal(d.fd, -1);
    assert_int_equal(rmdir(in_folder("drafts")), 0); /* empty again */
    assert_fails(file_draft_open(&d, in_folder("drafts/x"), 0644, &e), NOT_FOUND,
                 "cannot create a file in");
    file_draft_drop(&d);
}

static void publishing_over_a_folder_fails_whole(void **state) {
    (void)state;
    struct err e;
    assert_ok(file_mkdirs(in_folder("d/inner"), &e));
    assert_fails(file_publish(in_folder("d"), text_span("x"), 0600, &e), IO, "cannot put");
    assert_true(file_exists(in_folder("d/inner")));
}

static void long_paths_are_refused(void **state) {
    (void)state;
    struct err e;
    char path[6000];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    path[0] = '/';
    assert_fails(file_publish(path, text_span("x"), 0600, &e), INVALID, "too long");
    assert_fails(file_mkdirs(path, &e), INVALID, "too long");
    path[5000] = '/';
    assert_fails(file_publish(path, text_span("x"), 0600, &e), INVALID, "too long");
}

static void the_folder_of_a_path(void **state) {
    (void)state;
    char f[4096];
    static const char *const cases[][2] = {
        {"x", "."}, {"/x", "/"}, {"a/x", "a"}, {"/a/b/x", "/a/b"}, {"a/", "a"}};
    for (size_t at = 0; at < 5; at++) {
        assert_true(folder_of(cases[at][0], f));
        assert_string_equal(f, cases[at][1]);
    }
}

/* Slots of this process's table of open files. */
static uint64_t table_size(void) {
    char line[256];
    uint64_t size = 0;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (!size && fgets(line, sizeof line, f))
        if (strncmp(line, "FDSize:", 7) == 0)
            size = strtoull(line + 7, NULL, 10);
    fclose(f);
    return size;
}

static int open_files(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void room_is_made_at_once(void **state) {
    (void)state;
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    if (r.rlim_max < 900)
        skip();
    int before = open_files();
    struct rlimit little = {.rlim_cur = 300, .rlim_max = r.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &little), 0);
    assert_int_equal(file_room(900), 900); /* the limit is raised */
    assert_true(table_size() >= 900);
    assert_int_equal(file_room(10), 10); /* and never lowered */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &little), 0);
    assert_int_equal(little.rlim_cur, 900);
    struct rlimit tight = {.rlim_cur = 300, .rlim_max = r.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    if (r.rlim_max <= 1 << 16) /* else the table would be a large one */
        assert_int_equal(file_room(UINT64_MAX), r.rlim_max);
    assert_int_equal(open_files(), before);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_bytes_are_read_back),
        cmocka_unit_test(the_arena_bounds_reading),
        cmocka_unit_test(maps_hold_the_file),
        cmocka_unit_test(an_open_file_is_mapped_and_stays_open),
        cmocka_unit_test(only_regular_files),
        cmocka_unit_test(folders_are_made_like_mkdir_p),
        cmocka_unit_test(a_dropped_draft_leaves_nothing),
        cmocka_unit_test(publishing_over_a_folder_fails_whole),
        cmocka_unit_test(long_paths_are_refused),
        cmocka_unit_test(the_folder_of_a_path),
        cmocka_unit_test(room_is_made_at_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
