/* SPDX-License-Identifier: Apache-2.0 */
/* Capture: a share of the requests is written to FOLDER/captures/MODEL/TIME.tape, for `slipway
 * replay`.
 *
 * 1. Nobody waits for it: tensors are copied (bounded), a thread of its own writes; what there is
 * no room for is counted and dropped.
 * 2. A file grows to an eighth of what may be kept; then, oldest first, files go that are too old
 * or too many. */
#include "host/in.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/tape.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    COPY_BYTES = 16 << 20,
    IN_FLIGHT = 64,
    PATH_BYTES = 1024,
    FILES = 4096,
    FILE_MIN = 64 << 10
};

static const struct counter_family kept = {
    .name = "slipway_capture_total",
    .help = "Requests kept for later, by what became of them.",
    .kind = COUNTER_TOTAL,
    .n_labels = 2,
    .labels = {"model", "result"},
};

struct capture {
    struct capture *next;
    struct host *host;
    struct arena arena;
    struct tape tape;
    char model[STORE_NAME_MAX + 1];
    uint64_t keep_bytes, keep_days;
};

static void count(const char *model, const char *result) {
    const struct str labels[] = {str_of(model), str_of(result)};
    counter_add(counter_get(&kept, labels), 1);
}

static void drop(struct capture *c) {
    struct host *h = c->host;
    arena_deinit(&c->arena);
    mem_free(c);
    atomic_fetch_sub(&h->captures.n, 1);
}

/* --- asking side --- */

static size_t bytes_of(const struct ask_tensor *t, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += tensor_bytes(&t[i].tensor);
    return bytes;
}

static bool chosen(struct live *l) {
    uint32_t share = atomic_load_explicit(&l->capture_share, memory_order_relaxed);
    if (share == 0)
        return false;
    uint32_t n = atomic_fetch_add_explicit(&l->capture_turn, 1, memory_order_relaxed);
    return (uint32_t)((uint64_t)(n * 2654435769u) * 1000000 >> 32) < share;
}

void capture_begin(struct host *h, struct live *l, struct ask *a) {
    struct err ignored;
    if (a->priority == PRIORITY_SHADOW || !chosen(l))
        return;
    struct capture *c = NULL;
    if (atomic_fetch_add(&h->captures.n, 1) < IN_FLIGHT &&
        bytes_of(a->inputs, a->n_inputs) <= COPY_BYTES)
        c = mem_zalloc(1, sizeof *c);
    if (!c) {
        atomic_fetch_sub(&h->captures.n, 1);
        count(l->model, "dropped");
        return;
    }
    c->host = h;
    arena_init(&c->arena, (size_t)4 * COPY_BYTES);
    snprintf(c->model, sizeof c->model, "%s", l->model);
    c->tape = (struct tape){.at_us = clock_wall_us(), .version = l->version};
    c->keep_bytes = atomic_load(&l->keep_bytes);
    c->keep_days = atomic_load(&l->keep_days);
    c->tape.n_inputs = a->n_inputs;
    if (ask_copy_tensors(&c->arena, a->inputs, a->n_inputs, &c->tape.inputs, &ignored) != OK) {
        drop(c);
        count(l->model, "dropped");
        return;
    }
    for (size_t i = 0; i < a->n_inputs; i++) /* by position: say which */
        if (c->tape.inputs[i].name.n == 0 && i < l->n_inputs)
            c->tape.inputs[i].name = arena_str(&c->arena, l->inputs[i].name);
    a->capture = c;
}

/* Only requests that were answered are worth a comparison. */
void capture_answer(struct ask *a) {
    struct capture *c = a->capture;
    struct host *h = c->host;
    struct err ignored;
    a->capture = NULL;
    if (a->code != OK || bytes_of(a->outputs, a->n_outputs) > COPY_BYTES ||
        ask_copy_tensors(&c->arena, a->outputs, a->n_outputs, &c->tape.outputs, &ignored) != OK) {
        drop(c);
        return;
    }
    c->tape.n_outputs = a->n_outputs;
    pthread_mutex_lock(&h->captures.lock);
    struct capture **tail = &h->captures.first;
    while (*tail)
        tail = &(*tail)->next;
    *tail = c;
    pthread_cond_signal(&h->captures.work);
    pthread_mutex_unlock(&h->captures.lock);
}

/* --- writing side --- */

struct files { /* of one model, oldest first */
    size_t n;
    char names[FILES][32];
};

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void list_files(const char *folder, struct files *f) {
    DIR *d = opendir(folder);
    f->n = 0;
    for (struct dirent *e; d && f->n < FILES && (e = readdir(d)) != NULL;)
        if (strlen(e->d_name) < sizeof f->names[0] && str_ends(str_of(e->d_name), ".tape"))
            snprintf(f->names[f->n++], sizeof f->names[0], "%.31s", e->d_name);
    if (d)
        closedir(d);
    qsort(f->names, f->n, sizeof f->names[0], by_name);
}

static off_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* Their names are the times they were begun at. */
static void thin_out(const char *folder, const struct files *f, const struct capture *c) {
    char path[PATH_BYTES + 40];
    uint64_t oldest = clock_wall_us() - c->keep_days * 86400000000u, bytes = 0;
    for (size_t i = f->n; i-- > 0;) {
        snprintf(path, sizeof path, "%s/%s", folder, f->names[i]);
        bytes += (uint64_t)size_of(path);
        bool last = i + 1 == f->n; /* the one that is written to */
        if (!last && (bytes > c->keep_bytes || strtoull(f->names[i], NULL, 10) < oldest))
            unlink(path);
    }
}

static bool append(const char *path, const struct buf *b) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write(fd, b->p, b->n) == (ssize_t)b->n;
    if (fd >= 0)
        close(fd);
    return done;
}

/* Inputs of people: nobody else on this machine reads them. */
static bool make_folders(const struct host *h, const char *model, char folder[PATH_BYTES]) {
    int n = snprintf(folder, PATH_BYTES, "%s/captures", store_folder(h->options.store));
    if (n >= PATH_BYTES)
        return false;
    (void)mkdir(folder, 0700);
    n = snprintf(folder, PATH_BYTES, "%s/captures/%s", store_folder(h->options.store), model);
    return n < PATH_BYTES && (mkdir(folder, 0700) == 0 || access(folder, W_OK) == 0);
}

static bool write_out(const struct host *h, const struct capture *c, struct files *f,
                      struct buf *b) {
    char folder[PATH_BYTES], path[PATH_BYTES + 40];
    buf_clear(b);
    tape_put(b, &c->tape);
    if (b->code != OK || !make_folders(h, c->model, folder))
        return false;
    list_files(folder, f);
    uint64_t part = c->keep_bytes / 8 > FILE_MIN ? c->keep_bytes / 8 : FILE_MIN;
    if (f->n)
        snprintf(path, sizeof path, "%s/%s", folder, f->names[f->n - 1]);
    if (f->n == 0 || (uint64_t)size_of(path) + b->n > part) {
        snprintf(path, sizeof path, "%s/%020llu.tape", folder, (unsigned long long)c->tape.at_us);
        thin_out(folder, f, c);
    }
    return append(path, b);
}

static struct capture *next_capture(struct host *h) {
    pthread_mutex_lock(&h->captures.lock);
    while (!h->captures.first && !h->captures.stopping)
        pthread_cond_wait(&h->captures.work, &h->captures.lock);
    struct capture *c = h->captures.first;
    if (c)
        h->captures.first = c->next;
    pthread_mutex_unlock(&h->captures.lock);
    return c;
}

void *capture_main(void *arg) {
    struct host *h = arg;
    struct files *f = mem_zalloc(1, sizeof *f);
    struct buf b;
    bool told = false;
    buf_init(&b, (size_t)4 * COPY_BYTES);
    for (struct capture *c; (c = next_capture(h)) != NULL;) {
        bool done = f && write_out(h, c, f, &b);
        if (!done && !told)
            log_event(
                LOG_ERROR, "a request was not kept", 2,
                (struct log_field[]){LOG_S("model", str_of(c->model)),
                                     LOG_S("folder", str_of(store_folder(h->options.store)))});
        told = told || !done;
        count(c->model, done ? "kept" : "failed");
        drop(c);
    }
    buf_deinit(&b);
    mem_free(f);
    return NULL;
}

void capture_stop(struct host *h) {
    pthread_mutex_lock(&h->captures.lock);
    h->captures.stopping = true;
    pthread_cond_signal(&h->captures.work);
    pthread_mutex_unlock(&h->captures.lock);
    if (h->captures.started)
        pthread_join(h->captures.thread, NULL);
}
