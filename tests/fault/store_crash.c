/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts: a record is kept of what an honest disk must still have (bytes of files and names in
 * folders that were fsync'd), and after every single fsync the store is rebuilt from that record
 * alone and looked at:
 *
 *   STRICT  nothing survives but what was fsync'd, names as well as bytes
 *   NAMES   every name survives at once, but bytes only when fsync'd: the file that is there and
 * empty
 *
 * Each time the rebuilt store verifies clean and has every version and alias that was acknowledged,
 * to the bit.
 *
 * Our own fsync calls are seen by linking with --wrap=fsync, SQLite's through the VFS of
 * store_vfs.h. */
#include "base/err.h"

#include "../unit/store/shelf.h"
#include "store/in.h"
#include "store/object.h"
#include "store_vfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum model { STRICT, NAMES };

/* --- the disk --- */

struct inode { /* a file is its number and its birth: numbers are used again */
    uint64_t number;
    int64_t born_ns;
};

static struct disk_file {
    struct inode inode;
    uint8_t *bytes; /* owned: as of its latest fsync */
    size_t n;
} files[4000];

static struct disk_name {
    char folder[160], name[80];
    struct inode inode;
    bool is_folder;
} names[4000];

static size_t n_files, n_names;
static bool recording, uncut; /* uncut: record, but do not look */
static long cuts;
static void cut(void);

static bool look(const char *path, struct inode *inode, bool *is_folder) {
    struct statx st;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
        return false;
    *inode = (struct inode){st.stx_ino,
                            (int64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec};
    *is_folder = S_ISDIR(st.stx_mode);
    return true;
}

static struct disk_file *file_of(struct inode inode) {
    for (size_t i = 0; i < n_files; i++)
        if (files[i].inode.number == inode.number && files[i].inode.born_ns == inode.born_ns)
            return &files[i];
    return NULL;
}

static void sync_file(const char *path) {
    struct inode inode;
    bool is_folder;
    assert_true(look(path, &inode, &is_folder) && !is_folder);
    struct disk_file *f = file_of(inode);
    if (!f) {
        assert_true(n_files < sizeof files / sizeof *files);
        f = &files[n_files++];
    }
    free(f->bytes);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    size_t n = (size_t)ftell(in);
    *f = (struct disk_file){inode, malloc(n + 1), n};
    rewind(in);
    assert_int_equal(fread(f->bytes, 1, n, in), n);
    fclose(in);
}

static void sync_folder_at(const char *path) {
    size_t kept = 0;
    for (size_t i = 0; i < n_names; i++)
        if (strcmp(names[i].folder, path) != 0)
            names[kept++] = names[i];
    n_names = kept;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(n_names < sizeof names / sizeof *names);
        struct disk_name *name = &names[n_names++];
        char full[400];
        snprintf(name->folder, sizeof name->folder, "%s", path);
        snprintf(name->name, sizeof name->name, "%.79s", entry->d_name);
        snprintf(full, sizeof full, "%s/%.79s", path, entry->d_name);
        assert_true(look(full, &name->inode, &name->is_folder));
    }
    closedir(dir);
}

/* --- seeing every fsync --- */

static char watched[64]; /* only what lies below */
/* An add flushes side by side; looking at a cut store may flush as well. */
static pthread_mutex_t one_by_one = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static void synced(const char *path) {
    struct inode inode;
    bool is_folder;
    if (!recording || strncmp(path, watched, strlen(watched)) != 0 ||
        !look(path, &inode, &is_folder))
        return;
    if (is_folder)
        sync_folder_at(path);
    else
        sync_file(path);
    cut();
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
    char link[40], path[300];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    assert_true(n > 0);
    path[n] = '\0';
    pthread_mutex_lock(&one_by_one);
    synced(path);
    pthread_mutex_unlock(&one_by_one);
    return 0; /* the disk is ours: no need to bother the real one */
}

static void database_synced(const char *path, bool first) {
    synced(path);
    if (first) { /* SQLite fsyncs the folder of a log that it has just made */
        char folder[300];
        snprintf(folder, sizeof folder, "%s", path);
        *strrchr(folder, '/') = '\0';
        synced(folder);
    }
}

/* --- rebuilding --- */

static void write_out(const char *path, struct inode inode) {
    struct disk_file *f = file_of(inode);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    if (f)
        assert_int_equal(fwrite(f->bytes, 1, f->n, out), f->n);
    fclose(out);
}

static void rebuild(enum model model, const char *from, const char *to);

static void rebuild_one(enum model model, const struct disk_name *name, const char *to) {
    char source[400], target[400];
    snprintf(source, sizeof source, "%s/%s", name->folder, name->name);
    snprintf(target, sizeof target, "%s/%s", to, name->name);
    if (name->is_folder)
        rebuild(model, source, target);
    else if (!str_ends(str_of(name->name), "-shm")) /* shared memory is memory */
        write_out(target, name->inode);
}

static void rebuild(enum model model, const char *from, const char *to) {
    mkdir(to, 0755);
    if (model == STRICT) {
        for (size_t i = 0; i < n_names; i++)
            if (strcmp(names[i].folder, from) == 0)
                rebuild_one(model, &names[i], to);
        return;
    }
    DIR *dir = opendir(from);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct disk_name name;
        char full[400];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name.folder, sizeof name.folder, "%s", from);
        snprintf(name.name, sizeof name.name, "%.79s", entry->d_name);
        snprintf(full, sizeof full, "%s/%.79s", from, entry->d_name);
        if (look(full, &name.inode, &name.is_folder))
            rebuild_one(model, &name, to);
    }
    if (dir)
        closedir(dir);
}

/* --- what must be there --- */

enum { VERSIONS = 9, SOME_BYTES = 10000 };
static struct {
    bool must, may;
    uint64_t seed;
    size_t bytes; /* 0: SOME_BYTES */
} expected[VERSIONS];
static uint64_t alias_must, alias_may; /* where m@prod points; 0: nowhere */
static struct shelf *shelf;

static void check_version(struct shelf *cut_shelf, uint64_t version) {
    char path[200];
    snprintf(path, sizeof path, "%s/exported", shelf->folder);
    SHELF_OK(cut_shelf, store_export(cut_shelf->s, LIT("m"), version, path, &cut_shelf->e));
    struct span got = shelf_read(cut_shelf, path),
                want = shelf_bytes(cut_shelf,
                                   expected[version].bytes ? expected[version].bytes : SOME_BYTES,
                                   expected[version].seed);
    assert_true(got.n == want.n && memcmp(got.p, want.p, got.n) == 0);
}

static void check_store(struct shelf *c) {
    struct store_info *list;
    size_t n;
    bool seen[VERSIONS] = {false};
    shelf_verify(c);
    SHELF_OK(c, store_list(c->s, (struct str){0}, &c->a, &list, &n, &c->e));
    for (size_t i = 0; i < n; i++) {
        assert_true(list[i].version < VERSIONS &&
                    (expected[list[i].version].must || expected[list[i].version].may));
        seen[list[i].version] = true;
        check_version(c, list[i].version);
    }
    for (uint64_t v = 0; v < VERSIONS; v++)
        if (expected[v].must && !seen[v])
            fail_msg("m@%llu was acknowledged and is lost", (unsigned long long)v);
    if (alias_must) {
        struct store_info info;
        struct store_ref ref = {.model = LIT("m"), .alias = LIT("prod")};
        SHELF_OK(c, store_resolve(c->s, &ref, &c->a, &info, &c->e));
        assert_true(info.version == alias_must || info.version == alias_may);
    }
}

static void cut_as(enum model model) {
    struct shelf c = {0};
    char to[160];
    snprintf(to, sizeof to, "%.60s-cut", shelf->folder);
    rebuild(model, shelf->folder, to);
    snprintf(c.at, sizeof c.at, "%.100s/store", to);
    arena_init(&c.a, 8 << 20);
    enum code code = store_open(c.at, false, &c.s, &c.e);
    if (code == OK)
        check_store(&c);
    else if (code != ERR_NOT_FOUND || expected[1].must)
        fail_msg("after cut %ld (%s): %s", cuts, model == STRICT ? "strict" : "names", c.e.text);
    store_close(c.s);
    arena_deinit(&c.a);
    nftw(to, shelf_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void cut(void) {
    if (uncut)
        return;
    recording = false;
    cuts++;
    cut_as(STRICT);
    cut_as(NAMES);
    recording = true;
}

/* --- a life --- */

static void add(uint64_t version, uint64_t seed) {
    expected[version].seed = seed;
    expected[version].may = true;
    assert_int_equal(shelf_add_seed(shelf, "m", seed).version, version);
    expected[version].must = true;
}

static void point(uint64_t version) {
    alias_may = version;
    SHELF_OK(shelf, store_alias_set(shelf->s, LIT("m"), LIT("prod"), version, &shelf->e));
    alias_must = version;
}

static void take_away(uint64_t version) {
    expected[version].must = false;
    SHELF_OK(shelf, store_remove(shelf->s, LIT("m"), version, &shelf->e));
    expected[version].may = false;
}

/* Another add, of another process, has made the piece of shelf_add_seed visible and not yet settled
 * its name. */
static void unsettled(uint64_t seed) {
    static struct object_batch batch;
    struct span bytes = shelf_bytes(shelf, 10000, seed);
    struct layout_extent x = {bytes.p + 100, 5000};
    struct layout_blob b = {.extents = &x, .n_extents = 1, .size = 5000};
    sha256_of((struct span){x.p, x.n}, b.hash);
    SHELF_OK(shelf, store_writable(shelf->s, &shelf->e));
    object_batch_init(&batch, shelf->s);
    SHELF_OK(shelf, object_batch_put(&batch, &b, NULL, NULL, &shelf->e));
    SHELF_OK(shelf, object_batch_flush(&batch, &shelf->e));
}

static void reopen(void) {
    store_close(shelf->s); /* the log goes into the file, and away */
    SHELF_OK(shelf, store_open(shelf->at, true, &shelf->s, &shelf->e));
}

/* Tensors enough that an add flushes them, and their folders, side by side. */
enum { MANY = 9, MANY_BYTES = 40000 };
static void many(struct store_piece pieces[MANY]) {
    for (size_t k = 0; k < MANY; k++)
        pieces[k] = (struct store_piece){100 + 4200 * k, STORE_PIECE_MIN};
}

static void add_many(uint64_t version, uint64_t seed) {
    struct store_piece pieces[MANY];
    many(pieces);
    expected[version].seed = seed;
    expected[version].may = true;
    expected[version].bytes = MANY_BYTES;
    struct store_added added =
        shelf_add(shelf, "m", shelf_bytes(shelf, MANY_BYTES, seed), pieces, MANY);
    assert_int_equal(added.version, version);
    expected[version].must = true;
}

/* Every fsync of an add fails in turn, SQLite's ones after the disk has written all: the add fails
 * and takes its blobs back, and its rows must not come back from the log without them. */
static void failing_adds(uint64_t version, uint64_t seed, size_t n_pieces) {
    expected[version].seed = seed;
    expected[version].bytes = MANY_BYTES;
    expected[version].may = true;
    for (long nth = 1;; nth++) {
        struct span bytes = shelf_bytes(shelf, MANY_BYTES, seed);
        struct store_piece pieces[MANY];
        many(pieces);
        struct store_source source = {LIT("model.bin"), bytes, pieces, n_pieces};
        struct store_new n = {.model = LIT("m"), .sources = &source, .n_sources = 1};
        struct store_added added;
        uncut = true; /* looking would use up the fault */
        fault_arm(FAULT_FSYNC, nth, false);
        enum code code = store_add(shelf->s, &n, &added, &shelf->e);
        bool fired = fault_fired();
        fault_arm(FAULT_FSYNC, 0, false);
        uncut = false;
        cut();
        if (!fired) {
            SHELF_OK(shelf, code);
            assert_int_equal(added.version, version);
            assert_true(nth > 5);
            expected[version].must = true;
            return;
        }
    }
}

static void life(void **state) {
    struct shelf sh;
    struct store_swept swept;
    (void)state;
    shelf = &sh;
    shelf_begin(&sh); /* makes a store; this test wants to see that happen */
    store_close(sh.s);
    nftw(sh.at, shelf_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    snprintf(watched, sizeof watched, "%s", sh.folder);
    recording = true;
    snprintf(sh.at, sizeof sh.at, "%s/store", sh.folder);
    SHELF_OK(&sh, store_open(sh.at, true, &sh.s, &sh.e));
    add(1, 11);
    add(2, 12);
    point(1);
    point(2);
    take_away(1);
    SHELF_OK(&sh, store_gc(sh.s, 0, false, &swept, &sh.e));
    assert_true(swept.blobs > 0);
    add(3, 11); /* what was swept comes back */
    reopen();
    unsettled(14);
    add(4, 14);
    for (int i = 0; i < 20;
         i++) { /* the log grows past its limit, is moved into the file and begins anew */
        static char value[300000];
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        memset(value, 'a' + i, sizeof value);
        SHELF_OK(&sh, store_fact_put(sh.s, LIT("life"), str_of(key),
                                     (struct str){value, sizeof value}, &sh.e));
    }
    take_away(3);
    reopen();
    SHELF_OK(&sh, store_gc(sh.s, 0, false, &swept, &sh.e));
    add(5, 11);
    failing_adds(6, 16, 1);
    add_many(7, 17);
    failing_adds(8, 18, MANY);
    recording = false;
    print_message("%ld power cuts, each in two ways\n", cuts);
    assert_true(cuts > 60);
    shelf_end(&sh);
    for (size_t i = 0; i < n_files; i++)
        free(files[i].bytes);
}

int main(void) {
    store_vfs_synced = database_synced;
    store_vfs_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(life)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
