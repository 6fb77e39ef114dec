/* SPDX-License-Identifier: Apache-2.0 */
/* Between the parts of the Hugging Face reader: huggingface.c (the folder), hf_config.c (sizes),
 * hf_tokenizer.c and hf_pieces.c (text), hf_names.c (tensors), hf_object.c (JSON by key). */
#pragma once

#include "format/fact_list.h"
#include "format/format.h"

struct hf_member {
    struct str key, raw; /* raw: the value's JSON */
};

struct hf_object { /* one JSON object, its members unparsed */
    struct hf_member *members;
    size_t n;
    struct arena *arena;
};

/* Text that is no object gives FORMAT; .n == 0 gives no members. */
MUST_USE enum code hf_object_read(struct str text, struct arena *a, struct hf_object *out,
                                  struct err *e);
/* false: absent, or null. */
bool hf_object_find(const struct hf_object *o, const char *key, struct str *raw);
/* *found false and *out untouched when absent or null; FORMAT when it is something else. */
MUST_USE enum code hf_object_int(const struct hf_object *o, const char *key, bool *found,
                                 int64_t *out, struct err *e);
MUST_USE enum code hf_object_real(const struct hf_object *o, const char *key, bool *found,
                                  double *out, struct err *e);
MUST_USE enum code hf_object_bool(const struct hf_object *o, const char *key, bool *out,
                                  struct err *e); /* absent: *out stays */
MUST_USE enum code hf_object_text(const struct hf_object *o, const char *key, struct str *out,
                                  struct err *e); /* absent: *out stays */
/* Absent: no members. */
MUST_USE enum code hf_object_object(const struct hf_object *o, const char *key,
                                    struct hf_object *out, struct err *e);

struct hf_reader {
    const struct format_input *in;
    struct arena *a;
    struct model *m;
    struct fact_list facts;
    struct hf_object config; /* of the text part */
    struct str arch;
    bool tied;
    int64_t skipped_positions; /* rows of the position table before that of the first token */
};

/* Bytes of a file of the folder as text; false: it is not there. */
bool hf_file(const struct hf_reader *r, const char *name, struct str *out);

/* config.json: finds arch, puts sizes; the pooling of sentence transformers. */
MUST_USE enum code hf_config_read(struct hf_reader *r, struct err *e);
/* tokenizer.json, tokenizer_config.json, generation_config.json, chat_template*. */
MUST_USE enum code hf_tokenizer_read(struct hf_reader *r, struct err *e);
/* hf_pieces.c: what tokenizer.json says around its vocabulary: normalizer, pre_tokenizer,
 * post_processor. */
MUST_USE enum code hf_pieces_read(struct hf_reader *r, const struct hf_object *json,
                                  struct str kind, struct err *e);
/* Hugging Face's name of a tensor as GGUF's; .n == 0: not needed. ctx: struct hf_reader. */
struct str hf_names_translate(void *ctx, struct str name, char text[160]);
