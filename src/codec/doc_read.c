/* Typed members of a map, and the messages when they are of another type. */
#include <stdio.h>

#include "codec/doc_int.h"

#define SHOWN_BYTES 80 /* of a value in a message */

/* A value as messages quote it: "'text'", "a list". */
static void show(const struct doc_node *value, char *to, size_t room)
{
    char number[32];
    switch (value->kind) {
    case DOC_NULL:
        (void)snprintf(to, room, "null");
        break;
    case DOC_BOOL:
        (void)snprintf(to, room, "'%s'", value->boolean ? "true" : "false");
        break;
    case DOC_INT:
        (void)snprintf(to, room, "'%lld'", (long long)value->integer);
        break;
    case DOC_DOUBLE:
        (void)snprintf(to, room, "'%s'", doc_format_double(value->number, number));
        break;
    case DOC_TEXT:
        (void)snprintf(to, room, "'%.*s'", (int)size_min(value->text.len, SHOWN_BYTES),
                       value->text.at);
        break;
    case DOC_LIST:
        (void)snprintf(to, room, "a list");
        break;
    case DOC_MAP:
        (void)snprintf(to, room, "a map");
        break;
    }
}

int doc_refuse(const struct doc_node *map, const char *key, const struct doc_node *value,
               struct err *err, const char *want)
{
    const struct doc_node *at = value != NULL ? value : map;
    char place[256] = "";
    char shown[SHOWN_BYTES + 16] = "missing";
    if (at != NULL && at->line > 0) {
        (void)snprintf(place, sizeof(place), "%s:%u: ", doc_file_name(at->file), at->line);
    }
    if (value != NULL) {
        show(value, shown, sizeof(shown));
    }
    return err_set(err, -ERR_CONFIG, "%s'%s' is %s; %s", place, key, shown, want);
}

/* The member if it is there and not null. */
static const struct doc_node *member(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_NULL) ? NULL : node;
}

int doc_read_bool(const struct doc_node *map, const char *key, bool *out, struct err *err)
{
    const struct doc_node *node = member(map, key);
    if (node == NULL) {
        return 0;
    }
    if (node->kind != DOC_BOOL) {
        return doc_refuse(map, key, node, err, "want true or false");
    }
    *out = node->boolean;
    return 0;
}

/* Whole numbers written as 1e3 or 5.0 count as such. */
static bool whole(const struct doc_node *node, int64_t *value)
{
    if (node->kind == DOC_INT) {
        *value = node->integer;
        return true;
    }
    if (node->kind != DOC_DOUBLE || !(node->number >= -0x1p53 && node->number <= 0x1p53)) {
        return false;
    }
    *value = (int64_t)node->number;
    return (double)*value == node->number;
}

int doc_read_int(const struct doc_node *map, const char *key, int64_t min, int64_t max,
                 int64_t *out, struct err *err)
{
    const struct doc_node *node = member(map, key);
    int64_t value;
    if (node == NULL) {
        return 0;
    }
    if (!whole(node, &value)) {
        return doc_refuse(map, key, node, err, "want a whole number");
    }
    if (value < min || value > max) {
        char want[80];
        (void)snprintf(want, sizeof(want), "want %lld to %lld", (long long)min, (long long)max);
        return doc_refuse(map, key, node, err, want);
    }
    *out = value;
    return 0;
}

int doc_read_double(const struct doc_node *map, const char *key, double *out, struct err *err)
{
    const struct doc_node *node = member(map, key);
    if (node == NULL) {
        return 0;
    }
    if (node->kind != DOC_INT && node->kind != DOC_DOUBLE) {
        return doc_refuse(map, key, node, err, "want a number");
    }
    *out = node->kind == DOC_INT ? (double)node->integer : node->number;
    return 0;
}

int doc_read_text(const struct doc_node *map, const char *key, struct span *out, struct err *err)
{
    const struct doc_node *node = member(map, key);
    if (node == NULL) {
        return 0;
    }
    if (node->kind != DOC_TEXT) {
        bool quote = node->kind < DOC_TEXT;
        return doc_refuse(map, key, node, err, quote ? "want text; put it in quotes" : "want text");
    }
    *out = node->text;
    return 0;
}

static int read_kind(const struct doc_node *map, const char *key, enum doc_kind kind,
                     struct doc_node **out, struct err *err)
{
    struct doc_node *node = doc_get(map, key);
    if (node == NULL || node->kind == DOC_NULL) {
        return 0;
    }
    if (node->kind != kind) {
        return doc_refuse(map, key, node, err, kind == DOC_LIST ? "want a list" : "want a map");
    }
    *out = node;
    return 0;
}

int doc_read_list(const struct doc_node *map, const char *key, struct doc_node **out,
                  struct err *err)
{
    return read_kind(map, key, DOC_LIST, out, err);
}

int doc_read_map(const struct doc_node *map, const char *key, struct doc_node **out,
                 struct err *err)
{
    return read_kind(map, key, DOC_MAP, out, err);
}
