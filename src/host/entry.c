/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the routing table: one per model, made from what the store says and from the entry
 * before it. Loading thread only.
 *
 * 1. A name moves to a version that is loaded; until then it stays where it was.
 * 2. Versions that something leads to, or led to just before, are wanted in memory; the rest is
 * replaced by unloaded lives, the old ones end with their last request. */
#include "host/in.h"

#include "base/mem.h"

#include <string.h>

struct str known_model(const struct known *k) {
    return k->infos[0].model;
}

static const struct store_alias *alias_known(const struct known *k, struct str name) {
    for (size_t i = 0; i < k->n_aliases; i++)
        if (str_eq(k->aliases[i].name, name))
            return &k->aliases[i];
    return NULL;
}

/* --- building an entry --- */

struct live *entry_live(const struct route_model *m, uint64_t version) {
    for (size_t i = 0; m && i < m->n_lives; i++)
        if (m->lives[i]->version == version)
            return m->lives[i];
    return NULL;
}

static struct live *alias_of(const struct route_model *m, struct str name) {
    for (size_t i = 0; m && i < m->n_aliases; i++)
        if (str_is(name, m->aliases[i].name))
            return m->aliases[i].live;
    return NULL;
}

static bool is_ready(const struct live *l) { return l && atomic_load(&l->state) == LIVE_READY; }

static struct live *ref_or_null(struct live *l) { return l ? live_ref(l) : NULL; }

void entry_take_policy(struct live *l, const struct policy *p) {
    atomic_store_explicit(&l->priority, p->priority, memory_order_relaxed);
    atomic_store_explicit(&l->queue_limit, (size_t)p->queue, memory_order_relaxed);
    atomic_store_explicit(&l->batch_limit, (size_t)p->batch, memory_order_relaxed);
    atomic_store_explicit(&l->run_limit, (size_t)p->instances, memory_order_relaxed);
    atomic_store_explicit(&l->wait_ns, p->wait * 1000, memory_order_relaxed);
    atomic_store_explicit(&l->weight, p->weight, memory_order_relaxed);
    atomic_store_explicit(&l->keep_bytes, p->keep_bytes, memory_order_relaxed);
    atomic_store_explicit(&l->keep_days, p->keep_days, memory_order_relaxed);
    atomic_store_explicit(&l->capture_share, (uint32_t)(p->capture * 1e6 + 0.5),
                          memory_order_relaxed);
    l->policy = *p;
}

/* An entry with a live per version, taken over from `old` where it has one; no names yet. */
static struct route_model *entry_new(const struct route_model *old, const struct known *k) {
    struct route_model *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->lives = mem_zalloc(k->n, sizeof *m->lives);
    m->aliases = mem_zalloc(k->n_aliases, sizeof *m->aliases);
    m->name = mem_alloc(known_model(k).n + 1);
    if (!m->lives || !m->aliases || !m->name)
        goto failed;
    memcpy(m->name, known_model(k).p, known_model(k).n);
    m->name[known_model(k).n] = '\0';
    m->by_hand = old && old->by_hand;
    for (size_t i = 0; i < k->n; i++) {
        struct live *l = entry_live(old, k->infos[i].version);
        l = l ? live_ref(l) : live_new(known_model(k), &k->infos[i]);
        if (!l)
            goto failed;
        entry_take_policy(l, &k->policy);
        m->lives[m->n_lives++] = l;
    }
    return m;
failed:
    route_model_free(m);
    return NULL;
}

static bool entry_add_alias(struct route_model *m, struct str name, struct live *l,
                            struct live *previous) {
    char *copy = mem_alloc(name.n + 1);
    if (!copy)
        return false;
    memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    m->aliases[m->n_aliases++] = (struct route_alias){copy, live_ref(l), ref_or_null(previous)};
    return true;
}

/* Names: an alias whose target is not ready stays where it was, if that still answers. */
static bool entry_add_aliases(struct route_model *m, const struct route_model *old,
                              const struct known *k) {
    for (size_t i = 0; i < k->n_aliases; i++) {
        const struct store_alias *a = &k->aliases[i];
        struct live *target = entry_live(m, a->version), *before = alias_of(old, a->name);
        if (!is_ready(target) && is_ready(before))
            target = before;
        if (target && !entry_add_alias(m, a->name, target, entry_live(m, a->previous)))
            return false;
    }
    return true;
}

static bool entry_add_split(struct route_model *m, const struct known *k) {
    const struct rollout *r = &k->rollout;
    if (rollout_empty(r))
        return true;
    m->split = split_new(r);
    for (int i = 0; m->split && i < r->n_arms; i++)
        m->split->arms[i] = ref_or_null(entry_live(m, r->arms[i].version));
    if (m->split)
        m->split->shadow = ref_or_null(entry_live(m, r->shadow));
    return m->split != NULL;
}

/* --- what should be loaded --- */

/* Of several for one model the first says what MODEL alone means. */
const struct wish *wish_in(const struct wish *wishes, size_t n, struct str model) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(wishes[i].ref.model, model))
            return &wishes[i];
    return NULL;
}

const struct wish *wish_for(const struct host *h, struct str model) {
    return wish_in(h->wishes, h->options.n_models, model);
}

/* The alias that MODEL alone follows: the command line's, else prod. NULL: it has none. */
static const struct store_alias *leading_alias(const struct host *h, const struct known *k) {
    const struct wish *w = wish_for(h, known_model(k));
    const struct store_alias *a = w && w->ref.alias.n ? alias_known(k, w->ref.alias) : NULL;
    return a ? a : alias_known(k, LIT("prod"));
}

/* The newest, but for those that failed to load: then the newest before them. */
static uint64_t newest(const struct host *h, const struct known *k) {
    const struct route_model *m = route_find(h, known_model(k));
    for (size_t i = 0; m && i < k->n; i++) {
        const struct live *l = entry_live(m, k->infos[i].version);
        if (!l || atomic_load(&l->state) != LIVE_FAILED || atomic_load(&l->again_ns))
            return k->infos[i].version;
    }
    return k->infos[0].version;
}

/* The version MODEL alone means: the command line's selector, the alias prod, the newest. */
static uint64_t chosen_version(const struct host *h, const struct known *k) {
    const struct wish *w = wish_for(h, known_model(k));
    if (w && w->ref.version)
        return w->ref.version;
    const struct store_alias *a = leading_alias(h, k);
    return a ? a->version : newest(h, k);
}

/* What it meant before, 0: nothing. Without a name to go back along there is none. */
static uint64_t version_before(const struct host *h, const struct known *k) {
    const struct wish *w = wish_for(h, known_model(k));
    const struct store_alias *a = w && w->ref.version ? NULL : leading_alias(h, k);
    return a ? a->previous : 0;
}

static bool wished(const struct host *h, struct str model, uint64_t version) {
    for (size_t i = 0; i < h->options.n_models; i++)
        if (h->wishes[i].ref.version == version && str_eq(h->wishes[i].ref.model, model))
            return true;
    return false;
}

/* Named by an alias, now or just before (kept warm: going back must not wait), by the split, by
 * MODEL alone, or asked for. */
bool entry_wants(const struct host *h, const struct known *k, const struct live *l) {
    const struct rollout *r = &k->rollout;
    uint64_t v = l->version;
    bool named =
        l->asked || v == chosen_version(h, k) || v == r->shadow || wished(h, known_model(k), v);
    for (size_t i = 0; !named && i < k->n_aliases; i++)
        named = k->aliases[i].version == v || k->aliases[i].previous == v;
    for (int i = 0; !named && i < r->n_arms; i++)
        named = r->arms[i].version == v;
    return named;
}

/* The version itself when it answers or will when it is asked for; else what answered before. */
static struct live *choose(const struct route_model *m, const struct route_model *old,
                           uint64_t version) {
    struct live *l = entry_live(m, version);
    if (is_ready(l))
        return l;
    if (old && is_ready(old->chosen))
        return old->chosen;
    bool failed = !l || atomic_load(&l->state) == LIVE_FAILED;
    for (size_t i = 0; failed && i < m->n_lives; i++)
        if (is_ready(m->lives[i]))
            return m->lives[i];
    return l;
}

/* Replaces lives nobody asks for by unloaded ones. */
static bool entry_unload_rest(const struct host *h, struct route_model *m, const struct known *k) {
    for (size_t i = 0; i < k->n; i++) {
        struct live *l = m->lives[i];
        bool idle = !entry_wants(h, k, l) && l != m->chosen && is_ready(l);
        for (size_t a = 0; idle && a < m->n_aliases; a++)
            idle = m->aliases[a].live != l;
        if (!idle && !m->by_hand)
            continue;
        struct live *fresh = live_new(known_model(k), &k->infos[i]);
        if (!fresh)
            return false;
        entry_take_policy(fresh, &k->policy);
        m->lives[i] = fresh;
        live_unref(l);
    }
    return true;
}

/* Something by name leads to l. */
static bool leads_to(const struct route_model *m, const struct live *l) {
    bool found = m && m->chosen == l;
    for (size_t i = 0; m && !found && i < m->n_aliases; i++)
        found = m->aliases[i].live == l;
    for (int i = 0; m && m->split && !found && i < m->split->spec.n_arms; i++)
        found = m->split->arms[i] == l;
    return found;
}

/* A name that newly leads to a version takes back that it was withdrawn. */
static void forgive_named(const struct route_model *m, const struct route_model *old) {
    for (size_t i = 0; i < m->n_lives; i++)
        if (leads_to(m, m->lives[i]) && !leads_to(old, m->lives[i]))
            atomic_store(&m->lives[i]->withdrawn, NOT_WITHDRAWN);
}

/* What was withdrawn by hand is done with once no name leads there any more: one may go back to it;
 * not so what failed. */
static void forgive_unnamed(const struct route_model *m) {
    for (size_t i = 0; i < m->n_lives; i++)
        if (!leads_to(m, m->lives[i]) && atomic_load(&m->lives[i]->withdrawn) == BY_HAND)
            atomic_store(&m->lives[i]->withdrawn, NOT_WITHDRAWN);
}

void entry_publish_final(struct host *h, const struct known *k) {
    const struct route_model *old =
        route_find(h, known_model(k)); /* only this thread writes: no lock to read */
    struct route_model *m = entry_new(old, k);
    if (!m)
        return;
    if (!m->by_hand) {
        m->chosen = ref_or_null(choose(m, old, chosen_version(h, k)));
        m->before = ref_or_null(entry_live(m, version_before(h, k)));
    }
    if ((!m->by_hand && !(entry_add_aliases(m, old, k) && entry_add_split(m, k))) ||
        !entry_unload_rest(h, m, k)) {
        route_model_free(m);
        return;
    }
    forgive_named(m, old);
    forgive_unnamed(m);
    route_publish(h, m);
}

/* The same entry with another live in the place of `from`. */
static struct live *swap(struct live *l, const struct live *from, struct live *to) {
    return l ? live_ref(l == from ? to : l) : NULL;
}

static bool swap_split(struct route_model *m, const struct split *old, const struct live *from,
                       struct live *to) {
    if (!old)
        return true;
    m->split = split_new(&old->spec);
    if (!m->split)
        return false;
    for (int i = 0; i < old->spec.n_arms; i++)
        m->split->arms[i] = swap(old->arms[i], from, to);
    m->split->shadow = swap(old->shadow, from, to);
    return true;
}

bool entry_replace(struct host *h, struct live *from, struct live *to) {
    const struct route_model *old = route_find(h, str_of(from->model));
    struct route_model *m = old ? mem_zalloc(1, sizeof *m) : NULL;
    if (!m)
        return false;
    m->name = mem_strdup(old->name);
    m->lives = mem_zalloc(old->n_lives, sizeof *m->lives);
    m->aliases = mem_zalloc(old->n_aliases, sizeof *m->aliases);
    m->by_hand = old->by_hand;
    bool made = m->name && m->lives && m->aliases;
    for (size_t i = 0; made && i < old->n_lives; i++)
        m->lives[m->n_lives++] = swap(old->lives[i], from, to);
    for (size_t i = 0; made && i < old->n_aliases; i++) {
        const struct route_alias *a = &old->aliases[i];
        made = entry_add_alias(m, str_of(a->name), a->live == from ? to : a->live,
                               a->previous == from ? to : a->previous);
    }
    if (!made || !swap_split(m, old->split, from, to)) {
        route_model_free(m);
        return false;
    }
    m->chosen = swap(old->chosen, from, to);
    m->before = swap(old->before, from, to);
    route_publish(h, m);
    return true;
}

/* First publication: new versions are known (and asks for them wait), names are still where they
 * were. */
void entry_publish_known(struct host *h, const struct known *k) {
    const struct route_model *old = route_find(h, known_model(k));
    struct route_model *m = entry_new(old, k);
    if (!m)
        return;
    if (!old)
        m->by_hand = h->options.explicit_only && !(h->told && wish_for(h, known_model(k)));
    if (!m->by_hand) {
        m->chosen = ref_or_null(old && is_ready(old->chosen) ? old->chosen
                                                             : entry_live(m, chosen_version(h, k)));
        m->before = ref_or_null(old ? old->before : NULL);
        m->split = old && old->split ? split_ref(old->split) : NULL;
        if (!entry_add_aliases(m, old, k)) {
            route_model_free(m);
            return;
        }
    }
    forgive_named(m, old);
    route_publish(h, m);
}
