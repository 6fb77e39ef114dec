/* SPDX-License-Identifier: Apache-2.0 */
/* Images and texts in the place of numbers, outcomes in the place of outputs: which input, how
 * many, what is asked for by name. Pixels: prepare.c; outcomes: outcome.c. */
#include "serve/media.c"

#include "image_cases.h"
#include "stand.h"

#include "base/base64.h"

static struct stand s;
static struct err e;
static struct live_io inputs[2], outputs[2];
static struct recipe recipe;
static const struct protocol plain, own = {.raw = true};

/* One image input, logits of three classes and a row of embeddings. */
static void open_classifier(void) {
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 3, 2, 2));
    outputs[0] = stand_io("y", DT_F32, STAND_DIMS(-1, 3));
    outputs[1] = stand_io("e", DT_F32, STAND_DIMS(-1, 2));
    stand_open(&s, inputs, 1, outputs, 2);
    recipe = (struct recipe){.scale = {1, 1, 1}, .softmax = true, .top = 2};
}

/* A request whose version declares `recipe`. */
static struct request *begin(void) {
    struct request *r = stand_text(&s, "");
    r->ask.live = &s.live;
    r->protocol = &plain;
    r->media = ARENA_NEW(r->arena, struct media);
    r->media->recipe = recipe;
    return r;
}

static void give(struct request *r, const char *name, size_t n, const struct str *texts) {
    if (!r->ask.inputs)
        r->ask.inputs = ARENA_ARRAY(r->arena, 2, struct ask_tensor);
    r->ask.inputs[r->ask.n_inputs++] = (struct ask_tensor){
        .name = str_of(name),
        .tensor = {
            .dtype = DT_STRING, .shape = {1, {(int64_t)n}}, .data = (void *)(uintptr_t)texts}};
}

static struct str png(void) { return (struct str){(const char *)png_file, sizeof png_file}; }
static struct str jpeg(void) { return (struct str){(const char *)jpeg_file, sizeof jpeg_file}; }

static void test_which_input(void **state) {
    (void)state;
    struct live_io two[] = {stand_io("ids", DT_I64, STAND_DIMS(-1, 8)),
                            stand_io("x", DT_F32, STAND_DIMS(-1, 3, 2, 2))};
    stand_open(&s, two, 2, NULL, 0);
    recipe = (struct recipe){0};
    assert_str(media_input(begin())->name, "x"); /* the one that takes an image */
    two[0].text = true;                          /* now both do */
    assert_null(media_input(begin()));
    recipe.input = LIT("ids");
    assert_str(media_input(begin())->name, "ids");
    recipe.input = LIT("other");
    assert_null(media_input(begin()));
    struct live_io text = stand_io("t", DT_STRING, STAND_DIMS(-1, 3, 2, 2));
    assert_false(media_takes(&text)); /* takes strings as they are */
    stand_close(&s);
}

static void test_take(void **state) {
    (void)state;
    const struct span bytes = {png_file, sizeof png_file};
    open_classifier();
    struct request *r = begin();
    assert_ok(media_take(r, NULL, bytes, &e));
    assert_true(r->ask.n_inputs == 1 && media_images(r));
    assert_fails(media_take(r, &inputs[0], bytes, &e), INVALID, "'x' is given twice");
    assert_ok(media_inputs(r, &e));
    assert_shape(r->ask.inputs[0].tensor, 1, 3, 2, 2);
    assert_false(media_images(r)); /* they are pixels now */
    assert_int_equal(r->media->n_views, 1);
    inputs[1] = stand_io("x2", DT_F32, STAND_DIMS(-1, 3, 2, 2));
    s.live.n_inputs = 2;
    assert_fails(media_take(begin(), NULL, bytes, &e), INVALID, "several inputs");
    stand_close(&s);
}

static void test_base64_and_data_addresses(void **state) {
    (void)state;
    struct buf coded;
    open_classifier();
    buf_init(&coded, 1 << 16);
    buf_put_str(&coded, LIT("data:image/png;base64,"));
    base64_put((struct span){png_file, sizeof png_file}, &coded);
    const struct str whole = buf_str(&coded), bare = str_sub(whole, 22, whole.n);
    const struct str wrong[] = {LIT("data:image/png;base64"), LIT("iVBORw0KGgo%%%"), LIT("cat"),
                                LIT("iVBORw0KGgo="), LIT("")};
    const struct str good[] = {whole, bare, png(), jpeg()};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct request *r = begin();
        give(r, "x", 1, &good[i]);
        assert_ok(media_inputs(r, &e));
        assert_shape(r->ask.inputs[0].tensor, 1, 3, 2, 2);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct request *r = begin();
        give(r, "x", 1, &wrong[i]);
        e.text[0] = '\0';
        assert_true(media_inputs(r, &e) != OK);
        assert_true(str_starts(str_of(e.text), "input 'x'"));
    }
    buf_deinit(&coded);
    stand_close(&s);
}

static void test_several_images(void **state) {
    (void)state;
    const struct str two[] = {png(), jpeg()};
    struct str *many = calloc(IMAGES_MAX + 1, sizeof *many);
    open_classifier();
    struct request *r = begin();
    give(r, "x", 2, two);
    assert_ok(media_inputs(r, &e));
    assert_shape(r->ask.inputs[0].tensor, 2, 3, 2, 2);
    const float *v = r->ask.inputs[0].tensor.data;
    assert_memory_not_equal(v, v + 12, 12 * sizeof *v); /* each has its own pixels */
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 3, -1, -1));
    recipe.fit = FIT_SIDES; /* pictures of different sizes are left as they are */
    recipe.min_side = recipe.multiple = 1;
    recipe.max_side = 64;
    r = begin();
    give(r, "x", 2, two);
    assert_fails(media_inputs(r, &e), INVALID, "send them one by one");
    for (int none = 0; none < 2; none++) {
        r = begin();
        give(r, "x", none ? 0 : IMAGES_MAX + 1, many);
        assert_fails(media_inputs(r, &e), INVALID, "images: 1 to 1024 are taken at once");
    }
    free(many);
    stand_close(&s);
}

/* Outputs as a run would leave them. */
static void run(struct request *r) {
    static const float y[] = {0, 2, 1}, embedding[] = {7, 8};
    struct ask *a = &r->ask;
    struct live_io *io = outputs;
    a->outputs = ARENA_ARRAY(r->arena, 2, struct ask_tensor);
    for (size_t i = 0; i < 2; i++) {
        bool wanted = a->n_want == 0;
        for (size_t k = 0; k < a->n_want; k++)
            wanted |= str_eq(a->want[k], io[i].name);
        if (wanted)
            a->outputs[a->n_outputs++] =
                (struct ask_tensor){.name = io[i].name,
                                    .tensor = {.dtype = DT_F32,
                                               .shape = {2, {1, i ? 2 : 3}},
                                               .data = (void *)(uintptr_t)(i ? embedding : y)}};
    }
}

static const char *asked_for(const char *first, const char *second) {
    static char text[128];
    const struct str image = png();
    struct str want[2] = {str_of(first ? first : ""), str_of(second ? second : "")};
    struct request *r = begin();
    give(r, "x", 1, &image);
    r->ask.want = want;
    r->ask.n_want = (size_t)(!!first + !!second);
    text[0] = '\0';
    if (media_inputs(r, &e) != OK)
        return e.text;
    run(r);
    if (media_outputs(r, &e) != OK)
        return e.text;
    size_t used = 0;
    for (size_t i = 0; i < r->ask.n_outputs; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%.*s ", STR(r->ask.outputs[i].name));
    return text;
}

static void test_what_is_asked_for(void **state) {
    (void)state;
    open_classifier();
    assert_string_equal(asked_for(NULL, NULL), "classes scores ");
    assert_string_equal(asked_for("y", NULL), "y ");
    assert_string_equal(asked_for("scores", NULL), "scores ");
    assert_string_equal(asked_for("e", "classes"), "e classes "); /* of both kinds, as asked */
    outputs[1].name = LIT("scores");                              /* the model's own comes first */
    assert_string_equal(asked_for("scores", NULL), "scores ");
    stand_close(&s);
}

static void test_values_of_outcomes(void **state) {
    (void)state;
    const struct str image = png();
    open_classifier();
    struct request *r = begin();
    give(r, "x", 1, &image);
    assert_ok(media_inputs(r, &e));
    run(r);
    assert_ok(media_outputs(r, &e));
    assert_shape(r->ask.outputs[0].tensor, 1, 2);
    assert_str(((const struct str *)r->ask.outputs[0].tensor.data)[0], "1");
    r = begin(); /* a protocol that reads the recipe itself gets the tensors */
    r->protocol = &own;
    give(r, "x", 1, &image);
    assert_ok(media_inputs(r, &e));
    run(r);
    assert_ok(media_outputs(r, &e));
    assert_true(str_is(r->ask.outputs[0].name, "y") && !r->media->named);
    r = begin(); /* numbers, and no recipe: nothing is touched */
    r->media = NULL;
    r->ask.inputs = ARENA_NEW(r->arena, struct ask_tensor);
    r->ask.inputs[0] = (struct ask_tensor){.name = LIT("x"), .tensor = {.dtype = DT_F32}};
    r->ask.n_inputs = 1;
    assert_ok(media_inputs(r, &e));
    assert_null(r->media);
    assert_ok(media_outputs(r, &e));
    stand_close(&s);
}

static void test_signature(void **state) {
    (void)state;
    struct live_io *io;
    size_t n;
    open_classifier();
    assert_ok(media_outputs_io(begin(), &io, &n, &e));
    assert_int_equal(n, 4);
    assert_true(str_is(io[1].name, "e") && str_is(io[2].name, "classes") &&
                io[2].dtype == DT_STRING);
    outputs[1].name = LIT("scores"); /* not listed twice */
    assert_ok(media_outputs_io(begin(), &io, &n, &e));
    assert_int_equal(n, 3);
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_input),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_base64_and_data_addresses),
        cmocka_unit_test(test_several_images),
        cmocka_unit_test(test_what_is_asked_for),
        cmocka_unit_test(test_values_of_outcomes),
        cmocka_unit_test(test_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
