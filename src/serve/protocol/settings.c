/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: see settings.h. */
#include "serve/protocol/settings.h"

#include "base/log.h"

static enum code fixed(const struct setting *s, const char *value, struct err *e) {
    if (s->n == 0 || str_is(s->texts[0], value))
        return OK;
    return fail(e, UNSUPPORTED, "setting '%.*s' cannot be changed here: it is \"%s\"", STR(s->key),
                value);
}

/* --- traces --- */

static enum code take_level(struct probe *p, const struct setting *s, struct err *e) {
    bool on = false;
    for (size_t i = 0; i < s->n; i++) {
        if (str_is(s->texts[i], "TIMESTAMPS") || str_is(s->texts[i], "MIN") ||
            str_is(s->texts[i], "MAX"))
            on = true;
        else if (str_is(s->texts[i], "TENSORS"))
            return fail(
                e, UNSUPPORTED,
                "trace_level TENSORS: tensors do not go into the log; `slipway policy MODEL "
                "capture=1%%` keeps them");
        else if (!str_is(s->texts[i], "OFF"))
            return fail(e, INVALID, "trace_level '%.*s' is none of OFF, TIMESTAMPS",
                        STR(str_sub(s->texts[i], 0, 40)));
    }
    p->on = on;
    return OK;
}

enum code settings_trace(struct probe *p, const struct setting *s, struct err *e) {
    struct probe d;
    probe_default(&d);
    if (str_is(s->key, "trace_level"))
        return take_level(p, s, e);
    if (str_is(s->key, "trace_rate")) {
        p->rate = d.rate;
        return s->n == 0 || (str_to_u64(s->texts[0], &p->rate) && p->rate)
                   ? OK
                   : fail(e, INVALID, "trace_rate '%.*s' is no number from 1",
                          STR(str_sub(s->texts[0], 0, 40)));
    }
    if (str_is(s->key, "trace_count")) {
        p->count = d.count;
        return s->n == 0 || (str_to_i64(s->texts[0], &p->count) && p->count >= -1)
                   ? OK
                   : fail(e, INVALID, "trace_count '%.*s' is no number from -1",
                          STR(str_sub(s->texts[0], 0, 40)));
    }
    if (str_is(s->key, "log_frequency"))
        return fixed(s, "0", e);
    if (str_is(s->key, "trace_file"))
        return fixed(s, "", e);
    if (str_is(s->key, "trace_mode"))
        return fixed(s, "triton", e);
    return fail(e, INVALID, "unknown setting '%.*s'", STR(str_sub(s->key, 0, 80)));
}

void settings_numbers(const struct probe *p, struct setting_numbers *out) {
    snprintf(out->rate, sizeof out->rate, "%llu", (unsigned long long)p->rate);
    snprintf(out->count, sizeof out->count, "%lld", (long long)p->count);
}

/* --- the log --- */

static enum code take_truth(const struct setting *s, bool *out, struct err *e) {
    if (s->n && !str_is(s->texts[0], "true") && !str_is(s->texts[0], "false"))
        return fail(e, INVALID, "%.*s is true or false", STR(s->key));
    *out = s->n == 0 || str_is(s->texts[0], "true");
    return OK;
}

enum code settings_log(struct log_choice *c, const struct setting *s, struct err *e) {
    if (str_is(s->key, "log_info"))
        return take_truth(s, &c->info, e);
    if (str_is(s->key, "log_warning"))
        return take_truth(s, &c->warning, e);
    if (str_is(s->key, "log_error"))
        return take_truth(s, &c->error, e);
    if (str_is(s->key, "log_verbose_level")) {
        c->verbose = 0;
        return s->n == 0 || str_to_u64(s->texts[0], &c->verbose)
                   ? OK
                   : fail(e, INVALID, "log_verbose_level '%.*s' is no number",
                          STR(str_sub(s->texts[0], 0, 40)));
    }
    if (str_is(s->key, "log_file"))
        return fixed(s, "", e);
    if (str_is(s->key, "log_format"))
        return fixed(s, "default", e);
    return fail(e, INVALID, "unknown setting '%.*s'", STR(str_sub(s->key, 0, 80)));
}

/* How much more than "info": the log knows one such level, Triton several. Process-wide, as the log
 * is. */
static _Atomic uint64_t verbose = 1;

void settings_log_now(struct log_choice *out) {
    *out = (struct log_choice){.info = log_on(LOG_INFO),
                               .warning = log_on(LOG_WARN),
                               .error = log_on(LOG_ERROR),
                               .verbose = log_on(LOG_DEBUG) ? verbose : 0};
}

void settings_log_do(const struct log_choice *c) {
    log_set(LOG_INFO, c->info);
    log_set(LOG_WARN, c->warning);
    log_set(LOG_ERROR, c->error);
    log_set(LOG_DEBUG, c->verbose > 0);
    verbose = c->verbose ? c->verbose : 1;
}
