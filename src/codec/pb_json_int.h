#ifndef CODEC_PB_JSON_INT_H
#define CODEC_PB_JSON_INT_H
/* What the two halves of reading share: pb_json.c (messages) and pb_json_scalar.c (values). */
#include "codec/pb_json.h"

struct pb_json_reader {
    const struct pb_types *types;
    struct arena *arena;
    struct err *err;
    const char *field; /* being read, for messages about values without a name of their own */
};

/* -ERR_CONFIG, "file:line: <what>" */
COLD int pb_json_refuse(struct pb_json_reader *r, const struct doc_node *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* "'field' is 'value'; want <what>" */
COLD int pb_json_refuse_value(struct pb_json_reader *r, const struct doc_node *node,
                              const char *want);
/* "'name' is not a field of ...; did you mean ...?" */
COLD int pb_json_refuse_field(struct pb_json_reader *r, const struct pb_desc *desc,
                              struct span name, const struct doc_node *at);
/* Reads anything but a message, of the kind of `f`, to the place of its value. */
MUST_USE int pb_json_scalar(struct pb_json_reader *r, const struct pb_field *f,
                            const struct doc_node *node, void *to);
#endif
