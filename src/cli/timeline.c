/* SPDX-License-Identifier: Apache-2.0 */
/* bench --profile --trace: runs as a timeline, in the JSON that Perfetto and Chromium read ("Trace
 * Event Format", complete events: name, cat, ph X, ts and dur in microseconds). Everything happens
 * on the thread that began the run; events that lie within another are its calls: nodes within
 * their run, a body's nodes within their If, Loop or Scan. */
#include "base/file.h"
#include "cli/profile.h"

enum { TRACE_CAP = 512 << 20, PROCESS = 1, THREAD = 1 };

static void put_event(struct json_out *w, struct str name, struct str category, uint64_t ns,
                      uint64_t took) {
    json_put_object(w);
    json_put_member_str(w, "name", name);
    json_put_member_str(w, "cat", category);
    json_put_member_text(w, "ph", "X");
    json_put_member_f64(w, "ts", (double)ns / 1e3);
    json_put_member_f64(w, "dur", (double)took / 1e3);
    json_put_member_i64(w, "pid", PROCESS);
    json_put_member_i64(w, "tid", THREAD);
}

static void put_name(struct json_out *w, const char *what, const char *name) {
    json_put_object(w);
    json_put_member_text(w, "name", what);
    json_put_member_text(w, "ph", "M");
    json_put_member_i64(w, "pid", PROCESS);
    json_put_member_i64(w, "tid", THREAD);
    json_put_key(w, "args");
    json_put_object(w);
    json_put_member_text(w, "name", name);
    json_put_object_end(w);
    json_put_object_end(w);
}

static const struct session_step *step_of(const struct profile *p, const struct session_event *v) {
    for (size_t k = 0; k < p->n_steps; k++)
        if (p->steps[k].plan == v->plan && p->steps[k].step == v->step)
            return &p->steps[k];
    return NULL; /* of a body's plan that gave way to others */
}

static void put_call(const struct profile *p, const struct session_event *v, uint64_t zero,
                     struct json_out *w) {
    const struct session_step *s = step_of(p, v);
    struct str unknown = LIT("a body's step of other shapes");
    put_event(w, s ? s->node : unknown, s ? s->op : LIT("step"), v->began_ns - zero, v->ns);
    if (s) {
        json_put_key(w, "args");
        json_put_object(w);
        profile_put_step(w, s);
        json_put_object_end(w);
    }
    json_put_object_end(w);
}

static void put_runs(const struct profile *p, uint64_t zero, struct json_out *w) {
    for (size_t k = 0; k < p->n_runs; k++) {
        char name[32];
        snprintf(name, sizeof name, "run %zu", k + 1);
        put_event(w, str_of(name), LIT("run"), p->runs[k][0] - zero, p->runs[k][1] - p->runs[k][0]);
        json_put_object_end(w);
    }
}

static void put_all(const struct profile *p, struct json_out *w) {
    uint64_t zero = p->n_runs ? p->runs[0][0] : 0;
    json_put_object(w);
    json_put_member_text(w, "displayTimeUnit", "ms");
    json_put_key(w, "otherData");
    json_put_object(w);
    json_put_member_text(w, "version", "slipway " SLIPWAY_VERSION);
    json_put_member_i64(w, "events_lost", (int64_t)p->trace.lost);
    json_put_object_end(w);
    json_put_key(w, "traceEvents");
    json_put_array(w);
    put_name(w, "process_name", "slipway bench");
    put_name(w, "thread_name", p->model);
    put_runs(p, zero, w);
    for (size_t k = 0; k < p->trace.n; k++)
        put_call(p, &p->trace.events[k], zero, w);
    json_put_array_end(w);
    json_put_object_end(w);
}

enum code timeline_write(const struct profile *p, const char *path, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, TRACE_CAP);
    json_out_init(&w, &b, 0);
    put_all(p, &w);
    enum code code = buf_check(&b, "trace", e);
    if (code == OK)
        code = file_publish(path, (struct span){(const uint8_t *)b.p, b.n}, 0644, e);
    buf_deinit(&b);
    if (code == OK && p->trace.lost && !p->cli->quiet)
        fprintf(stderr,
                "slipway: the trace holds the first %zu calls, %zu more came: fewer --runs\n",
                p->trace.n, p->trace.lost);
    return code;
}
