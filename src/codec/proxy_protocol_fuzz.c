/* PROXY headers: what was read is written in a form that is read as the same; a header cut short is never whole. */
#include "base/err.h"
#include "codec/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_protocol p;
    ssize_t used = proxy_protocol_parse(span_from(data, size), &p);
    if (used <= 0) {
        return 0;
    }
    struct proxy_protocol cut;
    ssize_t more = proxy_protocol_parse(span_from(data, (size_t)used - 1), &cut);
    ASSERT(more == PROXY_PROTOCOL_MORE);
    char to[PROXY_PROTOCOL_WRITE_MAX];
    struct proxy_protocol again;
    size_t len = proxy_protocol_write(&p, to);
    ssize_t read = proxy_protocol_parse(span_from(to, len), &again);
    ASSERT(read == (ssize_t)len && again.version == p.version);
    if (p.source.ip.family == p.destination.ip.family) {
        ASSERT(again.has_ends == p.has_ends && again.source.port == p.source.port &&
               ip_eq(&again.source.ip, &p.source.ip) &&
               ip_eq(&again.destination.ip, &p.destination.ip));
    }
    return 0;
}
