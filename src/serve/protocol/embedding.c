/* SPDX-License-Identifier: Apache-2.0 */
/* Texts to vectors: see embedding.h. */
#include "serve/protocol/embedding.h"

#include "serve/talk.h"

#include <math.h>

enum code embedding_read(struct request *r, const char *input, embedding_member_fn *other,
                         struct embedding *n, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        if (str_is(key, "model") && json_peek(&j) == JSON_STRING)
            TRY(json_string(&j, &n->model, e));
        else if (str_is(key, "dimensions") && json_peek(&j) == JSON_NUMBER)
            TRY(json_i64(&j, &n->dimensions, e));
        else if (str_is(key, input))
            TRY(json_skip(&j, &n->input, e));
        else if (other)
            TRY(other(n, &j, key, e));
        else
            TRY(json_skip(&j, NULL, e));
    }
}

/* Tokens as the text they came from, when the model's tokenizer makes the same tokens of it. */
static enum code text_of_tokens(struct request *r, const struct language *l, struct json *j,
                                struct str *out, struct err *e) {
    struct json_tensor shape;
    struct detokenizer d;
    int32_t *again;
    size_t n = 0;
    struct buf *ids = answer_buf(r, 1024, e), *text = answer_buf(r, 1024, e);
    if (!ids || !text)
        return e->code;
    TRY(json_tensor(j, JN_I32, ids, &shape, e));
    const int32_t *p = (const int32_t *)(const void *)ids->p;
    detokenizer_begin(&d, l->tokenizer);
    for (size_t i = 0; i < shape.count; i++)
        buf_put_str(text, detokenizer_push(&d, p[i]));
    buf_put_str(text, detokenizer_end(&d));
    *out = buf_str(text);
    for (unsigned flags = 0; flags <= TOKENIZE_SPECIAL_ADD; flags++) {
        TRY(tokenizer_encode(l->tokenizer, *out, flags, r->arena, &again, &n, e));
        if (shape.rank == 1 && n == shape.count && memcmp(again, p, n * sizeof *p) == 0)
            return OK;
    }
    return json_fail(j, e, "input: these are not the tokens that '%.*s' makes of a text: send text",
                     STR(r->ask.model));
}

static enum code take_text(struct request *r, const struct language *l, struct json *j,
                           struct str *out, struct err *e) {
    if (json_peek(j) == JSON_STRING)
        return json_string(j, out, e);
    return json_peek(j) == JSON_ARRAY
               ? text_of_tokens(r, l, j, out, e)
               : json_fail(j, e, "input: a text or a list of texts is expected");
}

/* Whether a list holds texts or token lists, not the numbers of one. */
static bool holds_texts(struct request *r, struct str input) {
    struct json j;
    struct err ignored;
    bool more;
    json_init(&j, input, r->arena);
    return json_peek(&j) == JSON_ARRAY && json_enter_array(&j, &ignored) == OK &&
           json_next_item(&j, &more, &ignored) == OK && (!more || json_peek(&j) != JSON_NUMBER);
}

static enum code take_texts(struct request *r, const struct language *l, struct str input,
                            struct str *texts, size_t *n, struct err *e) {
    struct json j;
    bool more;
    json_init(&j, input, r->arena);
    *n = 1;
    if (!holds_texts(r, input))
        return take_text(r, l, &j, &texts[0], e);
    TRY(json_enter_array(&j, e));
    for (*n = 0;; ++*n) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return *n ? OK
                      : fail(e, INVALID, "input: from 1 to %d texts are expected", EMBEDDING_TEXTS);
        if (*n == EMBEDDING_TEXTS)
            return fail(e, INVALID, "input: from 1 to %d texts are expected", EMBEDDING_TEXTS);
        TRY(take_text(r, l, &j, &texts[*n], e));
    }
}

enum code embedding_ask(struct request *r, const struct embedding *n, struct err *e) {
    const struct language *l = live_language(r->ask.live);
    size_t count = 0;
    if (!l || !l->encoder)
        return fail(e, INVALID, "'%.*s' does not embed text", STR(r->ask.model));
    if (n->input.n == 0)
        return fail(e, INVALID, "\"input\" is missing");
    struct str *texts = ARENA_ARRAY(r->arena, EMBEDDING_TEXTS, struct str);
    struct ask_tensor *in = ARENA_NEW(r->arena, struct ask_tensor);
    if (!texts || !in)
        return arena_fail(r->arena, EMBEDDING_TEXTS * sizeof *texts, "input", e);
    TRY(take_texts(r, l, n->input, texts, &count, e));
    in->name = LIT("text");
    in->tensor = (struct tensor){
        .dtype = DT_STRING, .shape = {.rank = 1, .dims = {(int64_t)count}}, .data = texts};
    r->ask.cut_text = n->cut;
    r->ask.inputs = in;
    r->ask.n_inputs = 1;
    return OK;
}

/* Matryoshka: the first dimensions, made of length 1 again. */
static void shorten(float *v, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    for (int64_t i = 0; sum > 0 && i < n; i++)
        v[i] = (float)((double)v[i] / sqrt(sum));
}

enum code embedding_take(struct request *r, const struct embedding *n, struct embedding_answer *out,
                         struct err *e) {
    const struct tensor *t = &r->ask.outputs[0].tensor;
    const int32_t *tokens = r->ask.n_outputs > 1 ? r->ask.outputs[1].tensor.data : NULL;
    int64_t width = t->shape.dims[1];
    if (n->dimensions < 0 || n->dimensions > width)
        return fail(e, INVALID, "dimensions is %lld: the model has %lld", (long long)n->dimensions,
                    (long long)width);
    *out = (struct embedding_answer){.v = t->data,
                                     .n = t->shape.dims[0],
                                     .stride = width,
                                     .width = n->dimensions ? n->dimensions : width};
    for (int64_t i = 0; i < out->n; i++) {
        if (out->width < width)
            shorten(out->v + i * width, out->width);
        out->tokens += tokens ? tokens[i] : 0;
    }
    return OK;
}
