/* SPDX-License-Identifier: Apache-2.0 */
/* Log: see log.h. A line longer than LINE_BYTES loses its last fields, never its closing bracket or
 * newline, and says so
 * ("cut"). Control characters are escaped in both forms, so that nothing from outside can forge a
 * line. */
#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, ROOM_FOR_END = 16 };

static struct {
    _Atomic unsigned levels; /* 1 << level of those that are written */
    enum log_form form;
    int fd;
} to = {(2u << LOG_INFO) - 1, LOG_HUMAN, 2};

static const char *const names[] = {"error", "warn", "info", "debug"};

struct line {
    size_t n;
    bool cut;
    char p[LINE_BYTES];
};

void log_setup(enum log_level level, enum log_form form, int fd) {
    atomic_store(&to.levels, (2u << level) - 1);
    to.form = form;
    to.fd = fd;
}

bool log_on(enum log_level level) {
    return atomic_load_explicit(&to.levels, memory_order_relaxed) >> level & 1;
}

void log_set(enum log_level level, bool on) {
    if (on)
        atomic_fetch_or(&to.levels, 1u << level);
    else
        atomic_fetch_and(&to.levels, ~(1u << level));
}

static void put(struct line *l, const char *p, size_t n) {
    if (l->cut || n > sizeof l->p - ROOM_FOR_END - l->n) {
        l->cut = true;
        return;
    }
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void put_text(struct line *l, const char *text) { put(l, text, strlen(text)); }

/* Escapes what could end the string or the line; keeps valid UTF-8; everything else becomes \u00xx.
 */
static void put_escaped(struct line *l, struct str s) {
    for (size_t at = 0; at < s.n && !l->cut;) {
        size_t n = utf8_length(s.p + at, s.n - at);
        unsigned char c = (unsigned char)s.p[at];
        char escape[8];
        if (c == '"' || c == '\\') {
            put(l, (char[]){'\\', (char)c}, 2);
            n = 1;
        } else if (n == 0 || c < 0x20 || c == 0x7f) {
            put(l, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
            n = 1;
        } else
            put(l, s.p + at, n);
        at += n;
    }
}

static void put_quoted(struct line *l, struct str s) {
    put_text(l, "\"");
    put_escaped(l, s);
    put_text(l, "\"");
}

static void put_value(struct line *l, const struct log_field *f) {
    char number[32];
    switch (f->kind) {
    case LOG_STR: put_quoted(l, f->text); return;
    case LOG_INT: snprintf(number, sizeof number, "%lld", (long long)f->integer); break;
    case LOG_FLOAT:
        if (isfinite(f->number))
            snprintf(number, sizeof number, "%.6g", f->number);
        else
            snprintf(number, sizeof number, "null");
        break;
    }
    put_text(l, number);
}

/* One field whole or not at all. */
static void put_field(struct line *l, const struct log_field *f, const char *before,
                      const char *between) {
    size_t start = l->n;
    bool json = to.form == LOG_JSON;
    put_text(l, before);
    put_text(l, json ? "\"" : "");
    put_escaped(l, str_of(f->key));
    put_text(l, json ? "\"" : "");
    put_text(l, between);
    put_value(l, f);
    if (l->cut)
        l->n = start;
}

static void put_end(struct line *l, const char *end) { /* ROOM_FOR_END holds the longest */
    size_t n = strlen(end);
    memcpy(l->p + l->n, end, n);
    l->n += n;
}

static void put_json(struct line *l, const char *time, enum log_level level, struct str message,
                     int n, const struct log_field *fields) {
    put_text(l, "{\"time\":\"");
    put_text(l, time);
    put_text(l, "\",\"level\":\"");
    put_text(l, names[level]);
    put_text(l, "\",\"message\":\"");
    put_escaped(l, str_sub(message, 0, LINE_BYTES / 2));
    l->cut = false;
    put_text(l, "\"");
    for (int field = 0; field < n && !l->cut; field++)
        put_field(l, &fields[field], ",", ":");
    put_end(l, l->cut ? ",\"cut\":true}\n" : "}\n");
}

static void put_human(struct line *l, const char *time, enum log_level level, struct str message,
                      int n, const struct log_field *fields) {
    put(l, time + 11, 12); /* 14:05:09.123 */
    put_text(l, " ");
    put_text(l, names[level]);
    put_text(l, " ");
    put_escaped(l, str_sub(message, 0, LINE_BYTES / 2));
    l->cut = false;
    for (int field = 0; field < n && !l->cut; field++)
        put_field(l, &fields[field], " ", "=");
    put_end(l, l->cut ? " (cut)\n" : "\n");
}

static void write_line(struct str message, enum log_level level, int n,
                       const struct log_field *fields) {
    struct line l = {.n = 0};
    char time[CLOCK_TEXT];
    clock_print(clock_wall_us(), time);
    (to.form == LOG_JSON ? put_json : put_human)(&l, time, level, message, n, fields);
    if (write(to.fd, l.p, l.n) < 0)
        return; /* a log that cannot be written has nobody to be told */
}

void log_event(enum log_level level, const char *message, int n_fields,
               const struct log_field *fields) {
    if (log_on(level))
        write_line(str_of(message), level, n_fields, fields);
}

void log_text(enum log_level level, const char *format, ...) {
    if (!log_on(level))
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_line(str_of(text), level, 0, NULL);
}
