/* Heads as arrays of fields with slots for those that the hot path asks for. */
#include "http/head.h"

#include "base/err.h"

#define HEAD_ROOM_FIRST 24u /* most requests and responses have fewer, a proxy adds a handful */

_Static_assert(HEAD_KNOWN_COUNT <= UINT8_MAX, "an identity fits into a byte");
_Static_assert(HEAD_FIELDS_MAX < UINT16_MAX, "an index fits into a slot");

void head_init(struct head *h, struct arena *arena)
{
    memset(h, 0, sizeof(*h));
    h->arena = arena;
    h->content_length = HEAD_LENGTH_UNKNOWN;
}

struct head *head_new(struct arena *arena)
{
    struct head *h = arena_alloc(arena, sizeof(*h));
    head_init(h, arena);
    return h;
}

void head_reserve(struct head *h, size_t count)
{
    if (count <= h->room) {
        return;
    }
    struct header *fields = arena_alloc(h->arena, count * sizeof(*fields));
    uint8_t *known = (uint8_t *)arena_bytes(h->arena, count);
    if (h->count > 0) {
        memcpy(fields, h->fields, h->count * sizeof(*fields));
        memcpy(known, h->known, h->count);
    }
    h->fields = fields;
    h->known = known;
    h->room = count;
}

int head_add_as(struct head *h, enum head_known id, struct span name, struct span value)
{
    if (UNLIKELY(h->count == h->room)) {
        if (h->count >= HEAD_FIELDS_MAX) {
            return -ERR_LIMIT;
        }
        head_reserve(h, size_min(size_max(HEAD_ROOM_FIRST, h->room * 2), HEAD_FIELDS_MAX));
    }
    size_t i = h->count++;
    h->fields[i] = (struct header){name, value};
    h->known[i] = (uint8_t)id;
    if (id != HEAD_OTHER && h->slot[id] == 0) {
        h->slot[id] = (uint16_t)(i + 1);
    }
    return 0;
}

int head_add(struct head *h, struct span name, struct span value)
{
    return head_add_as(h, head_known_of(name), name, value);
}

int head_add_known(struct head *h, enum head_known id, struct span value)
{
    return head_add_as(h, id, head_known_name(id), value);
}

/* Takes field `i` out; slots of later fields move down. */
static void take_out(struct head *h, size_t i)
{
    size_t after = h->count - i - 1;
    memmove(&h->fields[i], &h->fields[i + 1], after * sizeof(h->fields[0]));
    memmove(&h->known[i], &h->known[i + 1], after);
    h->count--;
    for (size_t id = 1; id < HEAD_KNOWN_COUNT; id++) {
        if (h->slot[id] > i + 1) {
            h->slot[id]--;
        } else if (h->slot[id] == i + 1) {
            h->slot[id] = 0;
        }
    }
}

/* Points the slot of `id` to the first field of that identity at or after `from`. */
static void find_slot(struct head *h, enum head_known id, size_t from)
{
    h->slot[id] = 0;
    for (size_t i = from; i < h->count; i++) {
        if (h->known[i] == id) {
            h->slot[id] = (uint16_t)(i + 1);
            return;
        }
    }
}

void head_remove_known(struct head *h, enum head_known id)
{
    while (h->slot[id] != 0) {
        size_t i = h->slot[id] - 1u;
        take_out(h, i);
        find_slot(h, id, i);
    }
}

void head_remove(struct head *h, struct span name)
{
    enum head_known id = head_known_of(name);
    if (id != HEAD_OTHER) {
        head_remove_known(h, id);
        return;
    }
    for (size_t i = 0; i < h->count;) {
        if (h->known[i] == HEAD_OTHER && span_eq(h->fields[i].name, name)) {
            take_out(h, i);
        } else {
            i++;
        }
    }
}

int head_set_known(struct head *h, enum head_known id, struct span value)
{
    if (h->slot[id] == 0) {
        return head_add_known(h, id, value);
    }
    size_t first = h->slot[id] - 1u;
    h->fields[first].value = value;
    for (size_t i = first + 1; i < h->count;) {
        if (h->known[i] == id) {
            take_out(h, i);
        } else {
            i++;
        }
    }
    return 0;
}

int head_set(struct head *h, struct span name, struct span value)
{
    enum head_known id = head_known_of(name);
    if (id != HEAD_OTHER) {
        return head_set_known(h, id, value);
    }
    head_remove(h, name);
    return head_add_as(h, HEAD_OTHER, name, value);
}

struct span head_get_known(const struct head *h, enum head_known id)
{
    return h->slot[id] != 0 ? h->fields[h->slot[id] - 1].value : SPAN_EMPTY;
}

struct span head_get(const struct head *h, struct span name)
{
    enum head_known id = head_known_of(name);
    if (id != HEAD_OTHER) {
        return head_get_known(h, id);
    }
    const struct header *found = header_find(h->fields, h->count, name);
    return found ? found->value : SPAN_EMPTY;
}

#define HEAD_NAME_IS(id, text)                          \
    if (memcmp(name.at, text, sizeof(text) - 1) == 0) { \
        return HEAD_##id;                               \
    }
#define HEAD_CASE(length, X) \
    case length:             \
        HEADER_NAMES_##length(X) break;

enum head_known head_known_of(struct span name)
{
    switch (name.len) {
        HEADER_NAME_GROUPS(HEAD_CASE, HEAD_NAME_IS)
    default:
        break;
    }
    return HEAD_OTHER;
}

/* A row in the wrong group would never be found. */
#define HEAD_ROW_LENGTH(id, text) +(sizeof(text) - 1)
#define HEAD_ROW_COUNT(id, text) +1
#define HEAD_CHECK(length, X)                                                \
    _Static_assert((0 HEADER_NAMES_##length(HEAD_ROW_LENGTH)) ==             \
                       (0 HEADER_NAMES_##length(HEAD_ROW_COUNT)) * (length), \
                   "a row stands in the group of its length");
HEADER_NAME_GROUPS(HEAD_CHECK, )

static const struct span known_names[HEAD_KNOWN_COUNT] = {{NULL, 0},
#define HEAD_NAME_ROW(id, text) [HEAD_##id] = {text, sizeof(text) - 1},
                                                          HEADER_NAMES(HEAD_NAME_ROW)};

struct span head_known_name(enum head_known id)
{
    return known_names[id];
}

enum head_method head_method_of(struct span method)
{
    static const struct {
        struct span name;
        enum head_method id;
    } rows[] = {
        {{"GET", 3}, METHOD_GET},       {{"POST", 4}, METHOD_POST},
        {{"PUT", 3}, METHOD_PUT},       {{"HEAD", 4}, METHOD_HEAD},
        {{"DELETE", 6}, METHOD_DELETE}, {{"OPTIONS", 7}, METHOD_OPTIONS},
        {{"PATCH", 5}, METHOD_PATCH},   {{"CONNECT", 7}, METHOD_CONNECT},
        {{"TRACE", 5}, METHOD_TRACE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (span_eq(rows[i].name, method)) {
            return rows[i].id;
        }
    }
    return METHOD_OTHER;
}

/* unreserved and sub-delims of RFC 3986; a comma would make a list of it, so it is left out. */
static bool is_host_byte(unsigned char c)
{
    static const uint32_t set[4] = {0, 0x2bff6fd2u, 0x87fffffeu, 0x47fffffeu};
    return c < 128 && (set[c >> 5] >> (c & 31) & 1) != 0;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The length of the registered name in front: bytes as above, and pct-encoded ones. */
static size_t name_len(struct span a)
{
    size_t n = 0;
    for (;;) {
        while (n < a.len && is_host_byte((unsigned char)a.at[n])) {
            n++;
        }
        if (LIKELY(a.len - n < 3 || a.at[n] != '%') || !is_hex(a.at[n + 1]) ||
            !is_hex(a.at[n + 2])) {
            return n;
        }
        n += 3;
    }
}

bool head_authority_is_valid(struct span a)
{
    size_t n = 0;
    if (a.len > 0 && a.at[0] == '[') {
        ssize_t end = span_find_byte(a, ']');
        if (end < 3) {
            return false;
        }
        for (n = 1; n < (size_t)end; n++) {
            char c = a.at[n];
            if (!is_hex(c) && c != ':' && c != '.') {
                return false;
            }
        }
        n = (size_t)end + 1;
    } else {
        n = name_len(a);
        if (n == 0) {
            return false;
        }
    }
    if (n == a.len) {
        return true;
    }
    if (a.at[n] != ':' || a.len - n > 6) {
        return false;
    }
    uint64_t port = 0;
    struct span digits = span_from_offset(a, n + 1);
    return digits.len == 0 || (span_to_u64(digits, &port) && port <= 65535);
}
