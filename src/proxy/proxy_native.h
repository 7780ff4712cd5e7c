#ifndef PROXY_PROXY_NATIVE_H
#define PROXY_PROXY_NATIVE_H
/* A proxy that is told on its command line who it is and where the control plane is, instead of by a bootstrap file: the same bootstrap is written
 * here, so that everything behind it (/config_dump too) knows one form only. Node id and metadata have Istio's form and keys (istio
 * pkg/model/proxy.go, NodeMetadata); ours begin with MESH_. The cluster "xds-grpc" reaches the control plane with the certificate `default` and the roots
 * `ROOTCA` (node_identity.h).
 * In: proxy_options. Next: bootstrap. */
#include "proxy/bootstrap.h"
#include "proxy/proxy_options.h"

/* -ERR_CONFIG: which option, and what is allowed. */
MUST_USE int proxy_native_bootstrap(struct bootstrap *b, const struct proxy_options *set,
                                    struct err *err);
#endif
