#ifndef MODEL_KINDS_INT_H
#define MODEL_KINDS_INT_H
/* How each kind is read: one table a kind, in the kind's own file. */
#include "model/reader.h"

extern const struct reader_table service_namespace_table; /* service.c */
extern const struct reader_table service_table;
extern const struct reader_table endpoint_slice_table;
extern const struct reader_table pod_table; /* pod.c */
extern const struct reader_table pod_node_table;
extern const struct reader_table pod_account_table;
extern const struct reader_table secret_table;
extern const struct reader_table gateway_class_table; /* gateway_class.c */
extern const struct reader_table gateway_class_grant_table;
extern const struct reader_table workload_entry_table;
extern const struct reader_table service_entry_table;
extern const struct reader_table gateway_api_table;
extern const struct reader_table http_route_table;
extern const struct reader_table istio_gateway_table;
extern const struct reader_table virtual_service_table;
extern const struct reader_table destination_rule_table;
extern const struct reader_table peer_authentication_table;
extern const struct reader_table authorization_policy_table;
extern const struct reader_table mesh_config_table;

/* After spec and metadata: what an object says outside its spec. */
void endpoint_slice_finish(struct reader *r, void *spec);
void pod_finish(struct reader *r, void *spec);
void pod_node_finish(struct reader *r, void *spec);
void secret_finish(struct reader *r, void *spec);
void authorization_policy_finish(struct reader *r, void *spec);

/* ---- shared messages ---- */
/* Istio's WorkloadSelector {matchLabels} -> struct spec_labels (spec.c). */
extern const struct reader_table spec_selector_table;
/* Kubernetes' LabelSelector -> struct selector. */
void spec_read_label_selector(struct reader *r, const struct doc_node *node, void *to);
/* Istio's PortSelector {number} -> uint16_t. */
extern const struct reader_table spec_port_table;
/* Istio's Percent {value} -> double. */
extern const struct reader_table spec_percent_table;
/* PolicyTargetReference -> struct spec_target. */
extern const struct reader_table spec_target_table;
/* Istio's HeaderOperations (maps) -> struct spec_header_ops. */
extern const struct reader_table spec_header_ops_table;
/* Istio's StringMatch -> struct spec_match, not empty. */
void spec_read_match(struct reader *r, const struct doc_node *node, void *to);
/* A map of name -> StringMatch -> struct spec_named_matches; names are header names. */
void spec_read_named_matches(struct reader *r, const struct doc_node *node, void *to);
/* The same for query parameters: names are not empty. */
void spec_read_query_matches(struct reader *r, const struct doc_node *node, void *to);

/* HTTPRetry -> struct virtual_service_retry. */
extern const struct reader_table virtual_service_retry_table;
#endif
