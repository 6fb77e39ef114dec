/* SPDX-License-Identifier: Apache-2.0 */
/* Marks: see marks.h. Counting costs two additions in mapped memory per run; what a dying process
 * wrote there stays in the file. */
#include "host/marks.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARKS = 1024, PATH = 4096, STRIKES = 3, CRASHES_BYTES = 1 << 20, ATTEMPTS = 8 };
enum { WITHIN_SECONDS = 3600 };
static const char MAGIC[8] = "slipmark";
static const int FATAL[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { FATALS = sizeof FATAL / sizeof *FATAL };

struct sheet { /* the file */
    char magic[8];
    _Atomic uint32_t fatal; /* the process is dying of its own fault */
    struct mark marks[MARKS];
};

struct marks {
    char folder[PATH], path[PATH + 32], crashes[PATH + 32];
    int fd;
    struct sheet *sheet; /* mapped */
};

/* --- dying --- */

static struct sheet *_Atomic current;
static struct sigaction before[FATALS];

/* Whatever would have happened happens afterwards: the faulting instruction is run again, or the
 * signal was sent and is sent again. */
static void on_fatal(int number, siginfo_t *info, void *context) {
    struct sheet *s = atomic_load(&current);
    (void)context;
    if (s)
        atomic_store(&s->fatal, 1);
    for (int i = 0; i < FATALS; i++)
        if (FATAL[i] == number)
            sigaction(number, &before[i], NULL);
    if (info->si_code <= 0)
        raise(number);
}

/* Of several sheets in one process the first is watched: a handler that found itself as the one
 * before it would raise the signal for ever. */
static void watch_signals(struct sheet *s) {
    struct sigaction on = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO};
    struct sheet *none = NULL;
    if (!atomic_compare_exchange_strong(&current, &none, s))
        return;
    for (int i = 0; i < FATALS; i++)
        sigaction(FATAL[i], &on, &before[i]);
}

static void unwatch_signals(const struct sheet *s) {
    if (atomic_load(&current) != s)
        return;
    for (int i = 0; i < FATALS; i++)
        sigaction(FATAL[i], &before[i], NULL);
    atomic_store(&current, NULL);
}

/* --- the crashes --- */

static void append(const char *path, struct str model, uint64_t version, uint64_t seconds) {
    char line[STORE_NAME_MAX + 64];
    int n = snprintf(line, sizeof line, "%.*s %llu %llu\n", STR(model), (unsigned long long)version,
                     (unsigned long long)seconds);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        log_text(LOG_WARN, "%s: cannot be written (%s)", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* The fields of one line; false: it is not one of ours. */
static bool read_line(struct str line, struct str *model, uint64_t *version, uint64_t *seconds) {
    size_t first, second;
    if (!str_find(line, ' ', &first))
        return false;
    struct str rest = str_sub(line, first + 1, line.n);
    *model = str_sub(line, 0, first);
    return str_find(rest, ' ', &second) && str_to_u64(str_sub(rest, 0, second), version) &&
           str_to_u64(str_sub(rest, second + 1, rest.n), seconds);
}

/* Whether STRIKES deaths in a row lie close enough together. */
static bool struck_out(struct str text, struct str model, uint64_t version) {
    uint64_t times[STRIKES] = {0};
    size_t n = 0;
    bool out = false;
    for (size_t end; text.n; text = str_sub(text, end < text.n ? end + 1 : end, text.n)) {
        struct str name;
        uint64_t v, seconds;
        if (!str_find(text, '\n', &end))
            end = text.n;
        if (!read_line(str_sub(text, 0, end), &name, &v, &seconds) || v != version ||
            !str_eq(name, model))
            continue;
        n = seconds ? n + 1 : 0;
        out = out && seconds;
        times[n % STRIKES] = seconds;
        uint64_t oldest = times[(n + 1) % STRIKES];
        out = out || (n >= STRIKES && seconds - oldest <= WITHIN_SECONDS);
    }
    return out;
}

enum code marks_check(const struct marks *m, struct str model, uint64_t version, struct err *e) {
    struct arena a;
    struct span text = {0};
    struct err ignored;
    if (!m || !file_exists(m->crashes))
        return OK;
    arena_init(&a, 2 * CRASHES_BYTES);
    bool out = file_read(m->crashes, CRASHES_BYTES, &a, &text, &ignored) == OK &&
               struck_out((struct str){(const char *)text.p, text.n}, model, version);
    arena_deinit(&a);
    if (!out)
        return OK;
    return fail(e, CONFLICT,
                "it took the server down %d times within an hour; to try it again load it by name "
                "(/v2/repository/models/%.*s/load) or delete '%s'",
                STRIKES, STR(model), m->crashes);
}

void marks_forgive(struct marks *m, struct str model, uint64_t version) {
    struct err ignored;
    if (m && marks_check(m, model, version, &ignored) != OK)
        append(m->crashes, model, version, 0);
}

/* --- those who died --- */

static void blame(const struct marks *m, const struct mark *k, bool fatal, uint64_t seconds) {
    struct str model = {k->model, strnlen(k->model, sizeof k->model)};
    size_t space;
    bool near = atomic_load(&k->loading) || (fatal && atomic_load(&k->running));
    if (!atomic_load(&k->taken) || !near || model.n == 0 || model.n > STORE_NAME_MAX ||
        str_find(model, ' ', &space) || str_find(model, '\n', &space))
        return;
    log_event(LOG_ERROR, "a version was near when the server died", 2,
              (struct log_field[]){LOG_S("model", model), LOG_I("version", k->version)});
    append(m->crashes, model, k->version, seconds);
}

static void blame_all(const struct marks *m, int fd) {
    struct stat st;
    struct sheet *s = mem_zalloc(1, sizeof *s);
    bool whole = s && pread(fd, s, sizeof *s, 0) == (ssize_t)sizeof *s &&
                 memcmp(s->magic, MAGIC, sizeof MAGIC) == 0 && fstat(fd, &st) == 0;
    for (int i = 0; whole && i < MARKS; i++)
        blame(m, &s->marks[i], atomic_load(&s->fatal), clock_wall_us() / 1000000);
    mem_free(s);
}

/* A file whose lock can be had has no process any more. */
static void bury(const struct marks *m, const char *name) {
    char path[PATH + 300];
    snprintf(path, sizeof path, "%s/%s", m->folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        blame_all(m, fd);
        unlink(path);
    }
    close(fd);
}

static void bury_all(const struct marks *m) {
    DIR *d = opendir(m->folder);
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;)
        if (str_starts(str_of(entry->d_name), "serve-"))
            bury(m, entry->d_name);
    if (d)
        closedir(d);
}

/* --- ours --- */

/* Between its birth and its lock another process may take a file for a dead one's. */
static enum code create(struct marks *m, struct err *e) {
    struct stat st;
    for (int i = 0; i < ATTEMPTS; i++) {
        snprintf(m->path, sizeof m->path, "%s/serve-XXXXXX", m->folder);
        m->fd = mkostemp(m->path, O_CLOEXEC);
        if (m->fd < 0)
            return fail_errno(e, errno, "'%s': cannot create a file", m->folder);
        if (flock(m->fd, LOCK_EX | LOCK_NB) == 0 && fstat(m->fd, &st) == 0 && st.st_nlink)
            return OK;
        close(m->fd);
        m->fd = -1;
    }
    return fail(e, CONFLICT, "'%s': others take its files away", m->folder);
}

static enum code begin(struct marks *m, const struct store *s, struct err *e) {
    int n = snprintf(m->folder, sizeof m->folder, "%s/run", store_folder(s));
    if (n >= (int)sizeof m->folder)
        return fail(e, LIMIT, "the store's path is too long");
    snprintf(m->crashes, sizeof m->crashes, "%s/crashes", m->folder);
    TRY(file_mkdirs(m->folder, e));
    bury_all(m);
    TRY(create(m, e));
    if (ftruncate(m->fd, sizeof *m->sheet) != 0)
        return fail_errno(e, errno, "'%s': cannot be made larger", m->path);
    void *at = mmap(NULL, sizeof *m->sheet, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
    if (at == MAP_FAILED)
        return fail_errno(e, errno, "'%s': cannot be mapped", m->path);
    m->sheet = at;
    memcpy(m->sheet->magic, MAGIC, sizeof MAGIC);
    watch_signals(m->sheet);
    return OK;
}

enum code marks_open(const struct store *s, struct marks **out, struct err *e) {
    struct marks *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return fail(e, NOMEM, "out of memory");
    m->fd = -1;
    enum code code = begin(m, s, e);
    if (code == OK)
        *out = m;
    else
        marks_close(m);
    return code;
}

void marks_close(struct marks *m) {
    if (!m)
        return;
    if (m->sheet) {
        unwatch_signals(m->sheet);
        munmap(m->sheet, sizeof *m->sheet);
    }
    if (m->fd >= 0) {
        unlink(m->path);
        close(m->fd);
    }
    mem_free(m);
}

struct mark *marks_take(struct marks *m, struct str model, uint64_t version) {
    for (int i = 0; m && i < MARKS; i++) {
        struct mark *k = &m->sheet->marks[i];
        uint32_t none = 0;
        if (!atomic_compare_exchange_strong(&k->taken, &none, 1))
            continue;
        k->version = version;
        snprintf(k->model, sizeof k->model, "%.*s", STR(model));
        return k;
    }
    return NULL;
}

void mark_drop(struct mark *k) {
    if (!k)
        return;
    atomic_store(&k->loading, 0);
    atomic_store(&k->running, 0);
    atomic_store(&k->taken, 0);
}
