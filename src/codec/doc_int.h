#ifndef CODEC_DOC_INT_H
#define CODEC_DOC_INT_H
/* What the parts of codec/doc share. */
#include "codec/doc.h"

/* An entry whose key is in the arena already. False, and nothing added, when the map has that key. */
bool doc_put_new(struct arena *arena, struct doc_node *map, struct span key,
                 struct doc_node *value);
struct doc_node *doc_node_new(struct arena *arena, enum doc_kind kind, const char *file,
                              uint32_t line);
/* What a plain YAML scalar means: sets kind and value; DOC_TEXT when nothing else fits. -ERR_CONFIG for
 * .inf and .nan. */
MUST_USE int doc_yaml_resolve(struct span text, struct doc_node *node);
/* Shortest decimal that reads back as the same number, terminated, in `to` (32 bytes). */
char *doc_format_double(double value, char *to);
/* "name of what" for messages, or "input". */
static inline const char *doc_file_name(const char *file)
{
    return file != NULL ? file : "input";
}
#endif
