#ifndef CA_CA_API_H
#define CA_CA_API_H
/* The part of the mesh's HTTP API that a lone authority has, on its unix socket (owner only), in control's shapes: POST, GET and DELETE
 * /api/v1/tokens, GET /api/v1/certs, POST /api/v1/certs/revoke {"what"}, GET /api/v1/roots. Control has these in its own API. */
#include "ca/ca.h"
#include "http/http_server.h"

/* On the CA's thread; `ca` is borrowed until the server is freed. */
void ca_api_attach(struct ca *ca, struct http_server *server);
#endif
