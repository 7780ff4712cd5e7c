/* Faults in words, as an option and as a query. */
#include "sample/fault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char seps[] = {',', '&'};
    for (size_t i = 0; i < sizeof(seps); i++) {
        struct fault f = {.share = 0};
        struct err err;
        if (fault_parse(span_from(data, size), seps[i], &f, &err) == 0) {
            ASSERT(f.share <= 100 && f.delay_ms >= 0 && (f.status == 0 || f.status >= 400));
        }
    }
    return 0;
}
