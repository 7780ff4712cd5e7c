#ifndef CONTROL_API_API_VALUE_H
#define CONTROL_API_API_VALUE_H
/* Values as the API writes them: times RFC 3339, absent where there is none. Keys are static text; texts are copied. */
#include "base/arena.h"
#include "codec/doc.h"
#include "codec/ip.h"

/* Nothing is set when the text is empty. */
void api_set_text(struct arena *a, struct doc_node *map, const char *key, struct span text);
void api_set_int(struct arena *a, struct doc_node *map, const char *key, int64_t value);
void api_set_bool(struct arena *a, struct doc_node *map, const char *key, bool value);
/* Rounded to what is worth reading (6 significant digits); nothing when negative: -1 stands for "none". */
void api_set_number(struct arena *a, struct doc_node *map, const char *key, double value);
/* Nothing when 0. */
void api_set_time_us(struct arena *a, struct doc_node *map, const char *key, int64_t us);
struct doc_node *api_ip(struct arena *a, const struct ip *ip);
#endif
