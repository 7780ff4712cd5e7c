/* Lines of a watch, as a server may send them, and the book that is kept by them: one event a line of the input. */
#include "kube/reflector_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_gone(void *arg, struct span ns, struct span name)
{
    size_t *count = arg;
    ASSERT(name.len > 0 && span_find_byte(ns, '/') < 0);
    (*count)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reflector_book book;
    reflector_book_init(&book);
    reflector_book_begin(&book);
    struct arena arena;
    arena_init(&arena, 4096);
    size_t there = 0;
    for (struct span rest = span_from(data, size); rest.at != NULL;) {
        struct reflector_event e;
        struct err err = {.code = 0};
        int code = reflector_event_read(&arena, span_cut(&rest, '\n'), &e, &err);
        ASSERT(code == err.code);
        if (code == 0 && (e.type == REFLECTOR_ADDED || e.type == REFLECTOR_MODIFIED)) {
            size_t before = map_count(&book.known);
            (void)reflector_book_note(&book, &e.meta);
            ASSERT(!reflector_book_note(&book, &e.meta));
            there += map_count(&book.known) - before;
        } else if (code == 0 && e.type == REFLECTOR_DELETED) {
            there -= reflector_book_drop(&book, &e.meta);
            ASSERT(e.meta.uid.len == 0 || !reflector_book_drop(&book, &e.meta));
        }
        arena_reset(&arena);
    }
    ASSERT(map_count(&book.known) == there);
    size_t gone = 0;
    reflector_book_begin(&book);
    ASSERT(reflector_book_sweep(&book, on_gone, &gone, &(bool){false}) == there && gone == there);
    reflector_book_dispose(&book);
    arena_dispose(&arena);
    return 0;
}
