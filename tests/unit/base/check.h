/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test of base begins with, behind the #include of the .c it tests. */
#pragma once

#include "base/err.h" /* before cmocka.h: both define fail */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Fails the test, and tells the compiler that nothing follows (fail_msg jumps, but is not declared
 * so). */
#define stop(...)                                                                                  \
    do {                                                                                           \
        fail_msg(__VA_ARGS__);                                                                     \
        abort();                                                                                   \
    } while (0)

/* The call succeeds; e is the caller's struct err. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != OK)                                                                          \
            stop("%s: %s", #call, e.text);                                                         \
    } while (0)

/* The call fails with this code and a text that contains `part`. */
#define assert_fails(call, NAME, part)                                                             \
    do {                                                                                           \
        e.text[0] = '\0';                                                                          \
        enum code code_ = (call);                                                                  \
        if (code_ != ERR_##NAME || e.code != code_)                                                \
            stop("%s: is %s (%s), expected %s", #call, err_name(code_), e.text, #NAME);            \
        if (!strstr(e.text, part))                                                                 \
            stop("%s: says \"%s\", expected \"%s\"", #call, e.text, part);                         \
    } while (0)

#define assert_str(s, text)                                                                        \
    do {                                                                                           \
        struct str s_ = (s);                                                                       \
        if (!str_is(s_, text))                                                                     \
            stop("%s: \"%.*s\", expected \"%s\"", #s, STR(s_), text);                              \
    } while (0)

static inline uint64_t check_random(uint64_t *state) { /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}
