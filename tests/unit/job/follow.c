/* SPDX-License-Identifier: Apache-2.0 */
/* What is served follows a file and what clients send: versions of the store, no folders on disk.
 * The host is this file: it notes what it was asked to serve. */
#define host_wish note_wish
#include "job/follow.c"

#include "../base/check.h"
#include "../host/tiny_model.h"

#include <unistd.h>

static char folder[64], config[96];
static struct store *store;
static struct follow *follow;
static struct err e;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char wished[256]; /* "m@2,n@1" */
static bool afresh_was;
static int wishes;

void note_wish(struct host *h, const struct str *models, size_t n, bool afresh, host_done_fn *done,
               void *ctx) {
    (void)h;
    pthread_mutex_lock(&lock);
    wished[0] = '\0';
    for (size_t i = 0, at = 0; i < n; i++)
        at += (size_t)snprintf(wished + at, sizeof wished - at, "%s%.*s", i ? "," : "",
                               STR(models[i]));
    afresh_was = afresh;
    wishes++;
    pthread_mutex_unlock(&lock);
    if (done)
        done(ctx, OK, NULL);
}

/* Within ten seconds, however slow the machine. */
static bool served(const char *what) {
    bool found = false;
    for (int i = 0; i < 2000 && !found; i++) {
        pthread_mutex_lock(&lock);
        found = strcmp(wished, what) == 0;
        pthread_mutex_unlock(&lock);
        if (!found)
            usleep(5000);
    }
    return found;
}

static void write_config(const char *text) {
    struct span bytes = {(const uint8_t *)text, strlen(text)};
    assert_ok(file_publish(config, bytes, 0600, &e));
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-follow-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    wishes = 0;
    wished[0] = '\0';
    if (!mkdtemp(folder) || store_open(folder, true, &store, &e) != OK)
        return 1;
    snprintf(config, sizeof config, "%s/models.config", folder);
    for (int i = 1; i <= 2; i++)
        if (tiny_add(store, "m", (float)i, NULL, &e) != OK)
            return 1;
    return tiny_add(store, "n", 1, NULL, &e) != OK;
}

static int tear_down(void **state) {
    char command[96];
    (void)state;
    follow_close(follow);
    follow = NULL;
    store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void the_file_is_read_again(void **state) {
    static const struct str also[] = {{"n@1", 3}};
    (void)state;
    write_config("model_config_list { config { name: 'm' } }");
    struct follow_options o = {
        .store = store, .config = config, .also = also, .n_also = 1, .config_ms = 5};
    assert_ok(follow_open(&o, &follow, &e));
    write_config("model_config_list { config { name: 'm' model_version_policy { all {} } } }");
    assert_true(served("n@1,m@2,m@1") && !afresh_was); /* what was named beside it stays */
    write_config("model_config_list { config { name: 'm' } nonsense }");
    usleep(30000);
    assert_true(served("n@1,m@2,m@1")); /* which changes nothing */
    write_config("model_config_list { config { name: 'gone' } }");
    usleep(30000);
    assert_true(served("n@1,m@2,m@1"));
    write_config("model_config_list { }");
    assert_true(served("n@1"));
}

static void on_done(void *ctx, enum code code, const struct err *why) {
    (void)why;
    *(int *)ctx += code == OK;
}

/* From a client: the store's versions, and no folder that the operator did not name. */
static void what_a_client_sends(void **state) {
    struct roster_model models[2] = {roster_model_default(), roster_model_default()};
    struct roster r = {.models = models, .n = 2};
    int done = 0;
    (void)state;
    assert_ok(follow_open(&(struct follow_options){.store = store}, &follow, &e));
    assert_false(follow->started); /* there is nothing to look at */
    models[0].name = LIT("n");
    models[1].name = LIT("m");
    models[1].policy = ROSTER_SPECIFIC;
    assert_ok(roster_add_version(&models[1], 1, &e));
    assert_ok(roster_add_label(&models[1], (struct roster_label){LIT("stable"), 1}, &e));
    assert_ok(follow_set(follow, &r, on_done, &done, &e));
    assert_true(served("n@1,m@1") && done == 1 && afresh_was);
    models[1].base_path = LIT("/etc");
    assert_fails(follow_set(follow, &r, on_done, &done, &e), DENIED, "'/etc'");
    models[1].base_path = (struct str){0};
    models[1].versions[0] = 7;
    assert_true(follow_set(follow, &r, on_done, &done, &e) != OK);
    assert_true(served("n@1,m@1") && done == 1 && wishes == 1);
}

static void what_there_is_to_look_at(void **state) {
    struct roster_model model = roster_model_default();
    struct roster r = {.models = &model, .n = 1};
    (void)state;
    model.name = LIT("m");
    struct follow_options o = {.store = store, .now = &r, .folders_ms = 5};
    assert_ok(follow_open(&o, &follow, &e));
    assert_true(!follow->started && step_ms(follow) == NEVER_MS); /* none of them has a folder */
    follow_close(follow);
    model.base_path = str_of(folder);
    assert_ok(follow_open(&o, &follow, &e));
    assert_true(follow->started && step_ms(follow) == 5);
    assert_true(follow->n_roots == 1 && str_is(follow->roots[0], folder));
    follow_close(follow);
    follow = NULL;
    o.config = "/nowhere/models.config";
    assert_true(follow_open(&o, &follow, &e) != OK && !follow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_file_is_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_client_sends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_there_is_to_look_at, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
