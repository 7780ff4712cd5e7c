#ifndef PROXY_PROXY_CLUSTERS_H
#define PROXY_PROXY_CLUSTERS_H
/* Envoy's /clusters: every endpoint with its load, asked of all workers and summed. */
#include "proxy/proxy_admin.h"

/* Answers the stream when all workers have; nothing if the client leaves before. */
void proxy_clusters_answer(const struct proxy_admin_view *view, struct http_stream *stream,
                           bool json);
#endif
