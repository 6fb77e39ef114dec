/* SPDX-License-Identifier: Apache-2.0 */
/* A split as the routing table holds it: a rollout whose versions have become lives. Made by the
 * loader, immutable but for its counters, reference counted because an ask is sorted outside the
 * table's lock.
 *
 * 1. An arm has traffic only while its version is READY and not withdrawn; its share is the stable
 * version's until then.
 * 2. Without a key the turns are spread evenly (multiples of the golden ratio): a share of 10 % is
 * one ask in ten, not one in ten on average. */
#include "host/in.h"

#include "base/mem.h"

struct split *split_new(const struct rollout *spec) {
    struct split *s = mem_zalloc(1, sizeof *s);
    if (s) {
        atomic_init(&s->refs, 1);
        s->spec = *spec;
    }
    return s;
}

struct split *split_ref(struct split *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void split_unref(struct split *s) {
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < s->spec.n_arms; i++)
        live_unref(s->arms[i]);
    live_unref(s->shadow);
    mem_free(s);
}

static uint32_t turn(_Atomic uint32_t *count) {
    uint32_t n = atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    return (uint32_t)((uint64_t)(n * 2654435769u) * ROLLOUT_WHOLE >> 32);
}

struct live *split_choose(struct split *s, struct ask *a, struct live *stable) {
    struct str key = {0};
    if (s->spec.n_arms == 0)
        return stable;
    if (s->spec.sticky != STICKY_NONE && a->sticky)
        key = a->sticky(a, s->spec.sticky, s->spec.sticky_name);
    int arm = rollout_arm(&s->spec, key.n ? rollout_bucket(a->model, key) : turn(&s->turns));
    struct live *l = arm >= 0 ? s->arms[arm] : NULL;
    if (!live_usable(l))
        return stable;
    live_ref(l);
    live_unref(stable);
    return l;
}

bool split_shadows(struct split *s, const struct live *primary) {
    return live_usable(s->shadow) && s->shadow != primary &&
           turn(&s->shadow_turns) < s->spec.shadow_share;
}
