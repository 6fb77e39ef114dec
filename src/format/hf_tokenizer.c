/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json (the tokenizers library) and the files beside it in our words (tok.*, chat.*).
 *
 * The vocabulary becomes a list by id, with types as GGUF has them; merges become "left right".
 * WordPiece's spellings turn into GGUF's: a word begins with U+2581, what goes on a word is plain.
 * What surrounds the vocabulary is hf_pieces.c's.
 *
 * 1. Ids are capped before a list of that length is made; an id that comes twice is an error.
 * 2. A kind of model, or a part, that this build does not follow exactly is refused by name. */
#include "format/hf.h"

#include "base/json.h"

enum { ID_MAX = 1 << 22, MERGES_MAX = 1 << 24, ENDS_MAX = 64 };
enum { NORMAL = 1, CONTROL = 3, USER = 4, UNUSED = 5, BYTE = 6 }; /* GGUF's token types */

struct words {
    struct arena *a;
    struct str *names;
    int64_t *types; /* 0: no such id */
    int64_t *edges; /* of added tokens: as llm/tokenizer_in.h numbers them */
    float *scores;
    size_t n, room;
    bool wordpiece;
    bool edged; /* some edge is not 0 */
};

static enum code grow(struct words *w, size_t n, struct err *e) {
    size_t room = w->room ? w->room : 1024;
    while (room < n)
        room *= 2;
    struct str *names = ARENA_ARRAY(w->a, room, struct str);
    int64_t *types = ARENA_ARRAY(w->a, room, int64_t);
    int64_t *edges = ARENA_ARRAY(w->a, room, int64_t);
    float *scores = ARENA_ARRAY(w->a, room, float);
    if (!names || !types || !edges || !scores)
        return arena_fail(w->a, room * sizeof *names, "the vocabulary", e);
    if (w->n) {
        memcpy(names, w->names, w->n * sizeof *names);
        memcpy(types, w->types, w->n * sizeof *types);
        memcpy(edges, w->edges, w->n * sizeof *edges);
        memcpy(scores, w->scores, w->n * sizeof *scores);
    }
    w->names = names;
    w->types = types;
    w->edges = edges;
    w->scores = scores;
    w->room = room;
    return OK;
}

static enum code put_word(struct words *w, int64_t id, struct str name, int64_t type,
                          struct err *e) {
    if (id < 0 || id >= ID_MAX)
        return fail(e, LIMIT, "token '%.*s' has the id %lld, limit %d", STR(str_sub(name, 0, 64)),
                    (long long)id, ID_MAX);
    size_t i = (size_t)id;
    if (i >= w->room)
        TRY(grow(w, i + 1, e));
    if (w->n <= i)
        w->n = i + 1;
    if (w->types[i] && !str_eq(w->names[i], name))
        return fail(e, FORMAT, "tokens '%.*s' and '%.*s' have the same id %lld",
                    STR(str_sub(w->names[i], 0, 64)), STR(str_sub(name, 0, 64)), (long long)id);
    w->names[i] = name;
    w->types[i] = type;
    return OK;
}

static int64_t find_word(const struct words *w, struct str name) {
    for (size_t i = 0; i < w->n; i++)
        if (w->types[i] && str_eq(w->names[i], name))
            return (int64_t)i;
    return -1;
}

/* --- the model's vocabulary --- */

static bool is_byte(struct str name) {
    return name.n == 6 && str_starts(name, "<0x") && name.p[5] == '>';
}

/* {"token": id, ...} */
static enum code read_map(struct words *w, struct str raw, bool bytes, struct err *e) {
    struct json j;
    struct str name = {0};
    bool more;
    int64_t id = 0;
    json_init(&j, raw, w->a);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &name, &more, e));
        if (!more)
            return OK;
        TRY(json_i64(&j, &id, e));
        TRY(put_word(w, id, name, bytes && is_byte(name) ? BYTE : NORMAL, e));
    }
}

/* [["piece", score], ...] */
static enum code read_scored(struct words *w, struct str raw, bool bytes, struct err *e) {
    struct json j;
    struct str name = {0};
    bool more;
    json_init(&j, raw, w->a);
    TRY(json_enter_array(&j, e));
    for (int64_t id = 0;; id++) {
        double score = 0;
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return OK;
        TRY(json_enter_array(&j, e));
        TRY(json_next_item(&j, &more, e));
        if (more)
            TRY(json_string(&j, &name, e));
        TRY(json_next_item(&j, &more, e));
        if (more)
            TRY(json_f64(&j, &score, e));
        TRY(json_next_item(&j, &more, e));
        if (more)
            return fail(e, FORMAT, "a piece of the vocabulary is not a text and a score");
        TRY(put_word(w, id, name, bytes && is_byte(name) ? BYTE : NORMAL, e));
        w->scores[id] = (float)score;
    }
}

static enum code read_merge(struct json *j, struct arena *a, struct str *out, struct err *e) {
    struct str part[2] = {{0}};
    bool more;
    if (json_peek(j) != JSON_ARRAY)
        return json_string(j, out, e);
    TRY(json_enter_array(j, e));
    for (int i = 0;; i++) {
        TRY(json_next_item(j, &more, e));
        if (!more && i == 2)
            break;
        if (!more || i == 2)
            return fail(e, FORMAT, "a merge is not two tokens");
        TRY(json_string(j, &part[i], e));
    }
    char *joined = arena_push(a, part[0].n + part[1].n + 1);
    if (!joined)
        return arena_fail(a, part[0].n + part[1].n + 1, "merges", e);
    if (part[0].n)
        memcpy(joined, part[0].p, part[0].n);
    joined[part[0].n] = ' ';
    if (part[1].n)
        memcpy(joined + part[0].n + 1, part[1].p, part[1].n);
    *out = (struct str){joined, part[0].n + part[1].n + 1};
    return OK;
}

static enum code read_merges(struct hf_reader *r, struct str raw, struct err *e) {
    struct json j;
    struct str *list = NULL;
    size_t n = 0, room = 0;
    bool more;
    json_init(&j, raw, r->a);
    TRY(json_enter_array(&j, e));
    for (;; n++) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        if (n == MERGES_MAX)
            return fail(e, LIMIT, "more than %d merges", MERGES_MAX);
        if (n == room) {
            room = room ? 2 * room : 4096;
            struct str *bigger = ARENA_ARRAY(r->a, room, struct str);
            if (!bigger)
                return arena_fail(r->a, room * sizeof *bigger, "merges", e);
            if (n)
                memcpy(bigger, list, n * sizeof *bigger);
            list = bigger;
        }
        TRY(read_merge(&j, r->a, &list[n], e));
    }
    fact_strs(&r->facts, "tok.merges", list, n);
    return OK;
}

/* --- tokens that were added to it --- */

/* {"content": "<s>", "special": true, "lstrip": false, ...} */
static enum code read_one_added(struct words *w, const struct hf_object *o, int64_t id,
                                struct err *e) {
    struct str content = {0};
    bool special = false, left = false, right = false, word = false, normalized = false;
    TRY(hf_object_text(o, "content", &content, e));
    TRY(hf_object_bool(o, "special", &special, e));
    TRY(hf_object_bool(o, "lstrip", &left, e));
    TRY(hf_object_bool(o, "rstrip", &right, e));
    TRY(hf_object_bool(o, "single_word", &word, e));
    TRY(hf_object_bool(o, "normalized", &normalized, e));
    if (w->wordpiece && normalized && !special)
        return fail(e, UNSUPPORTED,
                    "tokenizer.json: added token '%.*s', which is looked for in cleaned text",
                    STR(str_sub(content, 0, 64)));
    TRY(put_word(w, id, content, special ? CONTROL : USER, e));
    w->edges[id] = left | right << 1 | word << 2 | (normalized && !special) << 3;
    w->edged |= w->edges[id] != 0;
    return OK;
}

static enum code read_added(struct words *w, struct str raw, struct err *e) {
    struct json j;
    bool more;
    json_init(&j, raw, w->a);
    TRY(json_enter_array(&j, e));
    for (;;) {
        struct hf_object o;
        struct str one = {0};
        int64_t id = -1;
        bool found;
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return OK;
        TRY(json_skip(&j, &one, e));
        TRY(hf_object_read(one, w->a, &o, e));
        TRY(hf_object_int(&o, "id", &found, &id, e));
        TRY(read_one_added(w, &o, id, e));
    }
}

/* tokenizer_config.json has the last word: {"added_tokens_decoder": {"2": {"content": ...}}} */
static enum code read_added_again(struct words *w, const struct hf_object *config, struct err *e) {
    struct str raw, key, one = {0};
    struct json j;
    bool more;
    if (!hf_object_find(config, "added_tokens_decoder", &raw))
        return OK;
    json_init(&j, raw, w->a);
    TRY(json_enter_object(&j, e));
    for (;;) {
        struct hf_object o;
        int64_t id = -1;
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return OK;
        TRY(json_skip(&j, &one, e));
        TRY(hf_object_read(one, w->a, &o, e));
        if (!str_to_i64(key, &id))
            return fail(e, FORMAT, "tokenizer_config.json: the added token '%.*s' has no number",
                        STR(str_sub(key, 0, 64)));
        TRY(read_one_added(w, &o, id, e));
    }
}

/* Holes in the ids become tokens nobody can write. */
static enum code finish(struct words *w, struct err *e) {
    for (size_t i = 0; i < w->n; i++) {
        struct str name = w->names[i];
        if (w->types[i] == 0)
            w->types[i] = UNUSED;
        if (!w->wordpiece || w->types[i] != NORMAL)
            continue;
        if (str_starts(name, "##") && name.n > 2) {
            w->names[i] = str_sub(name, 2, name.n);
            continue;
        }
        char *text = arena_push(w->a, name.n + 3);
        if (!text)
            return arena_fail(w->a, name.n + 3, "the vocabulary", e);
        memcpy(text, "\xe2\x96\x81", 3);
        if (name.n)
            memcpy(text + 3, name.p, name.n);
        w->names[i] = (struct str){text, name.n + 3};
    }
    return OK;
}

/* --- which kind --- */

static bool mentions(const struct hf_object *json, const char *part, const char *word) {
    struct str raw;
    size_t n = strlen(word);
    if (!hf_object_find(json, part, &raw))
        return false;
    for (size_t i = 0; i + n <= raw.n; i++)
        if (memcmp(raw.p + i, word, n) == 0)
            return true;
    return false;
}

static enum code find_kind(const struct hf_object *json, const struct hf_object *model,
                           struct str *kind, struct err *e) {
    struct str type = {0}, raw;
    TRY(hf_object_text(model, "type", &type, e));
    if (type.n == 0) /* older files leave it out */
        type = hf_object_find(model, "merges", &raw) ? LIT("BPE") : LIT("WordPiece");
    if (str_is(type, "BPE"))
        *kind = mentions(json, "pre_tokenizer", "\"ByteLevel\"") ? LIT("bpe") : LIT("spm");
    else if (str_is(type, "WordPiece"))
        *kind = LIT("wordpiece");
    else if (str_is(type, "Unigram"))
        *kind = LIT("unigram");
    else
        return fail(e, UNSUPPORTED, "tokenizer.json: model '%.*s'", STR(str_sub(type, 0, 40)));
    return OK;
}

static enum code put_vocabulary(struct hf_reader *r, const struct words *w, struct str kind,
                                const struct hf_object *model, struct err *e) {
    struct str unk = {0};
    bool found = false;
    int64_t id = -1;
    fact_str(&r->facts, "tok.kind", kind);
    fact_strs(&r->facts, "tok.tokens", w->names, w->n);
    fact_ints(&r->facts, "tok.types", w->types, w->n);
    if (w->edged)
        fact_ints(&r->facts, "tok.edges", w->edges, w->n);
    if (str_is(kind, "unigram")) {
        fact_floats(&r->facts, "tok.scores", w->scores, w->n);
        TRY(hf_object_int(model, "unk_id", &found, &id, e));
    } else {
        TRY(hf_object_text(model, "unk_token", &unk, e));
        id = unk.n ? find_word(w, unk) : -1;
    }
    if (id >= 0)
        fact_int(&r->facts, "tok.unk", id);
    return OK;
}

/* --- bos, eos and other names; ends of generation --- */

/* "<s>" or {"content": "<s>", ...} */
static enum code token_named(const struct hf_object *o, const char *key, struct str *out,
                             struct err *e) {
    struct str raw;
    struct hf_object token;
    if (!hf_object_find(o, key, &raw))
        return OK;
    if (raw.p[0] != '{')
        return hf_object_text(o, key, out, e);
    TRY(hf_object_read(raw, o->arena, &token, e));
    return hf_object_text(&token, "content", out, e);
}

static enum code put_named(struct hf_reader *r, const struct words *w,
                           const struct hf_object *config, struct err *e) {
    static const struct {
        const char *key, *fact;
    } tokens[] = {{"bos_token", "tok.bos"}, {"eos_token", "tok.eos"}, {"pad_token", "tok.pad"},
                  {"cls_token", "tok.cls"}, {"sep_token", "tok.sep"}, {"mask_token", "tok.mask"},
                  {"unk_token", "tok.unk"}};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct str name = {0};
        TRY(token_named(config, tokens[i].key, &name, e));
        int64_t id = name.n ? find_word(w, name) : -1;
        if (id >= 0)
            fact_int(&r->facts, tokens[i].fact, id);
    }
    return OK;
}

static enum code add_ends(const struct hf_object *o, int64_t ends[ENDS_MAX], size_t *n,
                          struct err *e) {
    struct str raw;
    struct json j;
    bool more;
    if (!hf_object_find(o, "eos_token_id", &raw))
        return OK;
    json_init(&j, raw, o->arena);
    if (raw.p[0] != '[')
        return *n < ENDS_MAX ? json_i64(&j, &ends[(*n)++], e) : OK;
    TRY(json_enter_array(&j, e));
    for (;;) {
        TRY(json_next_item(&j, &more, e));
        if (!more || *n == ENDS_MAX)
            return OK;
        TRY(json_i64(&j, &ends[(*n)++], e));
    }
}

/* How the model's maker samples. do_sample is passed over: every API here says itself whether it
 * draws, by the temperature. */
static enum code put_sampling(struct hf_reader *r, const struct hf_object *generation,
                              struct err *e) {
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"temperature", "sample.temperature"},
                 {"top_k", "sample.top_k"},
                 {"top_p", "sample.top_p"},
                 {"min_p", "sample.min_p"},
                 {"typical_p", "sample.typical_p"},
                 {"repetition_penalty", "sample.repetition_penalty"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        double v = 0;
        bool found = false;
        TRY(hf_object_real(generation, words[i].theirs, &found, &v, e));
        if (found)
            fact_float(&r->facts, words[i].ours, v);
    }
    return OK;
}

static enum code put_ends(struct hf_reader *r, struct err *e) {
    struct str text = {0};
    struct hf_object generation;
    size_t n = 0;
    int64_t *ends = ARENA_ARRAY(r->a, ENDS_MAX, int64_t);
    if (!ends)
        return arena_fail(r->a, ENDS_MAX * sizeof *ends, "ends of generation", e);
    (void)hf_file(r, "generation_config.json", &text);
    TRY(hf_object_read(text, r->a, &generation, e));
    TRY(put_sampling(r, &generation, e));
    TRY(add_ends(&generation, ends, &n, e));
    TRY(add_ends(&r->config, ends, &n, e));
    if (n) {
        fact_ints(&r->facts, "tok.end", ends, n);
        fact_int(&r->facts, "tok.eos", ends[0]); /* where no name was given */
    }
    int64_t bos = -1;
    bool found;
    TRY(hf_object_int(&r->config, "bos_token_id", &found, &bos, e));
    if (bos >= 0)
        fact_int(&r->facts, "tok.bos", bos);
    return OK;
}

/* --- the chat template --- */

/* [{"name": "default", "template": ...}, {"name": "tool_use", ...}] */
static enum code put_templates(struct hf_reader *r, struct str raw, struct err *e) {
    struct json j;
    bool more;
    json_init(&j, raw, r->a);
    TRY(json_enter_array(&j, e));
    for (;;) {
        struct hf_object o;
        struct str one = {0}, name = {0}, text = {0};
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return OK;
        TRY(json_skip(&j, &one, e));
        TRY(hf_object_read(one, r->a, &o, e));
        TRY(hf_object_text(&o, "name", &name, e));
        TRY(hf_object_text(&o, "template", &text, e));
        if (str_is(name, "default"))
            fact_str(&r->facts, "chat.template", text);
        else if (str_is(name, "tool_use"))
            fact_str(&r->facts, "chat.template.tools", text);
    }
}

static enum code put_template(struct hf_reader *r, const struct hf_object *config, struct err *e) {
    struct str text = {0}, raw;
    struct hf_object o;
    if (hf_file(r, "additional_chat_templates/tool_use.jinja", &text))
        fact_str(&r->facts, "chat.template.tools", text);
    if (hf_file(r, "chat_template.jinja", &text)) {
        fact_str(&r->facts, "chat.template", text);
        return OK;
    }
    if (hf_file(r, "chat_template.json", &text)) {
        TRY(hf_object_read(text, r->a, &o, e));
        config = &o;
    }
    if (!hf_object_find(config, "chat_template", &raw))
        return OK;
    if (raw.p[0] == '[')
        return put_templates(r, raw, e);
    TRY(hf_object_text(config, "chat_template", &text, e));
    fact_str(&r->facts, "chat.template", text);
    return OK;
}

/* --- all of it --- */

static enum code read_words(struct hf_reader *r, struct words *w, const struct hf_object *json,
                            const struct hf_object *config, struct err *e) {
    struct hf_object model;
    struct str kind = {0}, raw;
    bool bytes = false;
    TRY(hf_object_object(json, "model", &model, e));
    TRY(find_kind(json, &model, &kind, e));
    w->wordpiece = str_is(kind, "wordpiece");
    TRY(hf_object_bool(&model, "byte_fallback", &bytes, e));
    if (!hf_object_find(&model, "vocab", &raw))
        return fail(e, FORMAT, "tokenizer.json has no vocabulary");
    TRY(str_is(kind, "unigram") ? read_scored(w, raw, bytes, e) : read_map(w, raw, bytes, e));
    if (hf_object_find(json, "added_tokens", &raw))
        TRY(read_added(w, raw, e));
    if (hf_object_find(&model, "merges", &raw))
        TRY(read_merges(r, raw, e));
    TRY(read_added_again(w, config, e));
    TRY(put_vocabulary(r, w, kind, &model, e));
    return hf_pieces_read(r, json, kind, e);
}

enum code hf_tokenizer_read(struct hf_reader *r, struct err *e) {
    struct str text = {0};
    struct hf_object json, config, map;
    struct words w = {.a = r->a};
    if (!hf_file(r, "tokenizer.json", &text))
        return OK; /* whoever needs one says so */
    TRY(hf_object_read(text, r->a, &json, e));
    text = (struct str){0};
    (void)hf_file(r, "tokenizer_config.json", &text);
    TRY(hf_object_read(text, r->a, &config, e));
    text = (struct str){0};
    (void)hf_file(r, "special_tokens_map.json", &text);
    TRY(hf_object_read(text, r->a, &map, e));
    TRY(read_words(r, &w, &json, &config, e));
    TRY(put_named(r, &w, &config, e));
    TRY(put_named(r, &w, &map, e)); /* what is known already stays */
    TRY(put_ends(r, e));
    TRY(put_template(r, &config, e));
    return finish(&w, e);
}
