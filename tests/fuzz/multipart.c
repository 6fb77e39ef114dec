/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: a form's parts lie inside its body, one behind the other, and there are no more of them
 * than bytes. The first line is the Content-Type. */
#include "serve/multipart.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct span body, const void *p, size_t n) {
    const uint8_t *at = p;
    if (n && (at < body.p || at + n > body.p + body.n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str all = {(const char *)data, size};
    struct multipart m;
    struct multipart_part p;
    struct err e;
    size_t line = size;
    bool more = true;
    str_find(all, '\n', &line);
    struct str rest = str_sub(all, line + 1, size);
    struct span body = {(const uint8_t *)rest.p, rest.n};
    if (multipart_begin(&m, str_sub(all, 0, line), body, &e) != OK)
        return 0;
    const uint8_t *last = body.p;
    while (more && multipart_next(&m, &p, &more, &e) == OK && more) {
        inside(body, p.name.p, p.name.n);
        inside(body, p.file_name.p, p.file_name.n);
        inside(body, p.content_type.p, p.content_type.n);
        inside(body, p.body.p, p.body.n);
        if (p.body.p < last)
            abort();
        last = p.body.p + p.body.n;
    }
    return 0;
}
