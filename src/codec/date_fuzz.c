/* Dates: what is read is written in a form that is read as the same time. */
#include "base/err.h"
#include "base/instant.h"
#include "codec/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_from(data, size);
    char out[DATE_TEXT_BYTES];
    int64_t us;
    int64_t again;
    if (date_parse_rfc3339(text, &us) == 0) {
        struct instant_civil civil = instant_to_civil(us / 1000000);
        size_t len = date_format_rfc3339(us, 6, out);
        /* An offset may lead out of the years that have four digits. */
        if (civil.year >= 1 && civil.year <= 9998) {
            int failed = date_parse_rfc3339(span_from(out, len), &again);
            ASSERT(failed == 0 && us == again);
        }
    }
    if (date_parse_http(text, &us) == 0) {
        int failed = date_parse_http(span_from(out, date_format_http(us, out)), &again);
        ASSERT(failed == 0 && us == again);
    }
    struct buf formatted;
    buf_init(&formatted, 4096);
    int failed = date_format(1795430777123456, text, &formatted);
    ASSERT(failed == 0 || failed == -ERR_CONFIG || failed == -ERR_LIMIT);
    buf_dispose(&formatted);
    return 0;
}
