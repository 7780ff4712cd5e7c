#ifndef CONTROL_WORLD_LOWER_H
#define CONTROL_WORLD_LOWER_H
/* Lowering: what objects say becomes the world's forms. Texts and arrays live in the config's arena or in the object. */
#include "control/world/world_int.h"

/* Gives every service its rules. */
void lower_destination_rules(struct world_config *c);
void lower_virtual_service(struct world_config *c, const struct object *o,
                           struct world_virtual_host *out);
void lower_http_route(struct world_config *c, const struct object *o,
                      struct world_virtual_host *out);
/* Into its own namespace, to what is its parent anyway, or as a ReferenceGrant permits. */
struct http_route_ref;
bool world_backend_is_granted(const struct world_config *c, const struct object *route,
                              const struct http_route_ref *ref);
/* Why a certificateRef of a Gateway can not be used, and Gateway API's word for it; NULL: it can. */
struct gateway_secret;
const char *world_certificate_fault(const struct world_config *c, struct span gateway_namespace,
                                    const struct gateway_secret *secret, const char **reason);
/* What allowedRoutes says of HTTPRoutes of a namespace. */
struct gateway_listener;
bool world_listener_allows(const struct world_config *c, const struct gateway_listener *l,
                           struct span gateway_namespace, struct span route_namespace);
/* By Gateway API's precedence; equals stay in their order. */
void lower_http_route_sort(struct world_route *routes, size_t count);

/* ---- parts ---- */
struct span lower_case(struct world_config *c, struct span text);
/* The FQDN that a host in an object means: a name without a dot is a Service of the namespace. */
struct span lower_fqdn(struct world_config *c, struct span host, struct span namespace);
struct world_string_match lower_match(const struct spec_match *m);
const struct world_named_match *lower_named_matches(struct world_config *c,
                                                    const struct spec_named_matches *list,
                                                    bool are_headers);
struct world_header_ops lower_header_ops(struct world_config *c,
                                         const struct spec_header_ops *request,
                                         const struct spec_header_ops *response);
/* "503,connect-failure": numbers are codes, which Envoy takes beside the word retriable-status-codes. */
void lower_retry_words(struct world_config *c, struct span words, struct world_retry *retry);
#endif
