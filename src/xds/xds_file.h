#ifndef XDS_XDS_FILE_H
#define XDS_XDS_FILE_H
/* Resources from a file, as Envoy's path_config_source: a DiscoveryResponse (`version_info`, and a list
 * `resources` of Any) as YAML, JSON or protobuf by the end of its name (.json, .pb, else YAML). The file
 * is read again when it changes; what is wrong is told, and the old state stays. Main thread.
 * Next: proxy/config/ingest. */
#include "io/loop.h"
#include "xds/xds.h"

#define XDS_FILE_BYTES_MAX 67108864
#define XDS_FILE_SETTLE_MS 50 /* writers write in pieces */

struct xds_file;

struct xds_file_events {
    /* A call for each type in the file, and for each that was in it before; all are full. */
    xds_on_update on_update;
    /* After each reading but the first: NULL, or why the file was not taken. May be NULL. */
    void (*on_read)(void *arg, const struct err *why);
};

struct xds_file_spec {
    const char *path;
    struct span type_url; /* no other type may be in it; empty = any */
};

/* Reads at once: a file that can not be read or is refused fails here, with on_update called as far as it
 * got. */
MUST_USE int xds_file_new(struct xds_file **out, struct loop *loop,
                          const struct xds_file_spec *spec, const struct xds_file_events *ev,
                          void *arg, struct err *err);
/* NULL is fine. Not from within its own events. */
void xds_file_free(struct xds_file *f);
#endif
