/* A client of one service, straight or through a forward proxy. */
#include "sample/peer.h"

#include "base/arena.h"
#include "base/mem.h"
#include "codec/url.h"

struct peer {
    struct http_client *client;
    char *base; /* owned: "http://reviews:9080" before each path, or "" */
};

int peer_new(struct peer **out, struct loop *loop, const struct peer_spec *spec, struct err *err)
{
    bool direct = spec->proxy == NULL || spec->proxy[0] == '\0';
    struct url url;

    if (url_parse(span_of(spec->url), &url) < 0 || !span_is(url.scheme, "http") ||
        url.host.len == 0) {
        return err_set(err, -ERR_CONFIG, "'%s' is not http://host:port", spec->url);
    }
    const struct http_client_spec client = {
        .origin = span_of(direct ? spec->url : spec->proxy),
        .authority = spec->host != NULL ? span_of(spec->host) : url.authority,
        .resolver = spec->resolver,
        .conns = spec->conns,
    };
    struct peer *p = mem_new(struct peer);
    int code = http_client_new(&p->client, loop, &client, err);
    if (code < 0) {
        mem_free(p);
        return code;
    }
    struct arena arena;
    arena_init(&arena, 256);
    p->base =
        mem_strdup(direct ? "" : arena_printf(&arena, "http://%.*s", SPAN_ARG(client.authority)));
    arena_dispose(&arena);
    *out = p;
    return 0;
}

void peer_call(struct peer *p, const struct http_call *call)
{
    struct http_call absolute = *call;
    struct arena arena;

    arena_init(&arena, 512);
    absolute.path = span_of(arena_printf(&arena, "%s%.*s", p->base, SPAN_ARG(call->path)));
    http_client_call(p->client, &absolute);
    arena_dispose(&arena);
}

void peer_free(struct peer *p)
{
    if (p != NULL) {
        http_client_free(p->client);
        mem_free(p->base);
        mem_free(p);
    }
}
