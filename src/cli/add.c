/* SPDX-License-Identifier: Apache-2.0 */
/* slipway add: a file becomes the next version of a model. */
#include "cli/command.h"
#include "cli/facts.h"
#include "base/file.h"
#include "job/import.h"
#include "serve/recipe.h"
#include "serve/spec.h"

#include <stdlib.h>
#include <string.h>

struct options {
    const char *alias, *preprocess, *input, *output, *labels, *warmup, *pad, *draft;
    int64_t parent, seconds;
    uint64_t memory;
};

static enum code as_json(const struct job_imported *done, struct str model, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 20);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_str(&w, "model", model);
    json_put_member_i64(&w, "version", (int64_t)done->added.version);
    json_put_member_text(&w, "digest", done->added.digest);
    json_put_member_text(&w, "format", done->format);
    json_put_member_i64(&w, "new_bytes", (int64_t)done->added.new_bytes);
    json_put_member_bool(&w, "existed", done->added.existed);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code tell(struct cli *c, const struct job_imported *done, struct str model,
                      struct err *e) {
    if (c->json)
        return as_json(done, model, e);
    if (done->added.existed)
        printf("%.*s@%llu is this file already; nothing added\n", STR(model),
               (unsigned long long)done->added.version);
    else
        printf("%.*s@%llu  %s, %s written, %.12s\n", STR(model),
               (unsigned long long)done->added.version, done->format,
               print_size(&c->arena, done->added.new_bytes), done->added.digest);
    return OK;
}

static enum code model_name(struct cli *c, struct str *out, struct err *e) {
    char name[STORE_NAME_MAX + 1];
    struct store_ref r;
    if (c->n_args > 1) {
        TRY(store_ref_parse(str_of(c->args[1]), &r, e));
        if (r.version || r.alias.n)
            return fail(e, USAGE,
                        "'%s': give the model's name alone; the version number follows by itself",
                        c->args[1]);
        *out = r.model;
        return OK;
    }
    if (!job_import_name(c->args[0], name))
        return fail(e, USAGE,
                    "no model name can be made of '%s'; give one: slipway add SOURCE MODEL",
                    c->args[0]);
    *out = arena_str(&c->arena, str_of(name));
    return OK;
}

static enum code read_preprocess(struct cli *c, const struct options *o, struct job_import *j,
                                 struct err *e) {
    enum { CAP = 4 << 20 };
    struct recipe checked;
    if (o->input || o->output || o->labels) {
        struct spec s = {.input = str_of(o->input), .output = str_of(o->output)};
        if (o->preprocess)
            return fail(e, USAGE,
                        "--preprocess says it all: leave --input, --output, --labels out");
        if (o->labels)
            TRY(file_read(o->labels, CAP, &c->arena, &s.labels, e));
        TRY(spec_write(&s, &c->arena, &j->preprocess, e));
    } else if (o->preprocess) {
        TRY(file_read(o->preprocess, CAP, &c->arena, &j->preprocess, e));
    }
    enum code code = recipe_read(j->preprocess, &c->arena, &checked, e);
    j->text = code == OK && checked.text;
    return code == OK ? OK : err_prefix(e, "%s", o->preprocess ? o->preprocess : "--input");
}

static enum code run(struct cli *c, struct err *e) {
    const struct options *o = c->options;
    struct job_imported done;
    struct progress progress;
    char *full = realpath(c->args[0], NULL);
    struct job_import j = {
        .path = c->args[0],
        .warmup = o->warmup,
        .pad = str_of(o->pad ? o->pad : ""),
        .draft = str_of(o->draft ? o->draft : ""),
        .origin = str_of(full ? full : c->args[0]),
        .parent = o->parent > 0 ? (uint64_t)o->parent : 0,
        .limits = {.memory_bytes = o->memory, .seconds = o->seconds > 0 ? (unsigned)o->seconds : 0},
        .progress = progress_show,
        .progress_ctx = &progress,
    };
    progress_begin(&progress, c);
    enum code code = model_name(c, &j.model, e);
    if (code == OK)
        code = read_preprocess(c, o, &j, e);
    if (code == OK)
        code = job_import(c->store, &j, &done, e);
    progress_end(&progress);
    if (code == OK && o->alias)
        code = store_alias_set(c->store, j.model, str_of(o->alias), done.added.version, e);
    if (code == OK)
        code = tell(c, &done, j.model, e);
    free(full);
    return code;
}

static const struct option options[] = {
    {"alias", 'a', OPTION_TEXT, offsetof(struct options, alias), "NAME",
     "point this alias at the new version", NULL},
    {"input", 'i', OPTION_TEXT, offsetof(struct options, input), "SPEC",
     "what is sent: image:224x224,imagenet; text:256", NULL},
    {"output", 'o', OPTION_TEXT, offsetof(struct options, output), "SPEC",
     "what is answered: classes:5,softmax; boxes:yolov8; text", NULL},
    {"labels", 'L', OPTION_TEXT, offsetof(struct options, labels), "FILE",
     "names of the classes, one a line or JSON", NULL},
    {"preprocess", 'p', OPTION_TEXT, offsetof(struct options, preprocess), "FILE.json",
     "how images and texts become inputs, and outputs answers", NULL},
    {"pad", 0, OPTION_TEXT, offsetof(struct options, pad), "INPUT=VALUE,...",
     "requests of other lengths join, with these inputs filled up", NULL},
    {"warmup", 'w', OPTION_TEXT, offsetof(struct options, warmup), "FILE",
     "requests it answers before it is ready: TensorFlow Serving's records, or a tape", NULL},
    {"draft", 0, OPTION_TEXT, offsetof(struct options, draft), "MODEL[@VERSION]",
     "a language model's smaller one of the same vocabulary, which guesses for it", NULL},
    {"parent", 0, OPTION_INT, offsetof(struct options, parent), "N", "version it was made from",
     NULL},
    {"import-memory", 0, OPTION_SIZE, offsetof(struct options, memory), "SIZE",
     "limit of the reader (1G)", NULL},
    {"import-seconds", 0, OPTION_INT, offsetof(struct options, seconds), "N",
     "limit of the reader (60)", NULL},
    {0},
};

const struct command command_add = {
    .name = "add",
    .synopsis = "SOURCE [MODEL]",
    .about = "Add a model file as the next version of a model.",
    .help = "SOURCE is a file, or a folder with one model in it; the format is found by its bytes. "
            "It is read in a\n"
            "separate process without network or file system. Tensors that another version has are "
            "shared.\n\n"
            "  slipway add resnet50.onnx\n"
            "  slipway add rec.onnx ocr --alias prod\n"
            "  slipway add resnet50.onnx --input image:224x224,imagenet --output softmax --labels "
            "names.txt\n"
            "  slipway add yolov8n.onnx --input image,pad --output boxes:yolov8 --labels coco.txt\n"
            "  slipway add minilm/model.onnx --input text:256   tokenizer.json lies beside it\n"
            "  slipway add rec.onnx ocr --preprocess rec.json   images in, text out\n"
            "  slipway add tagger.onnx --pad tokens=0,mask=0   short requests beside long ones\n"
            "  slipway add rec.onnx ocr --warmup tf_serving_warmup_requests\n"
            "  slipway add big.gguf chat --draft small    small guesses, big decides: the same "
            "text, sooner\n\n"
            "Words of --input: WxH, imagenet, inception, unit, bytes; crop, pad, stretch, height, "
            "sides, centre;\n"
            "rgb, bgr, nchw, nhwc, linear, antialias; short=N, multiple=N, min=N, max=N, fill=N.\n"
            "Words of --output: classes:K, softmax; boxes:yolov8|yolov5, score=, iou=, most=, "
            "agnostic; text,\n"
            "blank=N, space. NAME= before either names the tensor.",
    .flags = COMMAND_STORE_CREATE,
    .min_args = 1,
    .max_args = 2,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};
