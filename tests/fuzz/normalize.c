/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes normalisation: the input's first byte says how many bytes of text follow, the rest is a
 * table of character mappings (precompiled_charsmap). Every step runs on the text. */
#include "llm/normalize.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const char *step, struct str map, struct str text) {
    struct str name = str_of(step), out = {0};
    struct attr facts[2] = {
        {.name = LIT("tok.normalize"), .kind = ATTR_STRS, .n = 1, .strs = &name},
        {.name = LIT("tok.charsmap"), .kind = ATTR_STR, .s = map}};
    struct model m = {.facts = facts, .n_facts = 2};
    struct normalizer n;
    struct arena a;
    struct err e = {0};
    volatile unsigned sum = 0;
    arena_init(&a, 1 << 24);
    if (normalizer_open(&m, &n, &e) == OK && normalizer_run(&n, text, &a, &out, &e) == OK) {
        for (size_t i = 0; i < out.n; i++)
            sum += (uint8_t)out.p[i];
        (void)sum;
        if (out.n > NORMALIZE_GROWTH * text.n + 64)
            abort();
    } else if (!e.text[0]) {
        abort();
    }
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const steps[] = {"nfc",         "charsmap", "charsmap_hf",   "strip_left",
                                        "strip_right", "squeeze",  "squeeze_blank", "words",
                                        "spaces",      "prepend",  "blanks"};
    size_t n = size ? data[0] : 0;
    if (size < n + 1)
        return 0;
    struct str text = {(const char *)data + 1, n}, map = {(const char *)data + 1 + n, size - 1 - n};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        run(steps[i], map, text);
    return 0;
}
