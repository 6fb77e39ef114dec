/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a loop's iterations; see pocket.h. */
#include "plan/pocket.h"

#include "plan/area.h"

struct pocket {
    struct run_terms *terms;
    struct area *outer;
    struct area work, kept[2];
    int turn; /* which of kept is next */
};

struct pocket *pocket_open(struct run_terms *terms) {
    struct pocket *p = mem_alloc(sizeof *p);
    if (!p)
        return NULL;
    *p = (struct pocket){.terms = terms, .outer = terms->area};
    area_init(&p->work);
    area_init(&p->kept[0]);
    area_init(&p->kept[1]);
    return p;
}

/* What `a` may use: the outer area's rest, less what the other two hold. */
static size_t room_for(const struct pocket *p, const struct area *a) {
    const struct area *all[] = {&p->work, &p->kept[0], &p->kept[1]};
    size_t used = p->outer->used_bytes, cap = p->outer->cap_bytes;
    for (int k = 0; k < 3; k++)
        used += all[k] == a ? 0 : all[k]->used_bytes;
    return used < cap ? cap - used : 0;
}

void pocket_enter(struct pocket *p) {
    area_reset(&p->work, room_for(p, &p->work), p->terms->meter);
    p->terms->area = &p->work;
}

void pocket_leave(struct pocket *p) { p->terms->area = p->outer; }

static enum code full(const struct pocket *p, struct err *e) {
    return fail(e, LIMIT, "a loop needs more than the run's limit of memory (%zu bytes)",
                p->outer->cap_bytes);
}

static enum code keep_texts(const struct pocket *p, struct area *to, struct tensor *t,
                            struct err *e) {
    struct str *s = t->data;
    for (size_t k = 0; k < tensor_count(t); k++) {
        char *text = area_push(to, s[k].n);
        if (!text)
            return full(p, e);
        if (s[k].n)
            memcpy(text, s[k].p, s[k].n);
        s[k].p = text;
    }
    return OK;
}

enum code pocket_keep(struct pocket *p, struct tensor *values, int n, struct err *e) {
    struct area *to = &p->kept[p->turn];
    area_reset(to, room_for(p, to), p->terms->meter);
    for (int i = 0; i < n; i++) {
        const size_t bytes = tensor_bytes(&values[i]);
        if (!bytes)
            continue;
        void *copy = area_push(to, bytes);
        if (!copy)
            return full(p, e);
        memcpy(copy, values[i].data, bytes);
        values[i].data = copy;
        if (values[i].dtype == DT_STRING)
            TRY(keep_texts(p, to, &values[i], e));
    }
    p->turn = !p->turn;
    return OK;
}

void pocket_close(struct pocket *p) {
    area_deinit(&p->work);
    area_deinit(&p->kept[0]);
    area_deinit(&p->kept[1]);
    mem_free(p);
}
