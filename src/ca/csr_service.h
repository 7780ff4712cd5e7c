#ifndef CA_CSR_SERVICE_H
#define CA_CSR_SERVICE_H
/* istio.v1.auth.IstioCertificateService/CreateCertificate (proto/istio_ca.proto) on a desk's servers.
 *
 *   request -> parsed, signature checked -> proof (authenticate) -> TOKEN: one use less (store)
 *                                                                -> CERTIFICATE: not revoked (ledger)
 *                                                                -> ACCOUNT: the API server says whose (ca_review)
 *           -> grant -> ledger, committed -> tls/issue -> answer: leaf, what is between, the roots
 *
 * Answers: UNAUTHENTICATED no proof or a bad one; PERMISSION_DENIED another identity than the proof's; INVALID_ARGUMENT no usable
 * request; RESOURCE_EXHAUSTED too many at once; UNAVAILABLE the store can not write, or the API server
 * does not say; INTERNAL ours.
 * In: http/grpc. Next: authenticate, grant, ledger, tls/issue. */
#include "ca/ca_int.h"
#include "http/http_server.h"

#define CSR_SERVICE_MESSAGE_MAX 65536 /* callers have proven nothing yet */
#define CSR_SERVICE_BUSY_MAX 1024     /* of one desk, from their proof on */

void csr_service_attach(struct ca_desk *desk, struct http_server *server);
/* Ends all calls under way. */
void csr_service_end(struct ca_desk *desk);
#endif
