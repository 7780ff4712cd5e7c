#ifndef MESH_CODES_H
#define MESH_CODES_H
/* The catalogue of messages: one row a code in codes.def, shared by control, CLI and proxy. */
#include "base/compiler.h"

enum code_severity { CODE_INFO, CODE_WARNING, CODE_ERROR };

struct code_row {
    unsigned number; /* shown as MESH%04u */
    enum code_severity severity;
    const char *meaning;
    const char *remedy;
};

/* Sorted by number. */
extern const struct code_row codes_rows[];
extern const size_t codes_row_count;
/* NULL: there is no such code. */
const struct code_row *codes_find(unsigned number);
const char *codes_severity_name(enum code_severity severity); /* "info", "warning", "error" */
#endif
