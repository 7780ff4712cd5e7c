#ifndef MODEL_DESTINATION_RULE_INT_H
#define MODEL_DESTINATION_RULE_INT_H
/* What the files of model/destination_rule share. */
#include "model/destination_rule.h"
#include "model/reader.h"

extern const struct reader_table destination_rule_balancing_table; /* _balancing.c */
extern const struct reader_table destination_rule_pool_table;      /* _pool.c */
extern const struct reader_table destination_rule_outlier_table;
#endif
