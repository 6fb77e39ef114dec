/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of tokenizer.json around the vocabulary: normalizer, pre_tokenizer, post_processor.
 * Each may be a Sequence. What they do together is matched against what our tokenizers do; anything
 * else is refused by its name, because ids that are almost right are worse than none.
 *
 * One liberty: NFC (Qwen) is not applied, as in llama.cpp: text that is not in that form is rare
 * and reads the same to a model. */
#include "format/hf.h"

#include "base/json.h"

enum { PARTS_MAX = 16 };

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

/* --- byte-level BPE: which of our pre-tokenizers --- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+"

static const struct {
    const char *regex, *pre,
        *pre_words; /* pre_words: where whole words come first (ignore_merges) */
} patterns[] = {
    {CONTRACTIONS "|" LEAD "\\p{L}+|\\p{N}{1,3}|" OTHERS "[\\r\\n]*|" TAIL, "smaug-bpe",
     "llama-bpe"},
    {CONTRACTIONS "|" LEAD "\\p{L}+|\\p{N}|" OTHERS "[\\r\\n]*|" TAIL, "qwen2", NULL},
    {LEAD UPPER "*" LOWER "+" CONTRACTIONS "?|" LEAD UPPER "+" LOWER "*" CONTRACTIONS
                "?|\\p{N}{1,3}|" OTHERS "[\\r\\n/]*|" TAIL,
     "gpt-4o", NULL},
    {LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER "*|\\p{N}|" OTHERS "[\\r\\n/]*|" TAIL, NULL,
     "tekken"},
};

static enum code pre_of_regex(struct str regex, bool words, struct str *out, struct err *e) {
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (str_is(regex, patterns[i].regex)) {
            const char *pre = words ? patterns[i].pre_words : patterns[i].pre;
            if (!pre)
                return refuse("ignore_merges with the pattern", regex, e);
            *out = str_of(pre);
            return OK;
        }
    return refuse("a Split by an unknown pattern", regex, e);
}

static enum code read_byte_level(struct hf_reader *r, const struct hf_object *json, struct parts *p,
                                 struct err *e) {
    struct str regex = {0}, plain, pre = LIT("gpt-2");
    struct hf_object model;
    bool splits = true, digits = false, words = false, prefix = false;
    TRY(hf_object_object(json, "model", &model, e));
    TRY(hf_object_bool(&model, "ignore_merges", &words, e));
    TRY(read_parts(json, "normalizer", "normalizers", p, e));
    for (int i = 0; i < p->n; i++)
        if (!str_is(p->type[i], "NFC"))
            return refuse("normalizer", p->type[i], e);
    TRY(read_parts(json, "pre_tokenizer", "pretokenizers", p, e));
    for (int i = 0; i < p->n; i++) {
        if (str_is(p->type[i], "ByteLevel")) {
            TRY(hf_object_bool(&p->part[i], "use_regex", &splits, e));
            TRY(hf_object_bool(&p->part[i], "add_prefix_space", &prefix, e));
        } else if (str_is(p->type[i], "Digits")) {
            TRY(hf_object_bool(&p->part[i], "individual_digits", &digits, e));
        } else if (str_is(p->type[i], "Split") && regex.n == 0) {
            TRY(pattern_of(&p->part[i], &regex, &plain, e));
        } else {
            return refuse("pre_tokenizer", p->type[i], e);
        }
    }
    if (prefix)
        return refuse("add_prefix_space of", LIT("ByteLevel"), e);
    if (regex.n)
        TRY(pre_of_regex(regex, words, &pre, e));
    else if (!splits)
        return refuse("no pattern before", LIT("ByteLevel"), e);
    else if (digits)
        pre = LIT("smollm");
    fact_str(&r->facts, "tok.pre", pre);
    return OK;
}

/* --- SentencePiece's ways --- */

static enum code read_metaspace(const struct hf_object *o, bool *prefix, struct err *e) {
    struct str scheme = LIT("always");
    bool adds = true;
    TRY(hf_object_bool(o, "add_prefix_space", &adds, e)); /* before tokenizers 0.15 */
    TRY(hf_object_text(o, "prepend_scheme", &scheme, e));
    *prefix = adds && !str_is(scheme, "never");
    return OK;
}

static enum code read_spaces(struct hf_reader *r, const struct hf_object *json, struct parts *p,
                             struct err *e) {
    struct str regex, plain;
    bool prefix = false;
    TRY(read_parts(json, "normalizer", "normalizers", p, e));
    for (int i = 0; i < p->n; i++) {
        TRY(pattern_of(&p->part[i], &regex, &plain, e));
        if (str_is(p->type[i], "Prepend"))
            prefix = true;
        else if (!str_is(p->type[i], "Replace") || !str_is(plain, " "))
            return refuse("normalizer", p->type[i], e);
    }
    TRY(read_parts(json, "pre_tokenizer", "pretokenizers", p, e));
    for (int i = 0; i < p->n; i++) {
        TRY(pattern_of(&p->part[i], &regex, &plain, e));
        if (str_is(p->type[i], "Metaspace"))
            TRY(read_metaspace(&p->part[i], &prefix, e));
        else if (!str_is(p->type[i], "Split") || !str_is(plain, " "))
            return refuse("pre_tokenizer", p->type[i], e);
    }
    fact_int(&r->facts, "tok.add_prefix_space", prefix);
    return OK;
}

/* --- BERT's --- */

static enum code read_bert(struct hf_reader *r, const struct hf_object *json, struct parts *p,
                           struct err *e) {
    bool lowercase = false, strips;
    TRY(read_parts(json, "pre_tokenizer", "pretokenizers", p, e));
    if (p->n != 1 || !str_is(p->type[0], "BertPreTokenizer"))
        return refuse("pre_tokenizer", p->n ? p->type[0] : LIT("none"), e);
    TRY(read_parts(json, "normalizer", "normalizers", p, e));
    if (p->n != 1 || !str_is(p->type[0], "BertNormalizer"))
        return refuse("normalizer", p->n ? p->type[0] : LIT("none"), e);
    TRY(hf_object_bool(&p->part[0], "lowercase", &lowercase, e));
    strips = lowercase;
    TRY(hf_object_bool(&p->part[0], "strip_accents", &strips, e));
    if (strips != lowercase)
        return refuse("strip_accents unlike lowercase in", LIT("BertNormalizer"), e);
    fact_int(&r->facts, "tok.lowercase", lowercase);
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
    if (str_is(kind, "bpe"))
        TRY(read_byte_level(r, json, p, e));
    else if (bert)
        TRY(read_bert(r, json, p, e));
    else
        TRY(read_spaces(r, json, p, e));
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
