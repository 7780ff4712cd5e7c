/* Any text: refused, or an address that is written and read back as the same one. */
#include "io/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct addr addr;
    struct addr again;
    struct err err;
    char text[ADDR_TEXT_BYTES];
    if (addr_parse(span_from(data, size), &addr, &err) == 0) {
        ASSERT(addr_parse(span_of(addr_format(&addr, text)), &again, &err) == 0);
        ASSERT(addr_eq(&addr, &again));
    } else {
        ASSERT(addr.kind == ADDR_NONE);
    }
    return 0;
}
