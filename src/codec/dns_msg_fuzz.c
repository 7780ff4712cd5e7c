/* DNS: what is read is written and read again as the same, as far as there is room. */
#include "codec/dns_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct dns_record *a, const struct dns_record *b)
{
    ASSERT(span_eq(a->name, b->name) && a->type == b->type && a->ttl_s == b->ttl_s &&
           a->section == b->section && ip_eq(&a->ip, &b->ip) && span_eq(a->target, b->target) &&
           a->priority == b->priority && a->weight == b->weight && a->port == b->port &&
           span_eq(a->raw, b->raw));
}

/* Classes of 0 are written as 1, and AAAA records that hold a mapped IPv4 address are not written. */
static bool can_be_written(const struct dns_record *record)
{
    return record->class != 0 && !(record->type == DNS_AAAA && record->ip.family == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[DNS_MESSAGE_BYTES];
    struct arena arena;
    struct dns_msg msg;
    struct dns_msg again;
    struct dns_msg_writer w;
    struct ip ip;
    arena_init(&arena, 4096);
    if (dns_msg_parse(&msg, span_from(data, size), &arena) == 0) {
        bool all = true;
        int failed = dns_msg_start(&w, out, sizeof(out), &msg.head, &msg.question);
        ASSERT(failed == 0);
        failed = dns_msg_reverse_ip(msg.question.name, &ip);
        ASSERT(failed == -ERR_PROTO || ip.family != 0);
        for (size_t i = 0; i < msg.record_count; i++) {
            all = all && can_be_written(&msg.records[i]);
            failed = all ? dns_msg_add(&w, &msg.records[i]) : 0;
            ASSERT(failed == 0);
        }
        all = all && !w.is_full;
        size_t len = dns_msg_finish(&w, msg.udp_bytes);
        failed = dns_msg_parse(&again, span_from(out, len), &arena);
        ASSERT(failed == 0 && span_eq(msg.question.name, again.question.name));
        for (size_t i = 0; all && i < msg.record_count; i++) {
            ASSERT(again.record_count == msg.record_count);
            check_same(&msg.records[i], &again.records[i]);
        }
    }
    arena_dispose(&arena);
    return 0;
}
