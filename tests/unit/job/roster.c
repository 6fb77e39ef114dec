/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters from text and from messages; whose folders they may name; what is noticed of them. */
#include "job/roster.c"

#include "../base/check.h"
#include "host/guise.h"
#include "host/tape.h"

#include <fcntl.h>
#include <unistd.h>

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 16 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void text_and_message_agree(void **state) {
    static const char text[] = "model_config_list { config { name: 'm' base_path: '/b' "
                               "model_version_policy { specific { versions: [3, 5] } } "
                               "version_labels { key: 's' value: 3 } } }";
    static const uint8_t message[] = {/* the same */
                                      0x0a, 0x19, 0x0a, 0x17, 0x0a, 1,    'm', 0x12, 2,
                                      '/',  'b',  0x3a, 7,    0xb2, 0x06, 4,   0x0a, 2,
                                      3,    5,    0x42, 5,    0x0a, 1,    's', 0x10, 3};
    struct roster a, b;
    struct err e;
    (void)state;
    assert_int_equal(roster_read(str_of(text), &arena, &a, &e), OK);
    assert_int_equal(roster_read_message((struct span){message, sizeof message}, &arena, &b, &e),
                     OK);
    const struct roster *both[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        const struct roster_model *m = &both[i]->models[0];
        assert_int_equal(both[i]->n, 1);
        assert_true(str_is(m->name, "m") && str_is(m->base_path, "/b"));
        assert_int_equal(m->policy, ROSTER_SPECIFIC);
        assert_int_equal(m->n_versions, 2);
        assert_true(m->versions[0] == 3 && m->versions[1] == 5 && !policy_advises(&m->advice));
        assert_true(m->n_labels == 1 && str_is(m->labels[0].name, "s"));
        assert_int_equal(m->labels[0].version, 3);
    }
}

static void a_copy_stands_alone(void **state) {
    char name[] = "model", path[] = "/base", label[] = "stable";
    struct roster_model m = roster_model_default();
    struct roster r = {.models = &m}, copy;
    struct err e;
    (void)state;
    m.name = str_of(name);
    m.base_path = str_of(path);
    assert_int_equal(roster_add_label(&m, (struct roster_label){str_of(label), 4}, &e), OK);
    assert_int_equal(roster_add_model(&r, &e), OK);
    assert_int_equal(roster_copy(&r, &arena, &copy, &e), OK);
    memset(name, 'x', sizeof name - 1);
    memset(path, 'x', sizeof path - 1);
    memset(label, 'x', sizeof label - 1);
    assert_true(str_is(copy.models[0].name, "model") && str_is(copy.models[0].base_path, "/base"));
    assert_true(str_is(copy.models[0].labels[0].name, "stable"));
    struct arena small;
    arena_init(&small, sizeof m + 200);
    m.base_path = (struct str){arena_push(&arena, 1 << 20), 1 << 20};
    assert_int_not_equal(roster_copy(&r, &small, &copy, &e), OK);
    arena_deinit(&small);
}

static void lists_have_ends(void **state) {
    struct roster_model m[2] = {roster_model_default(), roster_model_default()};
    struct roster r = {.models = m};
    struct err e;
    (void)state;
    for (int i = 0; i < ROSTER_VERSIONS; i++)
        assert_int_equal(roster_add_version(&m[0], i, &e), OK);
    assert_int_equal(roster_add_version(&m[0], 1, &e), ERR_INVALID);
    assert_int_equal(roster_add_label(&m[0], (struct roster_label){.version = 1}, &e), ERR_INVALID);
    assert_int_equal(roster_add_model(&r, &e), ERR_INVALID); /* no name */
    m[0].name = m[1].name = str_of("a");
    assert_int_equal(roster_add_model(&r, &e), OK);
    assert_int_equal(roster_add_model(&r, &e), ERR_INVALID); /* again */
    m[1].name = str_of("b");
    m[1].policy = ROSTER_SPECIFIC;
    assert_int_equal(roster_add_model(&r, &e), ERR_INVALID); /* of no version */
    assert_int_equal(r.n, 1);
}

/* --- with folders --- */

static char base[64];

static void put(const char *path, const char *text) {
    char full[128];
    snprintf(full, sizeof full, "%s/%s", base, path);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void folder(const char *path) {
    char full[128];
    snprintf(full, sizeof full, "%s/%s", base, path);
    assert_int_equal(mkdir(full, 0755), 0);
}

static int make_base(void **state) {
    snprintf(base, sizeof base, "/tmp/roster-XXXXXX");
    return mkdtemp(base) ? set_up(state) : -1;
}

static int remove_base(void **state) {
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", base);
    return system(command) == 0 ? tear_down(state) : -1;
}

static void a_fingerprint_sees_contents(void **state) {
    struct roster_model m = roster_model_default();
    struct roster r = {.models = &m, .n = 1};
    (void)state;
    assert_false(roster_has_folders(&r));
    m.base_path = str_of(base);
    assert_true(roster_has_folders(&r));
    uint64_t empty = roster_fingerprint(&r);
    folder("1");
    uint64_t one = roster_fingerprint(&r);
    assert_true(one != empty && one == roster_fingerprint(&r));
    folder("copying"); /* no number: not looked at */
    put("copying/model", "x");
    assert_true(roster_fingerprint(&r) == one);
    put("1/model", "half");
    uint64_t half = roster_fingerprint(&r);
    put("1/model", "half of it");
    assert_true(half != one && roster_fingerprint(&r) != half);
}

static void a_client_stays_within(void **state) {
    char inside[80], out[96], link[80];
    struct roster_model m = roster_model_default();
    struct roster r = {.models = &m, .n = 1};
    struct str roots[] = {str_of("/nowhere"), str_of(base)};
    struct err e;
    (void)state;
    m.name = str_of("m");
    assert_int_equal(roster_confine(&r, roots, 2, &arena, &e), OK); /* names no folder */
    folder("1");
    snprintf(inside, sizeof inside, "%s/./1/", base);
    m.base_path = str_of(inside);
    assert_int_equal(roster_confine(&r, roots, 2, &arena, &e), OK);
    assert_int_equal(m.base_path.n, strlen(base) + 2); /* resolved */
    snprintf(out, sizeof out, "%s/../", base);
    snprintf(link, sizeof link, "%s/link", base);
    assert_int_equal(symlink("/", link), 0);
    const char *bad[] = {out, link, "/", "/nowhere", "relative", ""};
    for (int i = 0; *bad[i]; i++) {
        m.base_path = str_of(bad[i]);
        assert_int_equal(roster_confine(&r, roots, 2, &arena, &e), ERR_DENIED);
    }
    char beside[80];
    snprintf(beside, sizeof beside, "%s-beside", base);
    assert_int_equal(mkdir(beside, 0755), 0);
    m.base_path = str_of(beside);
    assert_int_equal(roster_confine(&r, roots, 2, &arena, &e), ERR_DENIED);
    rmdir(beside);
}

static void a_triton_configuration(void **state) {
    static const char text[] =
        "name: 'm' max_batch_size: 8 instance_group [ { count: 2 }, { } ] dynamic_batching { "
        "max_queue_delay_microseconds: 50 priority_levels: 5 default_priority_level: 2 "
        "default_queue_policy { max_queue_size: 9 } } model_warmup { batch_size: 2 count: 3 "
        "inputs { key: 'x' value { data_type: TYPE_UINT8 dims: [ 3, 5 ] random_data: true } } "
        "inputs { key: 't' value { data_type: TYPE_STRING dims: [] zero_data: true } } }";
    struct roster_model m;
    struct tape t;
    struct err e;
    bool found;
    (void)state;
    assert_int_equal(roster_read_triton(str_of(text), "/nowhere", &arena, &m, &e), OK);
    assert_true(str_is(m.name, "m") && m.advice.batch == 8 && m.advice.instances == 3);
    assert_true(m.advice.wait_us == 50 && m.advice.queue == 9);
    assert_true(m.advice.prioritized && m.advice.priority == PRIORITY_HIGH);
    assert_true(str_is(m.guise, "{\"batch\":8,\"levels\":5,\"level\":2}"));
    struct span rest = m.warmup;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tape_next(&rest, &arena, &t, &found, &e), OK);
        assert_true(found && t.n_inputs == 2 && t.inputs[0].tensor.dtype == DT_U8);
        assert_true(shape_eq(&t.inputs[0].tensor.shape, &(struct shape){3, {2, 3, 5}}));
        assert_true(t.inputs[1].tensor.dtype == DT_STRING && t.inputs[1].tensor.shape.rank == 1);
    }
    assert_int_equal(rest.n, 0);
    /* of each level of three, and what says nothing advises nothing */
    static const int want[] = {PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW};
    for (int level = 1; level <= 3; level++) {
        char levels[120];
        snprintf(levels, sizeof levels,
                 "dynamic_batching { priority_levels: 3 default_priority_level: %d }", level);
        assert_int_equal(roster_read_triton(str_of(levels), "/", &arena, &m, &e), OK);
        assert_int_equal(m.advice.priority, want[level - 1]);
    }
    assert_int_equal(roster_read_triton(LIT("platform: 'x'"), "/", &arena, &m, &e), OK);
    assert_false(policy_advises(&m.advice));
    assert_int_equal(m.warmup.n, 0);
}

/* Dims get the batch in front exactly when max_batch_size is above 0. */
static void a_triton_reshape(void **state) {
    static const char tensors[] =
        " input { name: 'x' dims: [ 1 ] reshape { } } output { name: 'y' dims: [ -1, 4 ] reshape: "
        "{ "
        "shape: [ -1, 2, 2 ] } } output { name: 'z' dims: 5 } parameters { key: 'k' value { "
        "string_value: 'v' } } dynamic_batching { preferred_batch_size: [ 4, 8 ] }";
    static const char *const heads[] = {"max_batch_size: 2", "max_batch_size: 0"};
    static const struct shape wires[] = {{3, {-1, -1, 4}}, {2, {-1, 4}}};
    struct roster_model m;
    struct guise g;
    struct err e;
    char text[512];
    (void)state;
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "%s%s", heads[i], tensors);
        assert_int_equal(roster_read_triton(str_of(text), "/", &arena, &m, &e), OK);
        assert_int_equal(guise_parse(m.guise, &arena, &g, &e), OK);
        assert_true(g.n_tensors == 2 && !g.tensors[0].output && g.tensors[1].output);
        assert_int_equal(g.tensors[0].model.rank, i == 0);
        assert_true(shape_eq(&g.tensors[1].wire, &wires[i]) && g.batch == (i == 0 ? 2 : 0));
        assert_true(g.n_preferred == 2 && g.preferred[1] == 8 && g.n_pairs == 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_and_message_agree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_stands_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_have_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_triton_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_triton_reshape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fingerprint_sees_contents, make_base, remove_base),
        cmocka_unit_test_setup_teardown(a_client_stays_within, make_base, remove_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
