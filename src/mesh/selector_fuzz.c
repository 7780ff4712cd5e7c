/* Label selectors: any text is read or refused with a reason, and what was read can be asked. */
#include "mesh/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct label labels[] = {{SPAN("app"), SPAN("web")}, {SPAN("tier"), SPAN("")}};
    struct arena arena;
    struct err err = {.code = 0};
    struct selector selector;
    arena_init(&arena, 4096);
    if (selector_parse(span_from(data, size), &arena, &selector, &err) == 0) {
        (void)selector_matches(&selector, labels, ARRAY_LEN(labels)); /* either answer */
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    arena_dispose(&arena);
    return 0;
}
