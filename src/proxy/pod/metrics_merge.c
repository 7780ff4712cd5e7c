/* Two scrapes in one text: see metrics_merge.h.
 * In: app_metrics. Out: one text. */
#include "proxy/pod/metrics_merge.h"

#include "base/arena.h"
#include "base/map.h"

#define END SPAN("# EOF\n")

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the word at the front of `rest`, which is blank or empty after it. */
static struct span next_word(struct span *rest)
{
    size_t from = 0, to;
    while (from < rest->len && is_blank(rest->at[from])) {
        from++;
    }
    for (to = from; to < rest->len && !is_blank(rest->at[to]); to++) {
    }
    struct span word = span_from(rest->at + from, to - from);
    *rest = span_from_offset(*rest, to);
    return word;
}

static struct span next_line(struct span *rest)
{
    struct span line = span_cut(rest, '\n');
    if (line.len > 0 && line.at[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

/* A sample begins with its name, or with the name among its labels in braces (Prometheus 3, UTF-8 names), and has a value after a blank. */
static bool is_sample(struct span line)
{
    struct span rest = line;
    struct span word = next_word(&rest);
    char c = word.len > 0 ? word.at[0] : '\0';
    bool has_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    return (has_name || c == '{') && span_trim(rest).len > 0;
}

static bool is_line(struct span line)
{
    struct span text = span_trim(line);
    return text.len == 0 || text.at[0] == '#' || is_sample(text);
}

/* Whether a line is one of those that may stand once a family, and has stood already. */
static bool is_told_again(struct map *told, struct arena *arena, struct span line)
{
    struct span rest = line;
    if (!span_is(next_word(&rest), "#")) {
        return false;
    }
    struct span what = next_word(&rest), name = next_word(&rest);
    if (!(span_is(what, "HELP") || span_is(what, "TYPE") || span_is(what, "UNIT")) ||
        name.len == 0) {
        return false;
    }
    struct span key = span_of(arena_printf(arena, "%.*s %.*s", SPAN_ARG(what), SPAN_ARG(name)));
    return map_put(told, key, told) != NULL; /* any pointer will do */
}

static bool is_end(struct span line)
{
    struct span rest = line;
    return span_is(next_word(&rest), "#") && span_is(next_word(&rest), "EOF") &&
           span_trim(rest).len == 0;
}

/* `out` has room. */
static int copy(struct span text, struct map *told, struct arena *arena, struct buf *out)
{
    int code = 0;
    while (text.at != NULL && code == 0) {
        struct span line = next_line(&text);
        if (line.len > 0 && !is_end(line) && !is_told_again(told, arena, line)) {
            code = buf_append_span(out, line);
            code = code ? code : buf_append_byte(out, '\n');
        }
    }
    return code;
}

static int check(struct span text, struct err *err)
{
    while (text.at != NULL) {
        struct span line = next_line(&text);
        if (!is_line(line)) {
            return err_set(err, -ERR_PROTO, "'%.*s' is no line of metrics",
                           SPAN_ARG(span_first(line, 80)));
        }
    }
    return 0;
}

int metrics_merge(struct span own, struct span application, bool open_metrics, struct buf *out,
                  struct err *err)
{
    int code = check(application, err);
    if (code != 0) {
        return code;
    }
    /* Each text may lack the end of its last line. */
    if (buf_reserve(out, own.len + application.len + 2 + END.len) == NULL) {
        return err_set(err, -ERR_LIMIT, "the numbers of proxy and application are too long");
    }
    struct arena arena;
    struct map told;
    arena_init(&arena, 16384);
    map_init(&told);
    code = copy(own, &told, &arena, out);
    code = code ? code : copy(application, &told, &arena, out);
    code = code == 0 && open_metrics ? buf_append_span(out, END) : code;
    map_dispose(&told);
    arena_dispose(&arena);
    return code ? err_set(err, code, "no room for metrics") : 0;
}
