/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the readers of what a model writes: thoughts, then tool calls, chained as serve/talk.c
 * chains them. The first byte says the family of calls and the form of thoughts, the second how the
 * text behind them is cut into pieces.
 *
 * However it is cut, what comes out is the same; calls are numbered in a row, each named before its
 * arguments come; nothing is said that was not written (braces that stand for no arguments and an
 * opening given back aside). */
#include "llm/reasoning.h"
#include "llm/toolcall.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAID_BYTES = 1 << 24, FORMS = 3 };

struct listener {
    struct reasoning_reader reasoning;
    struct toolcall_reader calls;
    struct toolcall_sink sink;
    struct buf thought, content, arguments; /* all there was of each; calls: "\1name\2arguments" */
    int n_calls;
};

static void stop(const char *what, struct str a, struct str b) {
    fprintf(stderr, "%s\n--- %.*s\n--- %.*s\n", what, STR(a), STR(b));
    abort();
}

static void on_thought(void *ctx, struct str text) {
    buf_put_str(&((struct listener *)ctx)->thought, text);
}

static void on_answer(void *ctx, struct str text) {
    struct listener *l = ctx;
    toolcall_feed(&l->calls, text, &l->sink);
}

static void on_content(void *ctx, struct str text) {
    buf_put_str(&((struct listener *)ctx)->content, text);
}

static void on_call(void *ctx, int index, struct str name) {
    struct listener *l = ctx;
    if (index != l->n_calls++)
        stop("a call is out of its row", name, name);
    buf_put_byte(&l->arguments, '\1');
    buf_put_str(&l->arguments, name);
    buf_put_byte(&l->arguments, '\2');
}

static void on_arguments(void *ctx, int index, struct str piece) {
    struct listener *l = ctx;
    if (index != l->n_calls - 1)
        stop("arguments of a call that was not named", piece, piece);
    buf_put_str(&l->arguments, piece);
}

/* cut: 0 whole, 1 byte by byte, else pieces of random lengths. */
static void listen(struct listener *l, unsigned kind, uint32_t cut, struct str text) {
    static const char *const templates[FORMS] = {"", "</think>", "[/THINK]"};
    const struct reasoning_sink thoughts = {l, on_thought, on_answer};
    enum toolcall_family family = (enum toolcall_family)(kind % (TOOLCALL_LLAMA + 1));
    unsigned form = kind / 4 % FORMS;
    l->sink = (struct toolcall_sink){l, on_content, on_call, on_arguments};
    l->n_calls = 0;
    buf_init(&l->thought, SAID_BYTES);
    buf_init(&l->content, SAID_BYTES);
    buf_init(&l->arguments, SAID_BYTES);
    reasoning_begin(&l->reasoning, reasoning_form_of(str_of(templates[form])), kind & 0x80);
    toolcall_begin(&l->calls, family);
    for (size_t at = 0, n; at < text.n; at += n) {
        cut = cut > 1 ? cut * 1664525 + 1013904223 : cut;
        n = cut > 1 ? 1 + (cut >> 16) % 9 : cut == 1 ? 1 : text.n;
        n = n < text.n - at ? n : text.n - at;
        reasoning_feed(&l->reasoning, str_sub(text, at, at + n), &thoughts);
    }
    reasoning_end(&l->reasoning, &thoughts);
    toolcall_end(&l->calls, &l->sink);
}

static void done(struct listener *l) {
    buf_deinit(&l->thought);
    buf_deinit(&l->content);
    buf_deinit(&l->arguments);
}

static void same(const struct buf *a, const struct buf *b, const char *what) {
    if (!str_eq(buf_str(a), buf_str(b)))
        stop(what, buf_str(a), buf_str(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    struct str text = {(const char *)data + 2, size - 2};
    const uint32_t cuts[] = {1, 2 + data[1], 0x10000u * (1u + data[1]) + 3};
    struct listener whole, cut;
    listen(&whole, data[0], 0, text);
    if (whole.thought.n + whole.content.n > text.n + sizeof "<tool_call>")
        stop("more was said than written", text, buf_str(&whole.content));
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        listen(&cut, data[0], cuts[i], text);
        same(&whole.thought, &cut.thought, "thoughts differ by how they were cut");
        same(&whole.content, &cut.content, "content differs by how it was cut");
        same(&whole.arguments, &cut.arguments, "calls differ by how they were cut");
        done(&cut);
    }
    done(&whole);
    return 0;
}
