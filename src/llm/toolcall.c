/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls: see toolcall.h. A call's JSON is scanned again with every piece: it is short, and one
 * scanner that knows where it stopped is enough. */
#include "llm/toolcall.h"

#include "llm/stop.h"

struct form {
    const char *open, *close; /* NULL: none */
    const char *arguments;    /* the key */
};

static const struct form forms[] = {
    [TOOLCALL_NONE] = {NULL, NULL, NULL},
    [TOOLCALL_HERMES] = {"<tool_call>", "</tool_call>", "arguments"},
    [TOOLCALL_MISTRAL] = {"[TOOL_CALLS]", NULL, "arguments"},
    [TOOLCALL_LLAMA] = {"<|python_tag|>", NULL, "parameters"},
};

static bool holds(struct str text, const char *what) {
    return text.p && memmem(text.p, text.n, what, strlen(what)) != NULL;
}

enum toolcall_family toolcall_family_of(struct str t) {
    if (t.n && holds(t, "[TOOL_CALLS]"))
        return TOOLCALL_MISTRAL;
    if (t.n && !holds(t, "<tool_call>") && (holds(t, "python_tag") || holds(t, "\"parameters\"")))
        return TOOLCALL_LLAMA;
    return TOOLCALL_HERMES;
}

const char *toolcall_marker(enum toolcall_family f) { return forms[f].open; }

void toolcall_begin(struct toolcall_reader *r, enum toolcall_family f) {
    *r = (struct toolcall_reader){.family = f};
    buf_init(&r->held, 2 * TOOLCALL_BODY);
}

/* --- a call's JSON, as far as it has come --- */

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

struct scan {
    const char *p, *end;
    struct str name, arguments; /* arguments: as far as there */
    bool has_name, has_arguments, complete, whole_arguments, wrong;
};

static void skip(struct scan *s) {
    while (s->p < s->end && is_space(*s->p))
        s->p++;
}

/* A string at s->p; false: it has not ended yet. Its inside in *out. */
static bool scan_string(struct scan *s, struct str *out) {
    const char *from = ++s->p;
    for (; s->p < s->end && *s->p != '"'; s->p++)
        if (*s->p == '\\')
            s->p++;
    if (s->p >= s->end) {
        s->p = s->end; /* a backslash may have been the last byte */
        return false;
    }
    *out = (struct str){from, (size_t)(s->p - from)};
    s->p++;
    return true;
}

/* Any value at s->p; false: it has not ended yet. A number ends with what follows it. */
static bool scan_value(struct scan *s) {
    struct str text;
    int depth = 0;
    do {
        if (s->p >= s->end)
            return false;
        if (*s->p == '"') {
            if (!scan_string(s, &text))
                return false;
            continue;
        }
        if (*s->p == '{' || *s->p == '[')
            depth++;
        else if (*s->p == '}' || *s->p == ']')
            depth--;
        else if (depth == 0) { /* a word or number */
            while (s->p < s->end && !strchr(",}] \n\t\r", *s->p))
                s->p++;
            return s->p < s->end;
        }
        s->p++;
    } while (depth > 0);
    return true;
}

static bool scan_member(struct scan *s) {
    struct str key, text;
    if (*s->p != '"') {
        s->wrong = true;
        return false;
    }
    if (!scan_string(s, &key))
        return false;
    skip(s);
    if (s->p >= s->end)
        return false;
    if (*s->p != ':') {
        s->wrong = true;
        return false;
    }
    s->p++;
    skip(s);
    const char *from = s->p;
    if (str_is(key, "name") && !s->has_name) {
        if (s->p >= s->end)
            return false;
        if (*s->p != '"') {
            s->wrong = true;
            return false;
        }
        s->has_name = scan_string(s, &text);
        if (s->has_name)
            s->name = text;
        return s->has_name;
    }
    bool whole = scan_value(s);
    bool arguments = str_is(key, "arguments") || str_is(key, "parameters");
    if (arguments && !s->has_arguments && from < s->end) { /* the first that came has been said */
        s->has_arguments = true;
        s->whole_arguments = whole;
        s->arguments = (struct str){from, (size_t)(s->p - from)};
    }
    return whole;
}

/* One object {"name": ..., "arguments": ...} at the front of text. */
static struct scan scan_call(struct str text) {
    struct scan s = {.p = text.p, .end = text.p + text.n};
    skip(&s);
    if (s.p >= s.end)
        return s;
    if (*s.p != '{') {
        s.wrong = true;
        return s;
    }
    s.p++;
    for (;;) {
        skip(&s);
        if (s.p >= s.end)
            return s;
        if (*s.p == '}') {
            s.p++;
            s.complete = true;
            s.wrong = !s.has_name;
            return s;
        }
        if (*s.p == ',')
            s.p++;
        skip(&s);
        if (s.p >= s.end || !scan_member(&s))
            return s;
    }
}

/* --- reading --- */

static void give_up(struct toolcall_reader *r, const struct toolcall_sink *s) {
    const char *open = forms[r->family].open;
    if (r->family == TOOLCALL_HERMES && open)
        s->content(s->ctx, str_of(open));
    if (r->held.n)
        s->content(s->ctx, buf_str(&r->held));
    buf_clear(&r->held);
    r->family = TOOLCALL_NONE; /* what follows is content, too */
}

/* Says of the call at the front of held what is new; true: it is complete and gone. */
static bool advance(struct toolcall_reader *r, const struct toolcall_sink *s) {
    struct scan k = scan_call(buf_str(&r->held));
    if (k.has_name && !r->named) {
        r->named = true;
        s->call(s->ctx, r->n_calls, k.name);
    }
    if (r->named && k.has_arguments && k.arguments.n > r->said) {
        s->arguments(s->ctx, r->n_calls, str_sub(k.arguments, r->said, k.arguments.n));
        r->said = k.arguments.n;
    }
    if (k.wrong || r->held.code != OK) { /* what was said of a call stays said */
        if (!r->named)
            give_up(r, s);
        return false;
    }
    if (!k.complete)
        return false;
    if (r->said == 0)
        s->arguments(s->ctx, r->n_calls, LIT("{}"));
    buf_drop_front(&r->held, (size_t)(k.p - r->held.p));
    r->n_calls++;
    r->named = false;
    r->said = 0;
    return true;
}

static void drop_space(struct buf *b, const char *also) {
    size_t k = 0;
    while (k < b->n && (is_space(b->p[k]) || (also && strchr(also, b->p[k]))))
        k++;
    buf_drop_front(b, k);
}

/* Text before or between calls; true: a call begins now. */
static bool outside(struct toolcall_reader *r, const struct toolcall_sink *s) {
    const struct form *f = &forms[r->family];
    const struct str open = str_of(f->open);
    size_t found;
    if (!r->begun) {
        size_t k = 0;
        while (k < r->held.n && is_space(r->held.p[k]))
            k++;
        if (k == r->held.n)
            return false;
        if (r->family == TOOLCALL_LLAMA && r->held.p[k] == '{') {
            r->begun = true;
            return true;
        }
    }
    size_t safe = stop_scan(&open, 1, buf_str(&r->held), &found);
    if (safe) {
        r->begun = true;
        s->content(s->ctx, str_sub(buf_str(&r->held), 0, safe));
        buf_drop_front(&r->held, safe);
    }
    if (found == 1)
        return false;
    buf_drop_front(&r->held, open.n);
    r->begun = true;
    return true;
}

/* Behind a complete call; false: wait for more. */
static bool leave(struct toolcall_reader *r) {
    const char *close = forms[r->family].close;
    if (!close) { /* another may follow at once */
        r->state = TOOLCALL_INSIDE;
        return r->held.n > 0;
    }
    drop_space(&r->held, NULL);
    size_t n = strlen(close);
    if (r->held.n < n)
        return false;
    if (memcmp(r->held.p, close, n) == 0)
        buf_drop_front(&r->held, n);
    r->state = TOOLCALL_TEXT;
    r->edge = true;
    return true;
}

static bool feed_text(struct toolcall_reader *r, const struct toolcall_sink *s) {
    if (r->edge)
        drop_space(&r->held, NULL);
    r->edge = r->edge && r->held.n == 0;
    if (r->edge || !outside(r, s))
        return false;
    r->state = TOOLCALL_INSIDE;
    return true;
}

static bool feed_call(struct toolcall_reader *r, const struct toolcall_sink *s) {
    if (!r->named && r->family == TOOLCALL_MISTRAL)
        drop_space(&r->held, "[],;");
    else if (!r->named && r->family == TOOLCALL_LLAMA && r->n_calls)
        drop_space(&r->held, ",;");
    if (r->held.n == 0 || !advance(r, s))
        return false;
    r->state = TOOLCALL_BEHIND;
    return true;
}

void toolcall_feed(struct toolcall_reader *r, struct str text, const struct toolcall_sink *s) {
    if (r->family == TOOLCALL_NONE) {
        if (text.n)
            s->content(s->ctx, text);
        return;
    }
    buf_put_str(&r->held, text);
    for (bool on = true; on;)
        switch (r->state) {
        case TOOLCALL_TEXT: on = feed_text(r, s); break;
        case TOOLCALL_INSIDE: on = feed_call(r, s); break;
        case TOOLCALL_BEHIND: on = leave(r); break;
        }
}

void toolcall_end(struct toolcall_reader *r, const struct toolcall_sink *s) {
    if (r->family != TOOLCALL_NONE && !r->named && r->held.n) {
        if (r->state == TOOLCALL_INSIDE && r->n_calls == 0)
            give_up(r, s);
        else if (r->state == TOOLCALL_TEXT)
            s->content(s->ctx, buf_str(&r->held));
    }
    buf_deinit(&r->held);
}

void toolcall_grammar(enum toolcall_family family, const struct toolcall_rule *rules, size_t n,
                      bool many, struct buf *out) {
    const struct form *f = &forms[family];
    buf_put_text(out, "root ::= ");
    if (family == TOOLCALL_HERMES)
        buf_printf(out,
                   "tool-one%s\ntool-one ::= \"<tool_call>\\n\" tool-call \"\\n</tool_call>\"\n",
                   many ? " (\"\\n\" tool-one){0,7}" : "");
    else if (family == TOOLCALL_MISTRAL)
        buf_printf(out, "\"[TOOL_CALLS] [\" tool-call%s \"]\"\n",
                   many ? " (\", \" tool-call){0,7}" : "");
    else
        buf_put_text(out, "tool-call\n");
    buf_put_text(out, "tool-call ::= ");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s\"{\\\"name\\\": \\\"%.*s\\\", \\\"%s\\\": \" %.*s \"}\"",
                   i ? " | " : "", STR(rules[i].name), f->arguments, STR(rules[i].rule));
    buf_put_byte(out, '\n');
}
