/* The reading half of pbgen: a small parser for our subset of proto3, and the search for the type that
 * each field names. */
#include "proto/pbgen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct schema *schema;
    struct file *file;
    const char *at;
    int line;
    char token[512]; /* "" at the end; text of a string without its quotes */
    bool is_string;
    struct field *last_field;
};

static const struct scalar scalars[] = {
    {"double", "PB_DOUBLE", "double"},      {"float", "PB_FLOAT", "float"},
    {"int64", "PB_INT64", "int64_t"},       {"uint64", "PB_UINT64", "uint64_t"},
    {"int32", "PB_INT32", "int32_t"},       {"fixed64", "PB_FIXED64", "uint64_t"},
    {"fixed32", "PB_FIXED32", "uint32_t"},  {"bool", "PB_BOOL", "bool"},
    {"string", "PB_STRING", "struct span"}, {"bytes", "PB_BYTES", "struct span"},
    {"uint32", "PB_UINT32", "uint32_t"},    {"sfixed32", "PB_SFIXED32", "int32_t"},
    {"sfixed64", "PB_SFIXED64", "int64_t"}, {"sint32", "PB_SINT32", "int32_t"},
    {"sint64", "PB_SINT64", "int64_t"},     {NULL, NULL, NULL},
};

/* Appends to a singly linked list whose link is `next`. */
#define APPEND(head, item)                  \
    do {                                    \
        __typeof__(head) *place_ = &(head); \
        while (*place_) {                   \
            place_ = &(*place_)->next;      \
        }                                   \
        *place_ = (item);                   \
    } while (0)

static void skip_blank(struct reader *r)
{
    for (;;) {
        if (*r->at == '\n') {
            r->line++;
            r->at++;
        } else if (isspace((unsigned char)*r->at)) {
            r->at++;
        } else if (r->at[0] == '/' && (r->at[1] == '/' || r->at[1] == '*')) {
            bool is_line = r->at[1] == '/';
            const char *end = strstr(r->at + 2, is_line ? "\n" : "*/");
            if (!end) {
                end = r->at + strlen(r->at);
            }
            const char *mark = strstr(r->at, "@sensitive");
            if (mark && mark < end && r->last_field) {
                r->last_field->sensitive = true;
            }
            for (; r->at < end; r->at++) {
                r->line += *r->at == '\n';
            }
            r->at += !is_line && *r->at ? 2 : 0;
        } else {
            return;
        }
    }
}

static void next(struct reader *r)
{
    skip_blank(r);
    size_t len = 0;
    r->is_string = *r->at == '"' || *r->at == '\'';
    if (r->is_string) {
        const char *end = strchr(r->at + 1, *r->at);
        if (!end) {
            pbgen_die(r->file->path, r->line, "string without an end");
        }
        r->at++;
        len = (size_t)(end - r->at);
    } else if (isalnum((unsigned char)*r->at) || *r->at == '_' || *r->at == '.') {
        while (isalnum((unsigned char)r->at[len]) || r->at[len] == '_' || r->at[len] == '.') {
            len++;
        }
    } else {
        len = *r->at != '\0';
    }
    if (len >= sizeof r->token) {
        pbgen_die(r->file->path, r->line, "token of %zu bytes", len);
    }
    memcpy(r->token, r->at, len);
    r->token[len] = '\0';
    r->at += len + (r->is_string ? 1 : 0);
}

static bool is(const struct reader *r, const char *token)
{
    return !r->is_string && strcmp(r->token, token) == 0;
}

static bool accept_token(struct reader *r, const char *token)
{
    if (!is(r, token)) {
        return false;
    }
    next(r);
    return true;
}

static void expect(struct reader *r, const char *token)
{
    if (!accept_token(r, token)) {
        pbgen_die(r->file->path, r->line, "'%s' where '%s' belongs", r->token, token);
    }
}

static char *take_token(struct reader *r)
{
    if (!r->token[0] && !r->is_string) {
        pbgen_die(r->file->path, r->line, "unexpected end of file");
    }
    char *taken = pbgen_text("%s", r->token);
    next(r);
    return taken;
}

static char *take_name(struct reader *r)
{
    if (!isalpha((unsigned char)r->token[0]) && r->token[0] != '_' && r->token[0] != '.') {
        pbgen_die(r->file->path, r->line, "'%s' where a name belongs", r->token);
    }
    return take_token(r);
}

static long take_number(struct reader *r)
{
    bool is_negative = accept_token(r, "-");
    char *end;
    long number = strtol(r->token, &end, 0);
    if (*end || !r->token[0]) {
        pbgen_die(r->file->path, r->line, "'%s' where a number belongs", r->token);
    }
    next(r);
    return is_negative ? -number : number;
}

/* Up to and over `end`, with brackets nested. */
static void skip_to(struct reader *r, const char *end)
{
    int depth = 0;
    while (depth || !is(r, end)) {
        depth += is(r, "{") || is(r, "[");
        depth -= is(r, "}") || is(r, "]");
        free(take_token(r));
    }
    next(r);
}

static void skip_field_options(struct reader *r)
{
    if (accept_token(r, "[")) {
        skip_to(r, "]");
    }
}

static char *joined(const char *scope, const char *name)
{
    return *scope ? pbgen_text("%s.%s", scope, name) : pbgen_text("%s", name);
}

static void read_enum(struct reader *r, const char *scope)
{
    struct enumeration *e = pbgen_alloc(sizeof *e);
    char *name = take_name(r);
    e->file = r->file;
    e->local = joined(scope, name);
    e->full = joined(r->file->package, e->local);
    e->values = pbgen_alloc(sizeof e->values[0] * 1024);
    expect(r, "{");
    while (!accept_token(r, "}")) {
        if (is(r, "option") || is(r, "reserved")) {
            skip_to(r, ";");
            continue;
        }
        if (e->count == 1024) {
            pbgen_die(r->file->path, r->line, "more than 1024 values");
        }
        e->values[e->count].name = take_name(r);
        expect(r, "=");
        e->values[e->count++].number = (int)take_number(r);
        skip_field_options(r);
        expect(r, ";");
    }
    APPEND(r->schema->enums, e);
}

static struct field *add_field(struct message *m, char *type, char *name, unsigned number)
{
    struct field *f = pbgen_alloc(sizeof *f);
    f->name = name;
    f->number = number;
    f->type_name = type;
    for (const struct scalar *s = scalars; s->name; s++) {
        if (strcmp(s->name, type) == 0) {
            f->scalar = s;
        }
    }
    APPEND(m->fields, f);
    return f;
}

static struct message *add_message(struct reader *r, const char *scope, const char *name)
{
    struct message *m = pbgen_alloc(sizeof *m);
    m->file = r->file;
    m->local = joined(scope, name);
    m->full = joined(r->file->package, m->local);
    APPEND(r->schema->messages, m);
    return m;
}

/* field_name -> FieldNameEntry, as protoc calls the message of a map's entries. */
static char *entry_name(const char *field)
{
    char *name = pbgen_alloc(strlen(field) + sizeof "Entry");
    size_t len = 0;
    for (bool up = true; *field; field++) {
        if (*field == '_') {
            up = true;
            continue;
        }
        name[len++] = (char)(up ? toupper((unsigned char)*field) : *field);
        up = false;
    }
    memcpy(name + len, "Entry", sizeof "Entry");
    return name;
}

static void read_field(struct reader *r, struct message *m, char *oneof)
{
    enum label label = oneof ? ONEOF : SINGLE;
    int line = r->line;
    if (accept_token(r, "repeated")) {
        label = REPEATED;
    } else if (accept_token(r, "optional")) {
        label = OPTIONAL;
    }
    char *type = take_name(r);
    char *key = NULL;
    char *value = NULL;
    if (strcmp(type, "map") == 0 && accept_token(r, "<")) {
        label = MAP;
        key = take_name(r);
        expect(r, ",");
        value = take_name(r);
        expect(r, ">");
    }
    char *name = take_name(r);
    if (label == MAP) {
        char *entry = entry_name(name);
        struct message *e = add_message(r, m->local, entry);
        e->is_entry = true;
        add_field(e, key, pbgen_text("key"), 1)->line = line;
        add_field(e, value, pbgen_text("value"), 2)->line = line;
        type = entry;
    }
    expect(r, "=");
    struct field *f = add_field(m, type, name, (unsigned)take_number(r));
    f->label = label;
    f->oneof = oneof;
    f->line = line;
    r->last_field = f;
    skip_field_options(r);
    expect(r, ";");
}

/* protobuf bounds nesting at 32; ours stays far below. */
static void read_message(struct reader *r, const char *scope, int depth)
{
    if (depth > 16) {
        pbgen_die(r->file->path, r->line, "messages nest more than 16 deep");
    }
    struct message *m = add_message(r, scope, take_name(r));
    expect(r, "{");
    while (!accept_token(r, "}")) {
        if (accept_token(r, ";")) {
            continue;
        }
        if (accept_token(r, "message")) {
            read_message(r, m->local, depth + 1);
        } else if (accept_token(r, "enum")) {
            read_enum(r, m->local);
        } else if (is(r, "option") || is(r, "reserved") || is(r, "extensions")) {
            skip_to(r, ";");
        } else if (accept_token(r, "oneof")) {
            char *oneof = take_name(r);
            expect(r, "{");
            while (!accept_token(r, "}")) {
                if (is(r, "option")) {
                    skip_to(r, ";");
                } else {
                    read_field(r, m, oneof);
                }
            }
        } else {
            read_field(r, m, NULL);
        }
    }
}

static void read_service(struct reader *r)
{
    char *service = take_name(r);
    expect(r, "{");
    while (!accept_token(r, "}")) {
        if (!accept_token(r, "rpc")) {
            skip_to(r, ";");
            continue;
        }
        struct method *m = pbgen_alloc(sizeof *m);
        m->service = service;
        m->name = take_name(r);
        APPEND(r->file->methods, m);
        skip_to(r, ")");
        skip_to(r, ")");
        if (accept_token(r, "{")) {
            skip_to(r, "}");
            (void)accept_token(r, ";");
        } else {
            expect(r, ";");
        }
    }
}

static void read_option(struct reader *r)
{
    if (is(r, "objc_class_prefix")) {
        next(r);
        expect(r, "=");
        r->file->prefix = take_token(r);
        expect(r, ";");
    } else {
        skip_to(r, ";");
    }
}

static char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *base = pbgen_text("%s", slash ? slash + 1 : path);
    char *dot = strrchr(base, '.');
    if (!dot || strcmp(dot, ".proto") != 0) {
        pbgen_die(path, 1, "not a .proto file");
    }
    *dot = '\0';
    return base;
}

static void read_import(struct reader *r)
{
    struct import *i = pbgen_alloc(sizeof *i);
    (void)accept_token(r, "public");
    char *path = take_token(r);
    i->base = base_name(path);
    APPEND(r->file->imports, i);
    expect(r, ";");
}

/* The last part of the package that is not a version (v3, v1alpha1). */
static char *package_prefix(const char *package)
{
    char *copy = pbgen_text("%s", package);
    for (;;) {
        char *dot = strrchr(copy, '.');
        char *last = dot ? dot + 1 : copy;
        if (dot && last[0] == 'v' && isdigit((unsigned char)last[1])) {
            *dot = '\0';
            continue;
        }
        return last;
    }
}

void pbgen_read(struct schema *schema, const char *path)
{
    struct file *file = pbgen_alloc(sizeof *file);
    file->path = path;
    file->base = base_name(path);
    file->package = pbgen_text("%s", "");
    APPEND(schema->files, file);
    struct reader r = {.schema = schema, .file = file, .at = pbgen_slurp(path, true), .line = 1};
    next(&r);
    while (r.token[0] || r.is_string) {
        if (accept_token(&r, ";")) {
            continue;
        }
        if (accept_token(&r, "syntax")) {
            expect(&r, "=");
            if (strcmp(r.token, "proto3") != 0) {
                pbgen_die(path, r.line, "only proto3 is known");
            }
            next(&r);
            expect(&r, ";");
        } else if (accept_token(&r, "package")) {
            file->package = take_name(&r);
            expect(&r, ";");
        } else if (accept_token(&r, "import")) {
            read_import(&r);
        } else if (accept_token(&r, "option")) {
            read_option(&r);
        } else if (accept_token(&r, "message")) {
            read_message(&r, "", 0);
        } else if (accept_token(&r, "enum")) {
            read_enum(&r, "");
        } else if (accept_token(&r, "service")) {
            read_service(&r);
        } else {
            pbgen_die(path, r.line, "'%s' is not known at this place", r.token);
        }
    }
    if (!file->prefix) {
        file->prefix = package_prefix(file->package);
    }
}

static bool find_type(const struct schema *s, struct field *f, const char *full)
{
    for (struct message *m = s->messages; m; m = m->next) {
        if (strcmp(m->full, full) == 0) {
            f->message = m;
            return true;
        }
    }
    for (struct enumeration *e = s->enums; e; e = e->next) {
        if (strcmp(e->full, full) == 0) {
            f->enumeration = e;
            return true;
        }
    }
    return false;
}

/* From the innermost scope outwards, as protoc does. */
static void resolve(const struct schema *s, const struct message *m, struct field *f)
{
    if (f->type_name[0] == '.') {
        if (find_type(s, f, f->type_name + 1)) {
            return;
        }
    } else {
        for (char *scope = pbgen_text("%s", m->full);;) {
            if (find_type(s, f, joined(scope, f->type_name))) {
                return;
            }
            if (!*scope) {
                break;
            }
            char *dot = strrchr(scope, '.');
            *(dot ? dot : scope) = '\0';
        }
    }
    pbgen_die(m->file->path, f->line, "type '%s' is not declared", f->type_name);
}

static void sort_fields(struct message *m)
{
    struct field *sorted = NULL;
    while (m->fields) {
        struct field *f = m->fields;
        m->fields = f->next;
        struct field **place = &sorted;
        while (*place && (*place)->number < f->number) {
            place = &(*place)->next;
        }
        if (*place && (*place)->number == f->number) {
            pbgen_die(m->file->path, f->line, "number %u is taken", f->number);
        }
        f->next = *place;
        *place = f;
    }
    m->fields = sorted;
}

static void check_imports(const struct schema *s)
{
    for (struct file *f = s->files; f; f = f->next) {
        for (struct import *i = f->imports; i; i = i->next) {
            const struct file *found = s->files;
            while (found && strcmp(found->base, i->base) != 0) {
                found = found->next;
            }
            if (!found) {
                pbgen_die(f->path, 1, "imports '%s.proto', which was not given", i->base);
            }
        }
    }
}

void pbgen_resolve(struct schema *schema)
{
    check_imports(schema);
    for (struct message *m = schema->messages; m; m = m->next) {
        for (struct field *f = m->fields; f; f = f->next) {
            if (!f->scalar) {
                resolve(schema, m, f);
            }
        }
        sort_fields(m);
    }
}
