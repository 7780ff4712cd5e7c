/* base/hash: the 2-4 vectors of the SipHash paper (appendix A) and of its reference key, through the same code
 * that is used with 1-3 rounds. */
#include "base/hash.c"

#include "unit/cm.h"

static const struct hash_key key = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

static void agrees_with_the_paper(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } rows[] = {{0, 0x726fdb47dd0e0e31U},
                {1, 0x74f839c593dc67fdU},
                {8, 0x93f5f5799a932462U},
                {15, 0xa129ca6149be45e5U}};
    unsigned char bytes[16];
    UNUSED(state);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)i;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(sip_hash(&key, bytes, rows[i].len, 2, 4) == rows[i].hash);
    }
}

static void depends_on_all(void **state)
{
    UNUSED(state);
    struct hash_key other = {key.k0, key.k1 + 1};
    assert_true(hash_span(&key, SPAN("a")) == hash_bytes(&key, "a", 1));
    assert_true(hash_span(&key, SPAN("a")) != hash_span(&other, SPAN("a")));
    assert_true(hash_span(&key, SPAN("a")) != hash_span(&key, SPAN("b")));
    assert_true(hash_span(&key, SPAN("")) != hash_bytes(&key, "", 1));
    assert_ptr_equal(hash_process_key(), hash_process_key());
    assert_true(hash_process_key()->k0 != 0 || hash_process_key()->k1 != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_paper),
        cmocka_unit_test(depends_on_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
