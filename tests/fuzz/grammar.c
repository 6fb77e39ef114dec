/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes what constrains an answer. An input that begins with '{' is a JSON schema, whose grammar
 * must parse; any other is GBNF up to a zero byte, and a text to try on it behind that. */
#include "llm/grammar.h"
#include "llm/schema.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_schema(struct str json) {
    struct buf b;
    struct err e;
    struct grammar *g = NULL;
    buf_init(&b, GRAMMAR_BYTES);
    if (schema_grammar(json, &b, &e) == OK) {
        enum code code = grammar_parse(buf_str(&b), &g, &e);
        if (code != OK && code != ERR_LIMIT && code != ERR_INVALID && code != ERR_NOMEM) {
            fprintf(stderr, "%s\n", e.text);
            abort();
        }
        grammar_close(code == OK ? g : NULL);
    }
    buf_deinit(&b);
}

static void try_grammar(struct str input) {
    size_t at = input.n;
    struct grammar *g;
    struct err e;
    (void)str_find(input, '\0', &at);
    if (grammar_parse(str_sub(input, 0, at), &g, &e) != OK)
        return;
    (void)grammar_matches(g, str_sub(input, at + 1, input.n));
    grammar_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = {(const char *)data, size};
    if (size && data[0] == '{')
        try_schema(input);
    else
        try_grammar(input);
    return 0;
}
