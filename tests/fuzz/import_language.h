/* SPDX-License-Identifier: Apache-2.0 */
/* Language models from memory: a folder of transformers as one input, and what is tried with a
 * model that came through: everything an import tries, and texts there and back. */
#pragma once

#include "import_bytes.h"

#include "llm/chat.h"
#include "llm/forward.h"

enum { LANGUAGE_FILES = 4 };

static inline struct span language_cut(struct span *rest) {
    const uint8_t *end = rest->n ? memchr(rest->p, 0, rest->n) : NULL;
    struct span part = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    size_t used = part.n + (end != NULL);
    *rest = (struct span){rest->p + used, rest->n - used};
    return part;
}

/* An input is config.json, a text that is tokenizer.json and tokenizer_config.json both, and the
 * weights, with a NUL between each and the next. */
static inline void language_folder(struct span data, struct import_file files[LANGUAGE_FILES]) {
    static const char *const names[LANGUAGE_FILES] = {"config.json", "tokenizer.json",
                                                      "tokenizer_config.json", "model.safetensors"};
    for (int f = 0; f < LANGUAGE_FILES; f++)
        files[f] = (struct import_file){.name = str_of(names[f])};
    files[0].bytes = language_cut(&data);
    files[1].bytes = files[2].bytes = language_cut(&data);
    files[3].bytes = data;
}

static inline void language_text(const struct tokenizer *t, struct str text, struct arena *a) {
    struct detokenizer d;
    struct err e;
    int32_t *ids = NULL;
    size_t n = 0;
    for (unsigned flags = 0; flags < 4; flags++) {
        if (tokenizer_encode(t, text, flags, a, &ids, &n, &e) != OK)
            return;
        detokenizer_begin(&d, t);
        for (size_t i = 0; i < n; i++)
            MUST(detokenizer_push(&d, ids[i]).n <= sizeof d.text);
        MUST(detokenizer_end(&d).n <= 3);
    }
}

static inline void language_chat(const struct model *m, const struct tokenizer *t,
                                 struct arena *a) {
    struct chat_ask ask = {.messages_json = LIT("[{\"role\": \"user\", \"content\": \"a <s>\"}]"),
                           .generation_prompt = true};
    struct chat_template *c;
    struct err e;
    int32_t *ids;
    size_t n;
    if (chat_open_model(m, t, &c, &e) != OK || !c)
        return;
    (void)!chat_tokens(c, &ask, a, &ids, &n, NULL, &e);
    chat_close(c);
}

static inline void language_try(const struct model *m) {
    static const struct str texts[] = {{" a b  <s><unk>\xe2\x96\x81 \xc3\xa9\xff\n", 23},
                                       {"ab", 2},
                                       {"", 0},
                                       {"\0\x01 A\xcc\x81", 6}};
    struct tokenizer *t;
    struct arena a;
    struct err e;
    if (!model_is_language(m))
        return;
    (void)!forward_check(m, &e);
    if (tokenizer_open(m, &t, &e) != OK)
        return;
    arena_init(&a, 1 << 24);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        language_text(t, texts[i], &a);
    language_chat(m, t, &a);
    arena_deinit(&a);
    tokenizer_close(t);
}
