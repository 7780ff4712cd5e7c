#ifndef PROXY_PROXY_SOURCES_H
#define PROXY_PROXY_SOURCES_H
/* Where a proxy's configuration comes from after its bootstrap: files that are watched, or the control plane over
 * one ADS stream. Both end in config/ingest. Main thread.
 * In: bootstrap. Out: xds/xds_client, xds/xds_file. Next: config/ingest. */
#include "base/compiler.h"
#include "base/err.h"
#include "proxy/bootstrap.h"
#include "proxy/config/ingest.h"
#include "proxy/proxy_numbers.h"
#include "xds/xds.h"

struct proxy_sources;
struct resolver;

/* `boot`, `ingest`, `resolver`, `numbers` are borrowed. `on_moved` when completeness may have changed. */
struct proxy_sources *proxy_sources_new(struct loop *loop, struct resolver *resolver,
                                        struct ingest *ingest, const struct bootstrap *boot,
                                        struct proxy_numbers *numbers, void (*on_moved)(void *arg),
                                        void *arg);
/* After the static resources were taken. -ERR_CONFIG when a file is wrong at the very start. */
MUST_USE int proxy_sources_start(struct proxy_sources *s, struct err *err);
/* A new snapshot: where the control plane is, and by what identity it is reached, may have changed. */
void proxy_sources_snapshot(struct proxy_sources *s, const struct snapshot *snapshot);
/* ingest's on_interest. */
void proxy_sources_want(struct proxy_sources *s, enum conf_kind kind, struct span name,
                        struct span path, bool wanted);
/* Another type (static text), by name, whose updates go to `on_other` in place of ingest: before anything of it is asked; at most
 * PROXY_SOURCES_OTHERS. */
#define PROXY_SOURCES_OTHERS 4
void proxy_sources_set_other(struct proxy_sources *s, const char *type_url, xds_on_update on_other,
                             void *arg);
void proxy_sources_want_other(struct proxy_sources *s, const char *type_url, struct span name,
                              bool wanted);
/* The first answers for listeners and clusters are there, or none are to come. */
bool proxy_sources_are_complete(const struct proxy_sources *s);
/* The control plane (or a file) has told the listeners, in this run. */
bool proxy_sources_have_answered(const struct proxy_sources *s);
/* There is a way to the control plane: its address and, if need be, our identity. */
bool proxy_sources_have_client(const struct proxy_sources *s);
/* Takes these as if they had come over the stream, and tells the control plane that they are held. */
void proxy_sources_restore(struct proxy_sources *s, const struct xds_update *updates, size_t count);
/* What the ADS stream goes over, or NULL while there is none (xds_client_http). */
struct http_client *proxy_sources_http(struct proxy_sources *s);
/* NULL is fine. */
void proxy_sources_free(struct proxy_sources *s);
#endif
