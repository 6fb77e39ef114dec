/* SPDX-License-Identifier: Apache-2.0 */
/* slipway log: what happened to a model, newest first. */
#include "base/clock.h"
#include "cli/command.h"

static const char *sentence(struct arena *a, const struct store_event *v) {
    unsigned long long version = v->version, previous = v->previous;
    if (str_is(v->what, "alias"))
        return previous
                   ? arena_printf(a, "%.*s -> @%llu (was @%llu)", STR(v->alias), version, previous)
                   : arena_printf(a, "%.*s -> @%llu", STR(v->alias), version);
    if (str_is(v->what, "rollback"))
        return arena_printf(a, "%.*s back to @%llu (was @%llu)", STR(v->alias), version, previous);
    if (str_is(v->what, "drop-alias"))
        return arena_printf(a, "%.*s dropped (was @%llu)", STR(v->alias),
                            previous ? previous : version);
    if (version == 0)
        return arena_printf(a, "%.*s%s%.*s", STR(v->alias), v->alias.n && v->note.n ? " " : "",
                            STR(v->note));
    return arena_printf(a, "@%llu", version);
}

/* "  by cli:ann (reason)"; a setting's note is its text, told already. */
static const char *signed_by(struct arena *a, const struct store_event *v) {
    const char *text =
        v->who.n ? arena_printf(a, "  by %.*s", STR(v->who)) : arena_printf(a, "%s", "");
    if (text && v->note.n && v->version)
        text = arena_printf(a, "%s (%.*s)", text, STR(v->note));
    return text ? text : "";
}

static enum code as_json(const struct store_event *v, size_t n, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, (size_t)256 << 20);
    json_out_init(&w, &b, 0);
    json_put_array(&w);
    for (size_t i = 0; i < n; i++) {
        char when[CLOCK_TEXT];
        size_t length = clock_print(v[i].at_us, when);
        json_put_object(&w);
        json_put_member_str(&w, "at", (struct str){when, length});
        json_put_member_str(&w, "what", v[i].what);
        json_put_member_i64(&w, "version", (int64_t)v[i].version);
        if (v[i].previous)
            json_put_member_i64(&w, "previous", (int64_t)v[i].previous);
        if (v[i].alias.n)
            json_put_member_str(&w, "alias", v[i].alias);
        if (v[i].who.n)
            json_put_member_str(&w, "who", v[i].who);
        if (v[i].note.n)
            json_put_member_str(&w, "note", v[i].note);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code run(struct cli *c, struct err *e) {
    struct store_event *v;
    size_t n;
    struct str model = c->n_args ? str_of(c->args[0]) : (struct str){0};
    TRY(store_log(c->store, model, &c->arena, &v, &n, e));
    if (c->json)
        return as_json(v, n, e);
    for (size_t i = 0; i < n; i++) {
        const char *text = sentence(&c->arena, &v[i]);
        printf("%s  %-10.*s  %s%s\n", print_when(&c->arena, v[i].at_us), STR(v[i].what),
               text ? text : "?", signed_by(&c->arena, &v[i]));
    }
    return OK;
}

const struct command command_log = {
    .name = "log",
    .synopsis = "[MODEL]",
    .about = "Show what happened to a model and who did it; without one, to the store's keys.",
    .flags = COMMAND_STORE,
    .max_args = 1,
    .run = run,
};
