/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX TensorProto (onnx.proto3, IR 3-14), alone and inside SequenceProto and OptionalProto
 * (onnx-data.proto). */
#pragma once

#include "base/pb.h"
#include "graph/model.h"

/* One TensorProto, its fields found but its data not yet looked at. Everything is borrowed from the
 * message. */
struct onnx_tensor {
    struct span message;
    struct str name;
    enum dtype dtype;
    struct shape shape;
    size_t count; /* elements: the product of shape */
    bool has_raw, external;
    struct span raw;
    struct str location; /* external: relative path, and where in that file */
    uint64_t offset, length;
    bool has_length;
};

/* FORMAT or UNSUPPORTED name the tensor. */
MUST_USE enum code onnx_tensor_parse(struct span message, struct onnx_tensor *out, struct err *e);

/* The data. Raw and packed f32/f64 bytes are used in place: out->data points into the message
 * (unaligned, perhaps) and *at (which may be NULL) is set to that range; 4- and 2-bit types give
 * data NULL then, for graph/wire to unpack. All else is decoded into the arena, *at empty. Data
 * that does not fit the shape exactly: FORMAT. Not for external ones. */
MUST_USE enum code onnx_tensor_load(const struct onnx_tensor *t, struct arena *a,
                                    struct tensor *out, struct span *at, struct err *e);

/* SparseTensorProto made dense in the arena. */
enum { ONNX_DENSE_MAX = 64 << 20 }; /* bytes */
MUST_USE enum code onnx_tensor_dense(struct span message, struct arena *a, struct str *name,
                                     struct tensor *out, struct err *e);

/* Appends the dims of one field, packed or not. */
MUST_USE enum code onnx_tensor_dims(const struct pb_field *f, struct shape *s, struct err *e);

/* DT_NONE for element types this build does not know. */
enum dtype onnx_tensor_dtype(int64_t elem_type);

/* Whole files as the ONNX backend tests hold them; every byte of the result lives in the arena,
 * aligned. A sequence, map (MapProto) or optional gives a DT_SEQUENCE tensor; an optional without a
 * value is one with `absent` set. */
MUST_USE enum code onnx_tensor_read(struct span file, struct arena *a, struct tensor *out,
                                    struct err *e);
MUST_USE enum code onnx_tensor_read_sequence(struct span file, struct arena *a, struct tensor *out,
                                             struct err *e);
MUST_USE enum code onnx_tensor_read_map(struct span file, struct arena *a, struct tensor *out,
                                        struct err *e);
MUST_USE enum code onnx_tensor_read_optional(struct span file, struct arena *a, struct tensor *out,
                                             struct err *e);
