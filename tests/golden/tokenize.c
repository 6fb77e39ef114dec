/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes and decodes texts with the tokenizer of a model, for comparison with others:
 *
 *     tokenize MODEL FLAGS < texts    flags: as tokenizer_encode takes them
 *
 * Each text on standard input is a line with its number of bytes, then the bytes. For each, one
 * line of ids comes out, and one with the number of bytes of what they decode to, then these bytes.
 */
#include "format/format.h"
#include "llm/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

static void die(const struct err *e) {
    fprintf(stderr, "tokenize: %s\n", e->text);
    exit(1);
}

static void decode(const struct tokenizer *t, const int32_t *ids, size_t n, struct buf *out) {
    struct detokenizer d;
    detokenizer_begin(&d, t);
    for (size_t i = 0; i < n; i++) {
        struct str part = detokenizer_push(&d, ids[i]);
        buf_put(out, part.p, part.n);
    }
    struct str part = detokenizer_end(&d);
    buf_put(out, part.p, part.n);
}

static void one(const struct tokenizer *t, struct str text, unsigned flags) {
    struct arena a;
    struct buf out;
    struct err e;
    int32_t *ids;
    size_t n;
    arena_init(&a, (size_t)1 << 30);
    buf_init(&out, (size_t)1 << 28);
    if (tokenizer_encode(t, text, flags, &a, &ids, &n, &e) != OK)
        die(&e);
    for (size_t i = 0; i < n; i++)
        printf(i ? " %d" : "%d", ids[i]);
    decode(t, ids, n, &out);
    printf("\n%zu\n", out.n);
    fwrite(out.p, 1, out.n, stdout);
    putchar('\n');
    buf_deinit(&out);
    arena_deinit(&a);
}

int main(int argc, char **argv) {
    struct import in;
    struct tokenizer *t;
    struct err e;
    char line[64];
    if (argc != 3)
        return 2;
    if (import_open(argv[1], &(struct format_limits){0}, &in, &e) != OK ||
        tokenizer_open(in.model, &t, &e) != OK)
        die(&e);
    while (fgets(line, sizeof line, stdin)) {
        size_t n = (size_t)strtoull(line, NULL, 10);
        char *text = malloc(n + 1);
        if (!text || fread(text, 1, n, stdin) != n)
            return 1;
        one(t, (struct str){text, n}, (unsigned)strtoul(argv[2], NULL, 10));
        free(text);
    }
    tokenizer_close(t);
    import_close(&in);
    return 0;
}
