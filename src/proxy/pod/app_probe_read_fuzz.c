/* The application's probes, as JSON. */
#include "base/buf.h"
#include "proxy/pod/app_probe_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct app_probe *p)
{
    ASSERT(p->port > 0 && p->timeout_ms >= 1000);
    if (p->kind != APP_PROBE_HTTP) {
        return;
    }
    ASSERT(p->path.len > 0 && p->path.at[0] == '/');
    for (size_t i = 0; i < p->path.len; i++) {
        ASSERT(p->path.at[i] > ' ' && p->path.at[i] < 0x7f);
    }
    for (size_t i = 0; i < p->field_count; i++) {
        ASSERT(p->fields[i].name.len > 0);
        ASSERT(span_find_byte(p->fields[i].value, '\n') < 0);
        ASSERT(span_find_byte(p->fields[i].value, '\r') < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct map all;
    struct buf text;
    struct err err;
    arena_init(&arena, 1024);
    map_init(&all);
    buf_init(&text, size + 1);
    const char *json = buf_append(&text, data, size) == 0
                           ? buf_cstr(&text)
                           : NULL; /* ends at a zero, as the environment does */
    int code = app_probe_read(&all, &arena, json, &err);
    ASSERT(code == 0 || code == -ERR_CONFIG || code == -ERR_LIMIT);
    for (struct map_slot *slot = NULL; code == 0 && (slot = map_next(&all, slot)) != NULL;) {
        check(slot->value);
    }
    buf_dispose(&text);
    map_dispose(&all);
    arena_dispose(&arena);
    return 0;
}
