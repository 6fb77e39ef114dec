/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's trace and log settings, as its REST and gRPC protocols share them: what may be said, and
 * what it means here.
 *
 * 1. trace_level TIMESTAMPS, trace_rate, trace_count: probe.h. Traces are lines of the log, so
 * trace_file, log_frequency and trace_mode stay as they are.
 * 2. log_info, log_warning, log_error: those levels of the log; log_verbose_level over 0: debug.
 * log_file and log_format stay as they are.
 * 3. A change is checked whole before any of it is done, and needs the right to control. */
#pragma once

#include "serve/probe.h"
#include "serve/protocol/protocol.h"

enum { SETTING_TEXTS = 4 };

struct setting { /* one, as asked for */
    struct str key;
    struct str texts[SETTING_TEXTS]; /* "TIMESTAMPS"; "500"; "true" */
    size_t n;                        /* 0: back to the default */
};

struct log_choice {
    bool info, warning, error;
    uint64_t verbose;
};

/* Into *p, *c, which hold what is now. */
MUST_USE enum code settings_trace(struct probe *p, const struct setting *s, struct err *e);
MUST_USE enum code settings_log(struct log_choice *c, const struct setting *s, struct err *e);
void settings_log_now(struct log_choice *out);
void settings_log_do(const struct log_choice *c);
/* The texts of trace_rate, trace_count. */
struct setting_numbers {
    char rate[24], count[24];
};
void settings_numbers(const struct probe *p, struct setting_numbers *out);
