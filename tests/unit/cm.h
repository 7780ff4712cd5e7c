#ifndef UNIT_CM_H
#define UNIT_CM_H
/* cmocka with the headers it wants first, and the checks for spans and results that tests share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

/* Equal bytes; prints both when they are not. */
#define assert_span(got, want_text) cm_assert_span((got), span_of(want_text), __FILE__, __LINE__)

static inline void cm_assert_span(struct span got, struct span want, const char *file, int line)
{
    if (!span_eq(got, want)) {
        print_error("%s:%d: got '%.*s', want '%.*s'\n", file, line, SPAN_ARG(got), SPAN_ARG(want));
        fail();
    }
}
#endif
