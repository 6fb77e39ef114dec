/* SPDX-License-Identifier: Apache-2.0 */
/* A folder as transformers saves it: config.json, weights in safetensors (whole or in shards with
 * an index), tokenizer.json and what lies beside them. The main file is config.json; the others
 * come as the input's companions. docs/formats/huggingface.md says what is read.
 *
 *   config.json                        hf_config.c      sizes
 *   tokenizer.json, chat_template*...  hf_tokenizer.c   text
 *   model*.safetensors                 safetensors.c    tensors, named by hf_names.c
 *
 * The result is the same as for a GGUF file: constants by GGUF's names and facts. */
#include "format/hf.h"
#include "format/safetensors.h"

#include "base/json.h"

#include <stdio.h>

bool hf_file(const struct hf_reader *r, const char *name, struct str *out) {
    for (int f = 0; f < r->in->n_files; f++)
        if (str_is(r->in->files[f].name, name)) {
            *out = (struct str){(const char *)r->in->files[f].bytes.p, r->in->files[f].bytes.n};
            return true;
        }
    return false;
}

static enum code start(struct hf_reader *r, const struct format_input *in, struct err *e) {
    *r = (struct hf_reader){.in = in, .a = in->arena, .m = model_new(in->arena)};
    struct model_file *files = ARENA_ARRAY(r->a, (size_t)in->n_files, struct model_file);
    if (!r->m || !files)
        return arena_fail(r->a, sizeof *r->m, "the model", e);
    r->m->format = LIT("huggingface");
    r->m->files = files;
    r->m->n_files = in->n_files;
    for (int f = 0; f < in->n_files; f++)
        files[f] = (struct model_file){in->files[f].name, in->files[f].bytes.n};
    fact_list_begin(&r->facts, r->a);
    return OK;
}

/* Every shard that the index names must be here. */
static enum code check_index(const struct hf_reader *r, struct err *e) {
    struct str text = {0}, raw, name, shard = {0}, ignored;
    struct hf_object index;
    struct json j;
    bool more;
    char file[256];
    if (!hf_file(r, "model.safetensors.index.json", &text))
        return OK;
    TRY(hf_object_read(text, r->a, &index, e));
    if (!hf_object_find(&index, "weight_map", &raw))
        return fail(e, FORMAT, "the index has no weight_map");
    json_init(&j, raw, r->a);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &name, &more, e));
        if (!more)
            return OK;
        struct str before = shard;
        TRY(json_string(&j, &shard, e));
        if (str_eq(before, shard))
            continue;
        int n = snprintf(file, sizeof file, "%.*s", STR(str_sub(shard, 0, sizeof file - 1)));
        if (n < 0 || !hf_file(r, file, &ignored))
            return fail(e, NOT_FOUND, "the index names '%s', which is not in the folder", file);
    }
}

static bool is_weights(struct str name) {
    return str_starts(name, "model") && str_ends(name, ".safetensors");
}

static enum code read_weights(struct hf_reader *r, struct err *e) {
    struct map names;
    int before = r->m->main->n_values;
    map_init(&names, r->a);
    TRY(check_index(r, e));
    for (int f = 0; f < r->in->n_files; f++) {
        if (!is_weights(r->in->files[f].name))
            continue;
        struct safetensors_input in = {
            .bytes = r->in->files[f].bytes, .file = f, .rename = hf_names_translate, .ctx = r};
        if (safetensors_read(&in, r->m->main, &names, e) != OK)
            return err_prefix(e, "'%.*s'", STR(r->in->files[f].name));
    }
    if (r->m->main->n_values == before)
        return fail(e, NOT_FOUND, "no weights beside config.json (model*.safetensors)");
    return OK;
}

static enum code skip_positions(const struct hf_reader *r, struct err *e) {
    const int64_t n = r->skipped_positions;
    value_id id = n ? graph_find(r->m->main, LIT("position_embd.weight")) : VALUE_NONE;
    if (id == VALUE_NONE)
        return OK; /* where it is missing, whoever needs it says so */
    struct value *v = &r->m->main->values[id];
    if (v->shape.rank != 2 || v->shape.dims[0] <= n)
        return fail(e, FORMAT, "the position table has no more than %lld rows", (long long)n);
    uint64_t bytes = v->origin.length / (uint64_t)v->shape.dims[0] * (uint64_t)n;
    v->shape.dims[0] -= n;
    v->origin.offset += bytes;
    v->origin.length -= bytes;
    v->constant->shape = v->shape;
    v->constant->data = (char *)v->constant->data + bytes;
    return OK;
}

static enum code read_folder(struct hf_reader *r, struct err *e) {
    TRY(hf_config_read(r, e));
    TRY(hf_tokenizer_read(r, e));
    TRY(read_weights(r, e));
    TRY(skip_positions(r, e));
    return fact_list_end(&r->facts, r->m, e);
}

static enum code read_huggingface(const struct format_input *in, struct model **out,
                                  struct err *e) {
    struct hf_reader r;
    if (safetensors_sniff(in->bytes, in->bytes.n))
        return fail(e, INVALID,
                    "weights alone say nothing about what computes them: name the "
                    "folder, or its config.json");
    TRY(start(&r, in, e));
    enum code code = read_folder(&r, e);
    if (code == ERR_INVALID) /* JSON's complaint: here it is a file that is broken */
        code = e->code = ERR_FORMAT;
    if (code != OK)
        return code;
    *out = r.m;
    return OK;
}

/* A JSON object that speaks of its model_type; or weights, to say what is missing. */
static bool sniff_huggingface(struct span head, uint64_t size) {
    static const char word[] = "\"model_type\"";
    size_t n = sizeof word - 1, at = 0;
    if (safetensors_sniff(head, size))
        return true;
    while (at < head.n &&
           (head.p[at] == ' ' || head.p[at] == '\n' || head.p[at] == '\r' || head.p[at] == '\t'))
        at++;
    if (at == head.n || head.p[at] != '{')
        return false;
    for (; at + n <= head.n; at++)
        if (memcmp(head.p + at, word, n) == 0)
            return true;
    return false;
}

/* All that such a folder holds besides config.json, so that `export` gives it back: not only what
 * is read. */
static bool wants_huggingface(struct str main, struct str name) {
    size_t slash;
    if (main.n && !str_is(main, "config.json"))
        return false;
    if (str_is(name, "config.json"))
        return false;
    if (str_find(name, '/', &slash))
        return str_is(name, "1_Pooling/config.json") ||
               (str_starts(name, "additional_chat_templates/") && str_ends(name, ".jinja"));
    return is_weights(name) || str_ends(name, ".json") || str_ends(name, ".jinja") ||
           str_is(name, "vocab.txt") || str_is(name, "merges.txt") ||
           str_is(name, "tokenizer.model");
}

const struct format format_huggingface = {
    .name = "huggingface",
    .about = "a folder of transformers: config.json, safetensors, tokenizer.json",
    .sniff = sniff_huggingface,
    .wants = wants_huggingface,
    .read = read_huggingface,
};
