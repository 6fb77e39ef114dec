/* SPDX-License-Identifier: Apache-2.0 */
/* Text and tags of a template. White space around tags follows Jinja's lexer with trim_blocks and
 * lstrip_blocks: a block or comment takes the newline behind it and the blanks before it on its
 * line; '-' takes all white space on its side; '+' keeps it. */
#include "base/utf8.h"
#include "llm/jinja_in.h"

#include <stdlib.h>

static char peek(const struct lexer *l, size_t ahead) {
    return l->at + ahead < l->source.n ? l->source.p[l->at + ahead] : '\0';
}

static bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool at_text(const struct lexer *l, const char *what) {
    return str_starts(str_sub(l->source, l->at, l->source.n), what);
}

static void advance(struct lexer *l, size_t n) {
    for (size_t i = 0; i < n && l->at < l->source.n; i++)
        l->line += l->source.p[l->at++] == '\n';
}

void lexer_begin(struct lexer *l, struct str source, struct arena *a) {
    *l = (struct lexer){.source = source, .line = 1, .line_starts = true, .arena = a};
}

/* --- text --- */

static void skip_white(struct lexer *l) {
    while (is_white(peek(l, 0)))
        advance(l, 1);
}

/* Behind the end of a tag: '-' takes white space, blocks and comments their newline. sign: what
 * stood before the end. */
static void close_tag(struct lexer *l, char sign, bool takes_newline) {
    size_t before = l->at;
    if (sign == '-')
        skip_white(l);
    else if (takes_newline && sign != '+' && peek(l, 0) == '\n')
        advance(l, 1);
    l->line_starts = l->at > before && l->source.p[l->at - 1] == '\n';
}

static struct str strip_end(struct str s) {
    while (s.n && is_white(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Blanks between the beginning of the line and the tag. */
static struct str strip_indent(struct str s, bool line_starts) {
    size_t n = s.n;
    while (n && (s.p[n - 1] == ' ' || s.p[n - 1] == '\t'))
        n--;
    return n ? (s.p[n - 1] == '\n' ? (struct str){s.p, n} : s)
             : (line_starts ? (struct str){s.p, 0} : s);
}

static enum code skip_comment(struct lexer *l, struct err *e) {
    int line = l->line;
    advance(l, 2);
    while (l->at < l->source.n && !at_text(l, "#}"))
        advance(l, 1);
    if (l->at >= l->source.n)
        return fail(e, INVALID, "line %d of the template: a comment that does not end", line);
    char sign = l->source.p[l->at - 1];
    advance(l, 2);
    close_tag(l, sign, true);
    return OK;
}

static enum tag_type tag_at(const struct lexer *l, bool *comment) {
    *comment = at_text(l, "{#");
    return at_text(l, "{{") ? TAG_PRINT : at_text(l, "{%") ? TAG_BLOCK : TAG_NONE;
}

/* One stretch of text, up to a tag, a comment or the end. */
static enum code lexer_stretch(struct lexer *l, struct str *out, bool *comment, struct err *e) {
    size_t begin = l->at;
    bool line_starts = l->line_starts;
    *comment = false;
    l->tag = TAG_NONE;
    while (l->at < l->source.n && (l->tag = tag_at(l, comment)) == TAG_NONE && !*comment)
        advance(l, 1);
    *out = str_sub(l->source, begin, l->at);
    if (l->at >= l->source.n)
        return OK;
    char sign = peek(l, 2);
    if (sign == '-')
        *out = strip_end(*out);
    else if (sign != '+' && l->tag != TAG_PRINT)
        *out = strip_indent(*out, line_starts);
    if (*comment)
        return skip_comment(l, e);
    advance(l, sign == '-' || sign == '+' ? 3 : 2);
    l->brackets = 0;
    return lexer_next(l, e);
}

enum code lexer_text(struct lexer *l, struct str *out, struct err *e) {
    bool comment;
    struct str all = {0};
    do {
        struct str part;
        TRY(lexer_stretch(l, &part, &comment, e));
        if (part.n == 0)
            continue;
        if (all.n == 0) {
            all = part;
            continue;
        }
        char *joined = arena_push(l->arena, all.n + part.n); /* text on both sides of a comment */
        if (!joined)
            return arena_fail(l->arena, all.n + part.n, "template", e);
        memcpy(joined, all.p, all.n);
        memcpy(joined + all.n, part.p, part.n);
        all = (struct str){joined, all.n + part.n};
    } while (comment);
    *out = all;
    return OK;
}

enum code lexer_raw(struct lexer *l, struct str *out, struct err *e) {
    size_t begin = l->at;
    int line = l->line;
    while (l->at < l->source.n) {
        struct lexer here = *l;
        if (!at_text(l, "{%")) {
            advance(l, 1);
            continue;
        }
        char sign = peek(l, 2);
        advance(l, sign == '-' || sign == '+' ? 3 : 2);
        skip_white(l);
        if (at_text(l, "endraw")) {
            *out = str_sub(l->source, begin, here.at);
            *out = sign == '-'   ? strip_end(*out)
                   : sign == '+' ? *out
                                 : strip_indent(*out, here.line_starts);
            l->tag = TAG_BLOCK;
            l->brackets = 0;
            TRY(lexer_next(l, e)); /* endraw */
            return lexer_next(l, e);
        }
    }
    return fail(e, INVALID, "line %d of the template: 'raw' without 'endraw'", line);
}

/* --- tokens --- */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t put_escape(const struct lexer *l, char c, char *out) {
    (void)l;
    switch (c) {
    case 'n': *out = '\n'; return 1;
    case 't': *out = '\t'; return 1;
    case 'r': *out = '\r'; return 1;
    case 'b': *out = '\b'; return 1;
    case 'f': *out = '\f'; return 1;
    case 'v': *out = '\v'; return 1;
    case 'a': *out = '\a'; return 1;
    case '0': *out = '\0'; return 1;
    case '\n': return 0;
    case '\\':
    case '\'':
    case '"': *out = c; return 1;
    default:
        out[0] = '\\';
        out[1] = c;
        return 2;
    }
}

/* \x41 \u0041 \U00000041: n digits behind the letter */
static bool put_code(struct lexer *l, size_t n, char *out, size_t *length) {
    char digits[9] = {0};
    char *end;
    for (size_t i = 0; i < n; i++)
        digits[i] = peek(l, i);
    unsigned long c = strtoul(digits, &end, 16);
    if (end != digits + n)
        return false;
    *length = utf8_put((uint32_t)c, out);
    l->at += n;
    return true;
}

static enum code lex_text(struct lexer *l, struct err *e) {
    char quote = peek(l, 0);
    int line = l->line;
    size_t n = 0, end = l->at + 1;
    while (end < l->source.n && l->source.p[end] != quote)
        end += l->source.p[end] == '\\' ? 2 : 1;
    if (end >= l->source.n)
        return fail(e, INVALID, "line %d of the template: a string that does not end", line);
    char *out = arena_push(l->arena, 2 * (end - l->at) + 4);
    if (!out)
        return arena_fail(l->arena, end - l->at, "template", e);
    for (l->at++; l->at < end;) {
        char c = l->source.p[l->at++];
        size_t length = 1;
        l->line += c == '\n';
        if (c != '\\') {
            out[n++] = c;
            continue;
        }
        c = l->source.p[l->at++];
        size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits == 0)
            length = put_escape(l, c, out + n);
        else if (!put_code(l, digits, out + n, &length))
            return fail(e, INVALID, "line %d of the template: a broken \\%c in a string", line, c);
        n += length;
    }
    l->at = end + 1;
    l->token = (struct jinja_token){.type = TK_TEXT, .text = {out, n}};
    return OK;
}

static enum code lex_number(struct lexer *l, struct err *e) {
    size_t begin = l->at;
    bool whole = true;
    while (is_digit(peek(l, 0)) || peek(l, 0) == '_')
        l->at++;
    if (peek(l, 0) == '.' && is_digit(peek(l, 1))) {
        whole = false;
        for (l->at++; is_digit(peek(l, 0));)
            l->at++;
    }
    if ((peek(l, 0) | 0x20) == 'e' && (is_digit(peek(l, 1)) || is_digit(peek(l, 2)))) {
        whole = false;
        for (l->at += 2; is_digit(peek(l, 0));)
            l->at++;
    }
    struct str text = str_sub(l->source, begin, l->at);
    l->token = (struct jinja_token){.type = whole ? TK_INT : TK_FLOAT, .text = text};
    if (whole ? !str_to_i64(text, &l->token.i) : !str_to_f64(text, &l->token.f))
        return fail(e, INVALID, "line %d of the template: '%.*s' is no number this build can hold",
                    l->line, STR(text));
    return OK;
}

static enum code lex_operator(struct lexer *l, struct err *e) {
    static const char *const operators[] = {"==", "!=", "<=", ">=", "//", "**", "+", "-", "*",
                                            "/",  "%",  "~",  "<",  ">",  "(",  ")", "[", "]",
                                            "{",  "}",  ",",  ".",  ":",  "|",  "="};
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (at_text(l, operators[i])) {
            char c = operators[i][0];
            l->brackets += (c == '(' || c == '[' || c == '{') - (c == ')' || c == ']' || c == '}');
            l->at += strlen(operators[i]);
            l->token = (struct jinja_token){.type = TK_OP, .text = str_of(operators[i])};
            return OK;
        }
    return fail(e, INVALID, "line %d of the template: unexpected '%c'", l->line, peek(l, 0));
}

/* "%}" or "}}", with a sign before it; not inside brackets. */
static bool lex_end(struct lexer *l) {
    const char *end = l->tag == TAG_PRINT ? "}}" : "%}";
    char sign = peek(l, 0);
    bool is_signed = (sign == '-' || (sign == '+' && l->tag == TAG_BLOCK)) &&
                     str_starts(str_sub(l->source, l->at + 1, l->source.n), end);
    if (l->brackets > 0 || (!is_signed && !at_text(l, end)))
        return false;
    bool block = l->tag == TAG_BLOCK;
    advance(l, is_signed ? 3 : 2);
    close_tag(l, is_signed ? sign : '\0', block);
    l->token = (struct jinja_token){.type = TK_END};
    return true;
}

enum code lexer_next(struct lexer *l, struct err *e) {
    skip_white(l);
    if (l->at >= l->source.n)
        return fail(e, INVALID, "line %d of the template: a tag that does not end", l->line);
    if (lex_end(l))
        return OK;
    char c = peek(l, 0);
    if (c == '"' || c == '\'')
        return lex_text(l, e);
    if (is_digit(c))
        return lex_number(l, e);
    if (!is_letter(c))
        return lex_operator(l, e);
    size_t begin = l->at;
    while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)))
        l->at++;
    l->token = (struct jinja_token){.type = TK_NAME, .text = str_sub(l->source, begin, l->at)};
    return OK;
}
