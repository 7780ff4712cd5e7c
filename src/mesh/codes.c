/* The catalogue of messages. */
#include "mesh/codes.h"

const struct code_row codes_rows[] = {
#define CODE(number, severity, meaning, remedy) {number, CODE_##severity, meaning, remedy},
#include "mesh/codes.def"
#undef CODE
};
const size_t codes_row_count = ARRAY_LEN(codes_rows);

const struct code_row *codes_find(unsigned number)
{
    for (size_t i = 0; i < codes_row_count; i++) {
        if (codes_rows[i].number == number) {
            return &codes_rows[i];
        }
    }
    return NULL;
}

const char *codes_severity_name(enum code_severity severity)
{
    static const char *const names[] = {"info", "warning", "error"};
    return names[severity];
}
