/* SPDX-License-Identifier: Apache-2.0 */
/* Language models as takers of asks of named tensors, for every protocol that speaks tensors.
 *
 * An encoder: text [n] -> embedding [n, width], tokens [n] (how many each text had). A model that
 * generates is asked through live_language (chat, completions, generate) and refuses asks. */
#include "host/in.h"

static struct live_io io(const char *name, enum dtype dtype, int rank, int64_t last) {
    struct live_io out = {.name = str_of(name), .dtype = dtype, .shape = {.rank = rank}};
    out.shape.dims[0] = -1;
    if (rank == 2)
        out.shape.dims[1] = last;
    return out;
}

enum code speech_open(struct live *l, struct err *e) {
    const struct language *g = l->loaded.language;
    struct live_io *all = ARENA_ARRAY(&l->loaded.arena, 3, struct live_io);
    if (!all)
        return arena_fail(&l->loaded.arena, 3 * sizeof *all, "signature", e);
    all[0] = io("text", DT_STRING, 1, 0);
    l->inputs = all;
    l->n_inputs = 1;
    l->outputs = all + 1;
    if (g->encoder) {
        all[1] = io("embedding", DT_F32, 2, (int64_t)forward_width(g->forward));
        all[2] = io("tokens", DT_I32, 1, 0);
        l->n_outputs = 2;
    } else {
        all[1] = io("text_output", DT_STRING, 1, 0);
        l->n_outputs = 1;
    }
    return OK;
}

static enum code embed(struct live *l, struct ask *a, struct err *e) {
    struct language *g = l->loaded.language;
    const struct tensor *text = &a->bound[0];
    struct shape rows = text->shape, vectors = {.rank = 2};
    size_t n = tensor_count(text);
    vectors.dims[0] = (int64_t)n;
    vectors.dims[1] = (int64_t)forward_width(g->forward);
    a->outputs = ARENA_ARRAY(a->arena, 2, struct ask_tensor);
    if (!a->outputs)
        return arena_fail(a->arena, 2 * sizeof *a->outputs, "outputs", e);
    a->outputs[0].name = l->outputs[0].name;
    a->outputs[1].name = l->outputs[1].name;
    TRY(tensor_new(a->arena, DT_F32, &vectors, &a->outputs[0].tensor, e));
    TRY(tensor_new(a->arena, DT_I32, &rows, &a->outputs[1].tensor, e));
    TRY(language_embed(g, text->data, n, a->cut_text, a->arena, a->outputs[0].tensor.data,
                       a->outputs[1].tensor.data, e));
    a->n_outputs = 2;
    return OK;
}

enum code speech_run(struct live *l, struct ask *a, struct err *e) {
    if (l->loaded.language->encoder)
        return embed(l, a, e);
    return fail(e, INVALID,
                "'%s' is a language model: ask it at /v1/chat/completions, /v1/completions or "
                "/v2/models/%s/generate",
                l->model, l->model);
}
