/* SPDX-License-Identifier: Apache-2.0 */
/* File formats: foreign bytes -> struct model. One file per format, one line in list.h.
 *
 * Readers run in a child process without network, file system or further processes, under limits of
 * memory and time (sandbox.c): they get the main file's bytes as a map and answer with a model
 * whose constants refer to byte ranges of the package's files. The model comes back through a pipe
 * in graph/wire form and is checked again by the parent. A crash, hang or over-use in the child is
 * a clear FORMAT or LIMIT error here. */
#pragma once

#include "graph/model.h"

struct import_file {
    struct str name; /* as in model->files */
    char path[4096];
    struct span bytes; /* mapped; owned by the import */
};

struct format_input {
    struct str name;                 /* base name of the main file */
    struct span bytes;               /* whole file, mapped */
    const struct import_file *files; /* [0]: the main file; then those `wants` named, by name */
    int n_files;                     /* at least 1 */
    struct arena *arena;
};

struct format {        /* const record at the bottom of each format's file */
    const char *name;  /* "onnx" */
    const char *about; /* "ONNX, opset 7-28" */
    /* Do these first bytes (up to 64 KiB, size: whole file) look like this format? By magic, never
     * by file name. MUST */
    bool (*sniff)(struct span head, uint64_t size);
    /* Does reading the main file take this one beside it too (a shard, a tokenizer)? Asked for
     * every file of its folder, by name only; with an empty main: is it ever only a part? MAY be
     * NULL: no */
    bool (*wants)(struct str main, struct str name);
    /* Parses; in the sandboxed child. Names operators by ours (node->op_name). MUST */
    enum code (*read)(const struct format_input *in, struct model **out, struct err *e);
};

#define FORMAT(name) extern const struct format format_##name;
#include "format/list.h"
#undef FORMAT

const char *format_names(void); /* "onnx", separated by spaces */

/* NULL when no format knows the bytes. */
const struct format *format_sniff(struct span head, uint64_t size);

struct format_limits {
    size_t memory_bytes; /* of the child beyond the mapped file; 0: 1 GiB */
    unsigned seconds;    /* CPU and wall; 0: 60 */
    bool in_process;     /* tests and fuzzers only: no child */
};

/* Must stay where it is until import_close: the model knows its arena. */
struct import { /* the result; all of it lives in `arena` and the maps until import_close */
    struct arena arena;
    const struct format *format;
    struct model *model;       /* verified; operators resolved; constants point into the maps */
    struct import_file *files; /* as the input's; then external data in model->files order */
    int n_files;
};

/* path: a file, or a folder with one model file in it. Finds the format, parses in the child, opens
 * external data beside the main file (no absolute path, no "..", no link out of the folder; range
 * inside the file), verifies. Errors name file, node, tensor or byte. */
MUST_USE enum code import_open(const char *path, const struct format_limits *l, struct import *out,
                               struct err *e);
void import_close(struct import *i);
