/* Single values: numbers, words of a list, lengths of time, labels, lists. */
#include "model/near.h"
#include "model/reader.h"

#include <stdio.h>

struct array { /* how arrays stand in specs */
    const void *items;
    size_t count;
};

/* --- numbers --- */

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

static bool say_range(struct reader *r, const struct doc_node *node, unsigned code, int64_t min,
                      int64_t max)
{
    struct finding *found = reader_say(r, code, node, NULL, "'%s' is %s, which is out of range",
                                       reader_here(r), reader_show(r, node));
    found->why =
        max == INT64_MAX
            ? finding_text(r->findings, "it must be at least %lld", (long long)min)
            : finding_text(r->findings, "it must be %lld to %lld", (long long)min, (long long)max);
    found->fix = max == INT64_MAX ? finding_text(r->findings, "write %lld or more", (long long)min)
                                  : finding_text(r->findings, "write a number from %lld to %lld",
                                                 (long long)min, (long long)max);
    return false;
}

static bool number(struct reader *r, const struct doc_node *node, const struct reader_field *field,
                   int64_t *value)
{
    bool limited = field->min != 0 || field->max != 0;
    int64_t min = limited ? field->min : 0;
    int64_t max = limited                     ? field->max
                  : field->type == READER_U16 ? UINT16_MAX
                  : field->type == READER_U32 ? UINT32_MAX
                                              : INT64_MAX;
    unsigned code = field->type == READER_PORT ? 2018 : 2016;
    min = field->type == READER_PORT ? 1 : min;
    max = field->type == READER_PORT ? UINT16_MAX : max;
    if (!whole(node, value)) {
        return reader_wrong_kind(r, node, "a whole number");
    }
    return (*value >= min && *value <= max) || say_range(r, node, code, min, max);
}

static void read_double(struct reader *r, const struct doc_node *node,
                        const struct reader_field *field, double *to)
{
    if (node->kind != DOC_INT && node->kind != DOC_DOUBLE) {
        (void)reader_wrong_kind(r, node, "a number");
        return;
    }
    double value = node->kind == DOC_INT ? (double)node->integer : node->number;
    bool limited = field->min != 0 || field->max != 0;
    if (limited && (value < (double)field->min || value > (double)field->max)) {
        (void)say_range(r, node, 2016, field->min, field->max);
        return;
    }
    *to = value;
}

/* --- words --- */

static void read_enum(struct reader *r, const struct doc_node *node,
                      const struct reader_field *field, int *to)
{
    char list[512] = "";
    size_t len = 0;
    struct near near;
    if (node->kind != DOC_TEXT) {
        (void)reader_wrong_kind(r, node, "text");
        return;
    }
    near_init(&near, node->text);
    for (const struct reader_enum *e = field->names; e->name != NULL; e++) {
        if (span_is(node->text, e->name)) {
            *to = e->value;
            return;
        }
        near_try(&near, span_of(e->name));
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
                                e == field->names   ? ""
                                : e[1].name == NULL ? " or "
                                                    : ", ",
                                e->name);
        ASSERT(len < sizeof(list));
    }
    struct finding *found = reader_say(r, 2015, node, NULL, "'%s' is %s, which is not allowed",
                                       reader_here(r), reader_show(r, node));
    found->why = finding_text(r->findings, "allowed: %s", list);
    found->fix = near.best.at != NULL
                     ? finding_text(r->findings, "did you mean '%.*s'?", SPAN_ARG(near.best))
                     : finding_text(r->findings, "write %s", list);
}

static bool text_of(struct reader *r, const struct doc_node *node, reader_check check,
                    struct span *to)
{
    if (node->kind != DOC_TEXT) {
        return reader_wrong_kind(r, node, "text");
    }
    if (node->text.len > 0 && memchr(node->text.at, '\0', node->text.len) != NULL) {
        return reader_wrong_kind(r, node, "text without NUL bytes");
    }
    if (check != NULL && !check(r, node, node->text)) {
        return false;
    }
    *to = node->text;
    return true;
}

static void read_duration(struct reader *r, const struct doc_node *node,
                          const struct reader_field *field, int64_t *to)
{
    bool is_short = field->type == READER_SHORT_DURATION;
    const char *example = is_short ? "write whole numbers with h, m, s or ms: 1s500ms"
                                   : "write numbers with units: 500ms, 1.5s, 2m, 1h";
    int64_t ms = -1;
    if (node->kind == DOC_TEXT) {
        ms = is_short ? reader_text_short_duration(node->text) : reader_text_duration(node->text);
    } else if (node->kind >= DOC_LIST) {
        (void)reader_wrong_kind(r, node, "a length of time");
        return;
    }
    if (ms > 0 || (ms == 0 && field->zero)) {
        *to = ms;
        return;
    }
    struct finding *found = reader_say(r, 2017, node, NULL, "'%s' is %s, which is not %s",
                                       reader_here(r), reader_show(r, node),
                                       ms == 0    ? "a positive length of time"
                                       : ms == -2 ? "a length of time of whole milliseconds"
                                                  : "a length of time");
    found->why = ms == -1 && node->kind == DOC_TEXT ? SPAN("numbers need a unit each")
                 : ms == -1                         ? SPAN("a number alone has no unit")
                 : ms == 0                          ? SPAN("it must be at least 1ms")
                                                    : SPAN("it must be 1ms to 1000000h");
    found->fix = span_of(example);
}

/* --- labels --- */

static void read_labels(struct reader *r, const struct doc_node *node, struct spec_labels *to)
{
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map of texts");
        return;
    }
    struct label *items = arena_array(r->arena, node->count, sizeof(items[0]));
    size_t count = 0;
    for (size_t i = 0; i < node->count; i++) {
        const struct doc_entry *entry = &node->entries[i];
        struct reader_step step = {.up = r->at, .key = entry->key};
        step.key.at = step.key.at ? step.key.at : "";
        r->at = &step;
        struct span value = SPAN("");
        const char *fault = reader_text_label_key_fault(entry->key);
        if (fault != NULL) {
            struct finding *found = reader_say(r, 2022, entry->value, NULL,
                                               "label key '%s' is not valid", reader_here(r));
            found->why = span_of(fault);
            found->fix = SPAN("write [prefix/]name, of letters, digits, '-', '_' and '.'");
        } else if (text_of(r, entry->value, NULL, &value) &&
                   (fault = reader_text_label_value_fault(value)) != NULL) {
            struct finding *found =
                reader_say(r, 2022, entry->value, NULL, "label '%s' has the value %s",
                           reader_here(r), reader_show(r, entry->value));
            found->why = span_of(fault);
            found->fix = SPAN("write at most 63 letters, digits, '-', '_' and '.'");
        } else {
            items[count++] = (struct label){entry->key, value};
        }
        r->at = step.up;
    }
    *to = (struct spec_labels){items, count};
}

/* --- lists --- */

static bool say_count(struct reader *r, const struct doc_node *node, size_t min, size_t max)
{
    size_t count = doc_count(node);
    struct finding *found;
    if (count >= min && count <= max) {
        return true;
    }
    if (count < min) {
        found = reader_say(r, 2032, node, NULL, "'%s' has %s", reader_here(r),
                           count == 0 ? "no entries" : "too few entries");
        found->why = finding_text(r->findings, "it needs at least %zu", min);
        found->fix = finding_text(r->findings, "add an entry to '%s'", reader_here(r));
    } else {
        found = reader_say(r, 2032, node, NULL, "'%s' has %zu entries", reader_here(r), count);
        found->why = finding_text(r->findings, "at most %zu are allowed", max);
        found->fix = SPAN("split the object in two");
    }
    return false;
}

static bool list_of(struct reader *r, const struct doc_node *node, const struct reader_field *field,
                    const char *want)
{
    if (node->kind != DOC_LIST) {
        return reader_wrong_kind(r, node, want);
    }
    size_t max = field->max > 0 ? (size_t)field->max : READER_ITEMS_MAX;
    return say_count(r, node, (size_t)field->min, max);
}

static void read_texts(struct reader *r, const struct doc_node *node,
                       const struct reader_field *field, struct spec_texts *to)
{
    if (!list_of(r, node, field, "a list of texts")) {
        return;
    }
    struct span *items = arena_array(r->arena, node->count, sizeof(items[0]));
    size_t count = 0;
    for (size_t i = 0; i < node->count; i++) {
        struct reader_step step = {.up = r->at, .index = i};
        r->at = &step;
        count += text_of(r, doc_at(node, i), field->check, &items[count]);
        r->at = step.up;
    }
    *to = (struct spec_texts){items, count};
}

static void read_list(struct reader *r, const struct doc_node *node,
                      const struct reader_field *field, struct array *to)
{
    if (!list_of(r, node, field, "a list")) {
        return;
    }
    size_t size = field->table->size;
    char *items = arena_array(r->arena, node->count, size);
    for (size_t i = 0; i < node->count; i++) {
        struct reader_step step = {.up = r->at, .index = i};
        r->at = &step;
        reader_map(r, doc_at(node, i), field->table, items + i * size);
        r->at = step.up;
    }
    *to = (struct array){items, node->count};
}

/* --- fields that do nothing --- */

static void say_unsupported(struct reader *r, const struct doc_node *node,
                            const struct reader_field *field)
{
    bool refused = field->type == READER_REFUSED;
    struct finding *found =
        reader_say(r, refused ? 2012 : 2011, node, NULL, "'%s' is not supported%s", field->name,
                   refused ? "" : " yet, and has no effect");
    if (refused) {
        found->why = SPAN("without it the object would mean something else");
        found->fix = span_of(field->note);
    } else {
        found->why = span_of(field->note);
        found->fix = finding_text(r->findings, "remove '%s'", field->name);
    }
}

void reader_value(struct reader *r, const struct doc_node *node, const struct reader_field *field,
                  void *to)
{
    int64_t value = 0;
    switch (field->type) {
    case READER_TEXT:
        (void)text_of(r, node, field->check, to); /* what is bad is said */
        break;
    case READER_TEXTS:
        read_texts(r, node, field, to);
        break;
    case READER_BOOL:
    case READER_TOLD:
        if (node->kind != DOC_BOOL) {
            (void)reader_wrong_kind(r, node, "true or false");
        } else if (field->type == READER_BOOL) {
            *(bool *)to = node->boolean;
        } else {
            *(enum spec_bool *)to = node->boolean ? SPEC_BOOL_TRUE : SPEC_BOOL_FALSE;
        }
        break;
    case READER_U16:
    case READER_PORT:
        if (number(r, node, field, &value)) {
            *(uint16_t *)to = (uint16_t)value;
        }
        break;
    case READER_U32:
        if (number(r, node, field, &value)) {
            *(uint32_t *)to = (uint32_t)value;
        }
        break;
    case READER_I64:
        if (number(r, node, field, &value)) {
            *(int64_t *)to = value;
        }
        break;
    case READER_DOUBLE:
        read_double(r, node, field, to);
        break;
    case READER_ENUM:
        read_enum(r, node, field, to);
        break;
    case READER_DURATION:
    case READER_SHORT_DURATION:
        read_duration(r, node, field, to);
        break;
    case READER_LABELS:
        read_labels(r, node, to);
        break;
    case READER_MAP:
        reader_map(r, node, field->table, to);
        break;
    case READER_LIST:
        read_list(r, node, field, to);
        break;
    case READER_CUSTOM:
        field->read(r, node, to);
        break;
    case READER_SILENT:
        break;
    case READER_LATER:
    case READER_REFUSED:
        say_unsupported(r, node, field);
        break;
    }
}

void reader_value_at(struct reader *r, struct span key, const struct doc_node *node,
                     const struct reader_field *field, void *to)
{
    struct reader_step step = {.up = r->at, .key = key.at ? key : SPAN("")};
    r->at = &step;
    reader_value(r, node, field, to);
    r->at = step.up;
}
