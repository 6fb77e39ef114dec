/* SPDX-License-Identifier: Apache-2.0 */
/* Classifications and regressions: see tfresult.h. */
#include "serve/protocol/tfresult.h"

#include "serve/media.h"

static const struct ask_tensor *output_named(const struct ask *a, const char *name) {
    for (size_t i = 0; i < a->n_outputs; i++)
        if (str_is(a->outputs[i].name, name))
            return &a->outputs[i];
    return NULL;
}

/* By its name in classic signatures, else the first one of floats; NULL: neither. */
static const struct ask_tensor *numbers(const struct ask *a, const char *name) {
    const struct ask_tensor *o = output_named(a, name);
    for (size_t i = 0; !o && i < a->n_outputs; i++)
        if (dtype_is_float(a->outputs[i].tensor.dtype))
            o = &a->outputs[i];
    return o && o->tensor.dtype != DT_STRING && o->tensor.shape.rank > 0 ? o : NULL;
}

enum code tfresult_classes(struct request *r, struct tfresult *out, struct err *e) {
    const struct ask_tensor *scores = numbers(&r->ask, "scores"),
                            *names = output_named(&r->ask, "classes");
    if (!scores)
        return fail(e, INVALID, "Expected a classification: the model has no output of scores");
    TRY(media_read(r, e));
    size_t rows = (size_t)scores->tensor.shape.dims[0], n = tensor_count(&scores->tensor);
    bool named = names && names->tensor.dtype == DT_STRING && tensor_count(&names->tensor) == n;
    *out = (struct tfresult){
        .scores = &scores->tensor,
        .rows = rows,
        .classes = rows ? n / rows : 0,
        .names = named ? names->tensor.data : NULL,
        .columns = scores->columns,
        .recipe = &r->media->recipe,
    };
    return OK;
}

enum code tfresult_label(const struct tfresult *t, size_t at, struct arena *a, struct str *out,
                         struct err *e) {
    size_t class = at % t->classes;
    if (!t->names && !t->columns)
        return outcome_label(t->recipe, class, a, out, e);
    *out = t->names ? t->names[at] : t->columns[class];
    return OK;
}

enum code tfresult_values(const struct ask *a, const struct tensor **out, struct err *e) {
    const struct ask_tensor *o = numbers(a, "outputs");
    if (!o || tensor_count(&o->tensor) != (size_t)o->tensor.shape.dims[0])
        return fail(e, INVALID,
                    "Expected a regression: the model has no output of one number a row");
    *out = &o->tensor;
    return OK;
}
