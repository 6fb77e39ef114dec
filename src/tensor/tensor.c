/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor views: sizes, layouts, single elements. */
#include "tensor/tensor.h"

#include "tensor/minifloat.h"

size_t tensor_count(const struct tensor *t) {
    size_t n;
    return shape_count(&t->shape, &n) ? n : 0;
}

bool tensor_size(enum dtype dtype, const struct shape *shape, size_t *bytes) {
    size_t count, block = dtype_block(dtype);
    if (!shape_count(shape, &count))
        return false;
    if (block > 1 && (shape->rank == 0 || shape->dims[shape->rank - 1] % (int64_t)block != 0))
        return false;
    return mul_size(count / block, dtype_block_bytes(dtype), bytes);
}

size_t tensor_bytes(const struct tensor *t) {
    size_t n;
    return tensor_size(t->dtype, &t->shape, &n) ? n : 0;
}

int tensor_physical_axis(const struct tensor *t, int axis) {
    if (t->layout == LAYOUT_PLAIN || axis == 0)
        return axis;
    return axis == 1 ? t->shape.rank - 1 : axis - 1;
}

void tensor_physical_shape(const struct tensor *t, struct shape *out) {
    struct shape s = {.rank = t->shape.rank};
    for (int axis = 0; axis < s.rank; axis++)
        s.dims[tensor_physical_axis(t, axis)] = t->shape.dims[axis];
    *out = s;
}

enum code tensor_new(struct arena *a, enum dtype dtype, const struct shape *shape,
                     struct tensor *out, struct err *e) {
    char text[SHAPE_TEXT];
    size_t bytes;
    if (dtype_size(dtype) == 0 || !shape_bytes(shape, dtype_size(dtype), &bytes))
        return fail(e, LIMIT, "a tensor of %s %s is too large", dtype_name(dtype),
                    shape_print(shape, text));
    void *data = arena_push_aligned(a, bytes, MEM_LINE);
    if (!data)
        return arena_fail(a, bytes, "tensor", e);
    *out = (struct tensor){.dtype = dtype, .shape = *shape, .data = data};
    return OK;
}

/* Reads element `index` as its C type into v. */
#define ELEMENT(type) (((const type *)t->data)[index])

double tensor_f64(const struct tensor *t, size_t index) {
    switch (t->dtype) {
    case DT_F32: return (double)ELEMENT(float);
    case DT_F64: return ELEMENT(double);
    case DT_F16: return (double)dtype_f16_to_f32(ELEMENT(uint16_t));
    case DT_BF16: return (double)dtype_bf16_to_f32(ELEMENT(uint16_t));
    case DT_U64: return (double)ELEMENT(uint64_t);
    case DT_C64: return (double)((const float *)t->data)[2 * index];
    case DT_C128: return ((const double *)t->data)[2 * index];
    default: break;
    }
    if (minifloat_is(t->dtype))
        return (double)minifloat_to_f32(t->dtype, ELEMENT(uint8_t));
    return (double)tensor_i64(t, index);
}

/* Float to integer, saturating; NaN gives 0. */
static int64_t whole(double v) {
    if (v != v)
        return 0;
    if (v >= 0x1p63)
        return INT64_MAX;
    return v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

int64_t tensor_i64(const struct tensor *t, size_t index) {
    switch (t->dtype) {
    case DT_I64: return ELEMENT(int64_t);
    case DT_I32: return ELEMENT(int32_t);
    case DT_I16: return ELEMENT(int16_t);
    case DT_I4:
    case DT_I2:
    case DT_I8: return ELEMENT(int8_t);
    case DT_U64: return (int64_t)ELEMENT(uint64_t);
    case DT_U32: return ELEMENT(uint32_t);
    case DT_U16: return ELEMENT(uint16_t);
    case DT_U4:
    case DT_U2:
    case DT_BOOL:
    case DT_U8: return ELEMENT(uint8_t);
    case DT_F32:
    case DT_F64:
    case DT_F16:
    case DT_BF16: return whole(tensor_f64(t, index));
    default: return minifloat_is(t->dtype) ? whole(tensor_f64(t, index)) : 0;
    }
}
