/* SPDX-License-Identifier: Apache-2.0 */
/* What a command is: one file, one line in list.h. The only floor that prints and decides exit
 * statuses. */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "store/store.h"
#include "tensor/dtype.h"

#include <stdio.h>

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_SIZE, OPTION_LIST };

enum { OPTION_LIST_MAX = 32 };
struct option_list {
    const char *items[OPTION_LIST_MAX];
    int n;
};

struct option {       /* in a command's static table; ends with a NULL name */
    const char *name; /* "listen": --listen X or --listen=X */
    char letter;      /* 'l', or 0 */
    enum option_kind kind;
    size_t offset; /* of the field in the command's own options struct: bool, const char *, int64_t,
                      uint64_t (SIZE: 64k, 10M, 2G), struct option_list */
    const char *value;       /* "ADDR:PORT" for help */
    const char *about;       /* one line */
    const char *environment; /* read when the flag is absent, or NULL */
};

enum command_flag {
    COMMAND_STORE = 1 << 0,        /* opens the store; NOT_FOUND when absent */
    COMMAND_STORE_CREATE = 1 << 1, /* creates it */
};

struct cli { /* of one invocation */
    struct arena arena;
    struct store *store; /* when the command asks for it */
    const char *store_path;
    bool json, quiet, color, terminal; /* terminal: stderr is one */
    char **args;                       /* positional */
    int n_args;
    void *options; /* the command's options struct, filled */
};

struct command {
    const char *name;
    const char *synopsis; /* "SOURCE [MODEL]" */
    const char *about;    /* one line, for the list */
    const char *help;     /* paragraphs and examples */
    unsigned flags;
    int min_args, max_args; /* max -1: any */
    size_t options_bytes;
    const struct option *options;
    enum code (*run)(struct cli *c, struct err *e);
};

#define COMMAND(name) extern const struct command command_##name;
#include "cli/list.h"
#undef COMMAND

size_t command_count(void);
const struct command *command_at(size_t index);
const struct command *command_find(const char *name);

/* --- parsing (options.c) --- */
/* Fills c->options, c->args, --store, --json, --quiet from argv[1..]; *help is set by --help. USAGE
 * names the flag. */
MUST_USE enum code options_parse(const struct command *k, int argc, char **argv, struct cli *c,
                                 bool *help, struct err *e);
void options_help(const struct command *k, FILE *to);
MUST_USE enum code options_size(const char *text, uint64_t *out,
                                struct err *e); /* "64k" "10M" "2G" */
/* --kv-type of language models. NULL: DT_NONE, the engine's own choice. */
#define OPTIONS_KV_TYPE                                                                            \
    "of cached keys and values: f16 (default), bf16, q8_0 (half the memory), f32"
MUST_USE enum code options_kv_type(const char *text, enum dtype *out, struct err *e);

/* --- printing (print.c) --- */
struct table { /* columns aligned by the widest cell; right: numbers */
    const char *heads[12];
    bool right[12];
    int columns;
    const char *const *cells; /* (rows, columns) */
    size_t rows;
};
void print_table(const struct cli *c, const struct table *t);
char *print_size(struct arena *a, uint64_t bytes);   /* "4.2 MB" */
char *print_count(struct arena *a, uint64_t n);      /* "25.6 M" */
char *print_when(struct arena *a, uint64_t wall_us); /* "2026-11-23 14:05" local time */
char *print_duration(struct arena *a, uint64_t ns);  /* "12.3 ms" */
/* One JSON document to stdout with a newline; the buffer is the document. */
MUST_USE enum code print_json(const struct buf *b, struct err *e);

struct progress { /* a bar on a terminal after a second, plain lines otherwise never more than one
                     per phase */
    const struct cli *cli;
    const char *phase;
    uint64_t began_ns, drawn_ns;
    bool drawn;
};
void progress_begin(struct progress *p, const struct cli *c);
void progress_show(void *progress, const char *phase, uint64_t done, uint64_t total);
void progress_end(struct progress *p); /* wipes the bar */
