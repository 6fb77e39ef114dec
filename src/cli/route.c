/* SPDX-License-Identifier: Apache-2.0 */
/* slipway route, policy, apply: how traffic is split, how a model is treated, both from a file. */
#include "base/file.h"
#include "cli/command.h"
#include "cli/facts.h"
#include "host/policy.h"
#include "host/rollout.h"
#include "job/apply.h"

enum { FILE_BYTES = 4 << 20 };

/* --- route --- */

struct route_options {
    const char *sticky, *shadow;
    bool clear;
};

static enum code split_target(struct cli *c, struct str model, const char *text, struct str *name,
                              double *percent, uint64_t *version, struct err *e) {
    struct str whole = str_of(text);
    size_t at;
    *name = whole;
    if (str_find(whole, '=', &at)) {
        struct str value = str_sub(whole, at + 1, whole.n);
        if (value.n && value.p[value.n - 1] == '%')
            value.n--;
        *name = str_sub(whole, 0, at);
        if (!str_to_f64(value, percent))
            return fail(e, USAGE, "'%s': write VERSION=PERCENT, e.g. 4=10", text);
    }
    struct store_info info;
    struct store_ref r = {.model = model};
    if (!str_to_u64(*name, &r.version))
        r.alias = *name;
    TRY(store_resolve(c->store, &r, &c->arena, &info, e));
    *version = info.version;
    return OK;
}

static enum code set_arms(struct cli *c, struct str model, struct rollout *r, struct err *e) {
    r->n_arms = 0;
    for (int i = 1; i < c->n_args; i++) {
        struct str name;
        double percent = -1;
        if (r->n_arms == ROLLOUT_ARMS)
            return fail(e, USAGE, "more than %d versions", ROLLOUT_ARMS);
        struct rollout_arm *arm = &r->arms[r->n_arms++];
        TRY(split_target(c, model, c->args[i], &name, &percent, &arm->version, e));
        if (percent < 0)
            return fail(e, USAGE, "'%s': write VERSION=PERCENT, e.g. 4=10", c->args[i]);
        TRY(rollout_share(percent, &arm->share, e));
    }
    return OK;
}

static enum code set_shadow(struct cli *c, struct str model, const char *text, struct rollout *r,
                            struct err *e) {
    struct str name;
    double percent = 100;
    r->shadow = 0;
    if (str_is(str_of(text), "none"))
        return OK;
    TRY(split_target(c, model, text, &name, &percent, &r->shadow, e));
    return rollout_share(percent, &r->shadow_share, e);
}

static enum code show_setting(struct cli *c, struct str model, struct str text, struct err *e) {
    struct buf b;
    if (!c->json) {
        printf("%.*s: %.*s\n", STR(model), STR(text));
        return OK;
    }
    buf_init(&b, STORE_SETTING_MAX);
    buf_put_str(&b, text);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code now(struct cli *c, struct str model, struct str name, struct str *out,
                     struct err *e) {
    TRY(job_setting(c->store, model, name, &c->arena, out, e));
    if (out->n == 0)
        *out = LIT("{}");
    return OK;
}

static enum code change_route(struct cli *c, struct str model, struct rollout *r, struct err *e) {
    const struct route_options *o = c->options;
    struct buf b;
    if (c->n_args > 1)
        TRY(set_arms(c, model, r, e));
    if (o->sticky)
        TRY(rollout_sticky(r, str_of(o->sticky), e));
    if (o->shadow)
        TRY(set_shadow(c, model, o->shadow, r, e));
    buf_init(&b, STORE_SETTING_MAX);
    rollout_write(r, &b);
    enum code code = buf_check(&b, "route", e);
    if (code == OK)
        code = job_set_route(c->store, model, buf_str(&b), e);
    buf_deinit(&b);
    return code;
}

static enum code run_route(struct cli *c, struct err *e) {
    const struct route_options *o = c->options;
    struct rollout r;
    struct str model = str_of(c->args[0]), text;
    TRY(now(c, model, ROLLOUT_SETTING, &text, e));
    if (o->clear) {
        if (c->n_args > 1 || o->sticky || o->shadow)
            return fail(e, USAGE, "--clear takes everything away: it stands alone");
        TRY(job_set_route(c->store, model, (struct str){0}, e));
    } else if (c->n_args > 1 || o->sticky || o->shadow) {
        TRY(rollout_parse(text, &r, e));
        TRY(change_route(c, model, &r, e));
    }
    TRY(now(c, model, ROLLOUT_SETTING, &text, e));
    return show_setting(c, model, text, e);
}

#define AT(field) offsetof(struct route_options, field)
static const struct option route_table[] = {
    {"sticky", 0, OPTION_TEXT, AT(sticky), "KEY",
     "who gets which: header:NAME, cookie:NAME, field:NAME or none", NULL},
    {"shadow", 0, OPTION_TEXT, AT(shadow), "VERSION[=PERCENT]",
     "gets a copy of requests; answers are compared, never sent; none ends it", NULL},
    {"clear", 0, OPTION_FLAG, AT(clear), NULL, "all traffic to one version again", NULL},
    {0},
};

const struct command command_route = {
    .name = "route",
    .synopsis = "MODEL [VERSION=PERCENT...]",
    .about = "Split a model's traffic: canary, A/B/n, shadow; without shares, show the split.",
    .help = "The rest goes to the version MODEL means (alias `prod`, else the newest). A running "
            "server follows;\n"
            "a version gets its share once it is loaded and warm. With --sticky a client stays "
            "with its version,\n"
            "also when the last share grows. What is asked for as MODEL@3 or by alias is not "
            "split.\n\n"
            "  slipway route ocr 4=10                          canary: one request in ten\n"
            "  slipway route ocr 4=10 --sticky header:x-user   the same tenth of the users\n"
            "  slipway route ocr 4=25 5=25                     A/B/n\n"
            "  slipway route ocr --shadow 5                    compare version 5, nobody waits\n"
            "  slipway alias ocr@4 prod; slipway route ocr --clear     promote\n"
            "  slipway rollback ocr                            take it back",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 1 + ROLLOUT_ARMS,
    .options_bytes = sizeof(struct route_options),
    .options = route_table,
    .run = run_route,
};

/* --- policy --- */

static enum code warn(struct cli *c, struct str json, struct err *e) {
    struct str doubt;
    TRY(job_doubt_policy(c->store, json, &c->arena, &doubt, e));
    if (doubt.n)
        fprintf(stderr, "slipway policy: warning: %.*s\n", STR(doubt));
    return OK;
}

static enum code run_policy(struct cli *c, struct err *e) {
    struct str model = str_of(c->args[0]), text;
    struct policy p;
    TRY(now(c, model, POLICY_SETTING, &text, e));
    if (c->n_args > 1) {
        struct buf b;
        TRY(policy_parse(text, &p, e));
        for (int i = 1; i < c->n_args; i++)
            TRY(policy_set(&p, str_of(c->args[i]), e));
        buf_init(&b, STORE_SETTING_MAX);
        policy_write(&p, &b);
        enum code code = job_set_policy(c->store, model, buf_str(&b), e);
        buf_deinit(&b);
        TRY(code);
        TRY(now(c, model, POLICY_SETTING, &text, e));
        TRY(warn(c, text, e));
    }
    return show_setting(c, model, text, e);
}

const struct command command_policy = {
    .name = "policy",
    .synopsis = "MODEL [NAME=VALUE...]",
    .about = "How a model is treated beside others; without values, show it.",
    .help =
        "  pin=yes            never evicted when serve has a --memory budget\n"
        "  priority=high      high, normal, low: of requests that bring none\n"
        "  weight=2           share of the cores when several models want them\n"
        "  batch=16           most rows joined in one run\n"
        "  queue=64           most requests that may wait\n"
        "  instances=2        most runs of a version at one time (0: any)\n"
        "  wait=500           most microseconds that a request waits for others to join (-1: what "
        "pays)\n"
        "  precision=auto     f32, bf16, or bf16 where `slipway bench MODEL --compare` found it "
        "good enough; of versions\n"
        "                     loaded from now on\n"
        "  draft=small        the model that guesses for it, whatever its versions and the server "
        "say; none; auto: what\n"
        "                     they say\n"
        "  capture=1%         keep inputs and outputs of some requests (see slipway help "
        "replay)\n"
        "  keep-bytes=1e8 keep-days=7     how much of them, how long",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 16,
    .run = run_policy,
};

/* --- apply --- */

struct apply_options {
    bool dry;
};

static enum code run_apply(struct cli *c, struct err *e) {
    const struct apply_options *o = c->options;
    struct apply_change *changes;
    struct span text;
    size_t n;
    TRY(file_read(c->args[0], FILE_BYTES, &c->arena, &text, e));
    enum code code = job_apply(c->store, (struct str){(const char *)text.p, text.n}, o->dry,
                               &c->arena, &changes, &n, e);
    if (code != OK)
        return err_prefix(e, "%s", c->args[0]);
    for (size_t i = 0; i < n && !c->quiet; i++)
        printf("%.*s  %.*s\n", STR(changes[i].model), STR(changes[i].text));
    if (!c->quiet)
        printf("%zu change%s%s\n", n, n == 1 ? "" : "s", o->dry ? " would be made" : "");
    return OK;
}

static const struct option apply_table[] = {
    {"dry-run", 'n', OPTION_FLAG, offsetof(struct apply_options, dry), NULL,
     "say what would change", NULL},
    {0},
};

const struct command command_apply = {
    .name = "apply",
    .synopsis = "FILE",
    .about = "Make aliases, splits and policies what a JSON file says.",
    .help = "What the file does not mention stays; null takes away. Checked as a whole first.\n\n"
            "  {\"models\": {\"ocr\": {\"aliases\": {\"prod\": 3},\n"
            "     \"route\": {\"arms\": [{\"version\": 4, \"percent\": 10}], \"sticky\": "
            "\"header:x-user\"},\n"
            "     \"policy\": {\"pin\": true}}}}",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 1,
    .options_bytes = sizeof(struct apply_options),
    .options = apply_table,
    .run = run_apply,
};
