/* Numbers as people read them. In: members of answers. Out: texts in the verb's arena. */
#include <math.h>
#include <string.h>

#include "base/instant.h"
#include "cli/verb.h"
#include "codec/date.h"

static double value_of(const struct doc_node *n)
{
    return doc_is(n, DOC_DOUBLE) ? n->number : doc_is(n, DOC_INT) ? (double)n->integer : 0;
}

static bool number(const struct doc_node *map, const char *key, double *to)
{
    const struct doc_node *n = doc_get(map, key);
    *to = value_of(n);
    return doc_is(n, DOC_INT) || doc_is(n, DOC_DOUBLE);
}

/* Three significant digits, without an exponent. */
static const char *digits3(struct verb *v, double value, const char *unit)
{
    int places = value >= 99.95 || value == 0 ? 0 : value >= 9.995 ? 1 : 2;
    return arena_printf(&v->arena, "%.*f%s", places, value, unit);
}

const char *cell_ms(struct verb *v, const struct doc_node *map, const char *key)
{
    double ms;
    if (!number(map, key, &ms)) {
        return "-";
    }
    return ms >= 999.5 ? digits3(v, ms / 1000, "s") : digits3(v, ms, "ms");
}

const char *cell_percent(struct verb *v, const struct doc_node *map, const char *key)
{
    double share;
    if (!number(map, key, &share)) {
        return "-";
    }
    /* 99.996 % is not 100 %: the last failure must be seen. */
    double percent = share < 1 ? fmin(share * 100, 99.99) : 100;
    return arena_printf(&v->arena, "%.2f %%", percent);
}

bool cell_is_bad(const struct doc_node *map, const char *key)
{
    double share;
    return number(map, key, &share) && share < 0.99;
}

const char *cell_success(struct verb *v, const struct doc_node *map, const char *key)
{
    const char *mark = v->is_ascii ? " !" : " \u25bc";
    bool is_table = v->flags->output != OUTPUT_CSV;
    return arena_printf(&v->arena, "%s%s", cell_percent(v, map, key),
                        is_table && cell_is_bad(map, key) ? mark : "");
}

const char *cell_window(struct verb *v, int64_t ms)
{
    long long s = (long long)(ms / 1000);
    return s % 3600 == 0 ? arena_printf(&v->arena, "%lldh", s / 3600)
           : s % 60 == 0 ? arena_printf(&v->arena, "%lldm", s / 60)
                         : arena_printf(&v->arena, "%llds", s);
}

const char *cell_host(struct verb *v, struct span host)
{
    ssize_t at = span_find(host, SPAN(".svc."));
    return arena_cstr(&v->arena, at > 0 ? span_first(host, (size_t)at) : host);
}

const char *cell_rate(struct verb *v, const struct doc_node *map, const char *key)
{
    double rate;
    return number(map, key, &rate) ? digits3(v, rate, "") : "-";
}

const char *cell_text(struct verb *v, const struct doc_node *map, const char *key)
{
    const struct doc_node *n = map ? doc_get(map, key) : NULL;
    if (doc_is(n, DOC_TEXT)) {
        return arena_cstr(&v->arena, n->text);
    }
    if (doc_is(n, DOC_BOOL)) {
        return n->boolean ? "yes" : "no";
    }
    return doc_is(n, DOC_INT) ? arena_printf(&v->arena, "%lld", (long long)n->integer) : "-";
}

const char *cell_age(struct verb *v, const struct doc_node *map, const char *key)
{
    int64_t us;
    const struct doc_node *n = map ? doc_get(map, key) : NULL;
    if (!doc_is(n, DOC_TEXT) || date_parse_rfc3339(n->text, &us) != 0) {
        return "-";
    }
    long long s = (long long)((instant_wall_us() - us) / 1000000);
    const char *sign = s < 0 ? "in " : "";
    s = s < 0 ? -s : s;
    if (s < 120) {
        return arena_printf(&v->arena, "%s%llds", sign, s);
    }
    if (s < 7200) {
        return arena_printf(&v->arena, "%s%lldm", sign, s / 60);
    }
    if (s < 172800) {
        return arena_printf(&v->arena, "%s%lldh%lldm", sign, s / 3600, s % 3600 / 60);
    }
    return arena_printf(&v->arena, "%s%lldd%lldh", sign, s / 86400, s % 86400 / 3600);
}

const char *cell_spark(struct verb *v, const struct doc_node *map, const char *key)
{
    static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char ascii[] = "_.-=+*#@";
    const struct doc_node *list = map ? doc_get(map, key) : NULL;
    size_t count = doc_count(list);
    char *to = arena_bytes(&v->arena, count * 3 + 1);
    size_t len = 0;
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, value_of(doc_at(list, i)));
    }
    for (size_t i = 0; i < count && most > 0; i++) {
        size_t step = (size_t)(fmax(value_of(doc_at(list, i)), 0) / most * 7.999);
        if (v->is_ascii) {
            to[len++] = ascii[step];
        } else {
            memcpy(to + len, blocks[step], 3);
            len += 3;
        }
    }
    to[len] = '\0';
    return to;
}
