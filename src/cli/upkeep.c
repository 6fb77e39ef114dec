/* SPDX-License-Identifier: Apache-2.0 */
/* slipway remove, export, verify, gc: looking after the store. */
#include "cli/command.h"
#include "cli/facts.h"

/* --- remove --- */

static enum code run_remove(struct cli *c, struct err *e) {
    struct store_ref r;
    TRY(store_ref_parse(str_of(c->args[0]), &r, e));
    if (!r.version)
        return fail(e, USAGE, "name the version to remove: slipway remove %.*s@N", STR(r.model));
    TRY(store_remove(c->store, r.model, r.version, e));
    if (!c->quiet)
        printf("removed %.*s@%llu; `slipway gc` frees its space\n", STR(r.model),
               (unsigned long long)r.version);
    return OK;
}

const struct command command_remove = {
    .name = "remove",
    .synopsis = "MODEL@VERSION",
    .about = "Remove a version no alias names. Its number is not used again.",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 1,
    .run = run_remove,
};

/* --- export --- */

static enum code run_export(struct cli *c, struct err *e) {
    struct store_info info;
    TRY(facts_resolve(c->store, c->args[0], &c->arena, &info, e));
    TRY(store_export(c->store, info.model, info.version, c->args[1], e));
    if (!c->quiet)
        printf("%.*s@%llu -> %s (%s)\n", STR(info.model), (unsigned long long)info.version,
               c->args[1], print_size(&c->arena, info.size_bytes));
    return OK;
}

const struct command command_export = {
    .name = "export",
    .synopsis = "MODEL[@VERSION|@ALIAS] PATH",
    .about = "Write the original files back, bit for bit.",
    .help = "PATH is a folder, or a file name when the version has one file.\n\n"
            "  slipway export ocr@prod rec.onnx",
    .flags = COMMAND_STORE,
    .min_args = 2,
    .max_args = 2,
    .run = run_export,
};

/* --- verify --- */

static void complain(void *ctx, const char *line) {
    (void)ctx;
    fprintf(stderr, "slipway: %s\n", line);
}

static enum code verdict_json(const struct store_verdict *v, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 16);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_i64(&w, "versions", (int64_t)v->versions);
    json_put_member_i64(&w, "blobs", (int64_t)v->blobs);
    json_put_member_i64(&w, "bytes", (int64_t)v->bytes);
    json_put_member_i64(&w, "packs", (int64_t)v->packs);
    json_put_member_i64(&w, "bad", (int64_t)v->bad);
    json_put_member_i64(&w, "bad_packs", (int64_t)v->bad_packs);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code run_verify(struct cli *c, struct err *e) {
    struct store_verdict v;
    TRY(store_verify(c->store, complain, NULL, &v, e));
    if (c->json)
        TRY(verdict_json(&v, e));
    else if (!c->quiet)
        printf("%llu versions, %llu blobs, %s: %llu bad\n", (unsigned long long)v.versions,
               (unsigned long long)v.blobs, print_size(&c->arena, v.bytes),
               (unsigned long long)v.bad);
    if (v.bad)
        return fail(e, CORRUPT,
                    "%llu blobs are bad; add the versions that use them again from their files",
                    (unsigned long long)v.bad);
    if (v.bad_packs)
        return fail(e, CORRUPT,
                    "%llu packs are damaged: 'slipway gc --packs' removes packs, they are made "
                    "again",
                    (unsigned long long)v.bad_packs);
    return OK;
}

const struct command command_verify = {
    .name = "verify",
    .synopsis = "",
    .about = "Hash everything in the store again and compare.",
    .flags = COMMAND_STORE,
    .run = run_verify,
};

/* --- gc --- */

struct gc_options {
    const char *grace;
    bool dry, packs;
};

static enum code swept_json(const struct store_swept *s, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 16);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_i64(&w, "blobs", (int64_t)s->blobs);
    json_put_member_i64(&w, "drafts", (int64_t)s->drafts);
    json_put_member_i64(&w, "packs", (int64_t)s->packs);
    json_put_member_i64(&w, "bytes", (int64_t)s->bytes);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

/* All packs first. What gc finds of them (a dry run: they are still there) is among them. */
static enum code sweep(struct store *store, const struct gc_options *o, uint64_t grace,
                       struct store_swept *out, struct err *e) {
    struct store_swept packs = {0};
    if (o->packs)
        TRY(store_pack_drop_all(store, o->dry, &packs, e));
    TRY(store_gc(store, grace, o->dry, out, e));
    if (!o->packs)
        return OK;
    out->packs = packs.packs;
    out->bytes += packs.pack_bytes - out->pack_bytes;
    out->pack_bytes = packs.pack_bytes;
    return OK;
}

static enum code run_gc(struct cli *c, struct err *e) {
    enum { GRACE_S = 3600 };
    const struct gc_options *o = c->options;
    struct store_swept s;
    uint64_t grace = GRACE_S;
    if (o->grace && !str_to_u64(str_of(o->grace), &grace))
        return fail(e, USAGE, "--grace: '%s' is not a number of seconds", o->grace);
    TRY(sweep(c->store, o, grace, &s, e));
    if (c->json)
        return swept_json(&s, e);
    if (!c->quiet)
        printf("%s %llu blobs, %llu packs and %llu drafts, %s\n",
               o->dry ? "would remove" : "removed", (unsigned long long)s.blobs,
               (unsigned long long)s.packs, (unsigned long long)s.drafts,
               print_size(&c->arena, s.bytes));
    return OK;
}

static const struct option gc_options[] = {
    {"grace", 0, OPTION_TEXT, offsetof(struct gc_options, grace), "SECONDS",
     "keep what is younger (default 3600): an add may be under way", NULL},
    {"packs", 0, OPTION_FLAG, offsetof(struct gc_options, packs), NULL,
     "also every pack (weights as kernels read them): they are made again", NULL},
    {"dry-run", 'n', OPTION_FLAG, offsetof(struct gc_options, dry), NULL, "only count", NULL},
    {0},
};

const struct command command_gc = {
    .name = "gc",
    .synopsis = "",
    .about = "Remove what no version names any more.",
    .flags = COMMAND_STORE,
    .options_bytes = sizeof(struct gc_options),
    .options = gc_options,
    .run = run_gc,
};
