/* Settings of an installation: keys, profiles, "did you mean". In: cmd_install. Next: install_render. */
#include "cli/install.h"

#include <stdio.h>
#include <string.h>

#include "model/near.h"
#include "version.h"

#define KEY_BYTES_MAX 200

#define TEXT "text"
#define BOOL "bool"
#define COUNT "count"
#define AMOUNT "amount"
const struct install_key install_keys[INSTALL_KEYS] = {
#define KEY(id, name, alias, type, fallback, help) {name, alias, type, fallback, help},
#include "cli/install_keys.def"
#undef KEY
};

/* Where a profile is not the default one. */
static const struct {
    const char *profile;
    enum install_id id;
    const char *value;
} profile_rows[] = {
    {"demo", INSTALL_ACCESS_LOG, "/dev/stdout"}, {"demo", INSTALL_CONTROL_CPU, "10m"},
    {"demo", INSTALL_GATEWAY_CPU, "10m"},        {"minimal", INSTALL_GATEWAY, "false"},
    {"edge", INSTALL_GATEWAY, "false"},          {"edge", INSTALL_CONTROL_CPU, "5m"},
    {"edge", INSTALL_CONTROL_MEMORY, "16Mi"},    {"edge", INSTALL_PROXY_CPU, "2m"},
    {"edge", INSTALL_PROXY_MEMORY, "8Mi"},       {"edge", INSTALL_PROXY_CONCURRENCY, "1"},
};

/* ---- one key ---- */

static bool is_key(const struct install_key *k, struct span name)
{
    return span_is(name, k->name) || (k->alias[0] && span_is(name, k->alias));
}

static int unknown(struct span name, struct err *err)
{
    struct near near;
    near_init(&near, name);
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        near_try(&near, span_of(install_keys[i].name));
        near_try(&near, span_of(install_keys[i].alias));
    }
    /* The last word alone, at another place: meshConfig.accessLog, values.trustDomain. */
    ssize_t dot = span_rfind_byte(name, '.');
    struct span last = dot >= 0 ? span_from_offset(name, (size_t)dot + 1) : name;
    for (size_t i = 0; i < INSTALL_KEYS && !near.best.at && last.len > 3; i++) {
        struct span key = span_of(install_keys[i].name);
        ssize_t at = span_rfind_byte(key, '.');
        bool same = span_eq_nocase(last, span_from_offset(key, (size_t)(at + 1))) ||
                    span_eq_nocase(last, span_of(install_keys[i].alias));
        near.best = same ? key : near.best;
    }
    return near.best.at
               ? err_set(err, -ERR_CONFIG, "no setting is called '%.*s': did you mean '%.*s'?",
                         SPAN_ARG(name), SPAN_ARG(near.best))
               : err_set(err, -ERR_CONFIG, "no setting is called '%.*s'", SPAN_ARG(name));
}

static bool is_word_of(const char *words, struct span value)
{
    struct span rest = span_of(words);
    while (rest.at != NULL) {
        if (span_eq(span_cut(&rest, '|'), value)) {
            return true;
        }
    }
    return false;
}

/* Kubernetes quantities as people write them: digits, at most one point, a suffix. */
static bool is_amount(struct span value)
{
    static const char suffixes[] = "|m|k|M|G|T|Ki|Mi|Gi|Ti";
    size_t digits = 0, points = 0, i = 0;
    for (; i < value.len && ((value.at[i] >= '0' && value.at[i] <= '9') || value.at[i] == '.');
         i++) {
        digits += value.at[i] != '.';
        points += value.at[i] == '.';
    }
    return digits > 0 && points < 2 && is_word_of(suffixes, span_from_offset(value, i));
}

/* What would break the documents that it is put into. Quotes and the like are JSON's to escape. */
static bool is_plain(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.at[i] < 0x20) {
            return false;
        }
    }
    return true;
}

static const char *wanted(const struct install_key *k, struct span value)
{
    uint64_t number;
    if (strcmp(k->type, "bool") == 0) {
        return is_word_of("true|false", value) ? NULL : "true or false";
    }
    if (strcmp(k->type, "count") == 0) {
        return span_to_u64(value, &number) && number <= 1000 ? NULL : "a number, at most 1000";
    }
    if (strcmp(k->type, "amount") == 0) {
        return value.len == 0 || is_amount(value) ? NULL : "an amount such as 100m, 64Mi or 2";
    }
    if (strcmp(k->type, "text") == 0) {
        return is_plain(value) ? NULL : "one line of text";
    }
    return is_word_of(k->type, value) ? NULL : k->type;
}

static int set(struct install_values *v, struct arena *arena, struct span name, struct span value,
               struct err *err)
{
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        const struct install_key *k = &install_keys[i];
        if (is_key(k, name)) {
            const char *want = wanted(k, value);
            if (want) {
                return err_set(err, -ERR_CONFIG, "'%.*s' is '%.*s'; want %s", SPAN_ARG(name),
                               SPAN_ARG(value), want);
            }
            v->at[i] = arena_cstr(arena, value);
            return 0;
        }
    }
    return unknown(name, err);
}

int install_values_set(struct install_values *v, struct arena *arena, const char *text,
                       struct err *err)
{
    struct span value = span_of(text);
    struct span name = span_trim(span_cut(&value, '='));
    if (value.at == NULL || name.len == 0) {
        return err_set(err, -ERR_CONFIG, "'%s' is no setting: write KEY=VALUE", text);
    }
    return set(v, arena, name, span_trim(value), err);
}

/* ---- a file ---- */

static int read_scalar(struct install_values *v, struct arena *arena, struct span name,
                       const struct doc_node *node, struct err *err)
{
    const char *text = "";
    switch (node->kind) {
    case DOC_BOOL:
        text = node->boolean ? "true" : "false";
        break;
    case DOC_INT:
        text = arena_printf(arena, "%lld", (long long)node->integer);
        break;
    case DOC_DOUBLE:
        text = arena_printf(arena, "%g", node->number);
        break;
    case DOC_TEXT:
        text = arena_cstr(arena, node->text);
        break;
    case DOC_LIST: /* of names */
        for (size_t i = 0; i < doc_count(node); i++) {
            const struct doc_node *one = doc_at(node, i);
            one = doc_is(one, DOC_MAP) ? doc_get(one, "name") : one;
            struct span word = doc_is(one, DOC_TEXT) ? one->text : SPAN_EMPTY;
            text = arena_printf(arena, "%s%s%.*s", text, i > 0 ? "," : "", SPAN_ARG(word));
        }
        break;
    case DOC_NULL:
    case DOC_MAP:
        return 0;
    }
    int code = set(v, arena, name, span_of(text), err);
    return code ? err_prefix(err, "%s:%u", node->file ? node->file : "-", node->line) : 0;
}

static int read_tree(struct install_values *v, struct arena *arena, struct span prefix,
                     const struct doc_node *map, struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < doc_count(map) && code == 0; i++) {
        const struct doc_entry *e = &map->entries[i];
        struct span name = span_of(arena_printf(arena, "%.*s%s%.*s", SPAN_ARG(prefix),
                                                prefix.len > 0 ? "." : "", SPAN_ARG(e->key)));
        if (name.len > KEY_BYTES_MAX) {
            return err_set(err, -ERR_LIMIT, "%s:%u: a key is longer than %d bytes", e->value->file,
                           e->value->line, KEY_BYTES_MAX);
        }
        code = doc_is(e->value, DOC_MAP) ? read_tree(v, arena, name, e->value, err)
                                         : read_scalar(v, arena, name, e->value, err);
    }
    return code;
}

int install_values_read(struct install_values *v, struct arena *arena, const struct doc_node *doc,
                        struct err *err)
{
    const struct doc_node *kind = doc_get(doc, "kind");
    if (doc_is(kind, DOC_TEXT) && span_is(kind->text, "IstioOperator")) {
        return read_tree(v, arena, SPAN_EMPTY, doc_get(doc, "spec"), err);
    }
    if (!doc_is(doc, DOC_MAP) && !doc_is(doc, DOC_NULL)) {
        return err_set(err, -ERR_CONFIG, "a values file is a map of settings");
    }
    return read_tree(v, arena, SPAN_EMPTY, doc, err);
}

/* ---- what was not told ---- */

void install_values_settle(struct install_values *v)
{
    const char *profile = v->at[INSTALL_PROFILE];
    for (size_t i = 0; i < ARRAY_LEN(profile_rows) && profile; i++) {
        if (strcmp(profile_rows[i].profile, profile) == 0 && !v->at[profile_rows[i].id]) {
            v->at[profile_rows[i].id] = profile_rows[i].value;
        }
    }
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        v->at[i] = v->at[i] ? v->at[i] : install_keys[i].fallback;
    }
}

bool install_values_is(const struct install_values *v, enum install_id id)
{
    return strcmp(v->at[id], "true") == 0;
}
