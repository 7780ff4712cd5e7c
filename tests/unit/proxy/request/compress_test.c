/* proxy/request/compress: what Accept-Encoding says, and the states of a worker. */
#include "proxy/request/compress.c"
#include "proxy/request/packers.c"

#include "unit/cm.h"

static void reads_what_the_client_takes(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool gzip;
    } rows[] = {
        {"gzip", true},
        {"GZIP", true},
        {"x-gzip", true},
        {"gzip, deflate, br", true},
        {"br;q=1, gzip;q=0.8", true},
        {"deflate , gzip ;q=0.001", true},
        {"*", true},
        {"*;q=0.5", true},
        {"identity;q=0, *", true},
        {"identity;q=0, gzip", true},
        {"identity;q=0.5, gzip;q=0.5", true},
        {"gzip;q=1.000", true},
        {"gzip; q=0.5; x=y", true},
        {"gzip;Q=0.5", true},
        {"", false},
        {"identity", false},
        {"identity;q=0", false},
        {"br", false},
        {"gzip;q=0", false},
        {"gzip;q=0.000", false},
        {"gzip;q=0, *", false},
        {"*;q=0", false},
        {"gzip;q=0.5, identity", false},
        {"gzip;q=1.5", false},
        {"gzip;q=2", false},
        {"gzip;q=-1", false},
        {"gzip;q=", false},
        {"gzip;q=0.1234", false},
        {"gzip;q=a", false},
        {"gzipped", false},
        {",,;,", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (takes_gzip(span_of(rows[i].accept)) != rows[i].gzip) {
            print_error("'%s'\n", rows[i].accept);
            fail();
        }
    }
}

static void states_are_bounded(void **state)
{
    (void)state;
    const struct gzip_settings big = {.level = 1, .window_bits = 15, .memory = 9};
    const struct gzip_settings small = {.level = 1, .window_bits = 9, .memory = 1};
    struct packers *p = packers_new();
    struct gzip_stream *taken[256];
    size_t count = 0;
    while (count < ARRAY_LEN(taken) && (taken[count] = packers_get(p, big)) != NULL) {
        count++;
    }
    assert_int_equal(count, PACKERS_BYTES_MAX / gzip_stream_bytes(big));
    packers_put_take(p, taken[--count]);
    struct gzip_stream *other =
        packers_get(p, small); /* of other settings: not the one given back */
    assert_ptr_not_equal(other, taken[count]);
    packers_put_take(p, other);
    assert_ptr_equal(packers_get(p, big), taken[count]);
    count++;
    while (count > 0) {
        packers_put_take(p, taken[--count]);
    }
    assert_int_equal(p->used_bytes, 0);
    assert_int_equal(p->idle_count, PACKERS_IDLE_MAX);
    packers_free(p);
    packers_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_client_takes),
        cmocka_unit_test(states_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
