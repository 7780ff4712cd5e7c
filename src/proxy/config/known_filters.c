/* Extensions that need no doing here. */
#include "proxy/config/known_filters.h"

#include "proto/protobuf.pb.h"

#define AT(place) (1u << (place))

static const struct known_filter {
    unsigned places;
    bool only_empty;  /* accepted only without settings */
    const char *word; /* type of its configuration, or the filter's name */
    const char *why;
} known_filters[] = {
    /* Istio's telemetry: request metrics with Istio's names are written by proxy/report. */
    {AT(KNOWN_HTTP) | AT(KNOWN_NETWORK), false, "stats.PluginConfig", "metrics are our own"},
    {AT(KNOWN_HTTP) | AT(KNOWN_NETWORK), false, "istio.stats", "metrics are our own"},
    {AT(KNOWN_HTTP), false, "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
     "metrics are our own"},
    /* Who the peer is: request/peering and downstream/exchange ask and answer without being told. */
    {AT(KNOWN_HTTP) | AT(KNOWN_UPSTREAM), false, "io.istio.http.peer_metadata.Config",
     "peers tell each other who they are"},
    {AT(KNOWN_NETWORK) | AT(KNOWN_UPSTREAM), false,
     "envoy.tcp.metadataexchange.config.MetadataExchange", "peers tell each other who they are"},
    {AT(KNOWN_NETWORK) | AT(KNOWN_UPSTREAM) | AT(KNOWN_HTTP), false, "istio.metadata_exchange",
     "peers tell each other who they are"},
    /* ALPN towards upstreams follows Istio's convention without being told. */
    {AT(KNOWN_HTTP), false, "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
     "ALPN follows what a connection carries"},
    /* The codec is not a step that can be left out. */
    {AT(KNOWN_UPSTREAM), false, "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
     "part of every connection"},
};

bool known_filters_builtin(enum known_place place, struct span type, struct span name,
                           const struct pb_protobuf_Any *config)
{
    for (size_t i = 0; i < ARRAY_LEN(known_filters); i++) {
        const struct known_filter *k = &known_filters[i];
        if ((k->places & AT(place)) != 0 && (span_is(type, k->word) || span_is(name, k->word))) {
            return !k->only_empty || !config || config->value.len == 0;
        }
    }
    return false;
}
