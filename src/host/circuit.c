/* SPDX-License-Identifier: Apache-2.0 */
/* The circuit: a version that keeps failing is taken out of traffic, and the names that led to it
 * go back to where they were.
 *
 * 1. Open when STREAK runs in a row failed by our fault or the model's (not by the asker's data,
 * nor by a time-out), or when a version failed for EARLY runs in a row, whatever the reason, before
 * it ever gave an answer.
 * 2. Withdrawing is one store to an atomic: the next ask goes to the version before. The store then
 * follows on the loading thread: aliases are rolled back, arms of the split and the shadow are
 * taken away, signed "circuit" with the reason.
 * 3. It stays open until a name is moved to that version again: by a person, not by time.
 * 4. A version that took the whole process down several times (marks.h) is not even loaded. */
#include "host/in.h"

#include "base/log.h"
#include "base/mem.h"

#include <string.h>

enum { STREAK = 5, EARLY = 8, CIRCUIT_ARENA = 4 << 20 };

static bool our_fault(enum code code) {
    return code == ERR_INTERNAL || code == ERR_NOMEM || code == ERR_CORRUPT || code == ERR_IO ||
           code == ERR_UNSUPPORTED;
}

/* reason: how the history tells it */
static void withdraw(struct host *h, struct live *l, const struct err *e, const char *reason) {
    if (atomic_exchange(&l->withdrawn, BY_CIRCUIT) == BY_CIRCUIT)
        return;
    log_event(LOG_ERROR, "circuit open", 3,
              (struct log_field[]){LOG_S("model", str_of(l->model)), LOG_I("version", l->version),
                                   LOG_S("error", str_of(e->text))});
    struct command *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return;
    c->kind = COMMAND_WITHDRAW;
    snprintf(c->model, sizeof c->model, "%s", l->model);
    c->version = l->version;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    loader_command(h, c);
}

void circuit_bar(struct host *h, struct live *l, const struct err *e) {
    withdraw(h, l, e, "the server died of it several times");
}

void circuit_note(struct host *h, struct live *l, enum code code, const struct err *e) {
    if (code == OK) {
        if (atomic_load_explicit(&l->streak, memory_order_relaxed))
            atomic_store_explicit(&l->streak, 0, memory_order_relaxed);
        return;
    }
    if (code == ERR_CANCELLED || code == ERR_TIMEOUT)
        return;
    bool early = atomic_load_explicit(&l->success, memory_order_relaxed) == 0;
    if (!our_fault(code) && !early)
        return;
    unsigned streak = atomic_fetch_add(&l->streak, 1) + 1;
    char reason[160];
    if (streak < (our_fault(code) ? STREAK : EARLY))
        return;
    snprintf(reason, sizeof reason, "%u runs in a row failed: %.120s", streak, e->text);
    withdraw(h, l, e, reason);
}

/* --- on the loading thread: the store follows --- */

static enum code roll_back_aliases(struct store *s, struct str model, uint64_t version,
                                   struct arena *a, struct err *e) {
    struct store_alias *all;
    size_t n;
    uint64_t to;
    TRY(store_aliases(s, model, a, &all, &n, e));
    for (size_t i = 0; i < n; i++)
        if (all[i].version == version && all[i].previous && all[i].previous != version)
            TRY(store_alias_rollback(s, model, all[i].name, &to, e));
    return OK;
}

static void drop_arm(struct rollout *r, uint64_t version) {
    int kept = 0;
    for (int i = 0; i < r->n_arms; i++)
        if (r->arms[i].version != version)
            r->arms[kept++] = r->arms[i];
    r->n_arms = kept;
    if (r->shadow == version)
        r->shadow = 0;
}

static enum code shrink_split(struct store *s, struct str model, uint64_t version, struct arena *a,
                              struct err *e) {
    struct store_setting *all;
    struct rollout r;
    struct buf b;
    size_t n;
    TRY(store_settings(s, model, a, &all, &n, e));
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(all[i].name, ROLLOUT_SETTING) || rollout_parse(all[i].value, &r, e) != OK)
            continue;
        drop_arm(&r, version);
        buf_init(&b, STORE_SETTING_MAX);
        if (!rollout_empty(&r))
            rollout_write(&r, &b);
        enum code code = store_setting_put(s, model, ROLLOUT_SETTING, buf_str(&b), e);
        buf_deinit(&b);
        return code;
    }
    return OK;
}

enum code circuit_obey(struct host *h, const struct command *c, struct err *e) {
    struct arena a;
    struct str model = str_of(c->model);
    arena_init(&a, CIRCUIT_ARENA);
    store_sign(LIT("circuit"), str_of(c->reason));
    enum code code = roll_back_aliases(h->options.store, model, c->version, &a, e);
    if (code == OK)
        code = shrink_split(h->options.store, model, c->version, &a, e);
    store_sign((struct str){0}, (struct str){0});
    arena_deinit(&a);
    if (code != OK)
        log_event(LOG_ERROR, "circuit: the store was not changed", 2,
                  (struct log_field[]){LOG_S("model", model), LOG_S("error", str_of(e->text))});
    return code;
}
