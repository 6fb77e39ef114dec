/* SPDX-License-Identifier: Apache-2.0 */
/* slipway key: API keys. The key is shown once; the store keeps its hash. */
#include "base/clock.h"
#include "cli/command.h"
#include "host/host.h"
#include "host/policy.h"
#include "serve/rights.h"

#include <string.h>

struct options {
    struct option_list scopes, models;
    const char *priority, *rate;
    int64_t concurrency;
};

static enum code rights_of(const struct options *o, struct rights *r, struct err *e) {
    *r = (struct rights){.priority = PRIORITY_HIGH, .concurrency = (uint64_t)o->concurrency};
    for (int i = 0; i < o->scopes.n; i++)
        TRY(rights_scope(r, str_of(o->scopes.items[i]), e));
    if (!r->scopes)
        r->scopes = SCOPE_PREDICT;
    for (int i = 0; i < o->models.n; i++)
        TRY(rights_model(r, str_of(o->models.items[i]), e));
    if (o->priority)
        TRY(priority_parse(str_of(o->priority), &r->priority, e));
    if (o->concurrency < 0)
        return fail(e, USAGE, "--concurrency: %lld is negative", (long long)o->concurrency);
    if (o->rate && (!str_to_f64(str_of(o->rate), &r->rate) || r->rate <= 0))
        return fail(e, USAGE, "--rate: '%s' is not a number of requests a second", o->rate);
    return OK;
}

static enum code told(struct cli *c, struct str name, const char *text, struct str rights,
                      struct err *e) {
    if (!c->json) {
        printf("%s\n", text);
        if (!c->quiet)
            fprintf(stderr, "key '%.*s' %.*s; it is shown only now\n", STR(name), STR(rights));
        return OK;
    }
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 16);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_str(&w, "name", name);
    json_put_member_text(&w, "key", text);
    json_put_key(&w, "rights");
    json_put_raw(&w, rights);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code add(struct cli *c, struct str name, struct err *e) {
    struct rights rights;
    struct store_key k = {.name = name};
    char text[RIGHTS_KEY];
    struct buf b;
    TRY(rights_of(c->options, &rights, e));
    TRY(rights_new_key(text, k.digest, e));
    buf_init(&b, 1 << 16);
    rights_write(&rights, &b);
    k.rights = buf_str(&b);
    enum code code = buf_check(&b, "rights", e);
    if (code == OK)
        code = store_key_add(c->store, &k, e);
    if (code == OK)
        code = told(c, name, text, k.rights, e);
    buf_deinit(&b);
    return code;
}

static enum code list_json(const struct store_key *all, size_t n, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, (size_t)64 << 20);
    json_out_init(&w, &b, 0);
    json_put_array(&w);
    for (size_t i = 0; i < n; i++) {
        char when[CLOCK_TEXT];
        json_put_object(&w);
        json_put_member_str(&w, "name", all[i].name);
        json_put_key(&w, "rights");
        json_put_raw(&w, all[i].rights);
        json_put_member_str(&w, "created",
                            (struct str){when, clock_print(all[i].created_us, when)});
        if (all[i].revoked_us)
            json_put_member_str(&w, "revoked",
                                (struct str){when, clock_print(all[i].revoked_us, when)});
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code list(struct cli *c, struct err *e) {
    struct store_key *all;
    size_t n;
    TRY(store_keys(c->store, &c->arena, &all, &n, e));
    if (c->json)
        return list_json(all, n, e);
    const char **cells = ARENA_ARRAY(&c->arena, 4 * n + 1, const char *);
    if (!cells)
        return fail(e, NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        cells[4 * i] = arena_strdup(&c->arena, all[i].name);
        cells[4 * i + 1] = print_when(&c->arena, all[i].created_us);
        cells[4 * i + 2] = all[i].revoked_us ? print_when(&c->arena, all[i].revoked_us) : "";
        cells[4 * i + 3] = arena_strdup(&c->arena, all[i].rights);
    }
    struct table t = {
        .heads = {"name", "made", "revoked", "rights"}, .columns = 4, .cells = cells, .rows = n};
    print_table(c, &t);
    return OK;
}

static enum code run(struct cli *c, struct err *e) {
    const char *verb = c->args[0];
    struct str name = c->n_args > 1 ? str_of(c->args[1]) : (struct str){0};
    if (strcmp(verb, "list") == 0 && c->n_args == 1)
        return list(c, e);
    if (strcmp(verb, "add") == 0 && name.n)
        return add(c, name, e);
    if (strcmp(verb, "revoke") != 0 || !name.n)
        return fail(e, USAGE, "usage: slipway key add NAME | list | revoke NAME");
    TRY(store_key_revoke(c->store, name, e));
    if (!c->quiet)
        printf("key '%.*s' revoked\n", STR(name));
    return OK;
}

#define AT(field) offsetof(struct options, field)
static const struct option options[] = {
    {"scope", 0, OPTION_LIST, AT(scopes), "SCOPE",
     "predict (when none is given), read, admin; may be repeated", NULL},
    {"model", 0, OPTION_LIST, AT(models), "NAME",
     "only this model; NAME may end with *; may be repeated", NULL},
    {"rate", 0, OPTION_TEXT, AT(rate), "N", "most requests a second", NULL},
    {"concurrency", 0, OPTION_INT, AT(concurrency), "N", "most requests in flight", NULL},
    {"priority", 0, OPTION_TEXT, AT(priority), "P", "the highest it may ask for: high, normal, low",
     NULL},
    {0},
};

const struct command command_key = {
    .name = "key",
    .synopsis = "add NAME | list | revoke NAME",
    .about = "API keys: who may ask what, how often.",
    .help = "From the first key on, servers of this store ask for one ('Authorization: Bearer "
            "KEY').\n"
            "A running server follows. The store keeps hashes only.\n\n"
            "  slipway key add web --model 'ocr*' --rate 100\n"
            "  slipway key add ops --scope admin\n"
            "  slipway key revoke web",
    .flags = COMMAND_STORE_CREATE,
    .min_args = 1,
    .max_args = 2,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};
