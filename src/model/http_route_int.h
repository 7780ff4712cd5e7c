#ifndef MODEL_HTTP_ROUTE_INT_H
#define MODEL_HTTP_ROUTE_INT_H
/* What the files of model/http_route share. */
#include "model/gateway_api.h"
#include "model/reader.h"

extern const struct reader_table http_route_filter_table;
/* Filters of a rule or backend against one another; `list` is "filters" of the map in hand. */
void http_route_filters_check(struct reader *r, const struct doc_node *list,
                              const struct http_route_filters *filters);
/* Fills in what a reference to a Service leaves out; a Service must have a port. */
void http_route_filter_check_ref(struct reader *r, const struct doc_node *node,
                                 struct http_route_ref *ref);
#endif
