/* SPDX-License-Identifier: Apache-2.0 */
/* Strings: string_concat, string_split, string_normalizer, regex_full_match.
 *
 * Operators that make new text take its bytes from the run (OP_DYNAMIC); those that only choose
 * among texts borrow them. Upper and lower case cover ASCII, Latin-1, Latin Extended-A, Greek and
 * Cyrillic. */
#include "op/operand.h"
#include "op/regex.h"

#include "base/utf8.h"

static const struct str *strings(const struct tensor *t) { return t->data; }

static enum code need_strings(const struct op_infer *c, int n, struct err *e) {
    TRY(operand_need(c, n, e));
    for (int i = 0; i < n; i++)
        if (c->in[i].dtype != DT_STRING)
            return operand_fail(c, e, INVALID, "input %d is %s, not strings", i,
                                dtype_name(c->in[i].dtype));
    return OK;
}

/* --- string_concat --- */

static enum code infer_string_concat(struct op_infer *c, struct err *e) {
    struct shape out;
    TRY(need_strings(c, 2, e));
    operand_out_later(c, 0, DT_STRING);
    if (operand_known(c) && !shape_broadcast(&c->in[0].shape, &c->in[1].shape, &out))
        return operand_fail(c, e, INVALID, "the shapes of the inputs do not broadcast");
    return OK;
}

static enum code join(const struct op_call *c, struct str a, struct str b, struct str *out,
                      struct err *e) {
    void *p;
    size_t n;
    if (!add_size(a.n, b.n, &n))
        return operand_fail(c, e, LIMIT, "a text is too long");
    TRY(operand_alloc(c, n, 1, &p, e));
    if (a.n)
        memcpy(p, a.p, a.n);
    if (b.n)
        memcpy((char *)p + a.n, b.p, b.n);
    *out = (struct str){p, n};
    return OK;
}

static enum code run_string_concat(const struct op_call *c, struct err *e) {
    const struct tensor *a = c->in[0], *b = c->in[1];
    struct shape shape;
    int64_t sa[SHAPE_MAX], sb[SHAPE_MAX], at[SHAPE_MAX] = {0};
    if (!shape_broadcast(&a->shape, &b->shape, &shape))
        return operand_fail(c, e, INVALID, "the shapes of the inputs do not broadcast");
    TRY(op_output(c, 0, DT_STRING, &shape, e));
    shape_strides_to(&a->shape, &shape, sa);
    shape_strides_to(&b->shape, &shape, sb);
    struct str *to = c->out[0] ? c->out[0]->data : NULL;
    for (size_t k = 0; to && k < tensor_count(c->out[0]); k++) {
        int64_t pa = 0, pb = 0;
        for (int d = 0; d < shape.rank; d++) {
            pa += at[d] * sa[d];
            pb += at[d] * sb[d];
        }
        TRY(join(c, strings(a)[pa], strings(b)[pb], &to[k], e));
        for (int d = shape.rank - 1; d >= 0 && ++at[d] == shape.dims[d]; d--)
            at[d] = 0;
    }
    return OK;
}

/* --- string_split: pieces (..., most), filled up with empty ones; and how many there are --- */

static enum code infer_string_split(struct op_infer *c, struct err *e) {
    TRY(need_strings(c, 1, e));
    operand_out_later(c, 0, DT_STRING);
    operand_out_later(c, 1, DT_I64);
    return OK;
}

struct splitter {
    struct str delimiter; /* empty: runs of white space */
    int64_t most;         /* splits; negative: all */
};

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static struct str skip_space(struct str s) {
    while (s.n && is_space(s.p[0]))
        s = str_sub(s, 1, s.n);
    return s;
}

/* Takes the next piece off the front of *rest; false when there is none. */
static bool next_piece(const struct splitter *s, struct str *rest, int64_t done, bool *ended,
                       struct str *piece) {
    bool spaces = s->delimiter.n == 0;
    if (spaces)
        *rest = skip_space(*rest);
    if (*ended || (spaces && rest->n == 0))
        return false;
    *piece = *rest;
    if (s->most >= 0 && done >= s->most) {
        *ended = true;
        return true;
    }
    for (size_t k = 0; k < rest->n; k++) {
        struct str here = str_sub(*rest, k, rest->n);
        bool found = spaces ? is_space(here.p[0])
                            : here.n >= s->delimiter.n &&
                                  memcmp(here.p, s->delimiter.p, s->delimiter.n) == 0;
        if (!found)
            continue;
        *piece = (struct str){rest->p, k};
        *rest = (struct str){here.p + (spaces ? 1 : s->delimiter.n),
                             here.n - (spaces ? 1 : s->delimiter.n)};
        return true;
    }
    *ended = true;
    return true;
}

static size_t split(const struct splitter *s, struct str text, struct str *out) {
    struct str piece;
    bool ended = false;
    size_t n = 0;
    while (next_piece(s, &text, (int64_t)n, &ended, &piece)) {
        if (out)
            out[n] = piece;
        n++;
    }
    return n;
}

static enum code run_string_split(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct splitter s = {.delimiter = attr_str(c->node, "delimiter", ""),
                         .most = attr_int(c->node, "maxsplit", -1)};
    size_t n = tensor_count(in), most = 0;
    struct shape shape = in->shape;
    for (size_t k = 0; k < n; k++) {
        size_t pieces = split(&s, strings(in)[k], NULL);
        most = pieces > most ? pieces : most;
    }
    if (shape.rank == SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "the result has %d dims", shape.rank + 1);
    shape.dims[shape.rank++] = (int64_t)most;
    TRY(op_output(c, 0, DT_STRING, &shape, e));
    if (operand_to(c, 1))
        TRY(op_output(c, 1, DT_I64, &in->shape, e));
    for (size_t k = 0; k < n; k++) {
        struct str *to = c->out[0] ? (struct str *)c->out[0]->data + k * most : NULL;
        size_t pieces = split(&s, strings(in)[k], to);
        for (size_t i = pieces; to && i < most; i++)
            to[i] = (struct str){NULL, 0};
        if (operand_to(c, 1))
            ((int64_t *)c->out[1]->data)[k] = (int64_t)pieces;
    }
    return OK;
}

/* --- string_normalizer --- */

enum change { CHANGE_NONE, CHANGE_LOWER, CHANGE_UPPER };

/* Pairs of cases that lie `apart` from each other: upper case from `low` to `high`. */
static const struct {
    uint32_t low, high, apart;
} cases[] = {
    {'A', 'Z', 32},     {0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},   {0x391, 0x3A1, 32},
    {0x3A3, 0x3AB, 32}, {0x410, 0x42F, 32}, {0x400, 0x40F, 80},
};
/* Ranges where upper and lower case alternate; the first of each is upper case. */
static const struct {
    uint32_t low, high;
} alternating[] = {{0x100, 0x12F}, {0x132, 0x137}, {0x139, 0x148}, {0x14A, 0x177},  {0x179, 0x17E},
                   {0x460, 0x481}, {0x48A, 0x4BF}, {0x4D0, 0x52F}, {0x1E00, 0x1E95}};

static uint32_t change_code(uint32_t c, enum change how) {
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        uint32_t shift = how == CHANGE_UPPER ? cases[k].apart : 0;
        if (c >= cases[k].low + shift && c <= cases[k].high + shift)
            return how == CHANGE_UPPER ? c - shift : c + cases[k].apart;
    }
    for (size_t k = 0; k < sizeof alternating / sizeof alternating[0]; k++)
        if (c >= alternating[k].low && c <= alternating[k].high) {
            bool upper = (c - alternating[k].low) % 2 == 0;
            return upper == (how == CHANGE_UPPER) ? c : upper ? c + 1 : c - 1;
        }
    return c;
}

/* The changed text, in memory of the run: at most 4 bytes for each of the old ones. */
static enum code change_text(const struct op_call *c, struct str text, enum change how,
                             struct str *out, struct err *e) {
    void *p;
    char *to;
    *out = text;
    if (how == CHANGE_NONE || text.n == 0)
        return OK;
    TRY(operand_alloc(c, text.n, 4, &p, e));
    to = p;
    while (text.n) {
        uint32_t code = 0;
        size_t n = utf8_next(text, &code);
        if (n)
            to += utf8_put(change_code(code, how), to);
        else
            *to++ = text.p[0];
        text = str_sub(text, n ? n : 1, text.n);
    }
    *out = (struct str){p, (size_t)(to - (char *)p)};
    return OK;
}

static enum code change_of(const struct operand_at *at, enum change *out, struct err *e) {
    struct str how = attr_str(at->node, "case_change_action", "NONE");
    *out = str_is(how, "LOWER") ? CHANGE_LOWER : str_is(how, "UPPER") ? CHANGE_UPPER : CHANGE_NONE;
    if (*out == CHANGE_NONE && !str_is(how, "NONE"))
        return operand_fail(at, e, FORMAT, "case_change_action '%.*s'", STR(how));
    return OK;
}

static enum code infer_string_normalizer(struct op_infer *c, struct err *e) {
    enum change how;
    TRY(need_strings(c, 1, e));
    TRY(change_of(OPERAND_AT(c), &how, e));
    operand_out_later(c, 0, DT_STRING);
    const struct shape *in = &c->in[0].shape;
    if (c->in[0].known && (in->rank < 1 || in->rank > 2 || (in->rank == 2 && in->dims[0] != 1)))
        return operand_fail(c, e, INVALID, "the input must be (C) or (1, C)");
    return OK;
}

/* Without is_case_sensitive, both sides are compared in one case. */
static enum code is_stopword(const struct op_call *c, struct str text, bool *out, struct err *e) {
    const struct attr *stop = attr_find(c->node, "stopwords");
    enum change how = attr_int(c->node, "is_case_sensitive", 0) ? CHANGE_NONE : CHANGE_LOWER;
    struct str mine, word;
    *out = false;
    if (!stop || stop->kind != ATTR_STRS)
        return OK;
    TRY(change_text(c, text, how, &mine, e));
    for (size_t k = 0; k < stop->n && !*out; k++) {
        TRY(change_text(c, stop->strs[k], how, &word, e));
        *out = str_eq(mine, word);
    }
    return OK;
}

static enum code run_string_normalizer(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct shape shape = in->shape;
    enum change how;
    void *memory;
    size_t n = 0;
    bool stop;
    TRY(change_of(OPERAND_AT(c), &how, e));
    TRY(operand_alloc(c, tensor_count(in) + 1, sizeof(struct str), &memory, e));
    struct str *kept = memory;
    for (size_t k = 0; k < tensor_count(in); k++) {
        TRY(is_stopword(c, strings(in)[k], &stop, e));
        if (!stop)
            TRY(change_text(c, strings(in)[k], how, &kept[n++], e));
    }
    n += n == 0; /* nothing left: one empty text */
    shape.dims[shape.rank - 1] = (int64_t)n;
    TRY(op_output(c, 0, DT_STRING, &shape, e));
    if (c->out[0])
        memcpy(c->out[0]->data, kept, n * sizeof *kept);
    return OK;
}

/* --- regex_full_match --- */

static enum code infer_regex_full_match(struct op_infer *c, struct err *e) {
    const struct regex *r;
    TRY(need_strings(c, 1, e));
    if (regex_compile(attr_str(c->node, "pattern", ""), c->scratch, &r, e) != OK) {
        char text[160];
        return err_prefix(e, "%.*s", STR(node_label(c->graph, c->node, text)));
    }
    operand_out_later(c, 0, DT_BOOL);
    return c->in[0].known ? operand_out(c, 0, DT_BOOL, &c->in[0].shape, e) : OK;
}

static enum code prepare_regex_full_match(struct op_prepare *c, struct err *e) {
    const struct regex *r;
    TRY(regex_compile(attr_str(c->node, "pattern", ""), c->arena, &r, e));
    c->state = (void *)(uintptr_t)r; /* read only */
    c->scratch_bytes = regex_room(r);
    return OK;
}

static enum code run_regex_full_match(const struct op_call *c, struct err *e) {
    (void)e;
    uint8_t *to = c->out[0]->data;
    for (size_t k = 0; k < tensor_count(c->out[0]); k++)
        to[k] = regex_matches(c->state, strings(c->in[0])[k], c->scratch);
    return OK;
}

const struct op op_string_concat = {.name = "string_concat",
                                    .flags = OP_DYNAMIC,
                                    .infer = infer_string_concat,
                                    .run = run_string_concat};
const struct op op_string_split = {.name = "string_split",
                                   .flags = OP_DYNAMIC,
                                   .infer = infer_string_split,
                                   .run = run_string_split};
const struct op op_string_normalizer = {.name = "string_normalizer",
                                        .flags = OP_DYNAMIC,
                                        .infer = infer_string_normalizer,
                                        .run = run_string_normalizer};
const struct op op_regex_full_match = {.name = "regex_full_match",
                                       .infer = infer_regex_full_match,
                                       .prepare = prepare_regex_full_match,
                                       .run = run_regex_full_match};
