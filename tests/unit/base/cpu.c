/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.c"

#include "check.h"

static void every_level_lowers(void **state) {
    (void)state;
    struct err e;
    unsigned all = cpu_flags();
    for (int at = 0; at < N_LEVELS; at++) {
        setenv("SLIPWAY_CPU", levels[at].name, 1);
        assert_ok(cpu_setup(&e));
        assert_int_equal(cpu_flags() & ~levels[at].flags, 0);
        assert_int_equal(cpu_flags(), all & levels[at].flags);
    }
    setenv("SLIPWAY_CPU", "scalar", 1);
    assert_ok(cpu_setup(&e));
    assert_int_equal(cpu_flags(), 0);
    assert_string_equal(cpu_level(), "scalar");
}

static void a_wrong_level_is_named(void **state) {
    (void)state;
    struct err e;
    setenv("SLIPWAY_CPU", "pentium", 1);
    assert_fails(cpu_setup(&e), USAGE, "SLIPWAY_CPU is 'pentium'; use scalar, avx2");
    setenv("SLIPWAY_CPU", "", 1);
    assert_ok(cpu_setup(&e));
    unsetenv("SLIPWAY_CPU");
    assert_ok(cpu_setup(&e));
}

static void the_level_is_the_highest_with_all_below(void **state) {
    (void)state;
    unsigned found = cpu.found;
    cpu.mask = ~0u;
    const struct {
        unsigned flags;
        const char *level;
    } cases[] = {{0, "scalar"},
                 {WITH_AVX2, "avx2"},
                 {WITH_AVX2 | CPU_AVX_VNNI, "avxvnni"},
                 {WITH_AVX512, "avx512"},
                 {WITH_AVX512 | CPU_VNNI, "vnni"},
                 {WITH_BF16, "bf16"},
                 {WITH_AMX, "amx"}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        cpu.found = cases[at].flags;
        assert_string_equal(cpu_level(), cases[at].level);
    }
    cpu.found = found;
}

static void facts_are_sane(void **state) {
    (void)state;
    assert_true(cpu_cores() >= 1 && cpu_cores() <= 4096);
    assert_true(cpu_l2_bytes() >= 1 << 15);
    assert_true(strlen(cpu_model()) > 0);
#ifdef __x86_64__
    assert_int_equal(!!(cpu.found & CPU_SSE42), !!__builtin_cpu_supports("sse4.2"));
    assert_int_equal(!!(cpu.found & CPU_AVX2),
                     !!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
    assert_int_equal(!!(cpu.found & CPU_VNNI), !!__builtin_cpu_supports("avx512vnni"));
#endif
}

static void quotas_round_up(void **state) {
    (void)state;
    assert_int_equal(quota_of("max 100000\n"), 0);
    assert_int_equal(quota_of("200000 100000\n"), 2);
    assert_int_equal(quota_of("150000 100000"), 2);
    assert_int_equal(quota_of("1000 100000"), 1);
    assert_int_equal(quota_of("-1 100000"), 0);
    assert_int_equal(quota_of(""), 0);
    assert_int_equal(quota_of("5 0"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_lowers),
        cmocka_unit_test(a_wrong_level_is_named),
        cmocka_unit_test(the_level_is_the_highest_with_all_below),
        cmocka_unit_test(facts_are_sane),
        cmocka_unit_test(quotas_round_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
