/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes chat templates: the input is a template, rendered for a conversation that has a bit of
 * everything. What comes out marked as foreign must have come in. */
#include "llm/jinja.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char messages[] =
    "[{\"role\": \"system\", \"content\": \"x\"}, {\"role\": \"user\", \"content\": [{\"type\": "
    "\"text\", \"text\": \"h\\u00e9\"}], \"n\": 1.5}, {\"role\": \"assistant\", \"content\": null, "
    "\"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": [1, true]}}}]}]";

static bool render(const struct jinja *j, struct arena *a, struct text *out) {
    struct dict globals = {0};
    struct datum v;
    struct err e;
    if (datum_from_json(str_of(messages), a, &v, &e) != OK ||
        !dict_put(&globals, datum_text(LIT("messages")), v, a))
        abort();
    return jinja_render(j, &globals, a, out, &e) == OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct jinja *j;
    struct text out = {0};
    struct err e = {0};
    arena_init(&a, (size_t)64 << 20);
    enum code code = jinja_parse((struct str){(const char *)data, size}, &a, &j, &e);
    if (code == OK && render(j, &a, &out)) {
        volatile unsigned sum = 0;
        for (size_t i = 0; i < out.n; i++)
            sum += (uint8_t)out.p[i] + (out.foreign ? out.foreign[i] : 0u);
        (void)sum;
    } else if (code != OK && e.text[0] == '\0') {
        abort();
    }
    arena_deinit(&a);
    return 0;
}
