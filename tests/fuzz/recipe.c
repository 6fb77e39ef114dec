/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: what a version declares about its inputs and outputs, as people write it: the "preprocess"
 * part as JSON and, when the first byte is odd, as the flags of `slipway add` with labels of a file
 * ("input\noutput\nlabels"). What is read is used on a small image and a row of scores. */
#include "serve/image.h"
#include "serve/outcome.h"
#include "serve/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str line(struct str *text) {
    size_t at;
    struct str found = *text;
    if (!str_find(*text, '\n', &at))
        at = text->n;
    found = str_sub(found, 0, at);
    *text = str_sub(*text, at < text->n ? at + 1 : at, text->n);
    return found;
}

static enum code use(const struct recipe *r, struct arena *a, struct err *e) {
    static uint8_t pixels[4 * 3 * 3];
    static float scores[6] = {1, 2, 3, 4, 5, 6};
    const struct image image = {.pixels = pixels, .width = 4, .height = 3};
    const struct live_io io = {.name = LIT("x"), .dtype = DT_F32, .shape = {4, {-1, 3, -1, -1}}};
    const struct tensor t = {.dtype = DT_F32, .shape = {2, {2, 3}}, .data = scores};
    struct ask_tensor out[OUTCOME_MAX];
    struct str names[OUTCOME_MAX];
    struct recipe_view view;
    struct tensor made;
    TRY(recipe_image(r, &io, &image, a, &made, &view, e));
    return outcome_names(r, names) ? outcome_make(r, &t, &view, 0, a, out, e) : OK;
}

static enum code walk(struct str text, bool flags, struct arena *a, struct err *e) {
    struct span part = {(const uint8_t *)text.p, text.n};
    struct recipe recipe;
    if (flags) {
        struct spec spec = {.input = line(&text), .output = line(&text)};
        spec.labels = (struct span){(const uint8_t *)text.p, text.n};
        TRY(spec_write(&spec, a, &part, e));
    }
    TRY(recipe_read(part, a, &recipe, e));
    return use(&recipe, a, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct err e;
    if (size == 0)
        return 0;
    arena_init(&arena, 32 << 20);
    (void)walk((struct str){(const char *)data + 1, size - 1}, data[0] & 1, &arena, &e);
    arena_deinit(&arena);
    return 0;
}
