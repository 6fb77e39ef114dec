/* SPDX-License-Identifier: Apache-2.0 */
/* slipway list: every model of the store, or every version of one. */
#include "cli/command.h"
#include "cli/facts.h"

static const char *join_aliases(struct arena *a, const struct store_info *i) {
    const char *text = "";
    for (size_t k = 0; k < i->n_aliases && text; k++)
        text = arena_printf(a, "%s%s%.*s", text, k ? ", " : "", STR(i->aliases[k]));
    return text ? text : "?";
}

static enum code as_table(struct cli *c, const struct store_info *infos, size_t n, struct err *e) {
    enum { COLUMNS = 7 };
    const char **cells = ARENA_ARRAY(&c->arena, n * COLUMNS + 1, const char *);
    if (!cells)
        return fail(e, NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const char **row = cells + i * COLUMNS;
        row[0] = arena_printf(&c->arena, "%.*s@%llu", STR(infos[i].model),
                              (unsigned long long)infos[i].version);
        row[1] = join_aliases(&c->arena, &infos[i]);
        row[2] = arena_strdup(&c->arena, infos[i].format);
        row[3] = print_size(&c->arena, infos[i].size_bytes);
        row[4] = print_size(&c->arena, infos[i].own_bytes);
        row[5] = print_when(&c->arena, infos[i].created_us);
        row[6] = arena_strdup(&c->arena, str_sub(infos[i].digest, 0, 12));
        for (int k = 0; k < COLUMNS; k++)
            row[k] = row[k] ? row[k] : "?";
    }
    print_table(c, &(struct table){.heads = {"VERSION", "ALIASES", "FORMAT", "SIZE", "OWN",
                                             "CREATED", "DIGEST"},
                                   .right = {[3] = true, [4] = true},
                                   .columns = COLUMNS,
                                   .cells = cells,
                                   .rows = n});
    return OK;
}

static enum code as_json(const struct store_info *infos, size_t n, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, (size_t)256 << 20);
    json_out_init(&w, &b, 0);
    json_put_array(&w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(&w);
        facts_put_version(&w, &infos[i]);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code run(struct cli *c, struct err *e) {
    struct store_info *infos;
    size_t n;
    struct str model = c->n_args ? str_of(c->args[0]) : (struct str){0};
    TRY(store_list(c->store, model, &c->arena, &infos, &n, e));
    if (c->json)
        return as_json(infos, n, e);
    if (n == 0) {
        printf("The store is empty. `slipway add FILE` puts a model in it.\n");
        return OK;
    }
    return as_table(c, infos, n, e);
}

const struct command command_list = {
    .name = "list",
    .synopsis = "[MODEL]",
    .about = "List the models of the store, or the versions of one.",
    .help = "OWN is what only this version takes on disk: tensors shared with other versions are "
            "not in it.\n\n"
            "  slipway list\n"
            "  slipway list ocr --json",
    .flags = COMMAND_STORE_CREATE,
    .max_args = 1,
    .run = run,
};
