/* Regular expressions: flags, pattern, '\n', text. The table and the simulation agree, and so do the
 * three ways to search. */
#include "codec/regex_int.h"

#define TEXT_BYTES_MAX 2048 /* the simulation takes text times program */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct regex *re, struct span text, struct span substitution)
{
    struct regex simulated = *re;
    struct span groups[REGEX_GROUPS_MAX];
    simulated.dfa = NULL;
    bool full = regex_full(re, text);
    bool found = regex_search(re, text);
    ASSERT(full == regex_full(&simulated, text));
    ASSERT(found == regex_find(re, text, 0, groups, REGEX_GROUPS_MAX));
    ASSERT(!full || found);
    for (size_t i = 0; found && i < REGEX_GROUPS_MAX; i++) {
        ASSERT(groups[i].at == NULL ||
               (groups[i].at >= text.at && groups[i].at + groups[i].len <= text.at + text.len));
    }
    if (regex_check_substitution(re, substitution, NULL) == 0) {
        struct buf out;
        buf_init(&out, 65536);
        int failed = regex_replace(re, text, substitution, &out);
        ASSERT(failed == 0 || failed == -ERR_LIMIT);
        buf_dispose(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_from(data, size);
    struct arena arena;
    struct err err = {.code = 0};
    const struct regex *re;
    if (size == 0) {
        return 0;
    }
    unsigned flags = data[0] == 'i' ? REGEX_NOCASE : 0;
    text = span_from_offset(text, 1);
    struct span pattern = span_cut(&text, '\n');
    text = span_first(text.at ? text : SPAN(""), TEXT_BYTES_MAX);
    arena_init(&arena, 4096);
    if (regex_compile(&re, pattern, flags, &arena, &err) == 0) {
        check(re, text, span_first(text, 16));
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    arena_dispose(&arena);
    return 0;
}
