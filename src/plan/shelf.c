/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf of plans: see shelf.h. */
#include "plan/shelf.h"

void shelf_init(struct shelf *s, struct shop *shop, const struct model *m, size_t limit) {
    *s = (struct shelf){.shop = shop, .model = m, .limit = limit};
    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->made);
}

void shelf_deinit(struct shelf *s) {
    while (s->plans) {
        struct plan *next = s->plans->next;
        plan_free(s->plans);
        s->plans = next;
    }
    pthread_cond_destroy(&s->made);
    pthread_mutex_destroy(&s->lock);
}

static struct plan **find(struct shelf *s, const struct plan_ask *ask) {
    for (struct plan **at = &s->plans; *at; at = &(*at)->next)
        if (plan_fits(*at, ask))
            return at;
    return NULL;
}

static void unlink_plan(struct shelf *s, const struct plan *p) {
    struct plan **at = &s->plans;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    s->n--;
}

static void move_to_front(struct shelf *s, struct plan **at) {
    struct plan *p = *at;
    *at = p->next;
    p->next = s->plans;
    s->plans = p;
}

/* Unlinks plans over the limit, least recently used first; the caller frees the list outside the
 * lock. */
static struct plan *unlink_surplus(struct shelf *s) {
    struct plan *out = NULL;
    while (s->n > s->limit) {
        struct plan **last = NULL;
        for (struct plan **at = &s->plans; *at; at = &(*at)->next)
            if (!(*at)->users && (*at)->ready)
                last = at;
        if (!last)
            break;
        struct plan *p = *last;
        *last = p->next;
        s->n--;
        p->next = out;
        out = p;
    }
    return out;
}

static void free_list(struct plan *p) {
    while (p) {
        struct plan *next = p->next;
        plan_free(p);
        p = next;
    }
}

/* Called with the lock held, and returns without it. */
static enum code make(struct shelf *s, const struct plan_ask *ask, struct plan **out,
                      struct err *e) {
    struct plan *p = plan_new(s->shop, ask, s->model->main->n_inputs, s->model->main->n_outputs);
    if (!p) {
        pthread_mutex_unlock(&s->lock);
        return fail(e, NOMEM, "no memory for a plan");
    }
    p->users = 1;
    p->next = s->plans;
    s->plans = p;
    s->n++;
    struct plan *surplus = unlink_surplus(s);
    pthread_mutex_unlock(&s->lock);
    free_list(surplus); /* before the new one takes memory */

    pthread_mutex_lock(&s->shop->build);
    enum code code = plan_build(p, s->model, s->defaults, e);
    pthread_mutex_unlock(&s->shop->build);

    pthread_mutex_lock(&s->lock);
    p->ready = code == OK;
    if (code != OK)
        unlink_plan(s, p);
    pthread_cond_broadcast(&s->made);
    pthread_mutex_unlock(&s->lock);
    if (code == OK)
        *out = p;
    else
        plan_free(p);
    return code;
}

enum code shelf_take(struct shelf *s, const struct plan_ask *ask, struct plan **out,
                     struct err *e) {
    pthread_mutex_lock(&s->lock);
    struct plan **at;
    while ((at = find(s, ask)) && !(*at)->ready)
        pthread_cond_wait(&s->made, &s->lock);
    if (!at)
        return make(s, ask, out, e);
    *out = *at;
    move_to_front(s, at);
    (*out)->users++;
    pthread_mutex_unlock(&s->lock);
    return OK;
}

void shelf_give(struct shelf *s, struct plan *p) {
    pthread_mutex_lock(&s->lock);
    p->users--;
    pthread_mutex_unlock(&s->lock);
}
