/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters as TensorFlow Serving's clients send them: ModelServerConfig in protobuf's wire format.
 */
#include "job/roster.h"

#include "base/pb.h"

enum { LATEST = 100, ALL = 101, SPECIFIC = 102 }; /* of ServableVersionPolicy */

/* Latest {1 num_versions} and Specific {1 rep versions}; All {} has no fields. */
static enum code take_versions(const struct pb_field *f, struct roster_model *m, struct err *e) {
    struct pb_field g;
    struct pb p;
    struct buf b;
    bool more;
    int64_t v;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            return OK;
        if (g.number != 1)
            continue;
        buf_init(&b, sizeof m->versions);
        enum code code = pb_i64s(&g, &b, e);
        for (size_t i = 0; code == OK && i < b.n / sizeof v; i++) {
            memcpy(&v, b.p + i * sizeof v, sizeof v);
            if (f->number == SPECIFIC)
                code = roster_add_version(m, v, e);
            else
                m->latest = v > 0 ? v : 1;
        }
        buf_deinit(&b);
        TRY(code);
    }
}

static enum code take_policy(const struct pb_field *f, struct roster_model *m, struct err *e) {
    struct pb_field g;
    struct pb p;
    bool more;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            return OK;
        switch (g.number) {
        case LATEST: m->policy = ROSTER_LATEST; break;
        case ALL: m->policy = ROSTER_ALL; break;
        case SPECIFIC: m->policy = ROSTER_SPECIFIC; break;
        default: continue;
        }
        if (g.number != ALL)
            TRY(take_versions(&g, m, e));
    }
}

/* An entry of map<string, int64>. */
static enum code take_label(const struct pb_field *f, struct roster_model *m, struct err *e) {
    struct roster_label label = {.version = 0};
    struct pb_field g;
    struct pb p;
    bool more;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            return roster_add_label(m, label, e);
        if (g.number == 1)
            TRY(pb_str(&g, &label.name, e));
        else if (g.number == 2)
            TRY(pb_i64(&g, &label.version, e));
    }
}

static enum code take_model(const struct pb_field *f, struct roster *r, struct err *e) {
    struct roster_model *m = &r->models[r->n];
    struct pb_field g;
    struct pb p;
    bool more;
    *m = roster_model_default();
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            return roster_add_model(r, e);
        switch (g.number) {
        case 1: TRY(pb_str(&g, &m->name, e)); break;
        case 2: TRY(pb_str(&g, &m->base_path, e)); break;
        case 7: TRY(take_policy(&g, m, e)); break;
        case 8: TRY(take_label(&g, m, e)); break;
        default: break; /* model_platform, logging_config: the format is found by its bytes */
        }
    }
}

/* ModelConfigList {1 rep ModelConfig}: how many, or, with room for them, each. */
static enum code walk_list(const struct pb_field *f, struct roster *r, size_t *n, struct err *e) {
    struct pb_field g;
    struct pb p;
    bool more;
    *n = 0;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            return OK;
        if (g.number != 1)
            continue;
        ++*n;
        if (r->models)
            TRY(take_model(&g, r, e));
    }
}

static enum code take_list(const struct pb_field *f, struct arena *a, struct roster *r,
                           struct err *e) {
    size_t n;
    *r = (struct roster){0};
    TRY(walk_list(f, r, &n, e));
    if (n > ROSTER_MODELS)
        return fail(e, INVALID, "more than %d models", ROSTER_MODELS);
    r->models = ARENA_ARRAY(a, n + 1, struct roster_model);
    if (!r->models)
        return arena_fail(a, n * sizeof *r->models, "model config", e);
    return walk_list(f, r, &n, e);
}

enum code roster_read_message(struct span bytes, struct arena *a, struct roster *out,
                              struct err *e) {
    struct roster r = {0};
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, bytes);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number != 1)
            return fail(e, UNSUPPORTED, "only a model_config_list can be served");
        TRY(take_list(&f, a, &r, e));
    }
    if (!r.models)
        return fail(e, INVALID, "ServerConfig is missing a model_config_list");
    *out = r;
    return OK;
}
