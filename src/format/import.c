/* SPDX-License-Identifier: Apache-2.0 */
/* Import: a path to a verified model.
 *
 * Map the file, recognise it, let the child parse it (sandbox.c), open the external data it names,
 * rebuild the model from the child's answer with its constants pointing into the maps, verify it,
 * find its operators.
 *
 * 1. Nothing the child says is believed: names of files are checked and opened below the model's
 * folder only, ranges are checked against the real files, the graph passes graph_verify.
 * 2. On failure everything is closed and *out is untouched. */
#include "format/format.h"

#include "base/file.h"
#include "format/sandbox.h"
#include "op/op_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HEAD = 64 << 10, FILES_MAX = 4096, ENTRIES_MAX = 10000, FILES_BYTES = 64 << 20 };

/* --- the main file --- */

static struct span head_of(struct span bytes) {
    return (struct span){bytes.p, bytes.n < HEAD ? bytes.n : HEAD};
}

static bool join(char out[4096], const char *folder, const char *name) {
    int n = snprintf(out, 4096, "%s/%s", folder, name);
    return n > 0 && n < 4096;
}

static bool is_model(const char *path, const char *name) {
    uint8_t head[HEAD];
    struct stat st;
    const struct format *format;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t n = regular ? read(fd, head, sizeof head) : 0;
    if (fd >= 0)
        close(fd);
    format = n > 0 ? format_sniff((struct span){head, (size_t)n}, (uint64_t)st.st_size) : NULL;
    return format && !(format->wants && format->wants((struct str){0}, str_of(name)));
}

/* The one model among the files of a folder; hidden ones and parts of another do not count. */
static enum code find_in_folder(const char *folder, char path[4096], struct err *e) {
    char candidate[4096];
    int found = 0, seen = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return fail_errno(e, errno, "cannot list '%s'", folder);
    for (struct dirent *d; found < 2 && seen < ENTRIES_MAX && (d = readdir(dir)); seen++) {
        if (d->d_name[0] == '.' || !join(candidate, folder, d->d_name) ||
            !is_model(candidate, d->d_name))
            continue;
        if (found++ == 0)
            memcpy(path, candidate, sizeof candidate);
    }
    closedir(dir);
    if (found == 0)
        return fail(e, NOT_FOUND, "no file in '%s' is a model this build can read", folder);
    if (found > 1)
        return fail(e, INVALID, "'%s' has several model files ('%s', '%s', ...): name one", folder,
                    strrchr(path, '/') + 1, strrchr(candidate, '/') + 1);
    return OK;
}

static enum code find_path(const char *given, char path[4096], struct err *e) {
    struct stat st;
    size_t n = strlen(given);
    if (n >= 4096)
        return fail(e, INVALID, "path of %zu bytes is too long: '%.80s...'", n, given);
    if (stat(given, &st) == 0 && S_ISDIR(st.st_mode))
        return find_in_folder(given, path, e);
    memcpy(path, given, n + 1);
    return OK;
}

static struct str base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return str_of(slash ? slash + 1 : path);
}

/* --- external data --- */

/* Resolved by the kernel beneath the folder: no "..", no absolute path, no link that leads out. */
static int open_beneath(int folder, const char *name) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
}

/* Where there is no openat2 (before Linux 5.6): no link at all, part by part. */
static int open_by_parts(int folder, const char *name) {
    char part[256];
    int at = dup(folder);
    for (const char *p = name; at >= 0;) {
        size_t n = strcspn(p, "/");
        bool last = p[n] == '\0';
        if (n == 0 || n >= sizeof part) {
            close(at);
            errno = EINVAL;
            return -1;
        }
        memcpy(part, p, n);
        part[n] = '\0';
        int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | (last ? 0 : O_DIRECTORY);
        int next = strcmp(part, "..") == 0 ? (errno = EXDEV, -1) : openat(at, part, flags);
        int number = errno;
        close(at);
        errno = number;
        if (last || next < 0)
            return next;
        at = next;
        p += n + 1;
    }
    return -1;
}

/* Is the folder's parent named "snapshots", with "blobs" beside it? Gives the latter, or -1. */
static int open_blobs(int folder) {
    struct stat parent, snapshots;
    if (fstatat(folder, "..", &parent, 0) != 0 ||
        fstatat(folder, "../../snapshots", &snapshots, AT_SYMLINK_NOFOLLOW) != 0 ||
        parent.st_dev != snapshots.st_dev || parent.st_ino != snapshots.st_ino)
        return -1;
    return openat(folder, "../../blobs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Hugging Face's cache keeps a model as links: snapshots/REVISION/NAME -> ../../blobs/HASH (one
 * "../" more for each folder in NAME). Such a link, and no other that leads out, is followed, to a
 * file that lies in that folder itself. */
static int open_in_cache(int folder, const char *name) {
    char target[512];
    const char *blob = target;
    ssize_t n = readlinkat(folder, name, target, sizeof target - 1);
    int ups = 2, found = 0, fd = -1;
    target[n > 0 ? n : 0] = '\0';
    for (const char *p = name; *p; p++)
        ups += *p == '/';
    for (; strncmp(blob, "../", 3) == 0; blob += 3)
        found++;
    bool is_blob = found == ups && strncmp(blob, "blobs/", 6) == 0 && blob[6] != '\0' &&
                   !strchr(blob + 6, '/') && strcmp(blob + 6, "..") != 0;
    int blobs = is_blob ? open_blobs(folder) : -1;
    if (blobs >= 0) {
        fd = openat(blobs, blob + 6, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
        close(blobs);
    }
    if (fd < 0)
        errno = EXDEV;
    return fd;
}

static enum code map_beneath(int folder, struct import_file *f, struct err *e) {
    char name[4096];
    struct map_file map;
    if (f->name.n == 0 || f->name.n >= sizeof name || memchr(f->name.p, '\0', f->name.n))
        return fail(e, FORMAT, "external data has an impossible file name");
    memcpy(name, f->name.p, f->name.n);
    name[f->name.n] = '\0';
    int fd = open_beneath(folder, name);
    if (fd < 0 &&
        (errno == ENOSYS || errno == EPERM)) /* EPERM: a container's filter that does not know it */
        fd = open_by_parts(folder, name);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        fd = open_in_cache(folder, name);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return fail(e, FORMAT, "external data '%s' lies outside the model's folder", name);
    if (fd < 0)
        return fail_errno(e, errno, "external data '%s' beside the model cannot be opened", name);
    enum code code = map_file_fd(&map, fd, name, e);
    close(fd);
    if (code == OK)
        f->bytes = map.bytes;
    return code;
}

/* The folder of the main file: "" when its path has none; as a descriptor (O_PATH) in *fd. */
static enum code open_folder(const struct import *i, char folder[4096], int *fd, struct err *e) {
    size_t length = strlen(i->files[0].path) - base_name(i->files[0].path).n;
    memcpy(folder, i->files[0].path, length);
    folder[length] = '\0';
    *fd = open(length ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? fail_errno(e, errno, "cannot open '%s'", length ? folder : ".") : OK;
}

/* Opens list[i->n_files..n), whose names are set. */
static enum code open_list(struct import *i, struct import_file *list, int n, struct err *e) {
    char folder[4096];
    int fd;
    i->files = list;
    if (n == i->n_files)
        return OK;
    TRY(open_folder(i, folder, &fd, e));
    enum code code = OK;
    while (code == OK && i->n_files < n) {
        struct import_file *f = &list[i->n_files];
        int bytes = snprintf(f->path, sizeof f->path, "%s%.*s", folder, STR(f->name));
        if (bytes >= (int)sizeof f->path)
            code = fail(e, INVALID, "the path of '%.*s' is too long", STR(f->name));
        else
            code = map_beneath(fd, f, e);
        i->n_files += code == OK;
    }
    close(fd);
    return code;
}

static struct import_file *longer_list(struct import *i, int n, struct err *e) {
    struct import_file *list = ARENA_ARRAY(&i->arena, (size_t)n, struct import_file);
    if (!list)
        (void)arena_fail(&i->arena, (size_t)n * sizeof *list, "files of the model", e);
    else
        memcpy(list, i->files, (size_t)i->n_files * sizeof *list);
    return list;
}

/* The model's files: first those its reader was given, then external data, opened here. */
static enum code open_files(struct import *i, const struct model_file *files, int n,
                            struct err *e) {
    if (n < i->n_files || n > FILES_MAX)
        return fail(e, LIMIT, "the model names %d files, limit %d", n, FILES_MAX);
    for (int f = 0; f < i->n_files; f++)
        if (!str_eq(files[f].name, i->files[f].name))
            return fail(e, FORMAT, "the model's files are not those it was read from");
    struct import_file *list = longer_list(i, n, e);
    if (!list)
        return e->code;
    for (int f = i->n_files; f < n; f++)
        list[f].name = files[f].name;
    return open_list(i, list, n, e);
}

/* --- companions: files beside the main one that the reader needs too --- */

struct companions {
    struct import *i;
    struct str *names; /* in the import's arena */
    size_t n, room;
    int seen;
};

static enum code add_companion(struct companions *c, const char *name, struct err *e) {
    if (!c->i->format->wants(c->i->files[0].name, str_of(name)))
        return OK;
    if (c->n == FILES_MAX - 1)
        return fail(e, LIMIT, "the model has more than %d files", FILES_MAX);
    if (c->n == c->room) {
        size_t room = c->room ? c->room * 2 : 16;
        struct str *bigger = ARENA_ARRAY(&c->i->arena, room, struct str);
        if (!bigger)
            return arena_fail(&c->i->arena, room * sizeof *bigger, "files of the model", e);
        if (c->n)
            memcpy(bigger, c->names, c->n * sizeof *bigger);
        c->names = bigger;
        c->room = room;
    }
    c->names[c->n] = arena_str(&c->i->arena, str_of(name));
    return c->names[c->n++].p ? OK : arena_fail(&c->i->arena, strlen(name), "a file's name", e);
}

/* prefix: "" or "1_Pooling/"; folders directly in the model's are looked into, no deeper. */
static enum code list_companions(struct companions *c, int folder, const char *prefix,
                                 struct err *e) {
    char name[512];
    enum code code = OK;
    int fd = openat(folder, *prefix ? prefix : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return *prefix ? OK : fail_errno(e, errno, "cannot list the model's folder");
    }
    for (struct dirent *d; code == OK && c->seen < ENTRIES_MAX && (d = readdir(dir)); c->seen++) {
        int n = snprintf(name, sizeof name - 1, "%s%s", prefix, d->d_name);
        if (d->d_name[0] == '.' || n >= (int)sizeof name - 1)
            continue;
        if (d->d_type == DT_DIR && !*prefix) {
            name[n] = '/';
            name[n + 1] = '\0';
            code = list_companions(c, folder, name, e);
        } else if (d->d_type != DT_DIR) {
            code = add_companion(c, name, e);
        }
    }
    closedir(dir);
    return code;
}

static int by_name(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum code open_companions(struct import *i, struct err *e) {
    struct companions c = {.i = i};
    char folder[4096];
    int fd, before = i->n_files;
    if (!i->format->wants)
        return OK;
    TRY(open_folder(i, folder, &fd, e));
    enum code code = list_companions(&c, fd, "", e);
    close(fd);
    if (code != OK || c.n == 0)
        return code;
    qsort(c.names, c.n, sizeof *c.names, by_name);
    struct import_file *list = longer_list(i, before + (int)c.n, e);
    if (!list)
        return e->code;
    for (size_t f = 0; f < c.n; f++)
        list[before + (int)f].name = c.names[f];
    return open_list(i, list, before + (int)c.n, e);
}

/* --- the model --- */

struct reading {
    const struct format *format;
    struct format_input in; /* arena: set where it runs */
    size_t memory_bytes;
};

/* In the child, or in this process when asked to. */
static enum code read_model(void *ctx, struct buf *out, struct err *e) {
    struct reading *r = ctx;
    struct arena a;
    struct model *m;
    arena_init(&a, r->memory_bytes);
    r->in.arena = &a;
    enum code code = r->format->read(&r->in, &m, e);
    if (code == OK)
        code = wire_put(m, out, e);
    arena_deinit(&a);
    return code;
}

static enum code resolve(void *ctx, int file, uint64_t offset, uint64_t length, struct span *out,
                         struct err *e) {
    const struct import *i = ctx;
    if (file < 0 || file >= i->n_files)
        return fail(e, FORMAT, "a constant lies in a file the model does not have");
    const struct import_file *f = &i->files[file];
    if (offset > f->bytes.n || length > f->bytes.n - offset)
        return fail(
            e, FORMAT, "'%.*s' is too short: a constant takes %llu bytes at %llu, it has %zu",
            STR(f->name), (unsigned long long)length, (unsigned long long)offset, f->bytes.n);
    *out = (struct span){f->bytes.p + offset, (size_t)length};
    return OK;
}

/* From the answer to a model that may be used. */
static enum code build(struct import *i, struct span wire, struct err *e) {
    struct model_file *files;
    int n;
    TRY(wire_take_files(wire, &i->arena, &files, &n, e));
    TRY(open_files(i, files, n, e));
    for (int f = 0; f < i->n_files; f++) /* room for constants that cannot be used in place */
        i->arena.cap_bytes += 2 * i->files[f].bytes.n;
    TRY(wire_take(wire, &i->arena, resolve, i, &i->model, e));
    for (int f = 0; f < i->n_files; f++)
        i->model->files[f].size = i->files[f].bytes.n;
    TRY(graph_verify(i->model, e));
    return op_resolve(i->model, e);
}

static enum code parse(struct import *i, const struct format_limits *l, struct err *e) {
    struct import_file *main = &i->files[0];
    struct sandbox_limits limits = {l->memory_bytes ? l->memory_bytes : (size_t)1 << 30,
                                    l->seconds ? l->seconds : 60};
    struct reading r = {
        .format = i->format,
        .in = {.name = main->name, .bytes = main->bytes, .files = i->files, .n_files = i->n_files},
        .memory_bytes = limits.memory_bytes};
    struct buf wire;
    char what[300];
    i->arena.cap_bytes = limits.memory_bytes;
    (void)op_find(LIT("add")); /* sorts its index here, not in the child */
    snprintf(what, sizeof what, "the import of '%.*s'",
             main->name.n < 250 ? (int)main->name.n : 250, main->name.p);
    buf_init(&wire, limits.memory_bytes);
    enum code code = l->in_process ? read_model(&r, &wire, e)
                                   : sandbox_run(read_model, &r, &limits, what, &wire, e);
    if (code == OK)
        code = build(i, (struct span){(const uint8_t *)wire.p, wire.n}, e);
    buf_deinit(&wire);
    if (code != OK && strncmp(e->text, what, strlen(what)) != 0)
        return err_prefix(e, "'%.*s'", STR(main->name));
    return code;
}

static enum code open_main(struct import *i, const char *path, struct err *e) {
    struct map_file map;
    struct import_file *f = ARENA_NEW(&i->arena, struct import_file);
    if (!f)
        return arena_fail(&i->arena, sizeof *f, "the import", e);
    TRY(find_path(path, f->path, e));
    TRY(map_file_open(&map, f->path, e));
    f->name = base_name(f->path);
    f->bytes = map.bytes;
    i->files = f;
    i->n_files = 1;
    i->format = format_sniff(head_of(f->bytes), f->bytes.n);
    if (f->bytes.n == 0)
        return fail(e, FORMAT, "'%s' is empty", f->path);
    if (!i->format)
        return fail(e, FORMAT, "'%s' is no model this build can read (%s)", f->path,
                    format_names());
    return open_companions(i, e);
}

enum code import_open(const char *path, const struct format_limits *l, struct import *out,
                      struct err *e) {
    struct import i = {0};
    arena_init(&i.arena, FILES_BYTES);
    enum code code = open_main(&i, path, e);
    if (code == OK)
        code = parse(&i, l, e);
    if (code != OK) {
        import_close(&i);
        return code;
    }
    *out = i;
    out->model->arena = &out->arena; /* it was built in this function's copy */
    return OK;
}

void import_close(struct import *i) {
    for (int f = 0; f < i->n_files; f++) {
        struct map_file map = {.bytes = i->files[f].bytes};
        map_file_close(&map);
    }
    arena_deinit(&i->arena);
    *i = (struct import){0};
}
