/* Protocol buffers: what the tables say, lists, and the UTF-8 that proto3 strings must be. */
#include "codec/pb.h"

#include "base/mem.h"

#define LIST_ROOM_MIN 4

const struct pb_field *pb_field(const struct pb_desc *desc, uint32_t number)
{
    if (number - 1 < desc->count && desc->fields[number - 1].number == number) {
        return &desc->fields[number - 1]; /* numbered without gaps up to here */
    }
    size_t low = 0;
    size_t high = desc->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (desc->fields[middle].number == number) {
            return &desc->fields[middle];
        }
        if (desc->fields[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* One character of the JSON name after `*name`, which moves; 0 at the end. Underscores vanish and what
 * follows them is a capital (protoc's rule for json_name). */
static char json_char(const char **name)
{
    bool is_start = false;
    while (**name == '_') {
        is_start = true;
        ++*name;
    }
    char c = **name;
    if (c) {
        ++*name;
    }
    return is_start ? upper(c) : c;
}

static bool is_json_name(const char *name, struct span camel)
{
    for (size_t i = 0; i < camel.len; i++) {
        char c = json_char(&name);
        if (!c || c != camel.at[i]) {
            return false;
        }
    }
    return json_char(&name) == '\0';
}

const struct pb_field *pb_field_named(const struct pb_desc *desc, struct span name)
{
    for (size_t i = 0; i < desc->count; i++) {
        const struct pb_field *f = &desc->fields[i];
        if (span_is(name, f->name) || is_json_name(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

struct span pb_json_name(const struct pb_field *f, char *to, size_t room)
{
    const char *name = f->name;
    size_t len = 0;
    for (char c; len + 1 < room && (c = json_char(&name)) != '\0';) {
        to[len++] = c;
    }
    to[len] = '\0';
    return span_from(to, len);
}

size_t pb_kind_bytes(uint8_t kind)
{
    switch (kind) {
    case PB_DOUBLE:
    case PB_INT64:
    case PB_UINT64:
    case PB_FIXED64:
    case PB_SFIXED64:
    case PB_SINT64:
        return 8;
    case PB_BOOL:
        return sizeof(bool);
    case PB_STRING:
    case PB_BYTES:
        return sizeof(struct span);
    case PB_MESSAGE:
        return sizeof(void *);
    default:
        return 4;
    }
}

bool pb_has(const void *msg, const struct pb_field *f)
{
    const char *at = pb_at(msg, f);
    if (f->label == PB_OPTIONAL) {
        bool has;
        memcpy(&has, (const char *)msg + f->presence, sizeof has);
        return has;
    }
    if (f->label == PB_ONEOF) {
        int32_t number;
        memcpy(&number, (const char *)msg + f->presence, sizeof number);
        return number == (int32_t)f->number;
    }
    if (f->label == PB_REPEATED || f->label == PB_MAP) {
        return ((const struct pb_list *)(const void *)at)->count > 0;
    }
    if (f->kind == PB_STRING || f->kind == PB_BYTES) {
        struct span s;
        memcpy(&s, at, sizeof s);
        return s.len > 0;
    }
    if (f->kind == PB_MESSAGE) {
        const void *inner;
        memcpy(&inner, at, sizeof inner);
        return inner != NULL;
    }
    if (f->kind == PB_BOOL) {
        return *at != 0;
    }
    if (pb_kind_bytes(f->kind) == 8) {
        uint64_t wide;
        memcpy(&wide, at, sizeof wide);
        return wide != 0; /* -0.0 is not the default */
    }
    uint32_t narrow;
    memcpy(&narrow, at, sizeof narrow);
    return narrow != 0;
}

const char *pb_enum_name(const struct pb_enum *e, int32_t number)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->values[i].number == number) {
            return e->values[i].name;
        }
    }
    return NULL;
}

bool pb_enum_number(const struct pb_enum *e, struct span name, int32_t *number)
{
    for (size_t i = 0; i < e->count; i++) {
        if (span_is(name, e->values[i].name)) {
            *number = e->values[i].number;
            return true;
        }
    }
    return false;
}

const struct pb_desc *pb_find(const struct pb_types *types, struct span full_name)
{
    size_t low = 0;
    size_t high = types->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = span_cmp(full_name, span_of(types->by_name[middle]->name));
        if (order == 0) {
            return types->by_name[middle];
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

struct span pb_url_name(struct span type_url)
{
    ssize_t slash = span_rfind_byte(type_url, '/');
    return span_from_offset(type_url, (size_t)(slash + 1));
}

static int compare_keys(const struct pb_field *key, const void *entry_a, const void *entry_b)
{
    const void *a = pb_at(entry_a, key);
    const void *b = pb_at(entry_b, key);
    if (key->kind == PB_STRING) {
        struct span x;
        struct span y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return span_cmp(x, y);
    }
    if (key->kind == PB_BOOL) {
        return memcmp(a, b, sizeof(bool));
    }
    bool is_unsigned = key->kind == PB_UINT32 || key->kind == PB_UINT64 ||
                       key->kind == PB_FIXED32 || key->kind == PB_FIXED64;
    int64_t x;
    int64_t y;
    if (pb_kind_bytes(key->kind) == 8) {
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
    } else {
        int32_t low_x;
        int32_t low_y;
        memcpy(&low_x, a, sizeof low_x);
        memcpy(&low_y, b, sizeof low_y);
        x = is_unsigned ? (int64_t)(uint32_t)low_x : low_x;
        y = is_unsigned ? (int64_t)(uint32_t)low_y : low_y;
    }
    if (is_unsigned) {
        return (uint64_t)x<(uint64_t)y ? -1 : (uint64_t)x>(uint64_t) y;
    }
    return x < y ? -1 : x > y;
}

/* Merges two neighbouring runs of `from` into `to`; of equal keys the earlier comes first. */
static void merge_runs(const struct pb_field *key, const void **from, const void **to,
                       uint32_t middle, uint32_t end)
{
    uint32_t left = 0;
    uint32_t right = middle;
    for (uint32_t i = 0; i < end; i++) {
        bool is_left =
            left < middle && (right == end || compare_keys(key, from[left], from[right]) <= 0);
        to[i] = is_left ? from[left++] : from[right++];
    }
}

/* Stable, as qsort is not: the last of equal keys wins. */
static void sort_entries(const struct pb_field *key, const void **entries, uint32_t count)
{
    const void **spare = mem_array(count, sizeof *spare);
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t at = 0; at < count; at += 2 * width) {
            uint32_t left = count - at;
            merge_runs(key, entries + at, spare + at, (uint32_t)size_min(width, left),
                       (uint32_t)size_min(2 * width, left));
        }
        memcpy(entries, spare, count * sizeof *spare);
    }
    mem_free(spare);
}

uint32_t pb_map_sort(const struct pb_field *f, const struct pb_list *list, const void **sorted)
{
    const struct pb_field *key = &f->type.message->fields[0];
    const void *const *at = list->at;
    bool is_sorted = true;
    for (uint32_t i = 0; i < list->count; i++) {
        sorted[i] = at[i];
        is_sorted = is_sorted && (i == 0 || compare_keys(key, at[i - 1], at[i]) < 0);
    }
    if (is_sorted) {
        return list->count;
    }
    sort_entries(key, sorted, list->count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        bool is_last = i + 1 == list->count || compare_keys(key, sorted[i], sorted[i + 1]) != 0;
        if (is_last) {
            sorted[kept++] = sorted[i];
        }
    }
    return kept;
}

void *pb_list_add(struct arena *arena, void *list, size_t size)
{
    struct pb_list *l = list;
    if (l->count >= l->room) {
        ASSERT(l->count < UINT32_MAX / 2);
        uint32_t room = l->count < LIST_ROOM_MIN ? LIST_ROOM_MIN : l->count * 2;
        char *at = arena_array(arena, room, size);
        if (l->count) {
            memcpy(at, l->at, l->count * size);
        }
        l->at = at;
        l->room = room;
    }
    return (char *)l->at + size * l->count++;
}

/* Length of the well-formed sequence at `s`, or 0 (Unicode 15, table 3-7). */
static size_t sequence_len(const uint8_t *s, size_t len)
{
    uint8_t a = s[0];
    if (a < 0x80) {
        return 1;
    }
    size_t want = a >= 0xc2 && a <= 0xdf   ? 2
                  : (a & 0xf0) == 0xe0     ? 3
                  : a >= 0xf0 && a <= 0xf4 ? 4
                                           : 0;
    if (want == 0 || len < want) {
        return 0;
    }
    uint8_t low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
    uint8_t high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < want; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return want;
}

ssize_t pb_utf8_bad(struct span s)
{
    const uint8_t *at = (const uint8_t *)s.at;
    size_t i = 0;
    while (i < s.len) {
        uint64_t word;
        if (s.len - i >= sizeof word) {
            memcpy(&word, at + i, sizeof word);
            if ((word & 0x8080808080808080) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t len = sequence_len(at + i, s.len - i);
        if (len == 0) {
            return (ssize_t)i;
        }
        i += len;
    }
    return -1;
}
