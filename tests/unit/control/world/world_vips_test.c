/* control/world/world_vips: addresses that stay, and never meet. */
#include "control/world/world_vips.c"

#include <stdio.h>

#include "unit/cm.h"

static struct ip give(struct world_vips *v, const char *key)
{
    struct ip ip;
    assert_true(world_vips_give(v, span_of(key), &ip));
    assert_int_equal(ip.bytes[0], 240);
    assert_int_equal(ip.bytes[1], 240);
    return ip;
}

static void stays(void **state)
{
    UNUSED(state);
    struct world_vips *v = world_vips_new(), *other = world_vips_new();
    world_vips_begin(v);
    struct ip a = give(v, "a"), b = give(v, "b");
    assert_false(ip_eq(&a, &b));
    world_vips_end(v);
    world_vips_begin(v);
    struct ip again = give(v, "a");
    assert_true(ip_eq(&a, &again));
    world_vips_end(v); /* b was not asked for, and is free */
    world_vips_begin(other);
    again = give(other, "b"); /* another process comes to the same */
    assert_true(ip_eq(&b, &again));
    world_vips_free(v);
    world_vips_free(other);
    world_vips_free(NULL);
}

static void makes_room(void **state)
{
    UNUSED(state);
    struct world_vips *v = world_vips_new();
    world_vips_begin(v);
    struct ip a = give(v, "a");
    world_vips_end(v);
    world_vips_begin(v);
    world_vips_claim(v, &a); /* an object says it wants this one */
    struct ip moved = give(v, "a");
    assert_false(ip_eq(&a, &moved));
    world_vips_end(v);
    world_vips_begin(v);
    struct ip stays_moved = give(v, "a");
    assert_true(ip_eq(&moved, &stays_moved));
    world_vips_free(v);
}

static void fills_up(void **state)
{
    UNUSED(state);
    static uint8_t seen[VIP_COUNT];
    struct world_vips *v = world_vips_new();
    struct ip ip;
    char key[16];
    memset(seen, 0, sizeof(seen));
    world_vips_begin(v);
    for (unsigned i = 0; i < 3000; i++) { /* of 65534: some 70 of them meet */
        (void)snprintf(key, sizeof(key), "%u", i);
        ip = give(v, key);
        unsigned place = (unsigned)ip.bytes[2] << 8 | ip.bytes[3];
        assert_int_equal(seen[place], 0);
        seen[place] = 1;
        assert_true(place != 0 && place != 65535);
    }
    for (unsigned place = 0; place < VIP_COUNT; place++) {
        uint8_t bytes[4] = {240, 240, (uint8_t)(place >> 8), (uint8_t)place};
        ip = ip_from_bytes(bytes, sizeof(bytes));
        world_vips_claim(v, &ip);
    }
    assert_false(world_vips_give(v, SPAN("one more"), &ip));
    world_vips_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays),
        cmocka_unit_test(makes_room),
        cmocka_unit_test(fills_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
