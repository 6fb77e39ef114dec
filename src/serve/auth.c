/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: see auth.h. */
#include "serve/auth.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/host.h"

#include <stdlib.h>

enum { KEY_FILE_BYTES = 1 << 20, LIST_BYTES = 64 << 20, BURST_NS = 1000000000 };

/* --- keys --- */

static struct auth_key *key_new(const char *name, const uint8_t digest[SHA256_BYTES],
                                const struct rights *rights) {
    struct auth_key *k = mem_zalloc(1, sizeof *k);
    if (!k)
        return NULL;
    atomic_init(&k->refs, 1);
    snprintf(k->name, sizeof k->name, "%s", name);
    memcpy(k->digest, digest, SHA256_BYTES);
    k->rights = *rights;
    return k;
}

static struct auth_key *key_ref(struct auth_key *k) {
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void auth_unref(struct auth_key *k) {
    if (k && atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1)
        mem_free(k);
}

static int by_digest(const void *a, const void *b) {
    const struct auth_key *const *p = a, *const *q = b;
    return memcmp((*p)->digest, (*q)->digest, SHA256_BYTES);
}

static struct auth_key *find(struct auth_key *const *sorted, size_t n,
                             const uint8_t digest[SHA256_BYTES]) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(sorted[middle]->digest, digest, SHA256_BYTES);
        if (order == 0)
            return sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void drop_all(struct auth_key **keys, size_t n) {
    for (size_t i = 0; keys && i < n; i++)
        auth_unref(keys[i]);
    mem_free(keys);
}

/* Takes `keys`, sorts them and puts them in the place of those before. */
static void publish(struct auth *a, struct auth_key **keys, size_t n) {
    if (n)
        qsort(keys, n, sizeof(struct auth_key *), by_digest);
    pthread_rwlock_wrlock(&a->lock);
    struct auth_key **old = a->sorted;
    size_t n_old = a->n;
    a->sorted = keys;
    a->n = n;
    pthread_rwlock_unlock(&a->lock);
    drop_all(old, n_old);
}

/* --- from a file --- */

static struct str next_line(struct str *rest) {
    size_t end;
    struct str line = *rest;
    if (str_find(*rest, '\n', &end)) {
        line.n = end;
        *rest = str_sub(*rest, end + 1, rest->n);
    } else {
        *rest = (struct str){NULL, 0};
    }
    while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    return line;
}

static enum code add_key(struct auth *a, struct str key, const char *file, struct err *e) {
    static const struct rights all = {.scopes = SCOPE_PREDICT | SCOPE_READ | SCOPE_ADMIN,
                                      .priority = PRIORITY_HIGH};
    uint8_t digest[SHA256_BYTES];
    char name[32];
    if (a->n_file == AUTH_KEYS)
        return fail(e, LIMIT, "key file '%s': more than %d keys", file, AUTH_KEYS);
    void *grown = mem_realloc(a->own, (a->n_file + 1) * sizeof(struct auth_key *));
    if (!grown)
        return fail(e, NOMEM, "key file '%s': out of memory", file);
    a->own = grown;
    sha256_of((struct span){(const uint8_t *)key.p, key.n}, digest);
    snprintf(name, sizeof name, "file-%zu", a->n_file + 1);
    a->own[a->n_file] = key_new(name, digest, &all);
    if (!a->own[a->n_file])
        return fail(e, NOMEM, "key file '%s': out of memory", file);
    a->n_file++;
    return OK;
}

static enum code add_keys(struct auth *a, struct span text, const char *file, struct err *e) {
    struct str rest = {(const char *)text.p, text.n};
    while (rest.n) {
        struct str line = next_line(&rest);
        if (line.n && line.p[0] == '{')
            return fail(e, INVALID,
                        "key file '%s' is JSON, as TorchServe's key_file.json is: write one key a "
                        "line",
                        file);
        if (line.n && line.p[0] != '#')
            TRY(add_key(a, line, file, e));
    }
    if (a->n_file == 0)
        return fail(e, INVALID, "key file '%s' holds no key: write one a line", file);
    return OK;
}

static enum code read_file(struct auth *a, const char *file, struct err *e) {
    struct arena arena;
    struct span text;
    arena_init(&arena, 2 * KEY_FILE_BYTES);
    enum code code = file_read(file, KEY_FILE_BYTES, &arena, &text, e);
    if (code == OK)
        code = add_keys(a, text, file, e);
    arena_deinit(&arena);
    return code;
}

static struct auth_key **copy_own(const struct auth *a, size_t more) {
    struct auth_key **keys = mem_zalloc(a->n_file + more + 1, sizeof *keys);
    for (size_t i = 0; keys && i < a->n_file; i++)
        keys[i] = key_ref(a->own[i]);
    return keys;
}

enum code auth_open(struct auth *a, const char *file, struct err *e) {
    *a = (struct auth){.n = 0};
    pthread_rwlock_init(&a->lock, NULL);
    if (!file)
        return OK;
    struct auth_key **keys = NULL;
    enum code code = read_file(a, file, e);
    if (code == OK && !(keys = copy_own(a, 0)))
        code = fail(e, NOMEM, "key file '%s': out of memory", file);
    if (code != OK) {
        auth_close(a);
        return code;
    }
    publish(a, keys, a->n_file);
    atomic_store(&a->wanted, true);
    return OK;
}

void auth_close(struct auth *a) {
    drop_all(a->sorted, a->n);
    drop_all(a->own, a->n_file);
    pthread_rwlock_destroy(&a->lock);
    *a = (struct auth){.n = 0};
}

/* --- from the store --- */

static bool same_rights(const struct rights *a, const struct rights *b) {
    bool same = a->scopes == b->scopes && a->n_models == b->n_models && a->rate == b->rate &&
                a->concurrency == b->concurrency && a->priority == b->priority;
    for (size_t i = 0; same && i < a->n_models; i++)
        same = strcmp(a->models[i], b->models[i]) == 0;
    return same;
}

/* A key that is still the same keeps its counts. Only the follower writes the table: it needs no
 * lock to read it. */
static struct auth_key *key_of(const struct auth *a, const struct store_key *k) {
    struct rights rights;
    struct err e;
    char name[STORE_NAME_MAX + 1];
    if (rights_parse(k->rights, &rights, &e) != OK) {
        log_event(LOG_WARN, "key ignored", 2,
                  (struct log_field[]){LOG_S("key", k->name), LOG_S("error", str_of(e.text))});
        return NULL;
    }
    struct auth_key *old = find(a->sorted, a->n, k->digest);
    if (old && same_rights(&old->rights, &rights))
        return key_ref(old);
    snprintf(name, sizeof name, "%.*s", STR(k->name));
    return key_new(name, k->digest, &rights);
}

static enum code take_keys(struct auth *a, const struct store_key *all, size_t n, struct err *e) {
    struct auth_key **keys = copy_own(a, n);
    size_t count = a->n_file;
    if (!keys)
        return fail(e, NOMEM, "keys: out of memory");
    for (size_t i = 0; i < n; i++) {
        struct auth_key *k = all[i].revoked_us ? NULL : key_of(a, &all[i]);
        if (k)
            keys[count++] = k;
    }
    publish(a, keys, count);
    if (n)
        atomic_store(&a->wanted, true);
    return OK;
}

enum code auth_follow(struct auth *a, struct store *s, struct err *e) {
    struct arena arena;
    struct store_key *all;
    size_t n;
    arena_init(&arena, LIST_BYTES);
    enum code code = store_keys(s, &arena, &all, &n, e);
    if (code == OK)
        code = take_keys(a, all, n < AUTH_KEYS ? n : AUTH_KEYS, e);
    arena_deinit(&arena);
    return code;
}

/* --- asking --- */

enum code auth_check(struct auth *a, const struct http_request *r, struct auth_key **out,
                     struct err *e) {
    *out = NULL;
    if (!atomic_load_explicit(&a->wanted, memory_order_relaxed))
        return OK;
    struct str value = http_header_get(r, "authorization");
    if (value.n < 8 || !str_eq_nocase(str_sub(value, 0, 7), LIT("Bearer ")))
        return fail(e, UNAUTHENTICATED,
                    "this server asks for a key: send 'Authorization: Bearer KEY'");
    uint8_t digest[SHA256_BYTES];
    struct str key = str_sub(value, 7, value.n);
    sha256_of((struct span){(const uint8_t *)key.p, key.n}, digest);
    pthread_rwlock_rdlock(&a->lock);
    struct auth_key *k = find(a->sorted, a->n, digest);
    if (k)
        *out = key_ref(k);
    pthread_rwlock_unlock(&a->lock);
    return k ? OK : fail(e, DENIED, "the key is not one this server knows");
}

enum code auth_allows(const struct auth_key *k, unsigned scope, struct str model, struct err *e) {
    if (!k)
        return OK;
    if (!(k->rights.scopes & (scope | SCOPE_ADMIN)))
        return fail(e, DENIED, "the key '%s' may not do this: it needs the scope %s", k->name,
                    scope & SCOPE_PREDICT ? "predict"
                    : scope & SCOPE_READ  ? "read"
                                          : "admin");
    if (model.n && !rights_name(&k->rights, model))
        return fail(e, DENIED, "the key '%s' is not for model '%.*s'", k->name,
                    STR(str_sub(model, 0, STORE_NAME_MAX)));
    return OK;
}

/* The rate as a virtual clock (GCRA): each request moves it by 1/rate, it may be BURST_NS ahead. */
static enum code enter_rate(struct auth_key *k, uint64_t now, uint64_t *retry_ns, struct err *e) {
    uint64_t step = (uint64_t)(1e9 / k->rights.rate);
    uint64_t burst = step > BURST_NS ? step : BURST_NS;
    uint64_t next = atomic_load(&k->next_ns), to;
    do {
        uint64_t from = next > now ? next : now;
        to = from + step;
        if (to > now + burst) {
            *retry_ns = to - now - burst;
            return fail(e, OVERLOAD, "the key '%s' may send %g requests a second", k->name,
                        k->rights.rate);
        }
    } while (!atomic_compare_exchange_weak(&k->next_ns, &next, to));
    return OK;
}

enum code auth_enter(struct auth_key *k, uint64_t now_ns, uint64_t *retry_ns, struct err *e) {
    if (!k)
        return OK;
    size_t before = atomic_fetch_add(&k->in_flight, 1);
    enum code code = OK;
    *retry_ns = 0;
    if (k->rights.concurrency && before >= k->rights.concurrency)
        code = fail(e, OVERLOAD, "the key '%s' may have %llu requests in flight", k->name,
                    (unsigned long long)k->rights.concurrency);
    else if (k->rights.rate > 0)
        code = enter_rate(k, now_ns, retry_ns, e);
    if (code != OK)
        atomic_fetch_sub(&k->in_flight, 1);
    else
        atomic_fetch_add_explicit(&k->requests, 1, memory_order_relaxed);
    return code;
}

void auth_leave(struct auth_key *k) {
    if (k)
        atomic_fetch_sub(&k->in_flight, 1);
}
