/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of tokenizer.json around the vocabulary: normalizer, pre_tokenizer, decoder and
 * post_processor. Each may be a Sequence. What they do together is matched against what our
 * tokenizers do (llm/normalize.h has the steps); anything else is refused by its name, because ids
 * that are almost right are worse than none. */
#include "format/hf.h"

#include "base/base64.h"
#include "base/json.h"

#define BLANK "\xe2\x96\x81" /* U+2581 */

enum { PARTS_MAX = 16, STEPS_MAX = 12, CHARSMAP_MAX = 16 << 20 };

struct parts {
    struct hf_object part[PARTS_MAX];
    struct str type[PARTS_MAX];
    int n;
};

static enum code add_part(struct parts *p, const struct hf_object *o, struct err *e) {
    if (p->n == PARTS_MAX)
        return fail(e, LIMIT, "tokenizer.json: a sequence of more than %d parts", PARTS_MAX);
    p->part[p->n] = *o;
    TRY(hf_object_text(o, "type", &p->type[p->n], e));
    p->n++;
    return OK;
}

/* list: the key of a Sequence's parts. */
static enum code read_parts(const struct hf_object *json, const char *key, const char *list,
                            struct parts *p, struct err *e) {
    struct hf_object top;
    struct str type = {0}, raw;
    struct json j;
    bool more;
    p->n = 0;
    TRY(hf_object_object(json, key, &top, e));
    if (top.n == 0)
        return OK;
    TRY(hf_object_text(&top, "type", &type, e));
    if (!str_is(type, "Sequence"))
        return add_part(p, &top, e);
    if (!hf_object_find(&top, list, &raw))
        return OK;
    json_init(&j, raw, json->arena);
    TRY(json_enter_array(&j, e));
    for (;;) {
        struct str one = {0};
        struct hf_object o;
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return OK;
        TRY(json_skip(&j, &one, e));
        TRY(hf_object_read(one, json->arena, &o, e));
        TRY(add_part(p, &o, e));
    }
}

static enum code refuse(const char *where, struct str what, struct err *e) {
    return fail(e, UNSUPPORTED, "tokenizer.json: %s '%.*s'", where, STR(str_sub(what, 0, 200)));
}

/* {"pattern": {"Regex": "..."}} or {"String": "..."} */
static enum code pattern_of(const struct hf_object *o, struct str *regex, struct str *plain,
                            struct err *e) {
    struct hf_object pattern;
    *regex = *plain = (struct str){0};
    TRY(hf_object_object(o, "pattern", &pattern, e));
    TRY(hf_object_text(&pattern, "Regex", regex, e));
    return hf_object_text(&pattern, "String", plain, e);
}

/* --- normalizer --- */

struct steps { /* of the fact tok.normalize */
    struct str *list;
    size_t n;
};

static enum code add_step(struct steps *s, const char *name, struct err *e) {
    if (s->n == STEPS_MAX)
        return fail(e, LIMIT, "tokenizer.json: more than %d steps of normalisation", STEPS_MAX);
    s->list[s->n++] = str_of(name);
    return OK;
}

static enum code read_charsmap(struct hf_reader *r, const struct hf_object *o, struct steps *s,
                               struct err *e) {
    struct str text = {0};
    struct buf bytes;
    TRY(hf_object_text(o, "precompiled_charsmap", &text, e));
    if (text.n == 0)
        return OK;
    buf_init(&bytes, CHARSMAP_MAX);
    enum code code = base64_take(text, &bytes, e);
    struct str map = {0};
    if (code == OK) {
        map = arena_str(r->a, (struct str){bytes.p, bytes.n});
        code = map.p ? OK : arena_fail(r->a, bytes.n, "precompiled_charsmap", e);
    }
    buf_deinit(&bytes);
    if (code != OK)
        return err_prefix(e, "precompiled_charsmap");
    fact_str(&r->facts, "tok.charsmap", map);
    return add_step(s, "charsmap_hf", e);
}

static enum code read_replace(const struct hf_object *o, struct steps *s, struct err *e) {
    struct str regex, plain, content = {0};
    TRY(pattern_of(o, &regex, &plain, e));
    TRY(hf_object_text(o, "content", &content, e));
    if (str_is(plain, " ") && str_is(content, BLANK))
        return add_step(s, "blanks", e);
    if (str_is(regex, " {2,}") && (str_is(content, " ") || str_is(content, BLANK)))
        return add_step(s, str_is(content, " ") ? "squeeze" : "squeeze_blank", e);
    return refuse("normalizer Replace of", plain.n ? plain : regex, e);
}

static enum code read_strip(const struct hf_object *o, struct steps *s, struct err *e) {
    bool left = true, right = true;
    TRY(hf_object_bool(o, "strip_left", &left, e));
    TRY(hf_object_bool(o, "strip_right", &right, e));
    if (left)
        TRY(add_step(s, "strip_left", e));
    return right ? add_step(s, "strip_right", e) : OK;
}

static enum code read_step(struct hf_reader *r, struct str type, const struct hf_object *o,
                           struct steps *s, struct err *e) {
    struct str text = {0};
    if (str_is(type, "NFC"))
        return add_step(s, "nfc", e);
    if (str_is(type, "Precompiled"))
        return read_charsmap(r, o, s, e);
    if (str_is(type, "Replace"))
        return read_replace(o, s, e);
    if (str_is(type, "Strip"))
        return read_strip(o, s, e);
    if (!str_is(type, "Prepend"))
        return refuse("normalizer", type, e);
    TRY(hf_object_text(o, "prepend", &text, e));
    return str_is(text, BLANK) ? add_step(s, "prepend", e)
                               : refuse("normalizer Prepend of", text, e);
}

static enum code read_normalizer(struct hf_reader *r, const struct hf_object *json, struct parts *p,
                                 struct steps *s, struct err *e) {
    s->n = 0;
    s->list = ARENA_ARRAY(r->a, STEPS_MAX, struct str);
    if (!s->list)
        return arena_fail(r->a, STEPS_MAX * sizeof *s->list, "tokenizer.json", e);
    TRY(read_parts(json, "normalizer", "normalizers", p, e));
    for (int i = 0; i < p->n; i++)
        TRY(read_step(r, p->type[i], &p->part[i], s, e));
    return OK;
}

static void put_steps(struct hf_reader *r, const struct steps *s) {
    if (s->n)
        fact_strs(&r->facts, "tok.normalize", s->list, s->n);
}

/* --- the model's options --- */

static enum code check_text(const struct hf_object *model, const char *key, const char *want,
                            struct err *e) {
    struct str text = str_of(want);
    TRY(hf_object_text(model, key, &text, e));
    return str_is(text, want) ? OK : refuse(key, text, e);
}

static enum code check_model(const struct hf_object *json, struct str kind, struct err *e) {
    struct hf_object model;
    struct str raw;
    bool found = false;
    int64_t longest = 100;
    TRY(hf_object_object(json, "model", &model, e));
    if (hf_object_find(&model, "dropout", &raw) && !str_is(raw, "0.0"))
        return refuse("dropout", raw, e);
    TRY(check_text(&model, "end_of_word_suffix", "", e));
    TRY(check_text(&model, "continuing_subword_prefix", str_is(kind, "wordpiece") ? "##" : "", e));
    TRY(hf_object_int(&model, "max_input_chars_per_word", &found, &longest, e));
    return longest == 100
               ? OK
               : fail(e, UNSUPPORTED, "tokenizer.json: max_input_chars_per_word %lld, not 100",
                      (long long)longest);
}

/* --- byte-level BPE: which of our pre-tokenizers --- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+"

static const struct {
    const char *regex, *pre;
} patterns[] = {
    {CONTRACTIONS "|" LEAD "\\p{L}+|\\p{N}{1,3}|" OTHERS "[\\r\\n]*|" TAIL, "llama-bpe"},
    {CONTRACTIONS "|" LEAD "\\p{L}+|\\p{N}|" OTHERS "[\\r\\n]*|" TAIL, "qwen2"},
    {LEAD UPPER "*" LOWER "+" CONTRACTIONS "?|" LEAD UPPER "+" LOWER "*" CONTRACTIONS
                "?|\\p{N}{1,3}|" OTHERS "[\\r\\n/]*|" TAIL,
     "gpt-4o"},
    {LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER "*|\\p{N}|" OTHERS "[\\r\\n/]*|" TAIL,
     "tekken"},
};

static enum code pre_of_regex(struct str regex, struct str *out, struct err *e) {
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (str_is(regex, patterns[i].regex)) {
            *out = str_of(patterns[i].pre);
            return OK;
        }
    return refuse("a Split by an unknown pattern", regex, e);
}

/* The matches are the pieces, whichever way it is said: our patterns match everything. */
static enum code read_split(const struct hf_object *o, struct str *regex, struct err *e) {
    struct str plain, behavior = {0};
    bool invert = false;
    TRY(pattern_of(o, regex, &plain, e));
    TRY(hf_object_text(o, "behavior", &behavior, e));
    TRY(hf_object_bool(o, "invert", &invert, e));
    bool pieces = str_is(behavior, "Isolated") || (str_is(behavior, "Removed") && invert);
    if (regex->n == 0)
        return refuse("a Split by", plain, e);
    return pieces ? OK : refuse("a Split with the behavior", behavior, e);
}

static enum code read_byte_level(struct hf_reader *r, const struct hf_object *json, struct parts *p,
                                 struct err *e) {
    struct str regex = {0}, pre = LIT("gpt-2");
    struct hf_object model;
    struct steps steps;
    bool splits = true, digits = false, words = false, prefix = false;
    TRY(hf_object_object(json, "model", &model, e));
    TRY(hf_object_bool(&model, "ignore_merges", &words, e));
    TRY(read_normalizer(r, json, p, &steps, e));
    TRY(read_parts(json, "pre_tokenizer", "pretokenizers", p, e));
    for (int i = 0; i < p->n; i++) {
        if (str_is(p->type[i], "ByteLevel")) {
            TRY(hf_object_bool(&p->part[i], "use_regex", &splits, e));
            TRY(hf_object_bool(&p->part[i], "add_prefix_space", &prefix, e));
        } else if (str_is(p->type[i], "Digits")) {
            TRY(hf_object_bool(&p->part[i], "individual_digits", &digits, e));
        } else if (str_is(p->type[i], "Split") && regex.n == 0) {
            TRY(read_split(&p->part[i], &regex, e));
        } else {
            return refuse("pre_tokenizer", p->type[i], e);
        }
    }
    if (prefix)
        return refuse("add_prefix_space of", LIT("ByteLevel"), e);
    if (regex.n)
        TRY(pre_of_regex(regex, &pre, e));
    else if (!splits)
        return refuse("no pattern before", LIT("ByteLevel"), e);
    else if (digits)
        pre = LIT("smollm");
    if (regex.n && (digits || splits))
        return refuse("a second pattern beside", regex, e);
    put_steps(r, &steps);
    fact_str(&r->facts, "tok.pre", pre);
    fact_int(&r->facts, "tok.words", words);
    return OK;
}

/* --- SentencePiece's ways --- */

static enum code read_metaspace(struct hf_reader *r, const struct hf_object *o, struct err *e) {
    struct str scheme = LIT("always"), replacement = LIT(BLANK);
    bool adds = true;
    TRY(hf_object_bool(o, "add_prefix_space", &adds, e)); /* before tokenizers 0.15 */
    TRY(hf_object_text(o, "prepend_scheme", &scheme, e));
    TRY(hf_object_text(o, "replacement", &replacement, e));
    if (!str_is(replacement, BLANK))
        return refuse("Metaspace's replacement", replacement, e);
    if (!str_is(scheme, "always") && !str_is(scheme, "first") && !str_is(scheme, "never"))
        return refuse("Metaspace's prepend_scheme", scheme, e);
    fact_int(&r->facts, "tok.add_prefix_space", adds && !str_is(scheme, "never"));
    fact_int(&r->facts, "tok.prefix_first", str_is(scheme, "first"));
    fact_int(&r->facts, "tok.prefix_once", 1);
    return OK;
}

static bool has_step(const struct steps *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (str_is(s->list[i], name))
            return true;
    return false;
}

static enum code read_spaces(struct hf_reader *r, const struct hf_object *json, struct parts *p,
                             struct err *e) {
    struct str regex, plain;
    struct steps steps;
    bool metaspace = false;
    TRY(read_normalizer(r, json, p, &steps, e));
    TRY(read_parts(json, "pre_tokenizer", "pretokenizers", p, e));
    for (int i = 0; i < p->n; i++) {
        TRY(pattern_of(&p->part[i], &regex, &plain, e));
        if (str_is(p->type[i], "Metaspace") && !metaspace) {
            TRY(read_metaspace(r, &p->part[i], e));
            metaspace = true;
        } else if (str_is(p->type[i], "WhitespaceSplit") && !metaspace) {
            TRY(add_step(&steps, "words", e));
        } else if (!str_is(p->type[i], "Split") || !str_is(plain, " ") ||
                   !has_step(&steps, "blanks")) { /* finds no space any more */
            return refuse("pre_tokenizer", p->type[i], e);
        }
    }
    if (!metaspace)
        fact_int(&r->facts, "tok.add_prefix_space", 0);
    if (!metaspace && !has_step(&steps, "blanks"))
        return refuse("neither Metaspace nor Replace before", LIT("SentencePiece's model"), e);
    put_steps(r, &steps);
    return OK;
}

/* --- BERT's --- */

static enum code read_bert(struct hf_reader *r, const struct hf_object *json, struct parts *p,
                           struct err *e) {
    bool lowercase = false, strips, cleans = true, chinese = true;
    TRY(read_parts(json, "pre_tokenizer", "pretokenizers", p, e));
    if (p->n != 1 || !str_is(p->type[0], "BertPreTokenizer"))
        return refuse("pre_tokenizer", p->n ? p->type[0] : LIT("none"), e);
    TRY(read_parts(json, "normalizer", "normalizers", p, e));
    if (p->n != 1 || !str_is(p->type[0], "BertNormalizer"))
        return refuse("normalizer", p->n ? p->type[0] : LIT("none"), e);
    TRY(hf_object_bool(&p->part[0], "lowercase", &lowercase, e));
    strips = lowercase;
    TRY(hf_object_bool(&p->part[0], "strip_accents", &strips, e));
    TRY(hf_object_bool(&p->part[0], "clean_text", &cleans, e));
    TRY(hf_object_bool(&p->part[0], "handle_chinese_chars", &chinese, e));
    if (!cleans || !chinese)
        return refuse("clean_text or handle_chinese_chars false in", LIT("BertNormalizer"), e);
    fact_int(&r->facts, "tok.lowercase", lowercase);
    fact_int(&r->facts, "tok.strip_accents", strips);
    return OK;
}

/* --- decoder --- */

static enum code read_decoder_part(struct str type, const struct hf_object *o, int64_t *drop,
                                   struct err *e) {
    struct str regex, plain, content = {0}, scheme = LIT("always");
    bool found, adds = true;
    int64_t start = 0, stop = 0;
    if (str_is(type, "ByteFallback") || str_is(type, "Fuse") || str_is(type, "ByteLevel") ||
        str_is(type, "WordPiece"))
        return OK;
    TRY(hf_object_text(o, "content", &content, e));
    if (str_is(type, "Strip")) {
        TRY(hf_object_int(o, "start", &found, &start, e));
        TRY(hf_object_int(o, "stop", &found, &stop, e));
        *drop = 1;
        return str_is(content, " ") && start == 1 && stop == 0 ? OK : refuse("decoder", type, e);
    }
    if (str_is(type, "Replace")) {
        TRY(pattern_of(o, &regex, &plain, e));
        return str_is(plain, BLANK) && str_is(content, " ") ? OK : refuse("decoder", type, e);
    }
    if (!str_is(type, "Metaspace"))
        return refuse("decoder", type, e);
    TRY(hf_object_bool(o, "add_prefix_space", &adds, e));
    TRY(hf_object_text(o, "prepend_scheme", &scheme, e));
    *drop = adds && !str_is(scheme, "never") ? 2 : 0;
    return OK;
}

/* Spaces at the beginning of a decoded text that were not its own: 0 none, 1 one, 2 all. */
static enum code read_decoder(struct hf_reader *r, const struct hf_object *json, struct str kind,
                              struct parts *p, struct err *e) {
    int64_t drop = 0;
    TRY(read_parts(json, "decoder", "decoders", p, e));
    for (int i = 0; i < p->n; i++) {
        if (str_is(kind, "bpe") != str_is(p->type[i], "ByteLevel") ||
            str_is(kind, "wordpiece") != str_is(p->type[i], "WordPiece"))
            return refuse("decoder", p->type[i], e);
        TRY(read_decoder_part(p->type[i], &p->part[i], &drop, e));
    }
    if (p->n)
        fact_int(&r->facts, "tok.drop_space", drop);
    return OK;
}

/* --- beginning and end --- */

/* {"special_tokens": {"<s>": {"ids": [1]}}} */
static enum code id_of(const struct hf_object *template, struct str name, int64_t *out,
                       struct err *e) {
    struct hf_object all, one;
    struct str raw;
    struct json j;
    bool more;
    char key[128];
    if (name.n >= sizeof key)
        return fail(e, LIMIT, "tokenizer.json: a special token of %zu bytes", name.n);
    if (name.n)
        memcpy(key, name.p, name.n);
    key[name.n] = '\0';
    TRY(hf_object_object(template, "special_tokens", &all, e));
    TRY(hf_object_object(&all, key, &one, e));
    if (!hf_object_find(&one, "ids", &raw))
        return fail(e, FORMAT, "tokenizer.json: no id of '%s'", key);
    json_init(&j, raw, template->arena);
    TRY(json_enter_array(&j, e));
    TRY(json_next_item(&j, &more, e));
    return more ? json_i64(&j, out, e) : fail(e, FORMAT, "tokenizer.json: no id of '%s'", key);
}

struct ends {
    int64_t first, last; /* -1: none */
};

/* "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": ...}, {"SpecialToken": ...}] */
static enum code read_template(const struct hf_object *o, struct ends *ends, struct err *e) {
    struct str raw, one = {0};
    struct json j;
    bool more, behind = false;
    if (!hf_object_find(o, "single", &raw))
        return OK;
    json_init(&j, raw, o->arena);
    TRY(json_enter_array(&j, e));
    for (;;) {
        struct hf_object item, token;
        struct str name = {0};
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return OK;
        TRY(json_skip(&j, &one, e));
        TRY(hf_object_read(one, o->arena, &item, e));
        TRY(hf_object_object(&item, "SpecialToken", &token, e));
        TRY(hf_object_text(&token, "id", &name, e));
        if (name.n == 0) {
            behind = true;
            continue;
        }
        if ((behind ? ends->last : ends->first) >= 0)
            return refuse("more than one special token on a side:", name, e);
        TRY(id_of(o, name, behind ? &ends->last : &ends->first, e));
    }
}

/* {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]} */
static enum code read_pair(const struct hf_object *o, const char *key, int64_t *out,
                           struct err *e) {
    struct str raw, name;
    struct json j;
    bool more;
    if (!hf_object_find(o, key, &raw))
        return OK;
    json_init(&j, raw, o->arena);
    TRY(json_enter_array(&j, e));
    TRY(json_next_item(&j, &more, e));
    if (more)
        TRY(json_string(&j, &name, e));
    TRY(json_next_item(&j, &more, e));
    return more ? json_i64(&j, out, e) : fail(e, FORMAT, "tokenizer.json: '%s' is no pair", key);
}

static enum code read_ends(const struct hf_object *json, struct parts *p, struct ends *ends,
                           struct err *e) {
    TRY(read_parts(json, "post_processor", "processors", p, e));
    for (int i = 0; i < p->n; i++) {
        if (str_is(p->type[i], "TemplateProcessing")) {
            TRY(read_template(&p->part[i], ends, e));
        } else if (str_is(p->type[i], "BertProcessing") ||
                   str_is(p->type[i], "RobertaProcessing")) {
            TRY(read_pair(&p->part[i], "cls", &ends->first, e));
            TRY(read_pair(&p->part[i], "sep", &ends->last, e));
        } else if (!str_is(p->type[i], "ByteLevel")) {
            return refuse("post_processor", p->type[i], e);
        }
    }
    return OK;
}

enum code hf_pieces_read(struct hf_reader *r, const struct hf_object *json, struct str kind,
                         struct err *e) {
    struct ends ends = {-1, -1};
    bool bert = str_is(kind, "wordpiece");
    struct parts *p = ARENA_NEW(r->a, struct parts);
    if (!p)
        return arena_fail(r->a, sizeof *p, "tokenizer.json", e);
    TRY(check_model(json, kind, e));
    if (str_is(kind, "bpe"))
        TRY(read_byte_level(r, json, p, e));
    else if (bert)
        TRY(read_bert(r, json, p, e));
    else
        TRY(read_spaces(r, json, p, e));
    TRY(read_decoder(r, json, kind, p, e));
    TRY(read_ends(json, p, &ends, e));
    if (ends.first >= 0)
        fact_int(&r->facts, bert ? "tok.cls" : "tok.bos", ends.first);
    if (ends.last >= 0)
        fact_int(&r->facts, bert ? "tok.sep" : "tok.eos", ends.last);
    if (!bert) {
        fact_int(&r->facts, "tok.add_bos", ends.first >= 0);
        fact_int(&r->facts, "tok.add_eos", ends.last >= 0);
    }
    return OK;
}
