/* SPDX-License-Identifier: Apache-2.0 */
/* A language model's facts: see language.h. */
#include "cli/language.h"

#include "cli/facts.h"
#include "llm/llm_facts.h"
#include "llm/preset.h"

#include <stdio.h>

struct told {
    struct cli *cli;
    const struct store_info *info;
    const struct model *m;
    struct llm_facts f;
    struct preset preset;
    struct str draft;        /* the model that guesses for it; .n == 0: it names none */
    uint64_t elements[DT_N]; /* parameters by type */
};

static void count_types(struct told *t) {
    const struct graph *g = t->m->main;
    for (int v = 0; v < g->n_values; v++)
        if (g->values[v].constant)
            t->elements[g->values[v].constant->dtype] += tensor_count(g->values[v].constant);
}

static struct str text_fact(const struct told *t, const char *name) {
    const struct attr *a = model_fact(t->m, name);
    return a && a->kind == ATTR_STR ? a->s : (struct str){0};
}

static bool is_encoder(const struct told *t) { return str_is(t->f.arch, "bert"); }

static size_t n_tokens(const struct told *t) {
    const struct attr *a = model_fact(t->m, "tok.tokens");
    return a ? a->n : 0;
}

/* --- JSON --- */

static void put_types(struct json_out *w, const struct told *t) {
    json_put_key(w, "types");
    json_put_object(w);
    for (int k = 0; k < DT_N; k++)
        if (t->elements[k])
            json_put_member_i64(w, dtype_name((enum dtype)k), (int64_t)t->elements[k]);
    json_put_object_end(w);
}

static void put_language(struct json_out *w, const struct told *t) {
    const struct llm_facts *f = &t->f;
    json_put_member_str(w, "architecture", f->arch);
    json_put_member_str(w, "name", text_fact(t, "name"));
    json_put_member_i64(w, "parameters", (int64_t)model_parameters(t->m));
    put_types(w, t);
    json_put_member_i64(w, "context", f->context);
    json_put_member_i64(w, "layers", f->layers);
    json_put_member_i64(w, "width", f->width);
    json_put_member_i64(w, "heads", f->heads);
    json_put_member_i64(w, "kv_heads", f->kv_heads);
    json_put_member_i64(w, "vocab", f->vocab);
    json_put_member_i64(w, "experts", f->experts);
    json_put_member_str(w, "tokenizer", text_fact(t, "tok.kind"));
    json_put_member_i64(w, "tokens", (int64_t)n_tokens(t));
    json_put_member_bool(w, "chat_template", model_fact(t->m, "chat.template") != NULL);
    json_put_member_bool(w, "encoder", is_encoder(t));
}

static void put_sampling(struct json_out *w, const struct told *t) {
    json_put_key(w, "sampling");
    json_put_object(w);
    for (int i = 0; i < PRESET_N; i++)
        if (t->preset.there[i]) {
            json_put_key(w, preset_name(i));
            json_put_f32(w, t->preset.values[i]);
        }
    json_put_object_end(w);
}

static enum code as_json(const struct told *t, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, (size_t)64 << 20);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    facts_put_version(&w, t->info);
    put_language(&w, t);
    put_sampling(&w, t);
    if (t->draft.n)
        json_put_member_str(&w, "draft", t->draft);
    facts_put_meta(&w, t->m);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

/* --- text --- */

/* The most frequent first: "q4_1 106.2 M, q8_0 28.3 M, f32 35.1 K". */
static void print_types(const struct told *t) {
    uint64_t rest[DT_N];
    memcpy(rest, t->elements, sizeof rest);
    printf("%-12s%s: ", "parameters", print_count(&t->cli->arena, model_parameters(t->m)));
    for (int shown = 0;; shown++) {
        int most = 0;
        for (int k = 1; k < DT_N; k++)
            if (rest[k] > rest[most])
                most = k;
        if (rest[most] == 0)
            break;
        printf("%s%s %s", shown ? ", " : "", dtype_name((enum dtype)most),
               print_count(&t->cli->arena, rest[most]));
        rest[most] = 0;
    }
    putchar('\n');
}

static void print_language(const struct told *t) {
    const struct llm_facts *f = &t->f;
    struct str name = text_fact(t, "name");
    printf("%-12s%.*s%s%.*s%s\n", "model", STR(f->arch), name.n ? ", " : "", STR(name),
           is_encoder(t) ? ", an encoder (embeddings)" : "");
    print_types(t);
    printf("%-12s%lld layers, %lld wide, %lld heads (%lld of keys), context %lld\n", "shape",
           (long long)f->layers, (long long)f->width, (long long)f->heads, (long long)f->kv_heads,
           (long long)f->context);
    if (f->experts)
        printf("%-12s%lld, %lld at a time\n", "experts", (long long)f->experts,
               (long long)f->experts_used);
    struct str kind = text_fact(t, "tok.kind"), pre = text_fact(t, "tok.pre");
    printf("%-12s%.*s%s%.*s%s, %zu tokens\n", "tokenizer", STR(kind.n ? kind : LIT("none")),
           pre.n ? " (" : "", STR(pre), pre.n ? ")" : "", n_tokens(t));
    if (!is_encoder(t))
        printf("%-12s%s\n", "chat",
               model_fact(t->m, "chat.template") ? "template of its own" : "no template");
}

/* "temperature 0.6, top_k 20" */
static void print_sampling(const struct told *t) {
    bool any = false;
    for (int i = 0; i < PRESET_N; i++)
        if (t->preset.there[i]) {
            printf(any ? ", " : "%-12s", "sampling");
            printf("%s %g", preset_name(i), (double)t->preset.values[i]);
            any = true;
        }
    if (any)
        putchar('\n');
}

enum code show_language(struct cli *c, const struct store_info *i, const struct loaded *l,
                        struct err *e) {
    const struct model *m = l->model;
    const struct loaded_draft unsaid = {{0}, {0}};
    struct told t = {.cli = c, .info = i, .m = m, .draft = loaded_draft_name(l, &unsaid)};
    TRY(llm_facts_read(m, &t.f, e));
    TRY(preset_read(m, &t.preset, e));
    count_types(&t);
    if (c->json)
        return as_json(&t, e);
    facts_print_name(i);
    printf("%-12s%.*s\n", "format", STR(i->format));
    facts_print_version(&c->arena, i);
    print_language(&t);
    print_sampling(&t);
    if (t.draft.n)
        printf("%-12s%.*s guesses for it\n", "draft", STR(t.draft));
    facts_print_meta(m);
    return OK;
}
