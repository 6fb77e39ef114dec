/* SPDX-License-Identifier: Apache-2.0 */
/* Matchers of the pre-tokenizers. The regular expressions stand above the functions; alternatives
 * are tried in order, and the last one matches anything, so text is cut without gaps. */
#include "llm/pretokenize.h"

#include "llm/unicode.h"

struct cursor {
    struct str text;
    size_t at;
    uint32_t c; /* at `at`; UNICODE_BROKEN + 1 at the end */
    size_t n;   /* its bytes */
};

enum { END = UNICODE_BROKEN + 1 };

static struct cursor look(struct str text, size_t at) {
    struct cursor k = {text, at, END, 0};
    if (at < text.n)
        k.n = unicode_next(text, at, &k.c);
    return k;
}

static void step(struct cursor *k) { *k = look(k->text, k->at + k->n); }

static bool is_number(uint32_t c) { return unicode_kind(c) == UNICODE_N; }
static bool is_space(uint32_t c) { return unicode_kind(c) == UNICODE_SPACE; }
static bool is_line(uint32_t c) { return c == '\r' || c == '\n'; }
/* [^\s\p{L}\p{N}] */
static bool is_other(uint32_t c) {
    return c != END && !unicode_letter(c) && !is_number(c) && !is_space(c);
}

static void skip(struct cursor *k, bool (*is)(uint32_t c), size_t most) {
    for (size_t n = 0; k->c != END && n < most && is(k->c); n++)
        step(k);
}

/* 's 't 're 've 'm 'll 'd at k; 0 or its bytes. */
static size_t contraction(const struct cursor *k, bool any_case) {
    static const char *const all[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (k->c != '\'')
        return 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size_t n = strlen(all[i]);
        struct str tail = str_sub(k->text, k->at + 1, k->at + 1 + n);
        if (tail.n == n && (any_case ? str_eq_nocase(tail, str_of(all[i])) : str_is(tail, all[i])))
            return 1 + n;
    }
    return 0;
}

/* \s+(?!\S) | \s+ : a run of spaces leaves its last one to the word behind it. */
static size_t spaces(struct cursor k) {
    size_t last = k.at;
    size_t first = k.at;
    while (k.c != END && is_space(k.c)) {
        last = k.at;
        step(&k);
    }
    return k.c != END && last > first ? last : k.at;
}

/* A word with a space before it; 0: none here. */
static size_t spaced(struct cursor k, bool (*is)(uint32_t c)) {
    if (k.c == ' ')
        step(&k);
    if (k.c == END || !is(k.c))
        return 0;
    skip(&k, is, SIZE_MAX);
    return k.at;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t next_gpt2(struct str text, size_t at) {
    struct cursor k = look(text, at);
    size_t n = contraction(&k, false), end;
    if (n)
        return at + n;
    if ((end = spaced(k, unicode_letter)) || (end = spaced(k, is_number)) ||
        (end = spaced(k, is_other)))
        return end;
    return spaces(k);
}

/* \p{N} alone; the rest as GPT-2, between the digits. */
static size_t next_smollm(struct str text, size_t at) {
    struct cursor k = look(text, at);
    if (is_number(k.c))
        return at + k.n;
    enum { NEXT = 4 }; /* bytes of the space that a run of them leaves to the next word */
    size_t end = next_gpt2(text, at); /* a digit further away than that changes nothing */
    while (k.at <= end + NEXT && k.c != END && !is_number(k.c))
        step(&k);
    return k.c != END && is_number(k.c) ? next_gpt2(str_sub(text, 0, k.at), at) : end;
}

/* \s*[\r\n]+ : up to the last line end of a run of spaces; 0: there is none. */
static size_t line_ends(struct cursor k) {
    size_t end = 0;
    while (k.c != END && is_space(k.c)) {
        bool line = is_line(k.c);
        step(&k);
        if (line)
            end = k.at;
    }
    return end;
}

/* " ?[^\s\p{L}\p{N}]+[\r\n]*", with '/' among the last for GPT-4o */
static size_t others(struct cursor k, bool slash) {
    if (k.c == ' ')
        step(&k);
    if (!is_other(k.c))
        return 0;
    skip(&k, is_other, SIZE_MAX);
    while (k.c != END && (is_line(k.c) || (slash && k.c == '/')))
        step(&k);
    return k.at;
}

/* [^\r\n\p{L}\p{N}]?\p{L}+ */
static size_t led_word(struct cursor k) {
    if (k.c != END && !is_line(k.c) && !unicode_letter(k.c) && !is_number(k.c))
        step(&k);
    if (k.c == END || !unicode_letter(k.c))
        return 0;
    skip(&k, unicode_letter, SIZE_MAX);
    return k.at;
}

/* What all later families share: numbers, others, line ends, spaces. */
static size_t tail(struct cursor k, size_t digits, bool slash) {
    size_t end;
    if (is_number(k.c)) {
        skip(&k, is_number, digits);
        return k.at;
    }
    if ((end = others(k, slash)) || (end = line_ends(k)))
        return end;
    return spaces(k);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
 * \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t next_llama3(struct str text, size_t at, size_t digits) {
    struct cursor k = look(text, at);
    size_t n = contraction(&k, true), end;
    if (n)
        return at + n;
    if ((end = led_word(k)))
        return end;
    return tail(k, digits, false);
}

/* --- GPT-4o --- */

static bool is_upper(uint32_t c) { /* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] */
    enum unicode_kind k = unicode_kind(c);
    return k == UNICODE_LU || k == UNICODE_LT || k == UNICODE_LM || k == UNICODE_LO ||
           unicode_mark(c);
}
static bool is_lower(uint32_t c) { /* [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
    enum unicode_kind k = unicode_kind(c);
    return k == UNICODE_LL || k == UNICODE_LM || k == UNICODE_LO || unicode_mark(c);
}

/* upper* lower+ : greedy, and where the uppers took all, given back as far as they are also lower.
 */
static size_t cased_word(struct cursor k) {
    size_t shared = 0; /* end of the last character that both classes hold */
    while (k.c != END && is_upper(k.c)) {
        bool both = is_lower(k.c);
        step(&k);
        if (both)
            shared = k.at;
    }
    if (k.c == END || !is_lower(k.c))
        return shared;
    skip(&k, is_lower, SIZE_MAX);
    return k.at;
}

/* upper+ lower* */
static size_t shouted_word(struct cursor k) {
    if (k.c == END || !is_upper(k.c))
        return 0;
    skip(&k, is_upper, SIZE_MAX);
    skip(&k, is_lower, SIZE_MAX);
    return k.at;
}

/* [^\r\n\p{L}\p{N}]? then a word of the given form; the lead is tried first, then without. */
static size_t led_by(struct cursor k, size_t (*word)(struct cursor k)) {
    size_t end = 0;
    if (k.c != END && !is_line(k.c) && !unicode_letter(k.c) && !is_number(k.c)) {
        struct cursor behind = k;
        step(&behind);
        end = word(behind);
    }
    return end ? end : word(k);
}

static size_t next_gpt4o(struct str text, size_t at, bool tekken) {
    struct cursor k = look(text, at);
    size_t end = led_by(k, cased_word);
    if (!end)
        end = led_by(k, shouted_word);
    if (!end)
        return tail(k, tekken ? 1 : 3, true);
    struct cursor behind = look(text, end);
    return end + (tekken ? 0 : contraction(&behind, true));
}

size_t pretoken_next(enum pretoken_kind kind, struct str text, size_t at) {
    switch (kind) {
    case PRETOKEN_GPT2: return next_gpt2(text, at);
    case PRETOKEN_SMOLLM: return next_smollm(text, at);
    case PRETOKEN_LLAMA3: return next_llama3(text, at, 3);
    case PRETOKEN_QWEN2: return next_llama3(text, at, 1);
    case PRETOKEN_GPT4O: return next_gpt4o(text, at, false);
    case PRETOKEN_TEKKEN: return next_gpt4o(text, at, true);
    case PRETOKEN_NONE: break;
    }
    return text.n;
}

static const struct {
    const char *name;
    enum pretoken_kind kind;
    bool words;
} names[] = {
    {"gpt-2", PRETOKEN_GPT2, false},
    {"gpt2", PRETOKEN_GPT2, false},
    {"phi-2", PRETOKEN_GPT2, false},
    {"olmo", PRETOKEN_GPT2, false},
    {"mpt", PRETOKEN_GPT2, false},
    {"modern-bert", PRETOKEN_GPT2, false},
    {"roberta-bpe", PRETOKEN_GPT2, false},
    {"smollm", PRETOKEN_SMOLLM, false},
    {"starcoder", PRETOKEN_SMOLLM, false},
    {"refact", PRETOKEN_SMOLLM, false},
    {"command-r", PRETOKEN_SMOLLM, false},
    {"codeshell", PRETOKEN_SMOLLM, false},
    {"llama-bpe", PRETOKEN_LLAMA3, true},
    {"llama3", PRETOKEN_LLAMA3, true},
    {"llama-v3", PRETOKEN_LLAMA3, true},
    {"falcon3", PRETOKEN_LLAMA3, true},
    {"pixtral", PRETOKEN_LLAMA3, true},
    {"smaug-bpe", PRETOKEN_LLAMA3, false},
    {"dbrx", PRETOKEN_LLAMA3, false},
    {"qwen2", PRETOKEN_QWEN2, false},
    {"deepseek-r1-qwen", PRETOKEN_QWEN2, false},
    {"stablelm2", PRETOKEN_QWEN2, false},
    {"gpt-4o", PRETOKEN_GPT4O, false},
    {"llama4", PRETOKEN_GPT4O, false},
    {"tekken", PRETOKEN_TEKKEN, true},
};

static int find(struct str name) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_is(name, names[i].name))
            return (int)i;
    return -1;
}

enum pretoken_kind pretoken_find(struct str name) {
    int i = find(name);
    return i < 0 ? PRETOKEN_NONE : names[i].kind;
}

bool pretoken_takes_words(struct str name) {
    int i = find(name);
    return i >= 0 && names[i].words;
}
