/* SPDX-License-Identifier: Apache-2.0 */
/* Renders conversations with templates, for comparison with others:
 *
 *     render_chat MODEL < cases     the model lends its tokenizer, and its templates where a case
 * has none
 *
 * A case is a line of four numbers, then so many bytes each: template, messages, tools, further
 * variables (0: none). For each comes a line "ok BYTES IDS...", then the rendered bytes and a
 * newline; or "error NAME TEXT". The generation prompt is asked for. */
#include "format/format.h"
#include "llm/chat.h"

#include <stdio.h>
#include <stdlib.h>

static struct str take(size_t n) {
    char *p = calloc(n + 1, 1);
    if (!p || fread(p, 1, n, stdin) != n)
        exit(1);
    return (struct str){p, n};
}

static enum code render(const struct model *m, const struct tokenizer *t, struct str source,
                        const struct chat_ask *ask, struct arena *a, struct err *e) {
    struct chat_template *c;
    int32_t *ids;
    size_t n;
    struct str text;
    TRY(source.n ? chat_open(source, t, &c, e) : chat_open_model(m, t, &c, e));
    enum code code = chat_tokens(c, ask, a, &ids, &n, &text, e);
    if (code == OK) {
        printf("ok %zu", text.n);
        for (size_t i = 0; i < n; i++)
            printf(" %d", ids[i]);
        printf("\n%.*s\n", (int)text.n, text.p);
    }
    chat_close(c);
    return code;
}

static void one_case(const struct model *m, const struct tokenizer *t, const size_t sizes[4]) {
    struct str source = take(sizes[0]), messages = take(sizes[1]), tools = take(sizes[2]),
               extra = take(sizes[3]);
    struct chat_ask ask = {messages, tools, extra, true};
    struct arena a;
    struct err e;
    arena_init(&a, (size_t)1 << 30);
    if (render(m, t, source, &ask, &a, &e) != OK)
        printf("error %s %s\n", err_name(e.code), e.text);
    arena_deinit(&a);
    free((void *)(uintptr_t)source.p);
    free((void *)(uintptr_t)messages.p);
    free((void *)(uintptr_t)tools.p);
    free((void *)(uintptr_t)extra.p);
}

int main(int argc, char **argv) {
    struct import in;
    struct tokenizer *t;
    struct err e;
    size_t sizes[4];
    if (argc != 2)
        return 2;
    if (import_open(argv[1], &(struct format_limits){0}, &in, &e) != OK ||
        tokenizer_open(in.model, &t, &e) != OK) {
        fprintf(stderr, "render_chat: %s\n", e.text);
        return 1;
    }
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        char *p = line;
        for (int i = 0; i < 4; i++)
            sizes[i] = (size_t)strtoull(p, &p, 10);
        one_case(in.model, t, sizes);
    }
    tokenizer_close(t);
    import_close(&in);
    return 0;
}
