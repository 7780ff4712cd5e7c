/* What an application says its metrics are. */
#include "proxy/pod/metrics_merge.h"

#define OWN "# HELP a_total Of ours.\n# TYPE a_total counter\na_total{x=\"1\"} 1\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out;
    struct err err;
    bool open_metrics = size > 0 && (data[0] & 1) != 0;
    buf_init(&out, 1 << 20);
    int code = metrics_merge(SPAN(OWN), span_from(data, size), open_metrics, &out, &err);
    if (code == 0) {
        struct span text = buf_span(&out);
        ASSERT(span_starts(text, SPAN(OWN)) && text.at[text.len - 1] == '\n');
        ASSERT(span_ends(text, SPAN("\n# EOF\n")) == open_metrics);
        ASSERT(text.len <= sizeof(OWN) + size + 8);
    } else {
        ASSERT(code == -ERR_PROTO || (code == -ERR_LIMIT && size > 1000000));
        ASSERT(buf_len(&out) == 0);
    }
    buf_dispose(&out);
    return 0;
}
