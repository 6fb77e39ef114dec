/* SPDX-License-Identifier: Apache-2.0 */
/* Log: one line per event to stderr, as JSON or for people. Lines are built on the stack and
 * written with one write, so threads never mix lines; a level nobody reads costs one comparison. No
 * secret may be passed here. */
#pragma once

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_form { LOG_HUMAN, LOG_JSON };

void log_setup(enum log_level level, enum log_form form, int fd); /* once, before threads */
bool log_on(enum log_level level);
void log_set(enum log_level level, bool on); /* any thread, any time */

/* Fields after the message: LOG_S/LOG_I/LOG_F pairs. log_event(LOG_INFO, "loaded", 2, (struct
 * log_field[]){...}). */
struct log_field {
    const char *key;
    enum { LOG_STR, LOG_INT, LOG_FLOAT } kind;
    struct str text;
    int64_t integer;
    double number;
};
#define LOG_S(k, v) ((struct log_field){.key = (k), .kind = LOG_STR, .text = (v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .kind = LOG_INT, .integer = (int64_t)(v)})
#define LOG_F(k, v) ((struct log_field){.key = (k), .kind = LOG_FLOAT, .number = (v)})
void log_event(enum log_level level, const char *message, int n_fields,
               const struct log_field *fields);
void log_text(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
