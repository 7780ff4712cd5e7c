/* The catalogue of messages. */
#include "mesh/codes.h"

const struct code_row code_rows[] = {
#define CODE(number, severity, meaning, remedy) {number, CODE_##severity, meaning, remedy},
#include "mesh/codes.def"
#undef CODE
};
const size_t code_row_count = ARRAY_LEN(code_rows);

const struct code_row *code_find(unsigned number)
{
    for (size_t i = 0; i < code_row_count; i++) {
        if (code_rows[i].number == number) {
            return &code_rows[i];
        }
    }
    return NULL;
}

const char *code_severity_name(enum code_severity severity)
{
    static const char *const names[] = {"info", "warning", "error"};
    return names[severity];
}
