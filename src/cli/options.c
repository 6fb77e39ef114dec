/* SPDX-License-Identifier: Apache-2.0 */
/* GNU-style options from a command's table: --name VALUE, --name=VALUE, -n VALUE; `--` ends them;
 * options and positional arguments may be mixed. Every command also takes --store, --json, --quiet
 * and --help. */
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

struct common {
    const char *store;
    bool json, quiet, help;
};

static const struct option common_options[] = {
    {"store", 0, OPTION_TEXT, offsetof(struct common, store), "DIR", "where versions are kept",
     "SLIPWAY_STORE"},
    {"json", 0, OPTION_FLAG, offsetof(struct common, json), NULL,
     "print facts as one JSON document", NULL},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct common, quiet), NULL, "no progress, no remarks",
     NULL},
    {"help", 'h', OPTION_FLAG, offsetof(struct common, help), NULL, "this text", NULL},
    {0},
};

enum code options_size(const char *text, uint64_t *out, struct err *e) {
    struct str s = str_of(text);
    unsigned shift = 0;
    if (s.n && strchr("kKmMgG", s.p[s.n - 1])) {
        char unit = s.p[--s.n];
        shift = unit == 'k' || unit == 'K' ? 10 : unit == 'm' || unit == 'M' ? 20 : 30;
    }
    uint64_t v;
    if (!str_to_u64(s, &v) || v > UINT64_MAX >> shift)
        return fail(e, USAGE, "'%s' is not a size: a number, optionally with k, M or G", text);
    *out = v << shift;
    return OK;
}

enum code options_kv_type(const char *text, enum dtype *out, struct err *e) {
    static const enum dtype known[] = {DT_F16, DT_BF16, DT_Q8_0, DT_F32};
    enum dtype t = DT_NONE;
    bool ok = !text;
    if (text && dtype_from_name(str_of(text), &t))
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            ok |= t == known[i];
    if (!ok)
        return fail(e, USAGE, "--kv-type: '%s' is not one of f16, bf16, q8_0, f32", text);
    *out = t;
    return OK;
}

static enum code set_list(struct option_list *list, const struct option *o, const char *value,
                          struct err *e) {
    if (list->n == OPTION_LIST_MAX)
        return fail(e, USAGE, "--%s: given more than %d times", o->name, OPTION_LIST_MAX);
    list->items[list->n++] = value;
    return OK;
}

static enum code set(const struct option *o, void *into, const char *value, struct err *e) {
    char *field = (char *)into + o->offset;
    int64_t number;
    switch (o->kind) {
    case OPTION_FLAG: *(bool *)field = true; return OK;
    case OPTION_TEXT: *(const char **)field = value; return OK;
    case OPTION_INT:
        if (!str_to_i64(str_of(value), &number))
            return fail(e, USAGE, "--%s: '%s' is not a whole number", o->name, value);
        *(int64_t *)field = number;
        return OK;
    case OPTION_SIZE:
        if (options_size(value, (uint64_t *)field, e) != OK)
            return err_prefix(e, "--%s", o->name);
        return OK;
    case OPTION_LIST: return set_list((struct option_list *)field, o, value, e);
    }
    return OK;
}

static const struct option *find(const struct option *table, const char *name, size_t n,
                                 char letter) {
    for (const struct option *o = table; o && o->name; o++)
        if (letter ? o->letter == letter : strlen(o->name) == n && strncmp(o->name, name, n) == 0)
            return o;
    return NULL;
}

static enum code from_environment(const struct option *table, void *into, struct err *e) {
    for (const struct option *o = table; o && o->name; o++) {
        const char *value = o->environment ? getenv(o->environment) : NULL;
        if (value && *value && set(o, into, value, e) != OK)
            return err_prefix(e, "%s", o->environment);
    }
    return OK;
}

struct parse {
    const struct command *k;
    int argc, at;
    char **argv;
    void *own;
    struct common *common;
};

/* argv[at] begins with '-': takes it and its value. */
static enum code take(struct parse *p, struct err *e) {
    const char *arg = p->argv[p->at], *name = arg + 1, *value = NULL;
    bool is_long = *name == '-';
    if (is_long)
        name++;
    const char *equals = is_long ? strchr(name, '=') : NULL;
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    char letter = is_long ? 0 : *name;
    const struct option *o = find(p->k->options, name, n, letter);
    void *into = p->own;
    if (!o) {
        o = find(common_options, name, n, letter);
        into = p->common;
    }
    if (!o || (!is_long && n != 1))
        return fail(e, USAGE, "%s: no option '%.*s'; `slipway help %s` lists them", p->k->name,
                    (int)(n + (size_t)(name - arg)), arg, p->k->name);
    if (equals)
        value = equals + 1;
    if (o->kind == OPTION_FLAG)
        return value ? fail(e, USAGE, "--%s takes no value", o->name) : set(o, into, NULL, e);
    if (!value && ++p->at >= p->argc)
        return fail(e, USAGE, "--%s needs a value: %s", o->name, o->value);
    return set(o, into, value ? value : p->argv[p->at], e);
}

static enum code take_all(struct parse *p, struct cli *c, struct err *e) {
    bool only_args = false;
    for (p->at = 1; p->at < p->argc; p->at++) {
        const char *arg = p->argv[p->at];
        if (!only_args && strcmp(arg, "--") == 0)
            only_args = true;
        else if (!only_args && arg[0] == '-' && arg[1])
            TRY(take(p, e));
        else
            c->args[c->n_args++] = p->argv[p->at];
    }
    return OK;
}

static enum code check_count(const struct command *k, const struct cli *c, struct err *e) {
    if (c->n_args < k->min_args)
        return fail(e, USAGE, "usage: slipway %s %s", k->name, k->synopsis);
    if (k->max_args >= 0 && c->n_args > k->max_args)
        return fail(e, USAGE, "unexpected argument '%s'; usage: slipway %s %s",
                    c->args[k->max_args], k->name, k->synopsis);
    return OK;
}

enum code options_parse(const struct command *k, int argc, char **argv, struct cli *c, bool *help,
                        struct err *e) {
    struct common common = {0};
    c->options = arena_push(&c->arena, k->options_bytes + 1);
    c->args = ARENA_ARRAY(&c->arena, (size_t)argc + 1, char *);
    if (!c->options || !c->args)
        return fail(e, NOMEM, "out of memory");
    struct parse p = {.k = k, .argc = argc, .argv = argv, .own = c->options, .common = &common};
    TRY(from_environment(common_options, &common, e));
    TRY(from_environment(k->options, c->options, e));
    enum code code = take_all(&p, c, e);
    c->store_path = common.store;
    c->json = common.json;
    c->quiet = common.quiet || common.json;
    *help = common.help;
    TRY(code);
    return common.help ? OK : check_count(k, c, e);
}

static void print_options(const struct option *table, FILE *to) {
    for (const struct option *o = table; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s--%s%s%s", "", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        if (o->letter)
            fprintf(to, "  -%c, %-26s %s", o->letter, left, o->about);
        else
            fprintf(to, "      %-26s %s", left, o->about);
        if (o->environment)
            fprintf(to, " (%s)", o->environment);
        fputc('\n', to);
    }
}

void options_help(const struct command *k, FILE *to) {
    fprintf(to, "usage: slipway %s %s\n\n%s\n\n", k->name, k->synopsis, k->about);
    if (k->help)
        fprintf(to, "%s\n\n", k->help);
    fprintf(to, "Options:\n");
    print_options(k->options, to);
    print_options(common_options, to);
}
