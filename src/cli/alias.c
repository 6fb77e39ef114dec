/* SPDX-License-Identifier: Apache-2.0 */
/* slipway alias: name a version; moving the name is how things are promoted. */
#include "cli/command.h"
#include "cli/facts.h"

struct options {
    bool drop;
};

static enum code as_json(const struct store_alias *v, size_t n, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, (size_t)16 << 20);
    json_out_init(&w, &b, 0);
    json_put_array(&w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(&w);
        json_put_member_str(&w, "alias", v[i].name);
        json_put_member_i64(&w, "version", (int64_t)v[i].version);
        if (v[i].previous)
            json_put_member_i64(&w, "previous", (int64_t)v[i].previous);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code show_all(struct cli *c, struct str model, struct err *e) {
    struct store_alias *v;
    size_t n;
    TRY(store_aliases(c->store, model, &c->arena, &v, &n, e));
    if (c->json)
        return as_json(v, n, e);
    for (size_t i = 0; i < n; i++) {
        printf("%.*s@%.*s -> @%llu", STR(model), STR(v[i].name), (unsigned long long)v[i].version);
        if (v[i].previous)
            printf("  (before: @%llu)", (unsigned long long)v[i].previous);
        putchar('\n');
    }
    return OK;
}

static enum code told(struct cli *c, struct str model, struct str alias, uint64_t version,
                      struct err *e) {
    if (!c->json) {
        printf("%.*s@%.*s -> @%llu\n", STR(model), STR(alias), (unsigned long long)version);
        return OK;
    }
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 16);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_str(&w, "model", model);
    json_put_member_str(&w, "alias", alias);
    json_put_member_i64(&w, "version", (int64_t)version);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code run(struct cli *c, struct err *e) {
    const struct options *o = c->options;
    struct store_ref r;
    TRY(store_ref_parse(str_of(c->args[0]), &r, e));
    if (c->n_args == 1)
        return o->drop ? fail(e, USAGE, "which alias? usage: slipway alias --drop MODEL ALIAS")
                       : show_all(c, r.model, e);
    struct str alias = str_of(c->args[1]);
    if (o->drop) {
        TRY(store_alias_drop(c->store, r.model, alias, e));
        if (!c->quiet)
            printf("%.*s@%.*s dropped\n", STR(r.model), STR(alias));
        return OK;
    }
    struct store_info info;
    TRY(store_resolve(c->store, &r, &c->arena, &info, e));
    TRY(store_alias_set(c->store, r.model, alias, info.version, e));
    return told(c, r.model, alias, info.version, e);
}

static const struct option options[] = {
    {"drop", 0, OPTION_FLAG, offsetof(struct options, drop), NULL, "remove the alias", NULL},
    {0},
};

const struct command command_alias = {
    .name = "alias",
    .synopsis = "MODEL[@VERSION|@ALIAS] [ALIAS]",
    .about = "Name a version; without ALIAS, show the names of a model.",
    .help = "A running server follows: the version is loaded and warmed, then takes the traffic of "
            "the name.\n"
            "What MODEL alone means is the alias `prod` where there is one, else the newest "
            "version.\n\n"
            "  slipway alias ocr@3 prod      promote version 3\n"
            "  slipway rollback ocr prod     back to what it was\n"
            "  slipway alias ocr             show all names",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 2,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};

static enum code run_rollback(struct cli *c, struct err *e) {
    struct str model = str_of(c->args[0]), alias = c->n_args > 1 ? str_of(c->args[1]) : LIT("prod");
    uint64_t version;
    TRY(store_alias_rollback(c->store, model, alias, &version, e));
    return told(c, model, alias, version, e);
}

const struct command command_rollback = {
    .name = "rollback",
    .synopsis = "MODEL [ALIAS]",
    .about = "Move an alias (prod) back to the version it named before.",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 2,
    .run = run_rollback,
};
