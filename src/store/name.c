/* SPDX-License-Identifier: Apache-2.0 */
/* What names may look like: see name.h. A name that gets through here can go into a URL path, a
 * file name, a metric label and a shell command without quoting (file names and free text
 * excepted). */
#include "store/name.h"

enum { FILE_NAME_MAX = 1024, COMPONENT_MAX = 255 };

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static enum code check_word(const char *what, struct str word, struct err *e) {
    if (word.n == 0)
        return fail(e, INVALID, "the %s name is empty", what);
    if (word.n > STORE_NAME_MAX)
        return fail(e, INVALID, "%s name '%.40s...' has %zu characters, limit %d", what, word.p,
                    word.n, STORE_NAME_MAX);
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        if (is_alnum(c) || (i > 0 && (c == '.' || c == '_' || c == '-')))
            continue;
        return fail(e, INVALID,
                    "%s name '%.*s': %s; use letters, digits, '.', '_' and '-', the first a letter "
                    "or digit",
                    what, STR(word), i == 0 ? "bad first character" : "bad character");
    }
    return OK;
}

enum code name_model(struct str model, struct err *e) { return check_word("model", model, e); }

static bool only_digits(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return true;
}

enum code name_alias(struct str alias, struct err *e) {
    TRY(check_word("alias", alias, e));
    if (only_digits(alias))
        return fail(e, INVALID, "alias name '%.*s' would read as a version number: add a letter",
                    STR(alias));
    return OK;
}

static bool has_control(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return true;
    return false;
}

/* "", ".", ".." and over-long components lead elsewhere or nowhere. */
static bool bad_component(struct str c) {
    return c.n == 0 || c.n > COMPONENT_MAX || str_is(c, ".") || str_is(c, "..");
}

enum code name_file(struct str name, struct err *e) {
    if (name.n == 0 || name.n > FILE_NAME_MAX)
        return fail(e, INVALID, "a file name of %zu bytes: must be 1 to %d", name.n, FILE_NAME_MAX);
    if (has_control(name))
        return fail(e, INVALID, "a file name with control characters in it");
    for (size_t at = 0; at <= name.n;) {
        size_t end = at;
        while (end < name.n && name.p[end] != '/')
            end++;
        if (bad_component(str_sub(name, at, end)))
            return fail(
                e, INVALID,
                "file name '%.*s': must be a relative path without empty, '.' or '..' parts",
                STR(name));
        at = end + 1;
    }
    return OK;
}

enum code name_text(const char *what, struct str text, size_t max_bytes, struct err *e) {
    if (text.n > max_bytes)
        return fail(e, INVALID, "the %s has %zu bytes, limit %zu", what, text.n, max_bytes);
    if (has_control(text))
        return fail(e, INVALID, "the %s has control characters in it", what);
    return OK;
}

static enum code parse_selector(struct str text, struct str selector, struct store_ref *r,
                                struct err *e) {
    if (selector.n > 0 && only_digits(selector)) {
        if (!str_to_u64(selector, &r->version) || r->version == 0 || r->version > INT64_MAX)
            return fail(e, INVALID, "'%.*s': versions are numbered from 1", STR(text));
        return OK;
    }
    r->alias = selector;
    enum code code = name_alias(selector, e);
    return code == OK ? OK : err_prefix(e, "'%.*s'", STR(text));
}

enum code store_ref_parse(struct str text, struct store_ref *out, struct err *e) {
    struct store_ref r = {.model = text};
    size_t at;
    if (str_find(text, '@', &at)) {
        r.model = str_sub(text, 0, at);
        TRY(parse_selector(text, str_sub(text, at + 1, text.n), &r, e));
    }
    enum code code = name_model(r.model, e);
    if (code != OK)
        return r.model.n == text.n ? code : err_prefix(e, "'%.*s'", STR(text));
    *out = r;
    return OK;
}
