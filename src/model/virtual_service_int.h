#ifndef MODEL_VIRTUAL_SERVICE_INT_H
#define MODEL_VIRTUAL_SERVICE_INT_H
/* What the files of model/virtual_service share. */
#include "model/reader.h"
#include "model/virtual_service.h"

extern const struct reader_table virtual_service_http_table;        /* _http.c */
extern const struct reader_table virtual_service_match_table;       /* _match.c */
extern const struct reader_table virtual_service_tcp_table;         /* _match.c */
extern const struct reader_table virtual_service_tls_table;         /* _match.c */
extern const struct reader_table virtual_service_target_table;      /* _target.c: of http */
extern const struct reader_table virtual_service_l4_target_table;   /* of tcp and tls */
extern const struct reader_table virtual_service_destination_table; /* Destination */
extern const struct reader_table virtual_service_headers_table;     /* Headers */
extern const struct reader_table virtual_service_fault_table;       /* _fault.c */
extern const struct reader_table virtual_service_cors_table;

/* Weights of several targets must not all be 0; the only one takes everything. `node` has "route". */
void virtual_service_check_weights(struct reader *r, const struct doc_node *node,
                                   const struct virtual_service_target *targets, size_t count);
/* "mesh", "name", "namespace/name". */
bool virtual_service_check_gateway(struct reader *r, const struct doc_node *node, struct span text);
#endif
