/* SPDX-License-Identifier: Apache-2.0 */
/* slipway replay: requests that were kept, asked again of another version. */
#include "base/cpu.h"
#include "cli/command.h"
#include "job/replay.h"
#include "base/cores.h"

struct options {
    int64_t limit, threads;
    const char *relative, *absolute;
};

static enum code number(const char *flag, const char *text, double otherwise, double *out,
                        struct err *e) {
    *out = otherwise;
    if (text && (!str_to_f64(str_of(text), out) || *out < 0))
        return fail(e, USAGE, "--%s: '%s' is not a tolerance", flag, text);
    return OK;
}

static enum code as_json(const struct replay_job *j, const struct replay_result *r, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 20);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_str(&w, "model", j->model);
    json_put_member_i64(&w, "version", (int64_t)j->version);
    json_put_key(&w, "against");
    json_put_array(&w);
    for (size_t i = 0; i < r->n_versions; i++)
        json_put_i64(&w, (int64_t)r->versions[i]);
    json_put_array_end(&w);
    json_put_member_i64(&w, "requests", (int64_t)r->requests);
    json_put_member_i64(&w, "same", (int64_t)r->same);
    json_put_member_i64(&w, "different", (int64_t)r->different);
    json_put_member_i64(&w, "failed", (int64_t)r->failed);
    if (r->first_failure.n)
        json_put_member_str(&w, "first_failure", r->first_failure);
    json_put_key(&w, "outputs");
    json_put_array(&w);
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct replay_output *o = &r->outputs[i];
        json_put_object(&w);
        json_put_member_str(&w, "name", o->name);
        json_put_member_i64(&w, "compared", (int64_t)o->compared);
        json_put_member_i64(&w, "different", (int64_t)o->different);
        json_put_member_i64(&w, "top_moved", (int64_t)o->top);
        json_put_member_f64(&w, "max_abs", o->max_abs);
        json_put_member_f64(&w, "max_rel", o->max_rel);
        json_put_member_f64(&w, "worst_cosine", o->worst_cosine);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static void for_people(struct cli *c, const struct replay_job *j, const struct replay_result *r) {
    printf("%llu requests from %s to %s, answered then by", (unsigned long long)r->requests,
           print_when(&c->arena, r->from_us), print_when(&c->arena, r->to_us));
    for (size_t i = 0; i < r->n_versions; i++)
        printf("%s @%llu", i ? "," : "", (unsigned long long)r->versions[i]);
    printf("\n%.*s@%llu: %llu same, %llu different, %llu failed", STR(j->model),
           (unsigned long long)j->version, (unsigned long long)r->same,
           (unsigned long long)r->different, (unsigned long long)r->failed);
    if (r->requests > r->failed)
        printf("; %s each", print_duration(&c->arena, r->compute_ns / (r->requests - r->failed)));
    putchar('\n');
    if (r->first_failure.n)
        printf("the first failure: %.*s\n", STR(r->first_failure));
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct replay_output *o = &r->outputs[i];
        printf("  %.*s: %llu of %llu different, largest element elsewhere in %llu, max |a-b| %.3g "
               "(relative %.3g), cosine %.6f at worst\n",
               STR(o->name), (unsigned long long)o->different, (unsigned long long)o->compared,
               (unsigned long long)o->top, o->max_abs, o->max_rel, o->worst_cosine);
    }
}

static enum code run(struct cli *c, struct err *e) {
    const struct options *o = c->options;
    struct replay_result *result = ARENA_NEW(&c->arena, struct replay_result);
    struct store_ref r;
    struct store_info info;
    if (!result)
        return fail(e, NOMEM, "out of memory");
    TRY(store_ref_parse(str_of(c->args[0]), &r, e));
    TRY(store_resolve(c->store, &r, &c->arena, &info, e));
    struct replay_job j = {.model = r.model,
                           .version = info.version,
                           .limit = o->limit > 0 ? (uint64_t)o->limit : 0,
                           .threads = o->threads > 0 ? (int)o->threads : cpu_cores()};
    TRY(number("relative", o->relative, 1e-3, &j.relative, e));
    TRY(number("absolute", o->absolute, 1e-5, &j.absolute, e));
    cores_setup(j.threads);
    TRY(job_replay(c->store, &j, &c->arena, result, e));
    if (c->json)
        return as_json(&j, result, e);
    for_people(c, &j, result);
    return OK;
}

#define AT(field) offsetof(struct options, field)
static const struct option options[] = {
    {"limit", 'n', OPTION_INT, AT(limit), "N", "most requests (all)", NULL},
    {"relative", 0, OPTION_TEXT, AT(relative), "X", "answers within this are the same (0.001)",
     NULL},
    {"absolute", 0, OPTION_TEXT, AT(absolute), "X", "and this (0.00001)", NULL},
    {"threads", 't', OPTION_INT, AT(threads), "N", "cores for compute (all)", NULL},
    {0},
};

const struct command command_replay = {
    .name = "replay",
    .synopsis = "MODEL[@VERSION|@ALIAS]",
    .about = "Ask a version what others were asked, and say where its answers differ.",
    .help = "Requests are kept by a policy, by any server of the store, within its limits:\n\n"
            "  slipway policy ocr capture=1% keep-bytes=1e8 keep-days=7\n"
            "  slipway replay ocr@4 --limit 1000",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 1,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};
