#ifndef POD_APP_PROBE_INT_H
#define POD_APP_PROBE_INT_H
/* What app_probe.c and app_probe_read.c share. */
#include "base/map.h"
#include "codec/header.h"
#include "proxy/pod/app_probe.h"

enum app_probe_kind { APP_PROBE_HTTP, APP_PROBE_TCP, APP_PROBE_GRPC };

struct app_probe {
    struct span name; /* the path under which it is asked for */
    enum app_probe_kind kind;
    uint16_t port;
    int64_t timeout_ms;
    /* httpGet */
    bool tls;
    struct span path;      /* with query */
    struct span host;      /* of a field Host; may be empty */
    struct header *fields; /* others */
    size_t field_count;
    struct span service; /* grpc */
};

/* Fills `to`, whose keys and values live in `arena`. */
MUST_USE int app_probe_read(struct map *to, struct arena *arena, const char *json, struct err *err);
#endif
