/* Values of options: from text to the field, with the message when they are wrong. */
#include <string.h>

#include "base/arena.h"
#include "base/opt_int.h"
#include "base/span.h"

#define ITEMS_MAX 1024 /* of one list */

static const struct {
    const char *unit;
    int64_t ms;
} duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

static const struct {
    const char *unit;
    int64_t bytes;
} byte_units[] = {{"", 1},          {"B", 1},        {"KiB", 1 << 10}, {"Ki", 1 << 10},
                  {"MiB", 1 << 20}, {"Mi", 1 << 20}, {"GiB", 1 << 30}, {"Gi", 1 << 30}};

/* Cuts a number and the letters behind it off the front of `*rest`. */
static bool cut_quantity(struct span *rest, int64_t *number, struct span *unit)
{
    size_t digits = 0;
    while (digits < rest->len && rest->at[digits] >= '0' && rest->at[digits] <= '9') {
        digits++;
    }
    size_t end = digits;
    while (end < rest->len && (rest->at[end] < '0' || rest->at[end] > '9')) {
        end++;
    }
    *unit = span_from(rest->at + digits, end - digits);
    bool ok = span_to_i64(span_first(*rest, digits), number);
    *rest = span_from_offset(*rest, end);
    return ok;
}

int opt_duration_ms(const char *text, int64_t *ms)
{
    struct span rest = span_of(text);
    int64_t total = 0;
    if (span_is(rest, "0")) {
        *ms = 0;
        return 0;
    }
    do {
        int64_t number;
        struct span unit;
        size_t i = 0;
        if (!cut_quantity(&rest, &number, &unit)) {
            return -ERR_CONFIG;
        }
        while (i < ARRAY_LEN(duration_units) && !span_is(unit, duration_units[i].unit)) {
            i++;
        }
        if (i == ARRAY_LEN(duration_units) ||
            __builtin_mul_overflow(number, duration_units[i].ms, &number) ||
            __builtin_add_overflow(total, number, &total)) {
            return -ERR_CONFIG;
        }
    } while (rest.len > 0);
    *ms = total;
    return 0;
}

int opt_bytes(const char *text, int64_t *bytes)
{
    struct span rest = span_of(text);
    int64_t number;
    struct span unit;
    if (!cut_quantity(&rest, &number, &unit) || rest.len > 0) {
        return -ERR_CONFIG;
    }
    for (size_t i = 0; i < ARRAY_LEN(byte_units); i++) {
        if (span_is(unit, byte_units[i].unit)) {
            return __builtin_mul_overflow(number, byte_units[i].bytes, bytes) ? -ERR_CONFIG : 0;
        }
    }
    return -ERR_CONFIG;
}

static int parse_bool(const char *text, bool *value)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return 0;
        }
    }
    return -ERR_CONFIG;
}

/* "a, b or c" */
static void choices_text(const char *const *choices, char *to, size_t room)
{
    size_t len = 0;
    to[0] = '\0';
    for (size_t i = 0; choices[i] != NULL && len < room; i++) {
        const char *join = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        len += (size_t)snprintf(to + len, room - len, "%s%s", join, choices[i]);
    }
}

static int wrong_value(struct opt_parsing *p, const struct opt_place *at, const char *value,
                       const char *want)
{
    return err_set(p->err, -ERR_CONFIG, "%s is '%s'; %s", at->text, value, want);
}

static int set_number(struct opt_parsing *p, const struct opt *row, const struct opt_place *at,
                      const char *value)
{
    int64_t number;
    int failed;
    const char *want;
    if (row->type == OPT_DURATION) {
        failed = opt_duration_ms(value, &number);
        want = "use a duration such as 100ms, 5s, 1m30s or 2h";
    } else if (row->type == OPT_BYTES) {
        failed = opt_bytes(value, &number);
        want = "use a size such as 512, 64KiB, 4MiB or 1GiB";
    } else {
        failed = span_to_i64(span_of(value), &number) ? 0 : -ERR_CONFIG;
        want = "use a whole number";
    }
    if (failed != 0) {
        return wrong_value(p, at, value, want);
    }
    if ((row->min != 0 || row->max != 0) && (number < row->min || number > row->max)) {
        const char *unit = row->type == OPT_DURATION ? "ms" : "";
        return err_set(p->err, -ERR_CONFIG, "%s is '%s'; use %lld%s to %lld%s", at->text, value,
                       (long long)row->min, unit, (long long)row->max, unit);
    }
    memcpy(p->target + row->offset, &number, sizeof(number));
    return 0;
}

static int set_choice(struct opt_parsing *p, const struct opt *row, const struct opt_place *at,
                      const char *value)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], value) == 0) {
            memcpy(p->target + row->offset, &i, sizeof(i));
            return 0;
        }
    }
    char names[256];
    choices_text(row->choices, names, sizeof(names));
    return err_set(p->err, -ERR_CONFIG, "%s is '%s'; use %s", at->text, value, names);
}

int opt_list_add(struct opt_parsing *p, struct opt_list *list, const char *item,
                 const struct opt_place *at)
{
    if (list->count == ITEMS_MAX) {
        return err_set(p->err, -ERR_CONFIG, "%s has more than %d items", at->text, ITEMS_MAX);
    }
    /* Room doubles at each power of two; the old array stays in the arena. */
    if ((list->count & (list->count - 1)) == 0) {
        const char **grown = arena_array(p->arena, size_max(list->count * 2, 1), sizeof(grown[0]));
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(grown[0]));
        }
        list->items = grown;
    }
    list->items[list->count++] = item;
    return 0;
}

static int set_list(struct opt_parsing *p, const struct opt *row, const struct opt_place *at,
                    const char *value)
{
    struct opt_list *list = (struct opt_list *)(void *)(p->target + row->offset);
    uint8_t *layer = &p->layers[row - p->spec->rows];
    if (*layer != (uint8_t)at->layer) {
        *list = (struct opt_list){.items = NULL};
        *layer = (uint8_t)at->layer;
    }
    if (at->layer == OPT_FROM_FLAG) {
        return opt_list_add(p, list, arena_strdup(p->arena, value), at);
    }
    for (struct span rest = span_of(value); rest.at != NULL;) {
        struct span item = span_trim(span_cut(&rest, ','));
        if (item.len > 0) {
            int failed = opt_list_add(p, list, arena_cstr(p->arena, item), at);
            if (failed != 0) {
                return failed;
            }
        }
    }
    return 0;
}

int opt_set(struct opt_parsing *p, const struct opt *row, const struct opt_place *at,
            const char *value)
{
    bool flag;
    const char *text;
    switch (row->type) {
    case OPT_BOOL:
        if (parse_bool(value, &flag) != 0) {
            return wrong_value(p, at, value, "use true or false");
        }
        memcpy(p->target + row->offset, &flag, sizeof(flag));
        return 0;
    case OPT_TEXT:
        text = arena_strdup(p->arena, value);
        memcpy(p->target + row->offset, &text, sizeof(text));
        return 0;
    case OPT_LIST:
        return set_list(p, row, at, value);
    case OPT_CHOICE:
        return set_choice(p, row, at, value);
    case OPT_INT:
    case OPT_DURATION:
    case OPT_BYTES:
        return set_number(p, row, at, value);
    }
    ASSERT(!"row has a type");
    return -ERR_CONFIG;
}
