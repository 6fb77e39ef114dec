/* SPDX-License-Identifier: Apache-2.0 */
/* A version of the store turned into a session: see loaded.h. */
#include "host/loaded.h"
#include "host/tune.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "op/op_list.h"

enum {
    MODEL_ARENA_BYTES = 1 << 30, /* structure only: constants stay in the map */
    DRAFT_ARENA_BYTES = 1 << 20,
};

static enum code resolve(void *ctx, int file, uint64_t offset, uint64_t length, struct span *out,
                         struct err *e) {
    struct store_version *v = ctx;
    if (file < 0 || (size_t)file >= store_version_files(v))
        return fail(e, CORRUPT, "the stored graph names file %d, the version has %zu", file,
                    store_version_files(v));
    return store_version_bytes(v, (size_t)file, offset, length, out, e);
}

static enum code read_model(struct loaded *l, struct err *e) {
    struct span graph;
    TRY(store_version_part(l->version, "graph", &graph, e));
    TRY(wire_take(graph, &l->arena, resolve, l->version, &l->model, e));
    TRY(graph_verify(l->model, e));
    return op_resolve(l->model, e);
}

enum code loaded_open_model(struct store *s, struct str model, uint64_t version, struct loaded *out,
                            struct err *e) {
    uint64_t began = clock_ns();
    *out = (struct loaded){0};
    TRY(store_version_open(s, model, version, &out->version, e));
    arena_init(&out->arena, MODEL_ARENA_BYTES); /* in place: the model keeps a pointer to it */
    enum code code = read_model(out, e);
    if (code != OK) {
        loaded_close(out);
        return err_prefix(e, "%.*s@%llu", STR(model), (unsigned long long)version);
    }
    out->load_ns = clock_ns() - began;
    return OK;
}

static void free_draft(struct loaded *l) {
    if (l->draft)
        loaded_close(l->draft);
    mem_free(l->draft);
    l->draft = NULL;
}

static enum code take_draft(struct loaded *l, struct store *s, const struct store_info *is,
                            struct err *e) {
    l->draft = mem_zalloc(1, sizeof *l->draft);
    if (!l->draft)
        return fail(e, NOMEM, "no memory for a draft model");
    TRY(loaded_open_model(s, is->model, is->version, l->draft, e));
    TRY(language_draft_fits(l->model, l->draft->model, e));
    return keep_open(s, l->draft->version, &l->draft->keep, e);
}

struct str loaded_draft_name(const struct loaded *l, const struct loaded_draft *d) {
    struct span part = {0};
    struct str name = d->first;
    if (!name.n && store_version_find_part(l->version, LIT(DRAFT_PART), &part))
        name = (struct str){(const char *)part.p, part.n};
    if (!name.n)
        name = d->last;
    return str_is(name, "none") ? (struct str){0} : name;
}

static void open_draft(struct loaded *l, struct store *s, struct str model, uint64_t version,
                       const struct loaded_draft *d) {
    struct str name = loaded_draft_name(l, d);
    struct store_ref ref;
    struct store_info info;
    struct arena a;
    struct err e;
    if (!name.n)
        return;
    arena_init(&a, DRAFT_ARENA_BYTES);
    enum code code = store_ref_parse(name, &ref, &e);
    if (code == OK)
        code = store_resolve(s, &ref, &a, &info, &e);
    bool own =
        code == OK && str_eq(info.model, model) && (info.version == version || name.p == d->last.p);
    if (code == OK && !own)
        code = take_draft(l, s, &info, &e);
    if (code != OK) {
        free_draft(l);
        log_event(LOG_WARN, "the draft model is left out", 3,
                  (struct log_field[]){LOG_S("model", model), LOG_S("draft", name),
                                       LOG_S("error", str_of(e.text))});
    }
    arena_deinit(&a);
}

/* What was packed rather than found is kept for the next start, while this one serves. */
static void keep_packed(struct loaded *l, const struct forward *f) {
    if (!forward_packed_bytes(f))
        return;
    store_version_release(l->version);
    keep_begin(l->keep, l->model, NULL);
}

static enum code start_language(struct loaded *l, struct store *s, struct str model,
                                uint64_t version, const struct loaded_options *o, struct err *e) {
    if (!o->language)
        return fail(e, INVALID, "this is a language model: slipway chat and slipway serve run it");
    struct language_options with = *o->language;
    TRY(keep_open(s, l->version, &l->keep, e));
    with.keeper = keep_face(l->keep);
    open_draft(l, s, model, version, &o->draft);
    with.draft_keeper = l->draft ? keep_face(l->draft->keep) : NULL;
    TRY(language_open(l->model, l->draft ? l->draft->model : NULL, &with, &l->language, e));
    keep_packed(l, l->language->forward);
    if (l->language->draft)
        keep_packed(l->draft, l->language->draft);
    return OK;
}

/* A graph takes numbers anyway: a tokenizer that does not open only takes the text away. */
static void open_tokenizer(struct loaded *l) {
    struct err e;
    if (model_fact(l->model, "tok.kind") && tokenizer_open(l->model, &l->tokenizer, &e) != OK)
        log_text(LOG_WARN, "the model's tokenizer is left out: %s", e.text);
}

static enum code start_graph(struct loaded *l, struct store *s, const struct session_options *o,
                             struct str model, uint64_t version, struct err *e) {
    struct session_options with = o ? *o : (struct session_options){0};
    open_tokenizer(l);
    if (!with.choices)
        tune_get(s, model, version, &l->arena, &with.choices, &with.n_choices);
    TRY(keep_open(s, l->version, &l->keep, e));
    with.keeper = keep_face(l->keep);
    return session_open(l->model, &with, &l->session, e);
}

void loaded_keep(struct loaded *l, bool now) {
    struct err e;
    if (!l->session || !session_unkept(l->session))
        return;
    if (!now)
        keep_begin(l->keep, l->model, l->session);
    else if (keep_all(l->keep, l->model, l->session, &e) != OK)
        log_text(LOG_WARN, "packed weights are not kept: %s", e.text);
}

enum code loaded_open_any(struct store *s, struct str model, uint64_t version,
                          const struct loaded_options *o, struct loaded *out, struct err *e) {
    uint64_t began = clock_ns();
    TRY(loaded_open_model(s, model, version, out, e));
    enum code code = model_is_language(out->model)
                         ? start_language(out, s, model, version, o, e)
                         : start_graph(out, s, o->session, model, version, e);
    if (code != OK) {
        loaded_close(out);
        return err_prefix(e, "%.*s@%llu", STR(model), (unsigned long long)version);
    }
    out->load_ns = clock_ns() - began;
    return OK;
}

enum code loaded_open(struct store *s, struct str model, uint64_t version,
                      const struct session_options *o, struct loaded *out, struct err *e) {
    return loaded_open_any(s, model, version, &(struct loaded_options){.session = o}, out, e);
}

void loaded_close(struct loaded *l) {
    keep_stop(l->keep);
    if (l->session)
        session_close(l->session);
    tokenizer_close(l->tokenizer);
    language_close(l->language);
    free_draft(l);
    keep_close(l->keep);
    arena_deinit(&l->arena);
    if (l->version)
        store_version_unref(l->version);
    *l = (struct loaded){0};
}
