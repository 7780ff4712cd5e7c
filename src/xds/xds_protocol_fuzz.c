/* Fuzzes sequences of messages at both ends of both protocols. The first byte chooses the protocol; then
 * steps follow, each a byte for what happens, one for a length, and so many bytes. Whatever a stranger
 * sends, our own two ends must then still understand each other. */
#include "xds/xds_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_BYTES 65536
#define ROUNDS 100

struct ends {
    const struct xds_protocol *protocol;
    struct xds_subs *client;
    struct xds_session *server;
    struct buf out;
    bool refuse;
};

static int on_update(void *arg, const struct xds_update *u, struct err *err)
{
    const struct ends *e = arg;
    for (size_t i = 0; i < u->added_count; i++) {
        ASSERT(span_eq(u->added[i].type_url, u->type_url));
    }
    return e->refuse ? err_set(err, -ERR_CONFIG, "refused") : 0;
}

/* Versions and presence of three resources, by the bits of `what`. */
static int answer(struct ends *e, uint8_t what, struct span url)
{
    static const char *const names[] = {"a", "b", "c"};
    static const char *const values[] = {"\x0a\x01"
                                         "a",
                                         "\x0a\x01"
                                         "b",
                                         "\x0a\x01"
                                         "c"};
    struct xds_resource all[3];
    struct xds_answer answer = {
        .type_url = url, .version = SPAN("v"), .resources = all, .is_complete = true};
    for (int i = 0; i < 3; i++) {
        if (what & (1 << i)) {
            all[answer.count++] =
                (struct xds_resource){.name = span_of(names[i]),
                                      .version = what & (8 << i) ? SPAN("1") : SPAN("2"),
                                      .type_url = url,
                                      .value = span_of(values[i])};
        }
    }
    buf_reset(&e->out);
    return e->protocol->answer(e->server, &answer, &e->out);
}

static bool hear(struct ends *e, struct span wire, uint8_t what)
{
    struct xds_ask ask;
    struct err err;
    if (e->protocol->hear(e->server, wire, &ask, &err) < 0) {
        return false;
    }
    if (ask.wants_answer && answer(e, what, ask.type_url) == 1) {
        int rc = e->protocol->receive(e->client, buf_span(&e->out), &err);
        ASSERT(rc == 0 || (rc == -ERR_CONFIG && e->refuse));
    }
    return true;
}

static void talk(struct ends *e, uint8_t what)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct buf request;
        buf_init(&request, OUT_BYTES);
        int rc = e->protocol->next(e->client, &request);
        bool go_on = rc == 1 && hear(e, buf_span(&request), what);
        buf_dispose(&request);
        if (!go_on) {
            return;
        }
    }
    ASSERT(!"the two ends never end");
}

static void step(struct ends *e, uint8_t what, struct span bytes)
{
    static const char *const urls[] = {XDS_CLUSTER, XDS_ENDPOINTS, XDS_LISTENER, XDS_SECRET};
    struct span url = span_of(urls[what >> 3 & 3]);
    struct err err;
    int code;
    switch (what & 7) {
    case 0:
        (void)e->protocol->receive(e->client, bytes, &err); /* whatever it says */
        break;
    case 1:
        (void)hear(e, bytes, what); /* from a stranger */
        break;
    case 2:
        code = xds_protocol_subscribe(e->client, url, bytes);
        UNUSED(code); /* may be over a limit */
        break;
    case 3:
        xds_protocol_unsubscribe(e->client, url, bytes);
        break;
    case 4:
        xds_protocol_session_free(e->server);
        e->server = xds_protocol_session_new();
        e->protocol->start(e->client);
        break;
    case 5:
        e->refuse = what & 8;
        break;
    case 6:
        if (answer(e, bytes.len ? (uint8_t)bytes.at[0] : 0, url) == 1) {
            (void)e->protocol->receive(e->client, buf_span(&e->out), &err); /* may be refused */
        }
        break;
    default:
        talk(e, bytes.len ? (uint8_t)bytes.at[0] : 7);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct ends e = {.protocol = data[0] & 1 ? &sotw_protocol : &delta_protocol};
    e.client = xds_protocol_subs_new(NULL, on_update, &e);
    e.server = xds_protocol_session_new();
    buf_init(&e.out, OUT_BYTES);
    e.protocol->start(e.client);
    size_t at = 1;
    while (size - at >= 2) {
        size_t len = size_min(data[at + 1], size - at - 2);
        step(&e, data[at], span_from(data + at + 2, len));
        at += 2 + len;
    }
    xds_protocol_subs_free(e.client);
    xds_protocol_session_free(e.server);
    buf_dispose(&e.out);
    return 0;
}
