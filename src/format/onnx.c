/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX (onnx.proto3, IR 3-14, opset 1-28): ModelProto and what identifies it. docs/formats/onnx.md
 * says what is read.
 *
 * The bytes are protobuf, walked in place (base/pb.h). Constants stay where they are: a value
 * remembers the range of the file, nothing is copied but typed data that is not little-endian
 * elements already.
 *
 * 1. No count in the file is believed before the bytes that would back it have been seen.
 * 2. Depth of subgraphs and of function calls, and the number of nodes after functions are written
 * out, are capped; memory is capped by the arena.
 * 3. Every complaint names the node, tensor or value. */
#include "format/hf.h"
#include "format/onnx_read.h"

enum { /* ModelProto */
       IR_VERSION = 1,
       PRODUCER_NAME = 2,
       PRODUCER_VERSION = 3,
       GRAPH = 7,
       OPSET_IMPORT = 8,
       METADATA = 14,
       FUNCTION = 25,
};

enum { IR_OLDEST = 1, IR_WITH_OPSETS = 3, IMPORTS_MAX = 256 };

/* --- opsets --- */

static enum code take_opset(const struct pb_field *f, struct onnx_opset *out, struct err *e) {
    struct onnx_opset o = {0};
    struct pb r;
    struct pb_field g;
    bool more;
    TRY(pb_sub(f, &r, e));
    for (;;) {
        TRY(pb_next(&r, &g, &more, e));
        if (!more)
            break;
        if (g.number == 1)
            TRY(pb_str(&g, &o.domain, e));
        if (g.number == 2)
            TRY(pb_i64(&g, &o.version, e));
    }
    o.domain = onnx_ops_domain(o.domain);
    *out = o;
    return OK;
}

enum code onnx_opsets_read(struct onnx_reader *r, struct span message, uint32_t field,
                           struct onnx_opsets *out, struct err *e) {
    struct pb p;
    struct pb_field f;
    bool more;
    size_t n = 0;
    pb_init(&p, message);
    for (;; n += f.number == field) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
    }
    if (n > IMPORTS_MAX)
        return fail(e, LIMIT, "more than %d opset imports", IMPORTS_MAX);
    struct onnx_opset *list = ARENA_ARRAY(r->a, n, struct onnx_opset);
    if (!list)
        return arena_fail(r->a, n * sizeof *list, "opset imports", e);
    pb_init(&p, message);
    for (size_t i = 0; i < n;) {
        TRY(pb_next(&p, &f, &more, e));
        if (f.number == field)
            TRY(take_opset(&f, &list[i++], e));
    }
    *out = (struct onnx_opsets){list, n};
    return OK;
}

int64_t onnx_opsets_find(const struct onnx_opsets *o, struct str domain) {
    for (size_t i = 0; i < o->n; i++)
        if (str_eq(o->list[i].domain, domain))
            return o->list[i].version;
    return 0;
}

/* --- the model --- */

struct parts {
    struct span graph;
    bool has_graph;
    struct str producer, version;
    int n_meta;
};

static enum code take_field(struct onnx_reader *r, const struct pb_field *f, struct parts *p,
                            struct err *e) {
    struct span message;
    switch (f->number) {
    case IR_VERSION: return pb_i64(f, &r->ir_version, e);
    case PRODUCER_NAME: return pb_str(f, &p->producer, e);
    case PRODUCER_VERSION: return pb_str(f, &p->version, e);
    case METADATA: p->n_meta++; return OK;
    case GRAPH: p->has_graph = true; return pb_bytes(f, &p->graph, e);
    case FUNCTION: TRY(pb_bytes(f, &message, e)); return onnx_function_index(r, message, e);
    default: return OK;
    }
}

static enum code find_parts(struct onnx_reader *r, struct parts *out, struct err *e) {
    struct pb p;
    struct pb_field f;
    bool more;
    pb_init(&p, r->file);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        TRY(take_field(r, &f, out, e));
    }
    if (!out->has_graph)
        return fail(e, FORMAT, "the model has no graph");
    return OK;
}

/* StringStringEntryProto: 1 key, 2 value. */
static enum code take_meta(const struct pb_field *f, struct model_meta *out, struct err *e) {
    struct pb r;
    struct pb_field g;
    bool more;
    TRY(pb_sub(f, &r, e));
    for (;;) {
        TRY(pb_next(&r, &g, &more, e));
        if (!more)
            return OK;
        if (g.number == 1)
            TRY(pb_str(&g, &out->key, e));
        if (g.number == 2)
            TRY(pb_str(&g, &out->value, e));
    }
}

static enum code read_meta(struct onnx_reader *r, const struct parts *parts, struct err *e) {
    struct pb p;
    struct pb_field f;
    bool more;
    struct model *m = r->m;
    m->meta = ARENA_ARRAY(r->a, (size_t)parts->n_meta, struct model_meta);
    if (!m->meta)
        return arena_fail(r->a, (size_t)parts->n_meta * sizeof *m->meta, "metadata", e);
    pb_init(&p, r->file);
    while (m->n_meta < parts->n_meta) {
        TRY(pb_next(&p, &f, &more, e));
        if (f.number == METADATA)
            TRY(take_meta(&f, &m->meta[m->n_meta++], e));
    }
    if (parts->producer.n) {
        char *text = arena_printf(r->a, parts->version.n ? "%.*s %.*s" : "%.*s",
                                  STR(parts->producer), STR(parts->version));
        if (!text)
            return arena_fail(r->a, parts->producer.n, "the producer's name", e);
        m->producer = str_of(text);
    }
    return OK;
}

static enum code check_versions(const struct onnx_reader *r, struct onnx_opsets *o, struct err *e) {
    static const struct onnx_opset first = {.domain = {"ai.onnx", 7}, .version = 1};
    if (r->ir_version < IR_OLDEST)
        return fail(e, FORMAT, "the file has no ONNX IR version");
    if (r->ir_version > ONNX_IR_NEWEST)
        return fail(e, UNSUPPORTED, "written in ONNX IR %lld; this build reads up to IR %d",
                    (long long)r->ir_version, ONNX_IR_NEWEST);
    if (r->ir_version < IR_WITH_OPSETS && o->n == 0)
        *o = (struct onnx_opsets){&first, 1}; /* opset_import came with IR 3 */
    int64_t version = onnx_opsets_find(o, LIT("ai.onnx"));
    if (version < 0 || version > ONNX_OPSET_NEWEST)
        return fail(e, UNSUPPORTED, "the model needs opset %lld of ai.onnx; this build knows 1-%d",
                    (long long)version, ONNX_OPSET_NEWEST);
    return OK;
}

static enum code start(struct onnx_reader *r, const struct format_input *in, struct err *e) {
    *r = (struct onnx_reader){.file = in->bytes, .a = in->arena, .room_files = in->n_files + 3};
    r->m = model_new(in->arena);
    struct model_file *files = ARENA_ARRAY(in->arena, (size_t)r->room_files, struct model_file);
    if (!r->m || !files)
        return arena_fail(in->arena, sizeof *r->m, "the model", e);
    r->m->format = LIT("onnx");
    r->m->files = files;
    for (int f = 0; f < in->n_files; f++)
        files[f] = (struct model_file){.name = in->files[f].name, .size = in->files[f].bytes.n};
    r->m->n_files = in->n_files;
    map_init(&r->functions, r->a);
    map_init(&r->files, r->a);
    return onnx_ops_index(&r->ops, r->a, e);
}

/* A tokenizer beside the model becomes facts of it (tok.*), so that it can be asked in text. One
 * this build cannot read is no reason to refuse the model: it takes numbers then. */
static void read_tokenizer(const struct format_input *in, struct model *m) {
    struct hf_reader r = {.in = in, .a = in->arena, .m = m};
    struct err ignored;
    fact_list_begin(&r.facts, r.a);
    if (hf_tokenizer_read(&r, &ignored) == OK)
        (void)!fact_list_end(&r.facts, m, &ignored);
}

static enum code read_onnx(const struct format_input *in, struct model **out, struct err *e) {
    struct onnx_reader r;
    struct parts parts = {0};
    struct onnx_opsets opsets;
    TRY(start(&r, in, e));
    TRY(find_parts(&r, &parts, e));
    TRY(onnx_opsets_read(&r, r.file, OPSET_IMPORT, &opsets, e));
    TRY(check_versions(&r, &opsets, e));
    TRY(read_meta(&r, &parts, e));
    r.m->opset = (int)onnx_opsets_find(&opsets, LIT("ai.onnx"));
    r.m->ir_version = (int)r.ir_version;
    struct onnx_scope main = {.g = r.m->main, .opsets = &opsets};
    map_init(&main.names, r.a);
    TRY(onnx_graph_read(&r, &main, parts.graph, e));
    TRY(graph_sort(r.m->main, e));
    if (in->n_files > 1)
        read_tokenizer(in, r.m);
    *out = r.m;
    return OK;
}

/* --- recognition: ONNX has no magic, but its first fields are hard to mistake --- */

static bool known_field(const struct pb_field *f) {
    switch (f->number) {
    case IR_VERSION: return f->wire == PB_VARINT && f->value > 0 && f->value < 1000;
    case 5: return f->wire == PB_VARINT; /* model_version */
    case PRODUCER_NAME:
    case PRODUCER_VERSION:
    case 4: /* domain */
    case 6: /* doc_string */
    case GRAPH:
    case OPSET_IMPORT:
    case METADATA:
    case 20: /* training_info */
    case FUNCTION:
    case 26: return f->wire == PB_LEN;
    default: return false;
    }
}

/* Known fields only, an IR version among them, up to the end or to a field that runs out of these
 * first bytes: that is the graph, in all but tiny models. */
static bool sniff_onnx(struct span head, uint64_t size) {
    struct pb r;
    struct pb_field f;
    struct err ignored;
    bool more = true, version = false, body = false;
    pb_init(&r, head);
    const uint8_t *at = r.p;
    for (; pb_next(&r, &f, &more, &ignored) == OK; at = r.p) {
        if (!more)
            return version && body && head.n == size;
        if (!known_field(&f))
            return false;
        version |= f.number == IR_VERSION;
        body |= f.number == GRAPH || f.number == OPSET_IMPORT;
    }
    return version && at < r.end && *at == (GRAPH << 3 | PB_LEN);
}

static bool wants_onnx(struct str main, struct str name) {
    return main.n && (str_is(name, "tokenizer.json") || str_is(name, "tokenizer_config.json") ||
                      str_is(name, "special_tokens_map.json"));
}

const struct format format_onnx = {
    .name = "onnx",
    .about = "ONNX, opset 1-28",
    .sniff = sniff_onnx,
    .wants = wants_onnx,
    .read = read_onnx,
};
