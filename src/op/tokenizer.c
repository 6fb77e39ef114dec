/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer: texts (C) or (N, C) cut into tokens (..., D), D the most that any has (com.microsoft's
 * Tokenizer, as skl2onnx exports scikit-learn's vectorizers with).
 *
 * 1. `tokenexp`: tokens are the longest matches, from left to right; or `separators`: the text is
 * cut at every match of the first, the pieces at those of the second, ... An empty separator, or
 * the token ".", means characters. Matches of nothing are none.
 * 2. Tokens of fewer characters than mincharnum are left out. With `mark`, a text begins with 0x02
 * and ends with 0x03. Texts with fewer tokens are filled up with pad_value behind that; where no
 * text has a token, D is 0.
 * 3. Tokens are parts of the input's texts. */
#include "op/operand.h"
#include "op/regex.h"

#include "base/utf8.h"

enum { SEPARATORS_MOST = 64 /* pieces are cut by calls within calls */ };

struct plan {
    bool characters, separate, mark;
    size_t least; /* characters of a token */
    struct str pad;
    size_t n;
    const struct regex **of; /* (n): separators, or one token */
    void *room;              /* where they work */
};

static enum code compile(const struct operand_at *at, struct str pattern, struct arena *a,
                         const struct regex **r, struct err *e) {
    char text[160];
    if (regex_compile(pattern, a, r, e) != OK)
        return err_prefix(e, "%.*s", STR(node_label(at->graph, at->node, text)));
    return OK;
}

static enum code plan_of(const struct operand_at *at, struct arena *a, struct plan *p,
                         struct err *e) {
    const struct attr *separators = attr_find(at->node, "separators");
    const struct str token = attr_str(at->node, "tokenexp", "");
    const int64_t least = attr_int(at->node, "mincharnum", 0);
    const size_t n = separators && separators->kind == ATTR_STRS ? separators->n : 0;
    *p = (struct plan){.separate = n > 0,
                       .mark = attr_int(at->node, "mark", 0) != 0,
                       .pad = attr_str(at->node, "pad_value", ""),
                       .n = n ? n : 1};
    if ((n > 0) == (token.n > 0))
        return operand_fail(at, e, INVALID, "needs either separators or tokenexp");
    if (n > SEPARATORS_MOST)
        return operand_fail(at, e, LIMIT, "%zu separators; %d are the most", n, SEPARATORS_MOST);
    p->characters = n == 1 ? separators->strs[0].n == 0 : str_is(token, ".");
    if (least < 1 || (p->characters && least > 1))
        return operand_fail(at, e, INVALID, "mincharnum is %lld", (long long)least);
    p->least = (size_t)least;
    if (p->characters)
        return OK;
    p->of = ARENA_ARRAY(a, p->n, const struct regex *);
    if (!p->of)
        return arena_fail(a, p->n * sizeof *p->of, "separators", e);
    size_t room = 0;
    for (size_t i = 0; i < p->n; i++) {
        TRY(compile(at, n ? separators->strs[i] : token, a, &p->of[i], e));
        room = regex_room(p->of[i]) > room ? regex_room(p->of[i]) : room;
    }
    p->room = arena_push(a, room);
    return p->room ? OK : arena_fail(a, room, "room to match in", e);
}

static enum code infer(struct op_infer *c, struct err *e) {
    struct plan p;
    TRY(operand_need(c, 1, e));
    if (c->in[0].dtype != DT_STRING)
        return operand_fail(c, e, INVALID, "the input is %s, not strings",
                            dtype_name(c->in[0].dtype));
    if (c->in[0].known && (c->in[0].shape.rank < 1 || c->in[0].shape.rank > 2))
        return operand_fail(c, e, INVALID, "the input must be (C) or (N, C)");
    TRY(plan_of(OPERAND_AT(c), c->scratch, &p, e));
    operand_out_later(c, 0, DT_STRING);
    return OK;
}

/* --- a text --- */

struct cutter {
    const struct plan *p;
    const struct op_call *call;
    struct str text, *to; /* to: NULL: only counted */
    size_t n;
};

/* Bytes of the character there; what is not UTF-8 goes byte by byte. */
static size_t character(struct str text, size_t at) {
    uint32_t code;
    const size_t n = utf8_next(str_sub(text, at, text.n), &code);
    return n ? n : 1;
}

static void token(struct cutter *k, size_t from, size_t to) {
    size_t characters = 0;
    for (size_t at = from; at < to; at += character(k->text, at))
        characters++;
    if (characters < k->p->least)
        return;
    if (k->to)
        k->to[k->n] = str_sub(k->text, from, to);
    k->n++;
}

/* The first match within [from, to) that is not empty; false: there is none. Trying every place
 * takes time by the square of a hostile text's length, so the run's clock is looked at. */
static enum code find(const struct cutter *k, const struct regex *r, size_t from, size_t to,
                      size_t *begin, size_t *end, bool *found, struct err *e) {
    enum { OFTEN = 256 };
    const struct op_host *host = k->call->host;
    *found = false;
    for (size_t at = from, tries = 1; at < to; at += character(k->text, at), tries++) {
        if (tries % OFTEN == 0 && host && host->check)
            TRY(host->check(k->call->host, e));
        const size_t last = regex_longest(r, str_sub(k->text, 0, to), at, k->p->room);
        if (last != SIZE_MAX && last > at) {
            *begin = at, *end = last, *found = true;
            return OK;
        }
    }
    return OK;
}

static enum code matches(struct cutter *k, struct err *e) {
    size_t begin, end = 0;
    bool found = true;
    while (found) {
        TRY(find(k, k->p->of[0], end, k->text.n, &begin, &end, &found, e));
        if (found)
            token(k, begin, end);
    }
    return OK;
}

/* [from, to) cut at separator `which`, its pieces at those after it. */
static enum code pieces(struct cutter *k, size_t which, size_t from, size_t to, struct err *e) {
    if (which == k->p->n) {
        token(k, from, to);
        return OK;
    }
    size_t begin, end;
    bool found = true;
    while (found) {
        TRY(find(k, k->p->of[which], from, to, &begin, &end, &found, e));
        TRY(pieces(k, which + 1, from, found ? begin : to, e));
        from = found ? end : from;
    }
    return OK;
}

static enum code cut(struct cutter *k, struct err *e) {
    if (!k->p->characters)
        return k->p->separate ? pieces(k, 0, 0, k->text.n, e) : matches(k, e);
    for (size_t at = 0, n; at < k->text.n; at += n) {
        n = character(k->text, at);
        token(k, at, at + n);
    }
    return OK;
}

/* --- a run --- */

static enum code most_tokens(const struct op_call *c, const struct plan *p, size_t *most,
                             struct err *e) {
    const struct str *texts = c->in[0]->data;
    *most = 0;
    for (size_t i = 0; i < tensor_count(c->in[0]); i++) {
        struct cutter k = {.p = p, .call = c, .text = texts[i]};
        TRY(cut(&k, e));
        *most = k.n > *most ? k.n : *most;
    }
    return OK;
}

static enum code put_tokens(const struct op_call *c, const struct plan *p, struct str text,
                            size_t width, struct str *to, struct err *e) {
    struct cutter k = {.p = p, .call = c, .text = text, .to = to + p->mark};
    TRY(cut(&k, e));
    size_t n = k.n;
    if (p->mark) {
        to[0] = LIT("\x02");
        to[n + 1] = LIT("\x03");
        n += 2;
    }
    for (; n < width; n++)
        to[n] = p->pad;
    return OK;
}

static enum code run_with(const struct op_call *c, const struct plan *p, struct err *e) {
    const struct tensor *in = c->in[0];
    struct shape shape = in->shape;
    const size_t n = tensor_count(in);
    size_t most;
    TRY(most_tokens(c, p, &most, e));
    const size_t width = most && p->mark ? most + 2 : most;
    if (n > 0)
        shape.dims[shape.rank++] = (int64_t)width;
    TRY(op_output(c, 0, DT_STRING, &shape, e));
    struct str *to = c->out[0] ? c->out[0]->data : NULL;
    for (size_t i = 0; to && width && i < n; i++)
        TRY(put_tokens(c, p, ((const struct str *)in->data)[i], width, to + i * width, e));
    return OK;
}

static enum code run(const struct op_call *c, struct err *e) {
    enum { PROGRAMS_CAP = 16 << 20 };
    struct arena a;
    struct plan p;
    arena_init(&a, PROGRAMS_CAP);
    enum code code = plan_of(OPERAND_AT(c), &a, &p, e);
    if (code == OK)
        code = run_with(c, &p, e);
    arena_deinit(&a);
    return code;
}

const struct op op_tokenizer = {
    .name = "tokenizer", .flags = OP_DYNAMIC, .infer = infer, .run = run};
