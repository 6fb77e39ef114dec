/* SPDX-License-Identifier: Apache-2.0 */
/* Thoughts split off: see reasoning.h. */
#include "llm/reasoning.h"

#include "llm/stop.h"

enum { HELD_BYTES = 1 << 20 };

static const struct reasoning_form forms[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
};

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

const struct reasoning_form *reasoning_form_of(struct str t) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (t.n && memmem(t.p, t.n, forms[i].close, strlen(forms[i].close)))
            return &forms[i];
    return NULL;
}

bool reasoning_begun(const struct reasoning_form *f, struct str prompt) {
    size_t n = f ? strlen(f->open) : 0;
    while (prompt.n && is_space(prompt.p[prompt.n - 1]))
        prompt.n--;
    return f && prompt.n >= n && memcmp(prompt.p + prompt.n - n, f->open, n) == 0;
}

void reasoning_begin(struct reasoning_reader *r, const struct reasoning_form *f, bool inside) {
    *r =
        (struct reasoning_reader){.form = f, .state = inside ? REASONING_INSIDE : REASONING_BEFORE};
    buf_init(&r->held, HELD_BYTES);
}

static size_t spaces(struct str text) {
    size_t n = 0;
    while (n < text.n && is_space(text.p[n]))
        n++;
    return n;
}

/* The text's end that is white space, which may turn out to be the edge. */
static size_t tail(struct str text) {
    size_t n = text.n;
    while (n && is_space(text.p[n - 1]))
        n--;
    return text.n - n;
}

/* Nothing but white space so far. true: decided. */
static bool before(struct reasoning_reader *r) {
    struct str text = buf_str(&r->held), open = str_of(r->form->open);
    size_t at = spaces(text), n = text.n - at < open.n ? text.n - at : open.n;
    if (n == 0)
        return false;
    bool same = memcmp(text.p + at, open.p, n) == 0;
    if (same && n < open.n)
        return false;
    r->state = same ? REASONING_INSIDE : REASONING_BEHIND;
    r->said = !same; /* an answer without thoughts keeps its white space */
    if (same)
        buf_drop_front(&r->held, at + open.n);
    return true;
}

/* White space at the front of what was not said anything of yet. true: there is more. */
static bool drop_edge(struct reasoning_reader *r) {
    if (!r->said)
        buf_drop_front(&r->held, spaces(buf_str(&r->held)));
    r->said = r->said || r->held.n;
    return r->held.n > 0;
}

static void think(struct reasoning_reader *r, size_t n, const struct reasoning_sink *s) {
    if (n)
        s->thought(s->ctx, (struct str){r->held.p, n});
    buf_drop_front(&r->held, n);
}

/* true: the thoughts are over. */
static bool inside(struct reasoning_reader *r, const struct reasoning_sink *s) {
    const struct str close = str_of(r->form->close);
    size_t found;
    if (!drop_edge(r))
        return false;
    size_t safe = stop_scan(&close, 1, buf_str(&r->held), &found);
    think(r, safe - tail(str_sub(buf_str(&r->held), 0, safe)), s);
    if (found == 1)
        return false;
    buf_drop_front(&r->held, spaces(buf_str(&r->held)) + close.n);
    r->state = REASONING_BEHIND;
    r->said = false;
    return true;
}

static void behind(struct reasoning_reader *r, const struct reasoning_sink *s) {
    if (!drop_edge(r))
        return;
    s->answer(s->ctx, buf_str(&r->held));
    buf_clear(&r->held);
}

void reasoning_feed(struct reasoning_reader *r, struct str text, const struct reasoning_sink *s) {
    if (!r->form) {
        if (text.n)
            s->answer(s->ctx, text);
        return;
    }
    buf_put_str(&r->held, text);
    if (r->state == REASONING_BEFORE && !before(r))
        return;
    if (r->state == REASONING_INSIDE && !inside(r, s))
        return;
    behind(r, s);
}

void reasoning_end(struct reasoning_reader *r, const struct reasoning_sink *s) {
    if (r->form && r->state == REASONING_INSIDE)
        think(r, r->held.n - tail(buf_str(&r->held)), s);
    else if (r->form && r->held.n)
        s->answer(s->ctx, buf_str(&r->held));
    buf_deinit(&r->held);
}
