/* SPDX-License-Identifier: Apache-2.0 */
/* TorchServe's common part: see torch.h. */
#include "serve/protocol/torch.h"

#include "base/pb.h"
#include "serve/answer.h"

enum { HEAD_BYTES = 16 };

void torch_version(struct request *r) {
    struct str v = r->label;
    size_t dot;
    if (v.n && str_find(v, '.', &dot) && str_is(str_sub(v, dot, v.n), ".0"))
        v = str_sub(v, 0, dot);
    r->ask.alias = (struct str){0};
    if (v.n && !str_to_u64(v, &r->ask.version))
        r->ask.alias = v;
}

enum code torch_unknown(const struct request *r, struct err *e) {
    return r->label.n ? fail(e, NOT_FOUND, "Model version: %.*s does not exist for model: %.*s",
                             STR(r->label), STR(r->model))
                      : fail(e, NOT_FOUND, "Model not found: %.*s", STR(r->model));
}

enum code torch_wrap(struct request *r, struct err *e) {
    if (!r->grpc)
        return OK;
    struct buf *b = answer_buf(r, HEAD_BYTES, e);
    if (!b)
        return e->code;
    pb_put_head(b, 1, answer_bytes(r));
    TRY(buf_check(b, "answer", e));
    if (r->response.n_parts == HTTP_PARTS)
        return fail(e, TOO_LARGE, "the answer has more than %d parts", HTTP_PARTS);
    answer_front(r, (struct span){(const uint8_t *)b->p, b->n});
    return OK;
}

static const char *type_of(const struct err *e) {
    switch (err_http(e->code)) {
    case 404:
        return str_starts(str_of(e->text), "Model version") ? "ModelVersionNotFoundException"
                                                            : "ModelNotFoundException";
    case 400:
    case 415:
    case 422: return "BadRequestException";
    case 405: return "MethodNotAllowedException";
    case 409: return "ConflictStatusException";
    case 413: return "RequestEntityTooLargeException";
    case 403:
        if (str_starts(str_of(e->text), "Can't delete"))
            return "InvalidModelVersionException";
        return "InvalidKeyException";
    case 401: return "InvalidKeyException";
    case 429:
    case 503: return "ServiceUnavailableException";
    default: return "InternalServerException";
    }
}

void torch_error(const struct request *r, const struct err *e, struct json_out *w) {
    (void)r;
    json_put_object(w);
    json_put_member_i64(w, "code", err_http(e->code));
    json_put_member_text(w, "type", type_of(e));
    json_put_member_text(w, "message", e->text);
    json_put_object_end(w);
}
