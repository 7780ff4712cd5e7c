/* Netlink messages: layout, nesting, limits, and a kernel that answers. */
#include "base/netlink.c"

#include <linux/rtnetlink.h>

#include "unit/cm.h"

static void test_layout(void **state)
{
    UNUSED(state);
    static const char want[] = "\x34\0\0\0\x10\0\x05\0\x01\0\0\0\0\0\0\0" /* 52 bytes, type 16 */
                               "abc\0"                                    /* the family's header */
                               "\x0c\0\x07\x80"                           /* a nest of 12 */
                               "\x08\0\x01\0\x04\x03\x02\x01"             /* a number */
                               "\x06\0\x02\0x\0\0\0"                      /* a text, padded */
                               "\x05\0\x03\0y\0\0\0"                      /* a byte, padded */
                               "\x04\0\x04\0";                            /* nothing */
    struct netlink m;
    struct buf batch;
    uint32_t sequence = 0;
    buf_init(&batch, 4096);
    netlink_begin(&m, 16, NLM_F_ACK, "abc", 3);
    size_t at = netlink_nest(&m, 7);
    netlink_put_u32(&m, 1, 0x01020304);
    netlink_nest_end(&m, at);
    netlink_put_text(&m, 2, "x");
    netlink_put(&m, 3, "y", 1);
    netlink_put(&m, 4, "", 0);
    assert_int_equal(netlink_end(&m, &sequence, &batch), 0);
    assert_int_equal(sequence, 1);
    assert_int_equal(buf_span(&batch).len, sizeof(want) - 1);
    assert_memory_equal(buf_span(&batch).at, want, sizeof(want) - 1);
    buf_dispose(&batch);
}

static void test_a_message_too_long(void **state)
{
    UNUSED(state);
    char big[NETLINK_MESSAGE_BYTES] = {0};
    struct netlink m;
    struct buf batch;
    uint32_t sequence = 0;
    buf_init(&batch, 1 << 16);
    netlink_begin(&m, 16, 0, "abcd", 4);
    size_t at = netlink_nest(&m, 1);
    netlink_put(&m, 1, big, sizeof(big));
    netlink_nest_end(&m, at);
    assert_int_equal(netlink_end(&m, &sequence, &batch), -ERR_LIMIT);
    assert_int_equal(buf_span(&batch).len, 0);
    netlink_begin(&m, 16, 0, "abcd", 4); /* and it is as new */
    assert_int_equal(netlink_end(&m, &sequence, &batch), 0);
    buf_dispose(&batch);
}

/* Needs no privilege: the first message is fine, the second names a link that nobody has. */
static void test_the_kernel_answers(void **state)
{
    UNUSED(state);
    struct netlink m;
    struct buf batch;
    uint32_t sequence = 0;
    struct ifinfomsg no_link = {.ifi_index = 0x7ffffffe};
    buf_init(&batch, 4096);
    netlink_begin(&m, NLMSG_NOOP, 0, NULL, 0);
    assert_int_equal(netlink_end(&m, &sequence, &batch), 0);
    netlink_begin(&m, RTM_GETLINK, NLM_F_ACK, &no_link, sizeof(no_link));
    assert_int_equal(netlink_end(&m, &sequence, &batch), 0);
    assert_int_equal(netlink_send(NETLINK_ROUTE, buf_span(&batch), &sequence), -ENODEV);
    assert_int_equal(sequence, 2);
    assert_true(netlink_send(-1, buf_span(&batch), &sequence) < 0);
    assert_int_equal(sequence, 0);
    buf_dispose(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_a_message_too_long),
        cmocka_unit_test(test_the_kernel_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
