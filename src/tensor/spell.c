/* SPDX-License-Identifier: Apache-2.0 */
/* Elements as text. Floats are written as short as they read back the same (base/shortest.h). */
#include "tensor/spell.h"

#include "base/shortest.h"
#include "tensor/cast.h"

#include <stdio.h>

static size_t put_text(char text[SPELL_TEXT], const char *from) {
    return (size_t)snprintf(text, SPELL_TEXT, "%s", from);
}

size_t spell_put(enum dtype t, const void *element, char text[SPELL_TEXT]) {
    char room[SHORTEST_ROOM]; /* shortest_* may write past what it means */
    struct tensor one = {.dtype = t, .data = (void *)(uintptr_t)element};
    char *end;
    if (t == DT_BOOL)
        return put_text(text, *(const uint8_t *)element ? "True" : "False");
    if (t == DT_U64)
        end = shortest_u64(*(const uint64_t *)element, room);
    else if (dtype_is_integer(t) || (t >= DT_I4 && t <= DT_U2))
        end = shortest_i64(tensor_i64(&one, 0), room);
    else {
        double v = tensor_f64(&one, 0);
        if (v != v)
            return put_text(text, "NaN");
        if (__builtin_isinf(v))
            return put_text(text, v < 0 ? "-INF" : "INF");
        end = t == DT_F64 ? shortest_f64(v, room) : shortest_f32((float)v, room);
    }
    size_t n = (size_t)(end - room);
    memcpy(text, room, n);
    return n;
}

static struct str trim(struct str s) {
    while (s.n && (*s.p == ' ' || *s.p == '\t' || *s.p == '\n'))
        s = str_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\n'))
        s.n--;
    return s;
}

/* The numbers that are words: inf, infinity, nan in any case, with a sign. */
static bool word(struct str s, double *out) {
    bool below = s.n && s.p[0] == '-';
    if (below)
        s = str_sub(s, 1, s.n);
    if (str_eq_nocase(s, LIT("inf")) || str_eq_nocase(s, LIT("infinity")))
        *out = below ? -__builtin_inf() : __builtin_inf();
    else if (str_eq_nocase(s, LIT("nan")))
        *out = __builtin_nan("");
    else
        return false;
    return true;
}

/* Integers are read exactly; whatever else is a number ("3.7", "1e3") is read as a float and cut.
 */
bool spell_take(enum dtype t, struct str text, void *element) {
    struct err ignored;
    int64_t i;
    uint64_t u;
    double v;
    struct str s = trim(text);
    if (s.n > 1 && s.p[0] == '+')
        s = str_sub(s, 1, s.n);
    if (t == DT_BOOL && (str_eq_nocase(s, LIT("true")) || str_eq_nocase(s, LIT("false")))) {
        *(uint8_t *)element = s.n == 4;
        return true;
    }
    if (dtype_is_integer(t) && str_to_i64(s, &i))
        return cast_elements(t, element, DT_I64, &i, 1, true, NULL, &ignored) == OK;
    if (t == DT_U64 && str_to_u64(s, &u)) {
        *(uint64_t *)element = u;
        return true;
    }
    return (str_to_f64(s, &v) || word(s, &v)) &&
           cast_elements(t, element, DT_F64, &v, 1, true, NULL, &ignored) == OK;
}
