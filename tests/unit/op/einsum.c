/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of einsum. Products are checked against the definition, which has cases of its own. */
#include "op/einsum.c"

#include "op_case.h"

static struct op_case equation(const char *text) {
    struct op_case c = op_case("einsum", 12);
    op_case_str(&c, "equation", text);
    return c;
}

static void one(const char *text, struct tensor a, struct tensor y) {
    struct op_case c = equation(text);
    op_case_in(&c, a);
    op_case_out(&c, y);
    op_case_check(&c);
}
static void two(const char *text, struct tensor a, struct tensor b, struct tensor y) {
    struct op_case c = equation(text);
    op_case_in(&c, a);
    op_case_in(&c, b);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void known_numbers(void **state) {
    (void)state;
    struct tensor m = T_F32(DIMS(2, 2), 1, 2, 3, 4), n = T_F32(DIMS(2, 2), 5, 6, 7, 8),
                  v = T_F32(DIMS(2), 10, 100);
    one("ij->ji", m, T_F32(DIMS(2, 2), 1, 3, 2, 4));
    one("ij->i", m, T_F32(DIMS(2), 3, 7));
    one("ij -> ", m, T_F32(SCALAR, 10));
    one("ii->i", m, T_F32(DIMS(2), 1, 4));
    one("ii", m, T_F32(SCALAR, 5));
    one("ba", m, T_F32(DIMS(2, 2), 1, 3, 2, 4));
    one("...j->...", m, T_F32(DIMS(2), 3, 7));
    two("ij,jk", m, n, T_F32(DIMS(2, 2), 19, 22, 43, 50));
    two("ij, jk -> ki", m, n, T_F32(DIMS(2, 2), 19, 43, 22, 50));
    two("ij,ij->ij", m, n, T_F32(DIMS(2, 2), 5, 12, 21, 32));
    two("i,j->ij", v, v, T_F32(DIMS(2, 2), 100, 1000, 1000, 10000));
    two("i,i", v, v, T_F32(SCALAR, 10100));
    two("ij,j->i", m, v, T_F32(DIMS(2), 210, 430));
    two("ii,i->i", m, v, T_F32(DIMS(2), 10, 400));
    two("ij,k->k", m, v, T_F32(DIMS(2), 100, 1000));
    two("...i,...i->...", m, v, T_F32(DIMS(2), 210, 430));
    two("ij,jk->ik", T_I32(DIMS(1, 2), -1, 2), T_I32(DIMS(2, 1), 3, 4), T_I32(DIMS(1, 1), 5));
    two("ij,jk->ik", T_F64(DIMS(1, 2), -1, 2), T_F64(DIMS(2, 1), 3, 4), T_F64(DIMS(1, 1), 5));
    two("ij,jk->ik", T_F16(DIMS(1, 2), 0x3c00, 0x4000), T_F16(DIMS(2, 1), 0x4000, 0x3c00),
        T_F16(DIMS(1, 1), 0x4400));
}

/* The same sum by the definition. */
static void agrees(const char *text, int n, const struct shape *shapes) {
    struct op_case c = equation(text);
    struct err e;
    struct equation q;
    struct tensor in[3], y = {.dtype = DT_F32};
    const struct tensor *list[3];
    struct attr attr = {.name = LIT("equation"), .kind = ATTR_STR, .s = str_of(text)};
    struct node node = {.attrs = &attr, .n_attrs = 1, .name = LIT("case")};
    assert_int_equal(equation_of(&(struct operand_at){NULL, &node}, shapes, n, &q, &e), OK);
    for (int k = 0; k < n; k++) {
        in[k] = op_case_random(&c, DT_F32, shapes[k], (uint64_t)k + 1);
        list[k] = &in[k];
        op_case_in(&c, in[k]);
    }
    for (int k = 0; k < q.n_out; k++)
        y.shape.dims[y.shape.rank++] = q.size[q.out[k]];
    y.data = arena_push_aligned(&c.arena, tensor_bytes(&y) + 1, 64);
    struct define d = {.in = list, .out = &y};
    define_begin(&d, &q);
    define_all(&d, 1);
    op_case_out(&c, y);
    c.relative = c.absolute = 1e-4;
    op_case_check(&c);
}

static void products(void **state) {
    (void)state;
    agrees("bij,bjk->bik", 2, (struct shape[]){DIMS(3, 7, 17), DIMS(3, 17, 31)});
    agrees("bhid,bhjd->bhij", 2, (struct shape[]){DIMS(2, 3, 5, 8), DIMS(2, 3, 4, 8)});
    agrees("bhwc,hkc->bhwk", 2, (struct shape[]){DIMS(2, 3, 4, 5), DIMS(3, 6, 5)});
    agrees("bchw,bkc->bkhw", 2, (struct shape[]){DIMS(2, 5, 3, 4), DIMS(2, 6, 5)});
    agrees("...ij,...jk->...ik", 2, (struct shape[]){DIMS(2, 3, 4, 5), DIMS(3, 5, 6)});
    agrees("...ij,...jk->...ik", 2, (struct shape[]){DIMS(1, 4, 5), DIMS(3, 5, 6)});
    agrees("ijx,jk->ik", 2, (struct shape[]){DIMS(4, 5, 3), DIMS(5, 6)});
    agrees("iij,jk->ik", 2, (struct shape[]){DIMS(4, 4, 5), DIMS(5, 6)});
    agrees("ij,jk,kl->il", 3, (struct shape[]){DIMS(4, 5), DIMS(5, 6), DIMS(6, 7)});
    agrees("ij,ik,il->jkl", 3, (struct shape[]){DIMS(4, 5), DIMS(4, 6), DIMS(4, 7)});
    agrees("bij,bkj->", 2, (struct shape[]){DIMS(2, 3, 4), DIMS(2, 5, 4)});
    agrees("i,j,k->kji", 3, (struct shape[]){DIMS(3), DIMS(4), DIMS(5)});
    agrees("ij,jk->ik", 2, (struct shape[]){DIMS(3, 0), DIMS(0, 2)});
    agrees("ij,jk->ik", 2, (struct shape[]){DIMS(0, 3), DIMS(3, 2)});
    agrees("bnqd,bnkd->bnqk", 2, (struct shape[]){DIMS(1, 2, 127, 16), DIMS(1, 2, 65, 16)});
}

static void refuse(const char *text, struct tensor a, const char *part) {
    struct op_case c = equation(text);
    op_case_in(&c, a);
    op_case_out(&c, T_F32(SCALAR, 1));
    op_case_refuse(&c, ERR_INVALID, part);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    struct tensor m = T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6);
    refuse("ij,jk->ik", m, "does not name 1 operands");
    refuse("i->i", m, "input 0 has rank 2");
    refuse("ijk", m, "input 0 has rank 2");
    refuse("ii->i", m, "a label is of 2 and of 3 elements");
    refuse("ij->k", m, "a label of its own");
    refuse("ij->ii", m, "twice in the output");
    refuse("i1->i", m, "is no label");
    refuse("ij-", m, "'->' was expected");
    refuse("ij->i,j", m, "goes on behind its output");
    refuse("ij->i->j", m, "goes on behind its output");
    refuse("i..j", m, "is no label");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(products),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
