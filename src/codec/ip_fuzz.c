/* Addresses and prefixes: what is read is written in a form that is read as the same. */
#include "codec/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_from(data, size);
    char out[IP_TEXT_BYTES + 4];
    struct ip ip;
    struct ip ip_again;
    struct cidr cidr;
    struct cidr cidr_again;
    if (ip_parse(text, &ip) == 0) {
        int failed = ip_parse(span_of(ip_format(&ip, out)), &ip_again);
        ASSERT(failed == 0 && ip_eq(&ip, &ip_again));
    }
    if (cidr_parse(text, &cidr) == 0) {
        int failed = cidr_parse(span_of(cidr_format(&cidr, out)), &cidr_again);
        ASSERT(failed == 0 && ip_eq(&cidr.ip, &cidr_again.ip) && cidr.bits == cidr_again.bits);
        ASSERT(cidr_contains(&cidr, &cidr.ip));
    }
    return 0;
}
