/* SPDX-License-Identifier: Apache-2.0 */
/* Open Inference Protocol over gRPC, inference: service inference.GRPCInferenceService of KServe
 * and Triton (docs/protocols/oip_grpc.md). What describes server and models is catalog_grpc.c.
 *
 * 1. raw_input_contents, when there are any, belong to all inputs in order and no input has
 * contents; the answer comes raw then, else in contents (FP16 and BF16 are always raw).
 * 2. Raw bytes are used where they lie in the message when their address suits the type; large raw
 * outputs leave from where the model left them.
 * 3. Inputs and outputs may lie in registered shared memory (memory.c); raw contents then belong to
 * the other inputs, and such an output's raw entry is empty.
 * 4. On ModelStreamInfer a failure is a message with error_message; the stream goes on. */
#include "serve/protocol/protocol.h"

#include "base/pb.h"
#include "serve/answer.h"
#include "serve/media.h"
#include "serve/grpc.h"
#include "serve/protocol/datatype.h"
#include "serve/protocol/rawtensor.h"
#include "serve/records.h"
#include "serve/trace.h"

enum { LARGE_BYTES = 16 << 10, LARGE_PARTS = 3 };

struct wanted {
    struct str name;
    int64_t classes;
    struct rawtensor_place place;
};

struct notes {
    struct str id;
    bool raw, final; /* as the answer shall be; triton_enable_empty_final_response */
    struct wanted *wanted;
    size_t n_wanted;
};

/* --- the request, first walk: what there is --- */

struct walk {
    struct span *inputs, *outputs, *raws; /* (n_) borrowed from the body */
    size_t n_inputs, n_outputs, n_raws;
    struct str name, version, id;
    struct span *parameters;
    size_t n_parameters;
    size_t next_raw;   /* of raws, for the next input that is not in shared memory */
    bool has_contents; /* of some input */
};

static enum code count_fields(struct request *r, size_t counts[8], struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number < 8)
            counts[f.number]++;
    }
}

static enum code take_field(const struct pb_field *f, struct walk *w, struct err *e) {
    switch (f->number) {
    case 1: return pb_str(f, &w->name, e);
    case 2: return pb_str(f, &w->version, e);
    case 3: return pb_str(f, &w->id, e);
    case 4: return pb_bytes(f, &w->parameters[w->n_parameters++], e);
    case 5: return pb_bytes(f, &w->inputs[w->n_inputs++], e);
    case 6: return pb_bytes(f, &w->outputs[w->n_outputs++], e);
    case 7: return pb_bytes(f, &w->raws[w->n_raws++], e);
    default: return OK;
    }
}

static enum code take_message(struct request *r, struct walk *w, struct err *e) {
    size_t counts[8] = {0};
    struct pb_field f;
    struct pb p;
    bool more;
    TRY(count_fields(r, counts, e));
    size_t n = counts[4] + counts[5] + counts[6] + counts[7];
    struct span *room = ARENA_ARRAY(r->arena, n + 1, struct span);
    if (!room)
        return arena_fail(r->arena, n * sizeof *room, "request", e);
    w->parameters = room;
    w->inputs = w->parameters + counts[4];
    w->outputs = w->inputs + counts[5];
    w->raws = w->outputs + counts[6];
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        TRY(take_field(&f, w, e));
    }
}

/* --- parameters --- */

struct parameter { /* a map entry: string to InferParameter */
    struct str key, text;
    int64_t number; /* bool, int64 or uint64 */
    bool is_number;
};

static enum code take_parameter_value(const struct pb_field *f, struct parameter *out,
                                      struct err *e) {
    struct pb_field v;
    struct pb p;
    bool more;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &v, &more, e));
        if (!more)
            return OK;
        if (v.number == 3) {
            TRY(pb_str(&v, &out->text, e));
        } else if (v.wire == PB_VARINT) {
            out->number = (int64_t)v.value;
            out->is_number = true;
        }
    }
}

static enum code take_parameter(struct span entry, struct parameter *out, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    *out = (struct parameter){0};
    pb_init(&p, entry);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == 1)
            TRY(pb_str(&f, &out->key, e));
        else if (f.number == 2)
            TRY(take_parameter_value(&f, out, e));
    }
}

static enum code take_parameters(struct request *r, const struct walk *w, struct notes *notes,
                                 struct err *e) {
    for (size_t i = 0; i < w->n_parameters; i++) {
        struct parameter p;
        TRY(take_parameter(w->parameters[i], &p, e));
        if (str_is(p.key, "timeout"))
            trace_timeout(r, p.number);
        else if (str_is(p.key, "priority"))
            trace_level(r, p.number);
        else if (str_is(p.key, "triton_enable_empty_final_response"))
            notes->final = p.number != 0;
    }
    return OK;
}

/* shared_memory_region, _byte_size, _offset of a tensor. */
static enum code take_place(const struct parameter *p, struct rawtensor_place *out, struct err *e) {
    if (!str_starts(p->key, "shared_memory_"))
        return OK;
    if (p->number < 0)
        return fail(e, INVALID, "%.*s may not be negative", STR(str_sub(p->key, 0, 40)));
    if (str_ends(p->key, "region"))
        out->region = p->text;
    else if (str_ends(p->key, "byte_size"))
        out->bytes = p->number;
    else if (str_ends(p->key, "offset"))
        out->offset = p->number;
    return OK;
}

/* --- inputs --- */

struct input {
    struct str name, datatype;
    struct shape shape;
    struct span contents;
    bool has_contents;
    struct rawtensor_place place;
};

static enum code take_dims(const struct pb_field *f, struct shape *s, struct err *e) {
    int64_t room[SHAPE_MAX * 2];
    struct buf b = {.p = (char *)room, .room = sizeof room, .cap_bytes = sizeof room};
    if (pb_i64s(f, &b, e) != OK) {
        if (b.code != OK)
            return fail(e, INVALID, "a tensor has at most %d dims", SHAPE_MAX);
        return e->code;
    }
    for (size_t i = 0; i < b.n / sizeof *room; i++) {
        if (room[i] < 0)
            return fail(e, INVALID, "a dim of a tensor may not be negative, got %lld",
                        (long long)room[i]);
        if (s->rank == SHAPE_MAX)
            return fail(e, INVALID, "a tensor has at most %d dims", SHAPE_MAX);
        s->dims[s->rank++] = room[i];
    }
    return OK;
}

static enum code take_input(struct span bytes, struct input *in, struct err *e) {
    struct parameter parameter;
    struct span entry;
    struct pb_field f;
    struct pb p;
    bool more;
    *in = (struct input){0};
    pb_init(&p, bytes);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        switch (f.number) {
        case 1: TRY(pb_str(&f, &in->name, e)); break;
        case 2: TRY(pb_str(&f, &in->datatype, e)); break;
        case 3: TRY(take_dims(&f, &in->shape, e)); break;
        case 4:
            TRY(pb_bytes(&f, &entry, e));
            TRY(take_parameter(entry, &parameter, e));
            TRY(take_place(&parameter, &in->place, e));
            break;
        case 5:
            TRY(pb_bytes(&f, &in->contents, e));
            in->has_contents = in->contents.n > 0;
            break;
        default: break;
        }
    }
}

/* The field of InferTensorContents that carries a type; 0: none does. */
static uint32_t field_of(enum dtype t) {
    switch (t) {
    case DT_BOOL: return 1;
    case DT_I8:
    case DT_I16:
    case DT_I32: return 2;
    case DT_I64: return 3;
    case DT_U8:
    case DT_U16:
    case DT_U32: return 4;
    case DT_U64: return 5;
    case DT_F32: return 6;
    case DT_F64: return 7;
    case DT_STRING: return 8;
    default: return 0;
    }
}

static enum code take_values(const struct pb_field *f, enum dtype t, struct buf *b, struct err *e) {
    struct str text;
    switch (t) {
    case DT_F32: return pb_f32s(f, b, e);
    case DT_F64: return pb_f64s(f, b, e);
    case DT_STRING:
        TRY(pb_str(f, &text, e));
        buf_put(b, &text, sizeof text);
        return buf_check(b, "strings", e);
    default: return pb_u64s(f, b, e);
    }
}

/* Eight bytes each, little-endian, become the type's size; in place. */
static void narrow(char *p, size_t n, size_t size, bool truth) {
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        memcpy(&v, p + i * sizeof v, sizeof v);
        v = truth ? v != 0 : v;
        memcpy(p + i * size, &v, size);
    }
}

static enum code read_contents(struct request *r, const struct input *in, struct tensor *out,
                               struct err *e) {
    enum dtype t = out->dtype;
    size_t count, width = t == DT_F32 ? 4 : t == DT_STRING ? sizeof(struct str) : 8;
    struct pb_field f;
    struct pb p;
    bool more;
    if (!field_of(t))
        return fail(e, INVALID, "input '%.*s': %s is carried in raw_input_contents only",
                    STR(in->name), datatype_name(t));
    struct buf *b = answer_buf(r, in->contents.n, e);
    if (!b)
        return e->code;
    pb_init(&p, in->contents);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == field_of(t))
            TRY(take_values(&f, t, b, e));
        else if (f.number <= 8)
            return fail(e, INVALID, "input '%.*s': contents do not belong to type %s",
                        STR(in->name), datatype_name(t));
    }
    if (!shape_count(&out->shape, &count) || count != b->n / width) {
        char text[SHAPE_TEXT];
        return fail(e, INVALID, "input '%.*s': shape %s, but contents have %zu values",
                    STR(in->name), shape_print(&out->shape, text), b->n / width);
    }
    if (width == 8 && t != DT_F64)
        narrow(b->p, count, dtype_size(t), t == DT_BOOL);
    out->data = b->p;
    return OK;
}

static enum code take_raw(struct request *r, struct walk *w, const struct input *in,
                          struct tensor *out, struct err *e) {
    if (in->has_contents)
        return fail(e, INVALID,
                    "contents field must not be specified when using raw_input_contents for '%.*s' "
                    "for model '%.*s'",
                    STR(in->name), STR(r->model));
    if (w->next_raw == w->n_raws)
        return fail(e, INVALID,
                    "expected tensor data for more than %zu inputs in raw_input_contents for model "
                    "'%.*s'",
                    w->n_raws, STR(r->model));
    return rawtensor_read(r->arena, w->raws[w->next_raw++], in->name, out, e);
}

static enum code decode_input(struct request *r, struct walk *w, size_t i, struct err *e) {
    struct ask_tensor *out = &r->ask.inputs[i];
    struct input in;
    TRY(take_input(w->inputs[i], &in, e));
    w->has_contents = w->has_contents || in.has_contents;
    out->name = in.name;
    out->tensor.shape = in.shape;
    if (!datatype_from(in.datatype, &out->tensor.dtype))
        return fail(e, INVALID, "input '%.*s': unknown datatype '%.*s'", STR(in.name),
                    STR(in.datatype));
    TRY(rawtensor_check(r, in.name, out->tensor.dtype, e));
    if (in.place.region.n)
        return in.has_contents
                   ? fail(e, INVALID, "input '%.*s' is in shared memory and in the message",
                          STR(in.name))
                   : rawtensor_fetch(r, &in.place, in.name, &out->tensor, e);
    return w->n_raws ? take_raw(r, w, &in, &out->tensor, e)
                     : read_contents(r, &in, &out->tensor, e);
}

static enum code decode_inputs(struct request *r, struct walk *w, struct err *e) {
    const struct live_io *io;
    size_t most = live_inputs(r->ask.live, &io);
    if (w->n_inputs > most)
        return fail(e, INVALID, "expected %zu inputs but got %zu inputs for model '%.*s'", most,
                    w->n_inputs, STR(r->model));
    TRY(records_room(r, w->n_inputs, e));
    for (size_t i = 0; i < w->n_inputs; i++) {
        TRY(decode_input(r, w, i, e));
        r->ask.n_inputs = i + 1;
    }
    if (w->next_raw != w->n_raws)
        return fail(e, INVALID,
                    "expected tensor data for %zu inputs but got %zu sets of data in "
                    "raw_input_contents for model '%.*s'",
                    w->next_raw, w->n_raws, STR(r->model));
    return OK;
}

/* --- outputs asked for --- */

static enum code take_output(struct span bytes, struct wanted *out, struct err *e) {
    struct parameter parameter;
    struct span entry;
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, bytes);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == 1)
            TRY(pb_str(&f, &out->name, e));
        if (f.number != 2)
            continue;
        TRY(pb_bytes(&f, &entry, e));
        TRY(take_parameter(entry, &parameter, e));
        TRY(take_place(&parameter, &out->place, e));
        if (str_is(parameter.key, "classification"))
            out->classes = parameter.number;
    }
}

static enum code decode_outputs(struct request *r, const struct walk *w, struct err *e) {
    struct notes *notes = r->notes;
    size_t most = media_names(r);
    if (w->n_outputs > most)
        return fail(e, INVALID, "more outputs asked for than the %zu model '%.*s' has", most,
                    STR(r->model));
    struct str *names = ARENA_ARRAY(r->arena, most + 1, struct str);
    notes->wanted = ARENA_ARRAY(r->arena, most + 1, struct wanted);
    if (!names || !notes->wanted)
        return arena_fail(r->arena, most * sizeof *names, "outputs", e);
    for (size_t i = 0; i < w->n_outputs; i++) {
        TRY(take_output(w->outputs[i], &notes->wanted[i], e));
        if (notes->wanted[i].classes < 0)
            return fail(e, INVALID, "classification may not be negative");
        names[i] = notes->wanted[i].name;
    }
    notes->n_wanted = r->ask.n_want = w->n_outputs;
    r->ask.want = names;
    return OK;
}

static enum code decode(struct request *r, struct err *e) {
    struct notes *notes = r->notes = ARENA_NEW(r->arena, struct notes);
    struct walk w = {0};
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    TRY(take_message(r, &w, e));
    notes->id = w.id;
    r->model = r->ask.model = w.name;
    TRY(request_version(r, w.version, e));
    TRY(request_route(r, e));
    TRY(take_parameters(r, &w, notes, e));
    TRY(decode_inputs(r, &w, e));
    notes->raw = w.n_raws > 0 || !w.has_contents;
    return decode_outputs(r, &w, e);
}

/* --- the answer --- */

/* Pieces of the answer: text of `b` between large tensors that stay where they are. */
struct pieces {
    struct buf *b;
    size_t cuts[LARGE_PARTS];
    struct span large[LARGE_PARTS];
    int n;
    bool may_cut;
};

static void put_contents(struct buf *b, const struct tensor *t) {
    uint32_t field = field_of(t->dtype);
    size_t n = tensor_count(t), packed = 0;
    const struct str *text = t->data;
    if (t->dtype == DT_F32 || t->dtype == DT_F64) {
        pb_put_bytes(b, field, t->data, tensor_bytes(t));
        return;
    }
    if (t->dtype != DT_STRING)
        packed = pb_put_begin(b, field);
    for (size_t i = 0; i < n; i++) {
        if (t->dtype == DT_STRING)
            pb_put_bytes(b, field, text[i].p, text[i].n);
        else
            pb_put_varint(b, (uint64_t)tensor_i64(t, i));
    }
    if (t->dtype != DT_STRING)
        pb_put_end(b, packed);
}

/* One in shared memory has an empty entry: the entries are those of the outputs, in order. */
static enum code put_raw(struct request *r, struct pieces *p, const struct tensor *t, bool shared,
                         struct err *e) {
    struct span bytes = {t->data, tensor_bytes(t)};
    if (shared) {
        pb_put_bytes(p->b, 6, "", 0);
        return OK;
    }
    if (t->dtype == DT_STRING)
        TRY(rawtensor_strings(r, t, &bytes, e));
    if (!p->may_cut || bytes.n < LARGE_BYTES || p->n == LARGE_PARTS) {
        pb_put_bytes(p->b, 6, bytes.p, bytes.n);
        return OK;
    }
    pb_put_head(p->b, 6, bytes.n);
    p->cuts[p->n] = p->b->n;
    p->large[p->n++] = bytes;
    return OK;
}

static size_t begin_parameter(struct buf *b, const char *key, size_t *value) {
    size_t entry = pb_put_begin(b, 4);
    pb_put_str(b, 1, str_of(key));
    *value = pb_put_begin(b, 2);
    return entry;
}

static void put_number(struct buf *b, const char *key, int64_t v) {
    size_t value, entry = begin_parameter(b, key, &value);
    pb_put_i64(b, 2, v);
    pb_put_end(b, value);
    pb_put_end(b, entry);
}

static enum code put_shared(struct request *r, struct buf *b, const struct rawtensor_place *p,
                            const struct ask_tensor *out, struct err *e) {
    size_t n, value, entry;
    TRY(rawtensor_store(r, p, out->name, &out->tensor, &n, e));
    entry = begin_parameter(b, "shared_memory_region", &value);
    pb_put_str(b, 3, p->region);
    pb_put_end(b, value);
    pb_put_end(b, entry);
    put_number(b, "shared_memory_byte_size", (int64_t)n);
    if (p->offset)
        put_number(b, "shared_memory_offset", p->offset);
    return OK;
}

static enum code put_output(struct request *r, struct pieces *p, struct ask_tensor *out,
                            const struct wanted *wanted, bool raw, struct err *e) {
    struct tensor *t = &out->tensor;
    bool shared = wanted && wanted->place.region.n;
    if (wanted && wanted->classes)
        TRY(rawtensor_classify(r->arena, t, wanted->classes, e));
    if (datatype_name(t->dtype)[0] == '\0')
        return fail(e, UNSUPPORTED,
                    "output '%.*s' has type %s, which this protocol has no name for",
                    STR(out->name), dtype_name(t->dtype));
    size_t at = pb_put_begin(p->b, 5);
    pb_put_str(p->b, 1, out->name);
    pb_put_str(p->b, 2, str_of(datatype_name(t->dtype)));
    size_t dims = pb_put_begin(p->b, 3);
    for (int d = 0; d < t->shape.rank; d++)
        pb_put_varint(p->b, (uint64_t)t->shape.dims[d]);
    pb_put_end(p->b, dims);
    if (shared)
        TRY(put_shared(r, p->b, &wanted->place, out, e));
    if (!raw && !shared) {
        size_t contents = pb_put_begin(p->b, 5);
        put_contents(p->b, t);
        pb_put_end(p->b, contents);
    }
    pb_put_end(p->b, at);
    return OK;
}

static bool all_raw(const struct request *r) {
    const struct notes *notes = r->notes;
    bool raw = notes->raw;
    for (size_t i = 0; i < r->ask.n_outputs; i++)
        raw = raw || !field_of(r->ask.outputs[i].tensor.dtype);
    return raw;
}

/* The k-th output of the answer: in the order asked for, or the model's. */
static struct ask_tensor *output_of(const struct request *r, size_t k,
                                    const struct wanted **wanted) {
    const struct notes *notes = r->notes;
    *wanted = NULL;
    if (!notes->n_wanted)
        return &r->ask.outputs[k];
    for (size_t i = 0; i < r->ask.n_outputs; i++)
        if (str_eq(r->ask.outputs[i].name, notes->wanted[k].name)) {
            *wanted = &notes->wanted[k];
            return &r->ask.outputs[i];
        }
    return NULL;
}

static enum code put_outputs(struct request *r, struct pieces *p, struct err *e) {
    const struct notes *notes = r->notes;
    size_t n = notes->n_wanted ? notes->n_wanted : r->ask.n_outputs;
    bool raw = all_raw(r);
    const struct wanted *wanted;
    for (size_t k = 0; k < n; k++) {
        struct ask_tensor *out = output_of(r, k, &wanted);
        if (out)
            TRY(put_output(r, p, out, wanted, raw, e));
    }
    for (size_t k = 0; raw && k < n; k++) {
        const struct ask_tensor *out = output_of(r, k, &wanted);
        if (out)
            TRY(put_raw(r, p, &out->tensor, wanted && wanted->place.region.n, e));
    }
    return OK;
}

static void put_final(struct buf *b) {
    size_t value, entry = begin_parameter(b, "triton_final_response", &value);
    pb_put_u64(b, 1, 1);
    pb_put_end(b, value);
    pb_put_end(b, entry);
}

static enum code send_pieces(struct request *r, const struct pieces *p, struct err *e) {
    size_t from = 0;
    TRY(buf_check(p->b, "answer", e));
    for (int i = 0; i < p->n; i++) {
        answer_span(r, (struct span){(const uint8_t *)p->b->p + from, p->cuts[i] - from});
        answer_span(r, p->large[i]);
        from = p->cuts[i];
    }
    answer_span(r, (struct span){(const uint8_t *)p->b->p + from, p->b->n - from});
    return OK;
}

static enum code encode(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    struct pieces p = {.b = answer_buf(r, 512, e), .may_cut = !r->parent};
    char version[24];
    size_t wrap = 0;
    if (!p.b)
        return e->code;
    if (r->parent) /* ModelStreamInferResponse */
        wrap = pb_put_begin(p.b, 2);
    snprintf(version, sizeof version, "%llu", (unsigned long long)live_version(r->ask.live));
    pb_put_str(p.b, 1, live_model(r->ask.live));
    pb_put_str(p.b, 2, str_of(version));
    if (notes->id.n)
        pb_put_str(p.b, 3, notes->id);
    if (r->parent && notes->final)
        put_final(p.b);
    TRY(put_outputs(r, &p, e));
    if (r->parent)
        pb_put_end(p.b, wrap);
    return send_pieces(r, &p, e);
}

static enum code fault(struct request *r, const struct err *cause, struct err *e) {
    const struct notes *notes = r->notes;
    struct buf *b = answer_buf(r, 256, e);
    if (!b)
        return e->code;
    pb_put_str(b, 1, str_of(cause->text));
    if (notes && notes->id.n) {
        size_t at = pb_put_begin(b, 2);
        pb_put_str(b, 3, notes->id);
        pb_put_end(b, at);
    }
    return answer_part(r, b, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/inference.GRPCInferenceService/ModelInfer", ROUTE_GRPC, NULL},
    {ROUTE_POST, "/inference.GRPCInferenceService/ModelStreamInfer", ROUTE_GRPC | ROUTE_BIDI, NULL},
};

const struct protocol protocol_oip_grpc = {
    .name = "oip_grpc",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
    .fault = fault,
};
