/* base/xxh64: values that others published. */
#include "base/xxh64.c"

#include "unit/cm.h"

static void published_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seed, hash;
    } rows[] = {
        {"", 0, 0xef46db3751d8e999U},
        {"a", 0, 0xd24ec4f1a98c6e5bU},
        {"abc", 0, 0x44bc2cf5ad770999U},
        {"xxhash", 0, 0x32dd38952c4bc720U},
        {"xxhash", 20141025, 0xb559b98d844e0635U},
        {"Nobody inspects the spammish repetition", 0, 0xfbcea83c8a378bf1U},
        {"Call me Ishmael. Some years ago--never mind how long precisely-", 0, 0x02a2e85470d6fd96U},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(xxh64(span_of(rows[i].text), rows[i].seed), rows[i].hash);
    }
}

/* The specification's own check: bytes from a generator, at the lengths where the road forks. */
static void lengths(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t hash, seeded;
    } rows[] = {
        {0, 0xef46db3751d8e999U, 0xac75fda2929b17efU},
        {1, 0xe934a84adb052768U, 0x5014607643a9b4c3U},
        {4, 0x9136a0dca57457eeU, 0xcaab286bd8e9fdb5U},
        {14, 0x8282dcc4994e35c8U, 0xc3bd6bf63deb6df0U},
        {222, 0xb641ae8cb691c174U, 0x20cb8ab7ae10c14aU},
    };
    char bytes[222];
    uint64_t generator = 2654435761U;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(generator >> 56);
        generator *= 11400714785074694797U;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct span s = span_from(bytes, rows[i].len);
        assert_int_equal(xxh64(s, 0), rows[i].hash);
        assert_int_equal(xxh64(s, 2654435761U), rows[i].seeded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values),
        cmocka_unit_test(lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
