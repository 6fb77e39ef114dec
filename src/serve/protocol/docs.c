/* SPDX-License-Identifier: Apache-2.0 */
/* /docs: one page (web/docs.html, embedded by the build) that needs nothing from any network. It
 * asks GET /predict what is served. "/" leads there. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/docs_page.h" /* made by the build: docs_page, docs_page_bytes */

static enum code page(struct request *r, struct err *e) {
    (void)e;
    answer_type(r, 200, LIT("text/html; charset=utf-8"));
    answer_header(r, "Cache-Control", LIT("no-cache"));
    answer_header(r, "Content-Security-Policy",
                  LIT("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                      "connect-src 'self'; "
                      "img-src 'self' blob: data:"));
    answer_span(r, (struct span){docs_page, docs_page_bytes});
    return OK;
}

/* A browser is shown around; KServe's V1 client asks here whether the server lives. */
static enum code home(struct request *r, struct err *e) {
    struct str accept = http_header_get(&r->x->request, "accept");
    struct answer_json j;
    if (!accept.n || !memmem(accept.p, accept.n, "text/html", 9)) {
        TRY(answer_json(r, &j, e));
        json_put_object(&j.w);
        json_put_member_text(&j.w, "status", "alive");
        json_put_member_text(&j.w, "docs", "/docs");
        json_put_object_end(&j.w);
        return answer_json_end(r, &j, e);
    }
    answer_type(r, 307, LIT("text/plain"));
    answer_header(r, "Location", LIT("/docs"));
    return OK;
}

static const struct route routes[] = {
    {ROUTE_GET, "/docs", ROUTE_OPEN, page},
    {ROUTE_GET, "/", ROUTE_OPEN, home},
};

const struct protocol protocol_docs = {
    .name = "docs",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
