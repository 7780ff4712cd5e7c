/* JSON Patch (RFC 6902): made by walking two documents side by side, lists by their longest common subsequence; carried out one
 * operation after the other on a copy. */
#include "codec/jsonpatch.h"

#include <stdio.h>

/* Cells of the table that compares two lists; larger ones are replaced whole. */
#define COMPARE_MAX (1u << 20)
#define POINTER_MAX 65536

/* --- making --- */

struct maker {
    struct arena *arena;
    struct doc_node *ops;
};

static void put_op(struct maker *m, const char *op, const char *path, const struct doc_node *value)
{
    struct doc_node *one = doc_list_add(m->arena, m->ops, doc_new_map(m->arena));
    doc_set(m->arena, one, "op", doc_cstr(m->arena, op));
    doc_set(m->arena, one, "path", doc_cstr(m->arena, path));
    if (value) {
        doc_set(m->arena, one, "value", doc_dup(m->arena, value));
    }
}

/* path + "/" + key, with ~ and / escaped (RFC 6901 section 3). */
static const char *below(struct maker *m, const char *path, struct span key)
{
    size_t begin = strlen(path);
    char *to = arena_bytes(m->arena, begin + 2 * key.len + 2);
    char *at = to;
    memcpy(at, path, begin);
    at += begin;
    *at++ = '/';
    for (size_t i = 0; i < key.len; i++) {
        char c = key.at[i];
        if (c == '~' || c == '/') {
            *at++ = '~';
            *at++ = c == '~' ? '0' : '1';
        } else {
            *at++ = c;
        }
    }
    *at = '\0';
    return to;
}

static const char *below_index(struct maker *m, const char *path, size_t i)
{
    return arena_printf(m->arena, "%s/%zu", path, i);
}

static void compare(struct maker *m, const char *path, const struct doc_node *from,
                    const struct doc_node *to);

static void compare_maps(struct maker *m, const char *path, const struct doc_node *from,
                         const struct doc_node *to)
{
    for (size_t i = 0; i < doc_count(from); i++) {
        struct span key = from->entries[i].key;
        if (doc_get_span(to, key) == NULL) {
            put_op(m, "remove", below(m, path, key), NULL);
        }
    }
    for (size_t i = 0; i < doc_count(to); i++) {
        struct span key = to->entries[i].key;
        const struct doc_node *was = doc_get_span(from, key);
        const char *place = below(m, path, key);
        if (was == NULL) {
            put_op(m, "add", place, to->entries[i].value);
        } else {
            compare(m, place, was, to->entries[i].value);
        }
    }
}

static bool is_same(const struct doc_node *a, const struct doc_node *b)
{
    const struct doc_node *x = doc_get(a, "name"), *y = doc_get(b, "name");
    return doc_is(x, DOC_TEXT) && doc_is(y, DOC_TEXT) ? span_eq(x->text, y->text) : doc_eq(a, b);
}

/* lengths[i * (m + 1) + j]: of the longest common subsequence of from[i..] and to[j..]. */
static uint32_t *lengths_of(struct maker *m, const struct doc_node *from, const struct doc_node *to)
{
    size_t n = from->count, w = (size_t)to->count + 1;
    uint32_t *lengths = arena_array(m->arena, (n + 1) * w, sizeof(lengths[0]));
    for (size_t i = n; i-- > 0;) {
        for (size_t j = w - 1; j-- > 0;) {
            uint32_t down = lengths[(i + 1) * w + j], right = lengths[i * w + j + 1];
            lengths[i * w + j] = is_same(doc_at(from, i), doc_at(to, j))
                                     ? lengths[(i + 1) * w + j + 1] + 1
                                 : down > right ? down
                                                : right;
        }
    }
    return lengths;
}

static void compare_lists(struct maker *m, const char *path, const struct doc_node *from,
                          const struct doc_node *to)
{
    size_t n = from->count, w = (size_t)to->count + 1;
    if ((n + 1) * w > COMPARE_MAX) {
        put_op(m, "replace", path, to);
        return;
    }
    const uint32_t *lengths = lengths_of(m, from, to);
    size_t at = 0; /* in the list as it is after the operations so far */
    for (size_t i = 0, j = 0; i < n || j + 1 < w;) {
        bool both = i < n && j + 1 < w;
        if (both && is_same(doc_at(from, i), doc_at(to, j))) {
            compare(m, below_index(m, path, at++), doc_at(from, i++), doc_at(to, j++));
        } else if (j + 1 < w && (i == n || lengths[i * w + j + 1] >= lengths[(i + 1) * w + j])) {
            put_op(m, "add", below_index(m, path, at++), doc_at(to, j++));
        } else {
            put_op(m, "remove", below_index(m, path, at), NULL);
            i++;
        }
    }
}

static void compare(struct maker *m, const char *path, const struct doc_node *from,
                    const struct doc_node *to)
{
    if (doc_eq(from, to)) {
        return;
    }
    if (doc_is(from, DOC_MAP) && doc_is(to, DOC_MAP)) {
        compare_maps(m, path, from, to);
    } else if (doc_is(from, DOC_LIST) && doc_is(to, DOC_LIST)) {
        compare_lists(m, path, from, to);
    } else {
        put_op(m, "replace", path, to);
    }
}

struct doc_node *jsonpatch_make(struct arena *arena, const struct doc_node *from,
                                const struct doc_node *to)
{
    struct maker m = {.arena = arena, .ops = doc_new_list(arena)};
    compare(&m, "", from, to);
    return m.ops;
}

/* --- carrying out --- */

struct doer {
    struct arena *arena;
    struct doc_node *root;
    size_t nodes; /* that came, of DOC_NODES_MAX */
    size_t op;    /* its position, for messages */
    const char *word, *path;
    struct err *err;
};

static int refuse(struct doer *d, int code, const char *why)
{
    return err_set(d->err, code, "operation %zu (%s %s): %s", d->op, d->word, d->path, why);
}

static size_t measure(const struct doc_node *node, size_t *depth)
{
    size_t count = 1, deepest = 0;
    for (size_t i = 0; i < doc_count(node); i++) {
        size_t one = 0;
        count += measure(node->entries[i].value, &one);
        deepest = size_max(deepest, one);
    }
    *depth = deepest + (node->kind >= DOC_LIST);
    return count;
}

/* A place: the container, and the last token in it. `holder` NULL: the whole document. */
struct place {
    struct doc_node *holder;
    struct span token; /* unescaped */
    size_t index;      /* in a list; its count for "-" */
    size_t depth;      /* levels above the value */
};

static bool unescape(struct doer *d, struct span text, struct span *out)
{
    char *to = arena_bytes(d->arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++, len++) {
        to[len] = text.at[i];
        if (text.at[i] == '~') {
            i++;
            if (i == text.len || (text.at[i] != '0' && text.at[i] != '1')) {
                return false;
            }
            to[len] = text.at[i] == '0' ? '~' : '/';
        }
    }
    *out = span_from(to, len);
    return true;
}

/* Digits without a zero in front (RFC 6901 section 4), or "-". */
static bool list_index(const struct doc_node *list, struct span token, size_t *out)
{
    uint64_t value;
    if (span_is(token, "-")) {
        *out = list->count;
        return true;
    }
    if ((token.len > 1 && token.at[0] == '0') || !span_to_u64(token, &value) ||
        value > list->count) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

static struct doc_node *value_at(const struct place *p)
{
    return doc_is(p->holder, DOC_LIST) ? doc_at(p->holder, p->index)
                                       : doc_get_span(p->holder, p->token);
}

static int find_place(struct doer *d, const struct doc_node *pointer, struct place *out)
{
    *out = (struct place){.holder = NULL};
    if (!doc_is(pointer, DOC_TEXT) || pointer->text.len > POINTER_MAX ||
        (pointer->text.len > 0 && pointer->text.at[0] != '/')) {
        return refuse(d, -ERR_CONFIG, "want a JSON pointer: '', or '/' before each part");
    }
    struct span rest = span_from_offset(pointer->text, 1);
    struct doc_node *node = d->root;
    rest.at = pointer->text.len > 0 ? rest.at : NULL;
    while (rest.at != NULL) {
        struct span token;
        if (!unescape(d, span_cut(&rest, '/'), &token)) {
            return refuse(d, -ERR_CONFIG, "'~' wants '0' or '1' behind it");
        }
        *out = (struct place){.holder = node, .token = token, .depth = out->depth + 1};
        if (doc_is(node, DOC_LIST) && !list_index(node, token, &out->index)) {
            return refuse(d, -ERR_CONFIG, "there is no such position in the list");
        }
        if (!doc_is(node, DOC_LIST) && !doc_is(node, DOC_MAP)) {
            return refuse(d, -ERR_CONFIG, "what should hold it is neither map nor list");
        }
        node = value_at(out);
        if (rest.at != NULL && node == NULL) {
            return refuse(d, -ERR_CONFIG, "what should hold it is not there");
        }
    }
    return 0;
}

static void list_insert(struct doer *d, struct doc_node *list, size_t at, struct doc_node *value)
{
    doc_list_add(d->arena, list, value);
    for (size_t i = list->count - 1; i > at; i--) {
        list->entries[i].value = list->entries[i - 1].value;
    }
    list->entries[at].value = value;
}

static int put(struct doer *d, const struct place *p, struct doc_node *value)
{
    size_t depth = 0;
    d->nodes += measure(value, &depth);
    if (d->nodes > DOC_NODES_MAX || p->depth + depth > DOC_DEPTH_MAX) {
        return refuse(d, -ERR_LIMIT, "the document becomes too large");
    }
    if (p->holder == NULL) {
        d->root = value;
    } else if (p->holder->kind == DOC_LIST) {
        list_insert(d, p->holder, p->index, value);
    } else {
        doc_set_span(d->arena, p->holder, p->token, value);
    }
    return 0;
}

static int get(struct doer *d, const struct place *p, struct doc_node **out)
{
    *out = p->holder ? value_at(p) : d->root;
    return *out ? 0 : refuse(d, -ERR_CONFIG, "there is nothing");
}

static int take_out(struct doer *d, const struct place *p)
{
    struct doc_node *value;
    int code = get(d, p, &value);
    if (code != 0 || p->holder == NULL) {
        return code ? code : refuse(d, -ERR_CONFIG, "the whole document can not be removed");
    }
    if (p->holder->kind == DOC_LIST) {
        for (size_t i = p->index; i + 1 < p->holder->count; i++) {
            p->holder->entries[i].value = p->holder->entries[i + 1].value;
        }
        p->holder->count--;
    } else {
        (void)doc_remove_span(p->holder, p->token); /* it is there */
    }
    return 0;
}

static int op_add(struct doer *d, const struct doc_node *op, const struct place *p)
{
    const struct doc_node *value = doc_get(op, "value");
    return value ? put(d, p, doc_dup(d->arena, value))
                 : refuse(d, -ERR_CONFIG, "'value' is missing");
}

static int op_remove(struct doer *d, const struct doc_node *op, const struct place *p)
{
    UNUSED(op);
    return take_out(d, p);
}

static int op_replace(struct doer *d, const struct doc_node *op, const struct place *p)
{
    struct doc_node *was;
    int code = get(d, p, &was);
    if (code == 0 && p->holder && p->holder->kind == DOC_LIST) {
        code = doc_get(op, "value") ? take_out(d, p) : 0;
    }
    return code ? code : op_add(d, op, p);
}

static int op_copy(struct doer *d, const struct doc_node *op, const struct place *p)
{
    struct place from;
    struct doc_node *value;
    int code = find_place(d, doc_get(op, "from"), &from);
    code = code ? code : get(d, &from, &value);
    if (code == 0) {
        size_t depth;
        /* Before the copy is made: it may be of the whole document, again and again. */
        if (d->nodes + measure(value, &depth) > DOC_NODES_MAX) {
            return refuse(d, -ERR_LIMIT, "the document becomes too large");
        }
        code = put(d, p, doc_dup(d->arena, value));
    }
    return code;
}

static int op_move(struct doer *d, const struct doc_node *op, const struct place *p)
{
    const struct doc_node *from_text = doc_get(op, "from"), *to_text = doc_get(op, "path");
    struct place from, to = *p;
    struct doc_node *value;
    int code = find_place(d, from_text, &from);
    code = code ? code : get(d, &from, &value);
    if (code != 0) {
        return code;
    }
    if (span_eq(from_text->text, to_text->text)) {
        return 0;
    }
    if (span_starts(to_text->text, from_text->text) &&
        to_text->text.at[from_text->text.len] == '/') {
        return refuse(d, -ERR_CONFIG, "it can not be moved into itself");
    }
    code = take_out(d, &from);
    code = code ? code : find_place(d, to_text, &to); /* positions may be others now */
    return code ? code : put(d, &to, value);
}

static int op_test(struct doer *d, const struct doc_node *op, const struct place *p)
{
    struct doc_node *value;
    const struct doc_node *want = doc_get(op, "value");
    int code = get(d, p, &value);
    if (code != 0 || want == NULL) {
        return code ? code : refuse(d, -ERR_CONFIG, "'value' is missing");
    }
    return doc_eq(value, want) ? 0 : refuse(d, -ERR_DENIED, "it is another value");
}

static const struct {
    const char *word;
    int (*run)(struct doer *d, const struct doc_node *op, const struct place *p);
} words[] = {
    {"add", op_add},   {"remove", op_remove}, {"replace", op_replace},
    {"copy", op_copy}, {"move", op_move},     {"test", op_test},
};

static int run_op(struct doer *d, const struct doc_node *op)
{
    const struct doc_node *word = doc_get(op, "op"), *path = doc_get(op, "path");
    struct place place;
    d->word = doc_is(word, DOC_TEXT) ? arena_cstr(d->arena, span_first(word->text, 32)) : "?";
    d->path = doc_is(path, DOC_TEXT) ? arena_cstr(d->arena, span_first(path->text, 200)) : "?";
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].word, d->word) == 0) {
            int code = find_place(d, path, &place);
            return code ? code : words[i].run(d, op, &place);
        }
    }
    return refuse(d, -ERR_CONFIG, "want 'op' add, remove, replace, move, copy or test");
}

int jsonpatch_apply(struct arena *arena, const struct doc_node *target,
                    const struct doc_node *patch, struct doc_node **out, struct err *err)
{
    size_t depth;
    if (!doc_is(patch, DOC_LIST)) {
        return err_set(err, -ERR_CONFIG, "a patch is a list of operations");
    }
    if (patch->count > JSONPATCH_OPS_MAX) {
        return err_set(err, -ERR_LIMIT, "a patch has at most %d operations", JSONPATCH_OPS_MAX);
    }
    struct doer d = {.arena = arena, .root = doc_dup(arena, target), .err = err};
    d.nodes = measure(target, &depth);
    for (; d.op < patch->count; d.op++) {
        int code = run_op(&d, doc_at(patch, d.op));
        if (code != 0) {
            return code;
        }
    }
    *out = d.root;
    return 0;
}
