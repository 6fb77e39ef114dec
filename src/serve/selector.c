/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors: see selector.h. */
#include "serve/selector.h"

enum { NAMES_ROOM = 240 };

enum code selector_split(struct request *r, struct err *e) {
    size_t at;
    if (!str_find(r->ask.model, '@', &at))
        return OK;
    struct str selector = str_sub(r->ask.model, at + 1, r->ask.model.n);
    r->ask.model = str_sub(r->ask.model, 0, at);
    if (selector.n == 0)
        return fail(e, INVALID, "'%.*s@': a version or an alias must follow '@'",
                    STR(r->ask.model));
    if (selector.p[0] < '0' || selector.p[0] > '9')
        r->ask.alias = selector;
    else if (!str_to_u64(selector, &r->ask.version) || r->ask.version == 0)
        return fail(e, INVALID, "'%.*s' is not a version: versions are numbers from 1",
                    STR(selector));
    return OK;
}

enum code selector_sole(struct request *r, const char *how, struct err *e) {
    struct live_info *all;
    size_t n, used = 0;
    char names[NAMES_ROOM] = "";
    TRY(host_list(r->host, r->arena, &all, &n, e));
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(all[i].model, all[i - 1].model))
            continue;
        r->ask.model = all[i].model;
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%.*s", used ? ", " : "",
                                     STR(all[i].model));
    }
    if (n == 0)
        return fail(e, NOT_FOUND, "no model is served: add one with `slipway add FILE NAME`");
    if (used != r->ask.model.n)
        return fail(e, INVALID, "several models are served, say which: %s, one of %s", how, names);
    return OK;
}
