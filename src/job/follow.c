/* SPDX-License-Identifier: Apache-2.0 */
/* Follow: see follow.h. */
#include "job/follow.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

enum { CONFIG_BYTES = 16 << 20, ROSTER_BYTES = 256 << 20 };
#define NEVER_MS UINT64_MAX

struct follow {
    struct follow_options options;
    struct arena own;  /* of `roots` */
    struct str *roots; /* (n_roots) the options' and the base paths served at the start */
    size_t n_roots;
    pthread_mutex_t lock; /* of all below: held while something is imported */
    pthread_t thread;
    bool started;
    struct arena arena;   /* of `roster` */
    struct roster roster; /* what is served */
    uint64_t folders;     /* fingerprint of what was applied */
    uint64_t text;        /* of the file's text */
    int left;             /* tries of what was left out */
    pthread_mutex_t sleep;
    pthread_cond_t wake;
    bool stop;
};

/* --- the thread, where there is something to look at --- */

static uint64_t step_ms(const struct follow *f) {
    const struct follow_options *o = &f->options;
    bool folders = o->folders_ms && (o->repository || roster_has_folders(&f->roster));
    uint64_t config = o->config && o->config_ms ? o->config_ms : NEVER_MS,
             folder = folders ? o->folders_ms : NEVER_MS;
    return config < folder ? config : folder;
}

static void *follow_main(void *arg);

/* Under the lock, or before anybody else knows f. */
static enum code start(struct follow *f, struct err *e) {
    if (f->started || step_ms(f) == NEVER_MS)
        return OK;
    TRY(thread_start(&f->thread, "slipway-follow", follow_main, f, e));
    f->started = true;
    return OK;
}

/* The roster becomes f's own, when all of it can be had. */
static enum code apply(struct follow *f, const struct roster *r, bool keep_going,
                       host_done_fn *done, void *ctx, struct err *e) {
    const struct follow_options *o = &f->options;
    struct arena kept, work;
    struct roster copy;
    struct str *refs, *all = NULL;
    size_t n = 0;
    arena_init(&kept, ROSTER_BYTES);
    arena_init(&work, ROSTER_BYTES);
    enum code code = roster_copy(r, &kept, &copy, e);
    uint64_t folders = code == OK ? roster_fingerprint(&copy) : 0;
    copy.keep_going = keep_going;
    if (code == OK)
        code = roster_apply(o->store, &copy, &work, &refs, &n, e);
    if (code == OK && !(all = ARENA_ARRAY(&work, o->n_also + n + 1, struct str)))
        code = arena_fail(&work, n * sizeof *all, "models", e);
    if (code == OK) {
        if (o->n_also)
            memcpy(all, o->also, o->n_also * sizeof *all);
        if (n)
            memcpy(all + o->n_also, refs, n * sizeof *all);
        arena_deinit(&f->arena);
        f->arena = kept;
        f->roster = copy;
        f->left = copy.left_out == 0 ? o->retries : f->left > 0 ? f->left - 1 : 0;
        f->folders = copy.left_out && f->left > 0 ? 0 : folders;
        host_wish(o->host, all, o->n_also + n, !keep_going, done, ctx);
        code = start(f, e);
    } else {
        arena_deinit(&kept);
    }
    arena_deinit(&work);
    return code;
}

/* --- looking again --- */

static enum code read_again(struct follow *f, struct arena *a, struct roster *out, uint64_t *text,
                            struct err *e) {
    const struct follow_options *o = &f->options;
    struct span bytes;
    if (!o->config)
        return o->repository ? roster_repository(o->repository, a, out, e) : OK;
    TRY(file_read(o->config, CONFIG_BYTES, a, &bytes, e));
    *text = hash_bytes(bytes.p, bytes.n);
    return *text == f->text ? OK
                            : roster_read((struct str){(const char *)bytes.p, bytes.n}, a, out, e);
}

static void look(struct follow *f, bool file) {
    struct roster next = f->roster;
    struct arena a;
    struct err e;
    uint64_t text = f->text;
    arena_init(&a, ROSTER_BYTES);
    enum code code = file || f->options.repository ? read_again(f, &a, &next, &text, &e) : OK;
    if (code == OK && (text != f->text || roster_fingerprint(&next) != f->folders))
        code = apply(f, &next, true, NULL, NULL, &e);
    if (code != OK)
        log_event(LOG_ERROR, "configuration not followed", 1,
                  (struct log_field[]){LOG_S("error", str_of(e.text))});
    if (code == OK || (f->left > 0 && --f->left == 0))
        f->text = text;
    if (code != OK && f->left == 0)
        f->folders = roster_fingerprint(&next); /* until something changes */
    arena_deinit(&a);
}

static bool sleep_until(struct follow *f, uint64_t until) {
    pthread_mutex_lock(&f->sleep);
    while (!f->stop && thread_cond_wait_until(&f->wake, &f->sleep, until)) {
    }
    bool stop = f->stop;
    pthread_mutex_unlock(&f->sleep);
    return !stop;
}

static void *follow_main(void *arg) {
    struct follow *f = arg;
    const struct follow_options *o = &f->options;
    uint64_t step = o->folders_ms && (!o->config_ms || o->folders_ms < o->config_ms) ? o->folders_ms
                                                                                     : o->config_ms;
    uint64_t file_at = clock_ns() + o->config_ms * 1000000;
    while (sleep_until(f, clock_ns() + step * 1000000)) {
        bool file = o->config && o->config_ms && clock_ns() >= file_at;
        if (file)
            file_at = clock_ns() + o->config_ms * 1000000;
        pthread_mutex_lock(&f->lock);
        look(f, file);
        pthread_mutex_unlock(&f->lock);
    }
    return NULL;
}

enum code follow_set(struct follow *f, const struct roster *r, host_done_fn *done, void *ctx,
                     struct err *e) {
    struct roster mine;
    struct arena a;
    arena_init(&a, ROSTER_BYTES);
    enum code code = roster_copy(r, &a, &mine, e);
    if (code == OK)
        code = roster_confine(&mine, f->roots, f->n_roots, &a, e);
    pthread_mutex_lock(&f->lock);
    if (code == OK)
        code = apply(f, &mine, false, done, ctx, e);
    pthread_mutex_unlock(&f->lock);
    arena_deinit(&a);
    return code;
}

/* --- open and close --- */

/* Where clients may point at: what the operator allowed, and what he serves from already. */
static enum code keep_roots(struct follow *f, struct err *e) {
    const struct follow_options *o = &f->options;
    size_t n = o->n_roots + (o->now ? o->now->n : 0);
    f->roots = ARENA_ARRAY(&f->own, n + 1, struct str);
    if (!f->roots)
        return arena_fail(&f->own, n * sizeof *f->roots, "folders", e);
    for (size_t i = 0; i < o->n_roots; i++)
        f->roots[f->n_roots++] = o->roots[i];
    for (size_t i = 0; o->now && i < o->now->n; i++) {
        struct str path = arena_str(&f->own, o->now->models[i].base_path);
        if (path.n)
            f->roots[f->n_roots++] = path;
    }
    return OK;
}

static enum code begin(struct follow *f, struct err *e) {
    const struct follow_options *o = &f->options;
    struct span text;
    struct arena a;
    TRY(keep_roots(f, e));
    if (o->now) {
        TRY(roster_copy(o->now, &f->arena, &f->roster, e));
        f->folders = roster_fingerprint(&f->roster);
    }
    if (o->config) {
        arena_init(&a, CONFIG_BYTES * 2);
        enum code code = file_read(o->config, CONFIG_BYTES, &a, &text, e);
        f->text = code == OK ? hash_bytes(text.p, text.n) : 0;
        arena_deinit(&a);
        TRY(code);
    }
    return start(f, e);
}

enum code follow_open(const struct follow_options *o, struct follow **out, struct err *e) {
    struct follow *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return fail(e, NOMEM, "out of memory");
    f->options = *o;
    f->left = o->retries;
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->sleep, NULL);
    thread_cond_init(&f->wake);
    arena_init(&f->arena, ROSTER_BYTES);
    arena_init(&f->own, ROSTER_BYTES);
    enum code code = begin(f, e);
    if (code != OK) {
        follow_close(f);
        return code;
    }
    *out = f;
    return OK;
}

void follow_close(struct follow *f) {
    if (!f)
        return;
    pthread_mutex_lock(&f->sleep);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->sleep);
    if (f->started)
        pthread_join(f->thread, NULL);
    arena_deinit(&f->arena);
    arena_deinit(&f->own);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->sleep);
    pthread_cond_destroy(&f->wake);
    mem_free(f);
}
