/* SPDX-License-Identifier: Apache-2.0 */
/* Open Inference Protocol (KServe V2) over REST with Triton's binary tensor extension:
 * docs/protocols/oip.md. Inference only: what describes server and models is catalog.c.
 *
 *   POST /v2/models/M[/versions/V]/infer
 *     body: JSON                                              application/json
 *     body: JSON, then raw tensors in the order of "inputs"   Inference-Header-Content-Length:
 * bytes of the JSON body: one raw tensor Inference-Header-Content-Length: 0
 *
 * 1. A binary input is used where it lies in the body; it is copied only when its address does not
 * suit its type.
 * 2. The sizes of the binary inputs add up to exactly what follows the JSON.
 * 3. An output is binary when it asks for it, or when the request does and it does not say
 * otherwise.
 * 4. BYTES elements are a little-endian uint32 length and that many bytes, in both directions.
 * 5. FP16 and BF16 have no JSON form in the specification: numbers are taken and given, as KServe
 * does. NaN and Infinity are bare words both ways, as Triton writes them. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/event.h"
#include "serve/in.h"
#include "serve/media.h"
#include "serve/protocol/datatype.h"
#include "serve/protocol/rawtensor.h"
#include "serve/records.h"
#include "serve/trace.h"
#include "serve/typed.h"

enum { NAME_ROOM = 240 };

struct wanted { /* an entry of the request's "outputs" */
    struct str name;
    enum { BY_DEFAULT, BINARY, AS_JSON } how;
    int64_t classes; /* classification extension; 0: the tensor itself */
    struct rawtensor_place place;
};

struct notes {
    struct str id;
    bool binary; /* binary_data_output */
    struct wanted *wanted;
    size_t n_wanted;
    struct span raw; /* what follows the JSON and no input has taken yet */
    size_t header;   /* bytes of the JSON */
};

/* --- one input --- */

struct input { /* as read */
    struct str name;
    struct shape shape;
    bool shaped, sized, has_data, taken;
    enum dtype dtype;
    uint64_t raw_bytes; /* binary_data_size */
    struct rawtensor_place place;
    struct json data; /* the reader at "data", when that came before "datatype" */
    struct typed values;
};

/* *mine false: another parameter. */
static enum code take_place(struct json *j, struct str key, struct rawtensor_place *p, bool *mine,
                            struct err *e) {
    *mine = true;
    if (str_is(key, "shared_memory_region"))
        return json_string(j, &p->region, e);
    if (str_is(key, "shared_memory_byte_size") || str_is(key, "shared_memory_offset")) {
        int64_t *into = str_ends(key, "offset") ? &p->offset : &p->bytes;
        TRY(json_i64(j, into, e));
        return *into < 0 ? json_fail(j, e, "%.*s may not be negative", STR(key)) : OK;
    }
    *mine = false;
    return OK;
}

static enum code take_shape(struct json *j, struct shape *out, struct err *e) {
    struct shape s = {0};
    bool more;
    TRY(json_enter_array(j, e));
    for (;;) {
        int64_t dim;
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        TRY(json_i64(j, &dim, e));
        if (dim < 0)
            return json_fail(j, e, "a dim of a tensor may not be negative, got %lld",
                             (long long)dim);
        if (s.rank == SHAPE_MAX)
            return json_fail(j, e, "a tensor has at most %d dims", SHAPE_MAX);
        s.dims[s.rank++] = dim;
    }
    *out = s;
    return OK;
}

static enum code take_datatype(struct json *j, enum dtype *out, struct err *e) {
    struct str text;
    TRY(json_string(j, &text, e));
    if (!datatype_from(text, out))
        return json_fail(j, e,
                         "unknown datatype '%.*s'; known are BOOL, UINT8..UINT64, INT8..INT64, "
                         "FP16, BF16, FP32, "
                         "FP64, BYTES",
                         STR(text));
    return OK;
}

static enum code take_values(struct request *r, struct json *j, struct input *in, struct err *e) {
    size_t likely = (size_t)(j->end - j->p) / 4 + 1, n;
    if (in->shaped && shape_count(&in->shape, &n) && n < likely * 2)
        likely = n;
    TRY(typed_begin(&in->values, r, in->dtype, likely, e));
    TRY(typed_take(&in->values, j, e));
    in->taken = true;
    return OK;
}

static enum code take_input_parameters(struct json *j, struct input *in, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        bool mine;
        TRY(take_place(j, key, &in->place, &mine, e));
        if (mine)
            continue;
        if (!str_is(key, "binary_data_size")) {
            TRY(json_skip(j, NULL, e));
            continue;
        }
        int64_t bytes;
        TRY(json_i64(j, &bytes, e));
        if (bytes < 0)
            return json_fail(j, e, "binary_data_size may not be negative");
        in->raw_bytes = (uint64_t)bytes;
        in->sized = true;
    }
}

static enum code take_input_key(struct request *r, struct json *j, struct str key, struct input *in,
                                struct err *e) {
    if (str_is(key, "name"))
        return json_string(j, &in->name, e);
    if (str_is(key, "datatype"))
        return take_datatype(j, &in->dtype, e);
    if (str_is(key, "parameters"))
        return take_input_parameters(j, in, e);
    if (str_is(key, "shape")) {
        in->shaped = true;
        return take_shape(j, &in->shape, e);
    }
    if (!str_is(key, "data"))
        return json_skip(j, NULL, e);
    in->has_data = true;
    if (in->dtype != DT_NONE)
        return take_values(r, j, in, e);
    in->data = *j;
    return json_skip(j, NULL, e);
}

static enum code end_json(struct request *r, struct input *in, struct tensor *out, struct err *e) {
    size_t count;
    if (!in->taken)
        TRY(take_values(r, &in->data, in, e));
    TRY(typed_end(&in->values, false, out, e));
    size_t given = tensor_count(out);
    if (!shape_count(&in->shape, &count) || count != given) {
        char text[SHAPE_TEXT];
        return fail(e, INVALID, "input '%.*s': shape %s holds %zu values, data has %zu",
                    STR(in->name), shape_print(&in->shape, text),
                    shape_count(&in->shape, &count) ? count : 0, given);
    }
    out->shape = in->shape; /* data may be nested or flat */
    return OK;
}

static enum code end_input(struct request *r, struct input *in, struct ask_tensor *out,
                           struct err *e) {
    struct notes *notes = r->notes;
    if (in->name.n == 0 || !in->shaped || in->dtype == DT_NONE)
        return fail(e, INVALID, "input '%.*s': \"name\", \"shape\" and \"datatype\" must be given",
                    STR(in->name));
    TRY(rawtensor_check(r, in->name, in->dtype, e));
    *out =
        (struct ask_tensor){.name = in->name, .tensor = {.dtype = in->dtype, .shape = in->shape}};
    if (in->place.region.n)
        return in->has_data || in->sized
                   ? fail(e, INVALID, "input '%.*s' is in shared memory and in the body",
                          STR(in->name))
                   : rawtensor_fetch(r, &in->place, in->name, &out->tensor, e);
    if (!in->sized)
        return in->has_data
                   ? end_json(r, in, &out->tensor, e)
                   : fail(e, INVALID, "input '%.*s' has neither \"data\" nor binary_data_size",
                          STR(in->name));
    if (in->has_data)
        return fail(e, INVALID, "input '%.*s' has both \"data\" and binary_data_size",
                    STR(in->name));
    if (in->raw_bytes > notes->raw.n)
        return fail(e, INVALID,
                    "unexpected size for input '%.*s': binary_data_size is %llu, %zu bytes of the "
                    "body are left",
                    STR(in->name), (unsigned long long)in->raw_bytes, notes->raw.n);
    struct span raw = {notes->raw.p, (size_t)in->raw_bytes};
    notes->raw.p += raw.n;
    notes->raw.n -= raw.n;
    return rawtensor_read(r->arena, raw, in->name, &out->tensor, e);
}

static enum code take_input(struct request *r, struct json *j, struct err *e) {
    const struct live_io *io;
    struct input in = {0};
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        TRY(take_input_key(r, j, key, &in, e));
    }
    size_t n = live_inputs(r->ask.live, &io);
    if (r->ask.n_inputs == n) {
        char names[NAME_ROOM];
        return json_fail(j, e, "expected %zu inputs but got more for model '%.*s'; it takes %s", n,
                         STR(r->model), records_names(io, n, names, sizeof names));
    }
    TRY(end_input(r, &in, &r->ask.inputs[r->ask.n_inputs], e));
    r->ask.n_inputs++;
    return OK;
}

static enum code take_inputs(struct request *r, struct json *j, struct err *e) {
    const struct live_io *io;
    bool more;
    if (r->ask.inputs)
        return json_fail(j, e, "\"inputs\" is given twice");
    TRY(records_room(r, live_inputs(r->ask.live, &io), e));
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        TRY(take_input(r, j, e));
    }
}

/* --- outputs asked for --- */

static enum code take_output_parameters(struct json *j, struct wanted *out, struct err *e) {
    struct str key;
    bool more, binary;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "binary_data")) {
            TRY(json_bool(j, &binary, e));
            out->how = binary ? BINARY : AS_JSON;
        } else if (str_is(key, "classification")) {
            TRY(json_i64(j, &out->classes, e));
            if (out->classes < 0)
                return json_fail(j, e, "classification may not be negative");
        } else {
            bool mine;
            TRY(take_place(j, key, &out->place, &mine, e));
            if (!mine)
                TRY(json_skip(j, NULL, e));
        }
    }
}

static enum code take_output(struct json *j, struct wanted *out, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return out->name.n ? OK : json_fail(j, e, "an output without \"name\"");
        if (str_is(key, "name"))
            TRY(json_string(j, &out->name, e));
        else if (str_is(key, "parameters"))
            TRY(take_output_parameters(j, out, e));
        else
            TRY(json_skip(j, NULL, e));
    }
}

static enum code take_outputs(struct request *r, struct json *j, struct err *e) {
    struct notes *notes = r->notes;
    size_t most = media_names(r), n = 0;
    struct str *names = ARENA_ARRAY(r->arena, most + 1, struct str);
    notes->wanted = ARENA_ARRAY(r->arena, most + 1, struct wanted);
    bool more;
    if (!names || !notes->wanted)
        return arena_fail(r->arena, most * sizeof *notes->wanted, "outputs", e);
    TRY(json_enter_array(j, e));
    for (;; n++) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        if (n == most)
            return json_fail(j, e, "more outputs asked for than the %zu model '%.*s' has", most,
                             STR(r->model));
        TRY(take_output(j, &notes->wanted[n], e));
        names[n] = notes->wanted[n].name;
    }
    notes->n_wanted = r->ask.n_want = n;
    r->ask.want = names;
    return OK;
}

/* --- the request --- */

static enum code take_parameters(struct request *r, struct json *j, struct notes *notes,
                                 struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        int64_t v;
        if (str_is(key, "binary_data_output")) {
            TRY(json_bool(j, &notes->binary, e));
        } else if (str_is(key, "timeout") && json_peek(j) == JSON_NUMBER) {
            TRY(json_i64(j, &v, e));
            trace_timeout(r, v);
        } else if (str_is(key, "priority") && json_peek(j) == JSON_NUMBER) {
            TRY(json_i64(j, &v, e));
            trace_level(r, v);
        } else {
            TRY(json_skip(j, NULL, e)); /* sequence_*, headers, the client's own */
        }
    }
}

static enum code take_request(struct request *r, struct json *j, struct notes *notes,
                              struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "id"))
            TRY(json_string(j, &notes->id, e));
        else if (str_is(key, "inputs"))
            TRY(take_inputs(r, j, e));
        else if (str_is(key, "outputs"))
            TRY(take_outputs(r, j, e));
        else if (str_is(key, "parameters"))
            TRY(take_parameters(r, j, notes, e));
        else
            TRY(json_skip(j, NULL, e));
    }
}

static enum code decode_json(struct request *r, struct notes *notes, struct err *e) {
    struct json j;
    json_init(&j, (struct str){(const char *)r->body.p, notes->header}, r->arena);
    j.allow_nan = true;
    notes->raw = (struct span){r->body.p + notes->header, r->body.n - notes->header};
    TRY(take_request(r, &j, notes, e));
    TRY(json_end(&j, e));
    if (!r->ask.inputs)
        return json_fail(&j, e, "\"inputs\" is missing");
    if (notes->raw.n)
        return fail(e, INVALID,
                    "%zu bytes follow the tensors of the body: the sizes given do not add up",
                    notes->raw.n);
    return OK;
}

static bool sends_binary(const struct notes *notes, const struct wanted *want) {
    return want && want->how != BY_DEFAULT ? want->how == BINARY : notes->binary;
}

static bool sends_all_binary(const struct notes *notes) {
    for (size_t i = 0; i < notes->n_wanted; i++)
        if (notes->wanted[i].classes || !sends_binary(notes, &notes->wanted[i]))
            return false;
    return notes->n_wanted || notes->binary;
}

/* Inference-Header-Content-Length: 0. The one input's shape is the signature's, its batch 1, one
 * free dim at most from the length. */
static enum code decode_raw(struct request *r, struct notes *notes, struct err *e) {
    const struct live_io *io;
    size_t known = 1, size, free_dims = 0;
    notes->binary = true;
    if (live_inputs(r->ask.live, &io) != 1)
        return fail(e, INVALID,
                    "a raw binary request needs a model with one input, '%.*s' has several",
                    STR(r->model));
    struct shape s = io->shape;
    if (s.rank && s.dims[0] < 0 && (live_batches(r->ask.live) || s.rank > 1))
        s.dims[0] = 1;
    for (int d = 0; d < s.rank; d++) {
        if (s.dims[d] < 0)
            free_dims++;
        else if (!mul_size(known, (size_t)s.dims[d], &known))
            known = 0;
    }
    size = known * (io->dtype == DT_STRING ? 1 : dtype_size(io->dtype));
    if (free_dims > 1 || size == 0)
        return fail(e, INVALID,
                    "a raw binary request needs at most one free dim besides the batch; send the "
                    "shape as JSON");
    for (int d = 0; d < s.rank; d++)
        if (s.dims[d] < 0)
            s.dims[d] = io->dtype == DT_STRING ? 1 : (int64_t)(r->body.n / size);
    TRY(records_room(r, 1, e));
    r->ask.inputs[0] =
        (struct ask_tensor){.name = io->name, .tensor = {.dtype = io->dtype, .shape = s}};
    r->ask.n_inputs = 1;
    return rawtensor_read(r->arena, r->body, io->name, &r->ask.inputs[0].tensor, e);
}

static enum code decode(struct request *r, struct err *e) {
    struct str header = http_header_get(&r->x->request, "inference-header-content-length");
    struct notes *notes = ARENA_NEW(r->arena, struct notes);
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    r->notes = notes;
    TRY(event_take(r, e));
    TRY(request_route(r, e));
    uint64_t bytes = r->body.n;
    if (header.n && (!str_to_u64(header, &bytes) || bytes > r->body.n))
        return fail(e, INVALID, "Inference-Header-Content-Length is '%.*s', the body has %zu bytes",
                    STR(header), r->body.n);
    notes->header = (size_t)bytes;
    TRY(header.n && bytes == 0 ? decode_raw(r, notes, e) : decode_json(r, notes, e));
    r->as_it_lies = sends_all_binary(notes);
    return OK;
}

/* --- the answer --- */

struct blobs { /* binary outputs, gathered for the parts of the response */
    struct span spans[HTTP_PARTS - 1];
    int n;
    struct buf *joined; /* when there are more than fit */
};

static enum code add_blob(struct request *r, struct blobs *b, struct span bytes, struct err *e) {
    if (b->n < HTTP_PARTS - 1 && !b->joined) {
        b->spans[b->n++] = bytes;
        return OK;
    }
    if (!b->joined) {
        b->joined = answer_buf(r, bytes.n, e);
        if (!b->joined)
            return e->code;
        buf_put(b->joined, b->spans[b->n - 1].p, b->spans[b->n - 1].n);
        b->n--;
    }
    buf_put(b->joined, bytes.p, bytes.n);
    return buf_check(b->joined, "answer", e);
}

static void put_head(struct json_out *w, struct str name, const struct tensor *t) {
    json_put_object(w);
    json_put_member_str(w, "name", name);
    json_put_member_text(w, "datatype", datatype_name(t->dtype));
    json_put_key(w, "shape");
    json_put_array(w);
    for (int d = 0; d < t->shape.rank; d++)
        json_put_i64(w, t->shape.dims[d]);
    json_put_array_end(w);
}

static enum code put_binary(struct request *r, struct json_out *w, struct str name,
                            struct tensor *t, struct blobs *blobs, struct err *e) {
    struct span bytes = {t->data, tensor_bytes(t)};
    if (t->dtype == DT_STRING)
        TRY(rawtensor_strings(r, t, &bytes, e));
    put_head(w, name, t);
    json_put_key(w, "parameters");
    json_put_object(w);
    json_put_member_i64(w, "binary_data_size", (int64_t)bytes.n);
    json_put_object_end(w);
    json_put_object_end(w);
    return add_blob(r, blobs, bytes, e);
}

/* Name, type and shape only, as Triton says it: its C++ client takes any parameters for those of a
 * binary tensor. */
static enum code put_shared(struct request *r, struct json_out *w, struct str name,
                            const struct tensor *t, const struct rawtensor_place *p,
                            struct err *e) {
    size_t n;
    TRY(rawtensor_store(r, p, name, t, &n, e));
    put_head(w, name, t);
    json_put_object_end(w);
    return OK;
}

static enum code put_json(struct request *r, struct json_out *w, struct str name, struct tensor *t,
                          struct err *e) {
    put_head(w, name, t);
    json_put_key(w, "data");
    TRY(typed_writable(r->arena, t, e));
    typed_put(w, t, TYPED_FLAT);
    json_put_object_end(w);
    return OK;
}

static enum code put_output(struct request *r, struct json_out *w, const struct wanted *want,
                            struct ask_tensor *out, struct blobs *blobs, struct err *e) {
    const struct notes *notes = r->notes;
    if (datatype_name(out->tensor.dtype)[0] == '\0')
        return fail(e, UNSUPPORTED,
                    "output '%.*s' has type %s, which this protocol has no name for",
                    STR(out->name), dtype_name(out->tensor.dtype));
    if (want && want->classes)
        TRY(rawtensor_classify(r->arena, &out->tensor, want->classes, e));
    if (want && want->place.region.n)
        return put_shared(r, w, out->name, &out->tensor, &want->place, e);
    return sends_binary(notes, want) ? put_binary(r, w, out->name, &out->tensor, blobs, e)
                                     : put_json(r, w, out->name, &out->tensor, e);
}

/* In the order asked for, or the model's. */
static enum code put_outputs(struct request *r, struct json_out *w, struct blobs *blobs,
                             struct err *e) {
    const struct notes *notes = r->notes;
    struct ask *a = &r->ask;
    json_put_key(w, "outputs");
    json_put_array(w);
    if (!notes->n_wanted)
        for (size_t i = 0; i < a->n_outputs; i++)
            TRY(put_output(r, w, NULL, &a->outputs[i], blobs, e));
    for (size_t k = 0; k < notes->n_wanted; k++)
        for (size_t i = 0; i < a->n_outputs; i++)
            if (str_eq(a->outputs[i].name, notes->wanted[k].name))
                TRY(put_output(r, w, &notes->wanted[k], &a->outputs[i], blobs, e));
    json_put_array_end(w);
    return OK;
}

static enum code send_parts(struct request *r, const struct buf *head, const struct blobs *blobs,
                            struct err *e) {
    bool binary = blobs->n || blobs->joined;
    answer_type(r, 200, binary ? LIT("application/octet-stream") : ANSWER_JSON);
    TRY(answer_part(r, head, e));
    if (!binary)
        return OK;
    char *length = arena_printf(r->arena, "%zu", head->n);
    if (!length)
        return arena_fail(r->arena, 24, "answer", e);
    answer_header(r, "Inference-Header-Content-Length", str_of(length));
    for (int i = 0; i < blobs->n; i++)
        answer_span(r, blobs->spans[i]);
    return blobs->joined ? answer_part(r, blobs->joined, e) : OK;
}

static enum code encode(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    struct blobs blobs = {0};
    struct json_out w;
    char version[24];
    size_t bytes = 256;
    for (size_t i = 0; i < r->ask.n_outputs; i++)
        bytes += r->as_it_lies ? 128 : typed_text_bytes(&r->ask.outputs[i].tensor) + 128;
    struct buf *b = answer_buf(r, bytes, e);
    if (!b)
        return e->code;
    snprintf(version, sizeof version, "%llu", (unsigned long long)live_version(r->ask.live));
    json_out_init(&w, b, 0);
    json_put_object(&w);
    if (notes->id.n)
        json_put_member_str(&w, "id", notes->id);
    json_put_member_str(&w, "model_name", live_model(r->ask.live));
    json_put_member_text(&w, "model_version", version);
    TRY(put_outputs(r, &w, &blobs, e));
    json_put_object_end(&w);
    TRY(send_parts(r, b, &blobs, e));
    return event_put(r, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/v2/models/{model}/infer", 0, NULL},
    {ROUTE_POST, "/v2/models/{model}/versions/{version}/infer", 0, NULL},
};

const struct protocol protocol_oip = {
    .name = "oip",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
};
