#ifndef PROXY_REQUEST_SUBSTITUTE_H
#define PROXY_REQUEST_SUBSTITUTE_H
/* Values of header changes that hold operators: %REQ(NAME)%, %DOWNSTREAM_REMOTE_ADDRESS% and the like. Source:
 * Envoy "Custom request/response headers". */
#include "proxy/request/request.h"

/* The text with its operators replaced, in the request's arena; an operator that has no value becomes "-". "%%"
 * is a percent sign. */
struct span substitute(struct request *rq, struct span format);
#endif
