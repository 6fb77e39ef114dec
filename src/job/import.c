/* SPDX-License-Identifier: Apache-2.0 */
/* Import: see import.h. Only job touches both the formats and the store. */
#include "job/import.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/guise.h"
#include "host/loaded.h"
#include "host/pad.h"
#include "job/warmup.h"
#include "llm/chat.h"
#include "llm/forward.h"
#include "llm/preset.h"
#include "plan/session.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_CAP_BYTES = 1 << 30 };

struct pieces { /* of one file, in an arena */
    struct store_piece *p;
    size_t n, room;
};

struct collector {
    struct arena arena;
    struct pieces *files; /* (n_files) */
    int n_files;
    struct err *e;
};

static enum code add_piece(struct collector *c, const struct origin *o) {
    if (o->file < 0 || o->file >= c->n_files || o->length < STORE_PIECE_MIN / 64)
        return OK;
    struct pieces *f = &c->files[o->file];
    if (f->n == f->room) {
        size_t room = f->room ? f->room * 2 : 64;
        struct store_piece *grown = ARENA_ARRAY(&c->arena, room, struct store_piece);
        if (!grown)
            return arena_fail(&c->arena, room * sizeof *grown, "list of tensors", c->e);
        if (f->n)
            memcpy(grown, f->p, f->n * sizeof *grown);
        f->p = grown;
        f->room = room;
    }
    f->p[f->n++] = (struct store_piece){o->offset, o->length};
    return OK;
}

static enum code collect_graph(struct collector *c, const struct graph *g);

static enum code collect_attr(struct collector *c, const struct attr *a) {
    if (a->kind == ATTR_TENSOR)
        return add_piece(c, &a->origin);
    if (a->kind == ATTR_GRAPH)
        return collect_graph(c, a->graph);
    for (size_t i = 0; a->kind == ATTR_GRAPHS && i < a->n; i++)
        if (collect_graph(c, a->graphs[i]) != OK)
            return c->e->code;
    return OK;
}

static enum code collect_graph(struct collector *c, const struct graph *g) {
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i].constant)
            TRY(add_piece(c, &g->values[i].origin));
    for (int n = 0; n < g->n_nodes; n++)
        for (int k = 0; k < g->nodes[n].n_attrs; k++)
            TRY(collect_attr(c, &g->nodes[n].attrs[k]));
    return OK;
}

static int by_offset(const void *a, const void *b) {
    const struct store_piece *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->length > y->length ? -1 : x->length < y->length;
}

/* Sorted and disjoint: what overlaps an earlier piece is dropped (two constants may name the same
 * bytes; the store finds any range that lies within one segment). */
static void tidy_pieces(struct pieces *f) {
    size_t kept = 0;
    if (f->n)
        qsort(f->p, f->n, sizeof *f->p, by_offset);
    for (size_t i = 0; i < f->n; i++) {
        const struct store_piece *last = kept ? &f->p[kept - 1] : NULL;
        if (!last || f->p[i].offset >= last->offset + last->length)
            f->p[kept++] = f->p[i];
    }
    f->n = kept;
}

static enum code collect(struct collector *c, const struct import *in) {
    c->n_files = in->n_files;
    c->files = ARENA_ARRAY(&c->arena, (size_t)in->n_files, struct pieces);
    if (!c->files)
        return arena_fail(&c->arena, (size_t)in->n_files * sizeof *c->files, "list of files", c->e);
    TRY(collect_graph(c, in->model->main));
    for (int i = 0; i < c->n_files; i++)
        tidy_pieces(&c->files[i]);
    return OK;
}

/* A language model: its tensors fit its facts, its tokenizer opens (a file for measurements may
 * have none), its chat template is one we follow. */
static enum code check_language(const struct model *m, struct err *e) {
    struct tokenizer *t = NULL;
    struct chat_template *chat = NULL;
    struct preset preset;
    TRY(forward_check(m, e));
    TRY(preset_read(m, &preset, e));
    if (!model_fact(m, "tok.kind"))
        return OK;
    TRY(tokenizer_open(m, &t, e));
    enum code code = chat_open_model(m, t, &chat, e);
    chat_close(chat);
    tokenizer_close(t);
    return code;
}

static enum code check_text(const struct model *m, struct err *e) {
    struct tokenizer *t;
    if (!model_fact(m, "tok.kind"))
        return fail(e, INVALID,
                    "texts are declared as its input, but there is no tokenizer.json beside the "
                    "model that this build can read");
    TRY(tokenizer_open(m, &t, e));
    tokenizer_close(t);
    return OK;
}

/* The model that guesses for it is there, and its tokens are spelled alike. */
static enum code check_draft(struct store *s, const struct model *m, const struct job_import *j,
                             struct err *e) {
    struct store_ref ref;
    struct store_info info;
    struct loaded draft;
    struct arena a;
    TRY(store_ref_parse(j->draft, &ref, e));
    if (str_eq(ref.model, j->model) && !ref.version)
        return fail(e, INVALID, "'%.*s' may come to mean this version: say which, %.*s@N",
                    STR(j->draft), STR(j->model));
    arena_init(&a, 1 << 20);
    enum code code = store_resolve(s, &ref, &a, &info, e);
    if (code == OK)
        code = loaded_open_model(s, info.model, info.version, &draft, e);
    arena_deinit(&a);
    TRY(code);
    code = language_draft_fits(m, draft.model, e);
    loaded_close(&draft);
    return code;
}

/* --- requests to be answered before it is ready --- */

struct warmup {
    struct buf tapes;
    char source[SHA256_HEX + 1]; /* of what they were made; "": nothing */
};

/* The file to read, in the arena; *path NULL: none. */
static enum code find_warmup(const struct job_import *j, struct arena *a, const char **path,
                             struct err *e) {
    *path = j->warmup;
    if (*path)
        return OK;
    char *beside = arena_printf(a, "%s/" WARMUP_FILE, j->path);
    if (!beside)
        return arena_fail(a, strlen(j->path), "path", e);
    if (file_exists(beside))
        *path = beside;
    return OK;
}

/* What there is: *path NULL, or the file's bytes; and its hash, the tapes before it included. */
static enum code read_source(const struct job_import *j, struct arena *a, const char **path,
                             struct span *file, char hash[SHA256_HEX + 1], struct err *e) {
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    *file = (struct span){0};
    hash[0] = '\0';
    TRY(find_warmup(j, a, path, e));
    if (*path)
        TRY(file_read(*path, WARMUP_BYTES, a, file, e));
    if (!*path && !j->tapes.n)
        return OK;
    sha256_begin(&h);
    sha256_add(&h, j->tapes.p, j->tapes.n);
    sha256_add(&h, file->p, file->n);
    sha256_end(&h, digest);
    hex_put(digest, sizeof digest, hash);
    return OK;
}

static bool part_is(const struct store_version *v, const char *name, struct str text) {
    struct span part = {0};
    (void)store_version_find_part(v, str_of(name), &part);
    return part.n == text.n && (part.n == 0 || memcmp(part.p, text.p, part.n) == 0);
}

enum code job_import_same(struct store *s, const struct job_import *j, uint64_t version, bool *same,
                          struct err *e) {
    char hash[SHA256_HEX + 1];
    struct store_version *v;
    const char *path;
    struct span file;
    struct arena a;
    TRY(store_version_open(s, j->model, version, &v, e));
    arena_init(&a, WARMUP_BYTES + (64 << 10));
    enum code code = read_source(j, &a, &path, &file, hash, e);
    *same = part_is(v, WARMUP_SOURCE, str_of(hash)) && part_is(v, GUISE_PART, j->guise);
    arena_deinit(&a);
    store_version_unref(v);
    return code;
}

/* session NULL: a language model. */
static enum code signature(const struct session *session, bool outputs, struct arena *a,
                           struct live_io **out, size_t *n, struct err *e) {
    const struct session_io *io = NULL;
    *n = !session ? 0 : outputs ? session_outputs(session, &io) : session_inputs(session, &io);
    *out = ARENA_ARRAY(a, *n + 1, struct live_io);
    if (!*out)
        return arena_fail(a, *n * sizeof **out, "signature", e);
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = (struct live_io){.name = io[i].name,
                                     .dtype = io[i].dtype,
                                     .shape = io[i].shape,
                                     .optional = io[i].optional};
    return OK;
}

static enum code check_pad(struct str text, const struct live_io *io, size_t n, struct err *e) {
    struct pad_input parsed[PAD_INPUTS];
    if (text.n && n > PAD_INPUTS)
        return fail(e, LIMIT, "padding: at most %d inputs", PAD_INPUTS);
    return text.n ? pad_parse(text, io, n, parsed, e) : OK;
}

/* Its tensors are the model's. */
static enum code check_guise(const struct job_import *j, const struct session *session,
                             const struct live_io *inputs, size_t n_inputs, struct arena *a,
                             struct err *e) {
    struct live_io *outputs;
    size_t n_outputs, at;
    struct guise *g = ARENA_NEW(a, struct guise);
    if (!g)
        return arena_fail(a, sizeof *g, "guise", e);
    TRY(guise_parse(j->guise, a, g, e));
    TRY(signature(session, true, a, &outputs, &n_outputs, e));
    for (size_t i = 0; i < g->n_tensors; i++) {
        bool output = g->tensors[i].output;
        TRY(guise_place(&g->tensors[i], output ? outputs : inputs, output ? n_outputs : n_inputs,
                        &at, e));
    }
    return OK;
}

static enum code take_warmup(const struct job_import *j, const struct live_io *io, size_t n,
                             struct arena *a, struct warmup *out, struct err *e) {
    const char *path;
    struct span file;
    TRY(read_source(j, a, &path, &file, out->source, e));
    if (!path)
        return OK;
    enum code code = warmup_read(file, io, n, &out->tapes, e);
    return code == OK ? OK : err_prefix(e, "%s", path);
}

/* What is said about its inputs and outputs. */
static enum code check_inputs(const struct job_import *j, const struct session *session,
                              struct warmup *warmup, struct err *e) {
    struct live_io *io;
    struct arena a;
    size_t n;
    arena_init(&a, WARMUP_BYTES + (64 << 20));
    enum code code = signature(session, false, &a, &io, &n, e);
    if (code == OK)
        code = check_pad(j->pad, io, n, e);
    if (code == OK && j->guise.n)
        code = check_guise(j, session, io, n, &a, e) == OK ? OK : err_prefix(e, "%s", j->path);
    if (code == OK)
        code = take_warmup(j, io, n, &a, warmup, e);
    arena_deinit(&a);
    return code;
}

/* Opens what it is; what goes with it must fit. */
static enum code check_runs(const struct model *m, const struct job_import *j,
                            struct warmup *warmup, struct err *e) {
    struct session *session;
    if (model_is_language(m)) {
        TRY(check_language(m, e));
        return check_inputs(j, NULL, warmup, e);
    }
    if (j->text)
        TRY(check_text(m, e));
    TRY(session_open(m, &(struct session_options){0}, &session, e));
    enum code code = check_inputs(j, session, warmup, e);
    session_close(session);
    return code;
}

struct tick {
    const struct job_import *j;
};

static void store_progress(void *ctx, uint64_t done, uint64_t total) {
    const struct job_import *j = ((struct tick *)ctx)->j;
    j->progress(j->progress_ctx, "storing", done, total);
}

static struct span bytes_of(const struct buf *b) {
    return (struct span){(const uint8_t *)b->p, b->n};
}

static struct span text_bytes(struct str text) {
    return (struct span){(const uint8_t *)text.p, text.n};
}

static enum code put(struct store *s, const struct job_import *j, const struct import *in,
                     const struct collector *c, const struct buf *graph,
                     const struct warmup *warmup, struct store_added *out, struct err *e) {
    struct store_source *sources = mem_zalloc((size_t)in->n_files, sizeof *sources);
    if (!sources)
        return fail(e, NOMEM, "out of memory");
    for (int i = 0; i < in->n_files; i++)
        sources[i] = (struct store_source){in->files[i].name, in->files[i].bytes, c->files[i].p,
                                           c->files[i].n};
    const struct store_part all[] = {
        {LIT("graph"), bytes_of(graph)},
        {LIT("preprocess"), j->preprocess},
        {str_of(PAD_PART), text_bytes(j->pad)},
        {str_of(GUISE_PART), text_bytes(j->guise)},
        {LIT(DRAFT_PART), text_bytes(j->draft)},
        {str_of(TAPE_WARMUP), bytes_of(&warmup->tapes)},
        {str_of(WARMUP_SOURCE), text_bytes(str_of(warmup->source))},
    };
    struct store_part parts[sizeof all / sizeof *all];
    size_t n_parts = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].bytes.n)
            parts[n_parts++] = all[i];
    struct tick tick = {j};
    struct store_new n = {
        .model = j->model,
        .format = str_of(in->format->name),
        .origin = j->origin,
        .parent = j->parent,
        .sources = sources,
        .n_sources = (size_t)in->n_files,
        .parts = parts,
        .n_parts = n_parts,
        .progress = j->progress ? store_progress : NULL,
        .progress_ctx = &tick,
    };
    enum code code = store_add(s, &n, out, e);
    mem_free(sources);
    return code;
}

static enum code store_import(struct store *s, const struct job_import *j, const struct import *in,
                              const struct warmup *warmup, struct job_imported *out,
                              struct err *e) {
    struct collector c = {.e = e};
    struct buf wire;
    arena_init(&c.arena, (size_t)256 << 20);
    buf_init(&wire, WIRE_CAP_BYTES);
    enum code code = collect(&c, in);
    if (code == OK)
        code = wire_put(in->model, &wire, e);
    if (code == OK)
        code = put(s, j, in, &c, &wire, warmup, &out->added, e);
    buf_deinit(&wire);
    arena_deinit(&c.arena);
    return code;
}

/* A language model's weights as the kernels read them, so that its first start only maps them. The
 * version is there already: where this fails, a start does it again and says why not. */
static void pack(struct store *s, struct str model, uint64_t version) {
    struct loaded l;
    struct err e;
    enum code code = loaded_open_model(s, model, version, &l, &e);
    if (code == OK)
        code = keep_open(s, l.version, &l.keep, &e);
    if (code == OK)
        code = keep_all(l.keep, l.model, NULL, &e);
    if (code != OK)
        log_text(LOG_WARN, "packed weights are not kept: %s", e.text);
    loaded_close(&l);
}

enum code job_import(struct store *s, const struct job_import *j, struct job_imported *out,
                     struct err *e) {
    struct import in;
    struct warmup warmup = {.source = ""};
    if (j->progress)
        j->progress(j->progress_ctx, "reading", 0, 0);
    TRY(import_open(j->path, &j->limits, &in, e));
    if (j->progress)
        j->progress(j->progress_ctx, "checking", 0, 0);
    buf_init(&warmup.tapes, WARMUP_BYTES);
    buf_put(&warmup.tapes, j->tapes.p, j->tapes.n);
    enum code code = check_runs(in.model, j, &warmup, e);
    if (code == OK && j->draft.n && check_draft(s, in.model, j, e) != OK)
        code = err_prefix(e, "--draft");
    if (code == OK)
        code = store_import(s, j, &in, &warmup, out, e);
    buf_deinit(&warmup.tapes);
    bool language = code == OK && model_is_language(in.model);
    if (code == OK)
        out->format = in.format->name;
    import_close(&in);
    if (language) {
        if (j->progress)
            j->progress(j->progress_ctx, "packing", 0, 0);
        pack(s, j->model, out->added.version);
    }
    return code;
}

bool job_import_name(const char *path, char out[STORE_NAME_MAX + 1]) {
    size_t end = strlen(path), n = 0;
    while (end && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin && path[begin - 1] != '/')
        begin--;
    for (size_t dot = end; dot > begin + 1; dot--)
        if (path[dot - 1] == '.') {
            end = dot - 1;
            break;
        }
    for (size_t i = begin; i < end && n < STORE_NAME_MAX; i++) {
        char c = path[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (n && (c == '.' || c == '_' || c == '-')))
            out[n++] = c;
        else if (n)
            out[n++] = '_';
    }
    out[n] = '\0';
    return n > 0;
}
