/* SPDX-License-Identifier: Apache-2.0 */
/* A model file becomes the next version of a model: read in the sandbox, checked by opening a
 * session, then stored. Nothing is stored of a file that would not run. */
#pragma once

#include "format/format.h"
#include "store/store.h"

struct job_import {
    const char *path;       /* file, or folder holding one model */
    struct str model;       /* name to add to */
    struct str origin;      /* what the user typed */
    uint64_t parent;        /* 0: none */
    struct span preprocess; /* JSON, .n == 0: none */
    const char *warmup;     /* file of requests (job/warmup.h); NULL: WARMUP_FILE below a folder,
                               where there is one */
    struct span tapes;      /* requests before those, as a tape; .n == 0: none */
    struct str guise;       /* how clients see it (host/guise.h), .n == 0: as it is */
    struct str pad;         /* inputs that are padded (host/pad.h), .n == 0: none named */
    struct str draft;       /* model that guesses for it (host/loaded.h), .n == 0: none named */
    bool text;              /* it says that texts are sent: the model must have a tokenizer */
    struct format_limits limits;
    void (*progress)(void *ctx, const char *phase, uint64_t done, uint64_t total); /* may be NULL */
    void *progress_ctx;
};

struct job_imported {
    struct store_added added;
    const char *format; /* static: "onnx" */
};

MUST_USE enum code job_import(struct store *s, const struct job_import *j, struct job_imported *out,
                              struct err *e);

/* Whether a version has the guise and the warm-up that j says now. Its files are not looked at. */
MUST_USE enum code job_import_same(struct store *s, const struct job_import *j, uint64_t version,
                                   bool *same, struct err *e);

/* "rec" of ".../rec.onnx": a model name a store accepts, made from a path. false: nothing usable in
 * it. */
bool job_import_name(const char *path, char out[STORE_NAME_MAX + 1]);
