/* SPDX-License-Identifier: Apache-2.0 */
/* Which format are these bytes? The first in list.h that says yes. */
#include "format/format.h"

static const struct format *const formats[] = {
#define FORMAT(name) &format_##name,
#include "format/list.h"
#undef FORMAT
};

const char *format_names(void) {
#define FORMAT(name) " " #name
    static const char names[] =
#include "format/list.h"
        ;
#undef FORMAT
    return names + 1;
}

const struct format *format_sniff(struct span head, uint64_t size) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i]->sniff(head, size))
            return formats[i];
    return NULL;
}
