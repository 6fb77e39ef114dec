/* SPDX-License-Identifier: Apache-2.0 */
/* What Ollama's clients ask about models: docs/protocols/ollama.md.
 *
 *   GET  /api/tags, /api/ps    those served; those loaded
 *   POST /api/show             one of them
 *   GET  /api/version */
#include "serve/protocol/ollama.h"

#include "base/clock.h"
#include "llm/reasoning.h"
#include "llm/toolcall.h"
#include "serve/answer.h"
#include "serve/protocol/protocol.h"

static void put_time(struct json_out *w, const char *name, uint64_t wall_us) {
    char when[CLOCK_TEXT];
    json_put_member_str(w, name, (struct str){when, clock_print(wall_us, when)});
}

static void put_details(struct json_out *w, struct str format, const struct language *l) {
    json_put_key(w, "details");
    json_put_object(w);
    json_put_member_text(w, "parent_model", "");
    json_put_member_str(w, "format", format);
    json_put_member_str(w, "family", l->facts.arch);
    json_put_key(w, "families");
    json_put_array(w);
    json_put_str(w, l->facts.arch);
    json_put_array_end(w);
    json_put_object_end(w);
}

static int64_t context_of(const struct language *l) {
    return l->decode ? (int64_t)decode_context(l->decode) : l->facts.context;
}

static void put_model(struct json_out *w, const struct live_info *i, bool loaded) {
    char name[256];
    snprintf(name, sizeof name, "%.*s:latest", STR(i->model));
    json_put_object(w);
    json_put_member_text(w, "name", name);
    json_put_member_text(w, "model", name);
    json_put_member_i64(w, "size", (int64_t)i->size_bytes);
    json_put_member_str(w, "digest", i->digest);
    put_details(w, i->format, live_language(i->live));
    if (loaded) {
        json_put_member_i64(w, "size_vram", 0);
        json_put_member_i64(w, "context_length", context_of(live_language(i->live)));
        put_time(w, "expires_at", clock_wall_us() + (uint64_t)86400 * 1000000);
    } else {
        put_time(w, "modified_at", i->created_us);
    }
    json_put_object_end(w);
}

/* What is served is loaded: both lists are of the same models. */
static enum code list(struct request *r, bool loaded, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "models");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        if (all[i].is_default && all[i].live && live_language(all[i].live))
            put_model(&j.w, &all[i], loaded);
    json_put_array_end(&j.w);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code tags(struct request *r, struct err *e) { return list(r, false, e); }
static enum code running(struct request *r, struct err *e) { return list(r, true, e); }

static bool mentions(struct str text, const char *word) {
    return text.n && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

static void put_capabilities(struct json_out *w, const struct language *l) {
    json_put_key(w, "capabilities");
    json_put_array(w);
    json_put_str(w, l->encoder ? LIT("embedding") : LIT("completion"));
    if (mentions(l->tool_template, "tools"))
        json_put_str(w, LIT("tools"));
    if (reasoning_form_of(l->template))
        json_put_str(w, LIT("thinking"));
    json_put_array_end(w);
}

/* "llama.context_length": 2048 */
static void put_fact(struct json_out *w, struct str arch, const char *name, int64_t v) {
    char key[128];
    snprintf(key, sizeof key, "%.*s.%s", STR(str_sub(arch, 0, 60)), name);
    json_put_member_i64(w, key, v);
}

static void put_info(struct json_out *w, const struct language *l) {
    const struct llm_facts *f = &l->facts;
    json_put_key(w, "model_info");
    json_put_object(w);
    json_put_member_str(w, "general.architecture", f->arch);
    put_fact(w, f->arch, "context_length", f->context);
    put_fact(w, f->arch, "block_count", f->layers);
    put_fact(w, f->arch, "embedding_length", f->width);
    put_fact(w, f->arch, "attention.head_count", f->heads);
    put_fact(w, f->arch, "attention.head_count_kv", f->kv_heads);
    put_fact(w, f->arch, "vocab_size", f->vocab);
    json_put_object_end(w);
}

/* The member "model", or "name" as older clients call it. */
static enum code take_name(void *context, struct json *j, struct str key, struct err *e) {
    return str_is(key, "model") || str_is(key, "name") ? json_string(j, context, e)
                                                       : json_skip(j, NULL, e);
}

static enum code which(struct request *r, struct str *out, struct err *e) {
    struct json j;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_each_member(&j, take_name, out, e));
    return json_end(&j, e);
}

static enum code show(struct request *r, struct err *e) {
    struct str name = {0};
    struct live_info info;
    struct answer_json j;
    TRY(which(r, &name, e));
    TRY(ollama_route(r, name, e));
    const struct language *l = live_language(r->ask.live);
    if (!l)
        return fail(e, INVALID, "'%.*s' is not a language model", STR(r->ask.model));
    TRY(host_find(r->host, live_model(r->ask.live), live_version(r->ask.live), (struct str){0},
                  r->arena, &info, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_str(&j.w, "template", l->template);
    put_details(&j.w, info.format, l);
    put_info(&j.w, l);
    put_capabilities(&j.w, l);
    put_time(&j.w, "modified_at", info.created_us);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code version(struct request *r, struct err *e) {
    struct answer_json j;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, "version", SLIPWAY_VERSION);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_GET, "/api/tags", 0, tags},
    {ROUTE_GET, "/api/ps", 0, running},
    {ROUTE_POST, "/api/show", ROUTE_BODY, show},
    {ROUTE_GET, "/api/version", 0, version},
};

const struct protocol protocol_ollama_catalog = {
    .name = "ollama",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
