/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults of sampling: see preset.h. */
#include "llm/preset.h"

#define REAL(name, member)                                                                         \
    { "sample." name, offsetof(struct sample_options, member), false }
#define WHOLE(name, member)                                                                        \
    { "sample." name, offsetof(struct sample_options, member), true }

static const struct {
    const char *fact;
    size_t offset;
    bool whole; /* an int32_t, else a float */
} rows[PRESET_N] = {
    REAL("temperature", temperature),
    WHOLE("top_k", top_k),
    REAL("top_p", top_p),
    REAL("min_p", min_p),
    REAL("typical_p", typical),
    REAL("repetition_penalty", repeat_penalty),
    WHOLE("repeat_last_n", repeat_last),
};

const char *preset_name(int i) { return rows[i].fact + sizeof "sample." - 1; }

void preset_apply(const struct preset *p, struct sample_options *o) {
    for (int i = 0; i < PRESET_N; i++) {
        void *at = (char *)o + rows[i].offset;
        if (p->there[i] && rows[i].whole)
            *(int32_t *)at = (int32_t)p->values[i];
        else if (p->there[i])
            *(float *)at = p->values[i];
    }
}

enum code preset_read(const struct model *m, struct preset *out, struct err *e) {
    enum { WHOLE_MOST = 1 << 24 }; /* a float is exact up to here */
    struct preset p = {0};
    struct sample_options o;
    sample_options_default(&o);
    for (int i = 0; i < PRESET_N; i++) {
        const struct attr *a = model_fact(m, rows[i].fact);
        if (!a || (a->kind != ATTR_FLOAT && a->kind != ATTR_INT))
            continue;
        p.values[i] = a->kind == ATTR_FLOAT ? a->f : (float)a->i;
        p.there[i] = true;
        if (rows[i].whole && !(p.values[i] >= -1 && p.values[i] <= WHOLE_MOST))
            return fail(e, INVALID, "the model's own default: %s is %g", preset_name(i),
                        (double)p.values[i]);
    }
    preset_apply(&p, &o);
    if (sample_options_check(&o, 0, e) != OK)
        return err_prefix(e, "the model's own defaults");
    *out = p;
    return OK;
}
