/* SPDX-License-Identifier: Apache-2.0 */
/* OIP datatypes: see datatype.h. */
#include "serve/protocol/datatype.h"

static const struct {
    enum dtype dtype;
    const char *name, *config;
} map[] = {
    {DT_BOOL, "BOOL", "TYPE_BOOL"},      {DT_U8, "UINT8", "TYPE_UINT8"},
    {DT_U16, "UINT16", "TYPE_UINT16"},   {DT_U32, "UINT32", "TYPE_UINT32"},
    {DT_U64, "UINT64", "TYPE_UINT64"},   {DT_I8, "INT8", "TYPE_INT8"},
    {DT_I16, "INT16", "TYPE_INT16"},     {DT_I32, "INT32", "TYPE_INT32"},
    {DT_I64, "INT64", "TYPE_INT64"},     {DT_F16, "FP16", "TYPE_FP16"},
    {DT_F32, "FP32", "TYPE_FP32"},       {DT_F64, "FP64", "TYPE_FP64"},
    {DT_STRING, "BYTES", "TYPE_STRING"}, {DT_BF16, "BF16", "TYPE_BF16"},
};

enum { MAP_N = sizeof map / sizeof *map };

const char *datatype_name(enum dtype t) {
    for (size_t i = 0; i < MAP_N; i++)
        if (map[i].dtype == t)
            return map[i].name;
    return "";
}

const char *datatype_config(enum dtype t) {
    for (size_t i = 0; i < MAP_N; i++)
        if (map[i].dtype == t)
            return map[i].config;
    return "TYPE_INVALID";
}

int datatype_number(enum dtype t) {
    static const char *const order[] = {"",       "BOOL", "UINT8", "UINT16", "UINT32",
                                        "UINT64", "INT8", "INT16", "INT32",  "INT64",
                                        "FP16",   "FP32", "FP64",  "BYTES",  "BF16"};
    for (int i = 1; i < (int)(sizeof order / sizeof *order); i++)
        if (strcmp(order[i], datatype_name(t)) == 0)
            return i;
    return 0;
}

bool datatype_from(struct str name, enum dtype *out) {
    for (size_t i = 0; i < MAP_N; i++)
        if (str_is(name, map[i].name)) {
            *out = map[i].dtype;
            return true;
        }
    return false;
}
