/* The writing half of pbgen: headers with structs, and tables for codec/pb. */
#include "proto/pbgen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *full;
    const char *special;
} specials[] = {
    {"google.protobuf.Any", "PB_ANY"},
    {"google.protobuf.Duration", "PB_DURATION"},
    {"google.protobuf.Timestamp", "PB_TIMESTAMP"},
    {"google.protobuf.Struct", "PB_STRUCT"},
    {"google.protobuf.Value", "PB_VALUE"},
    {"google.protobuf.ListValue", "PB_LIST_VALUE"},
    {"google.protobuf.Empty", "PB_EMPTY"},
    {"google.protobuf.DoubleValue", "PB_WRAPPER"},
    {"google.protobuf.FloatValue", "PB_WRAPPER"},
    {"google.protobuf.Int64Value", "PB_WRAPPER"},
    {"google.protobuf.UInt64Value", "PB_WRAPPER"},
    {"google.protobuf.Int32Value", "PB_WRAPPER"},
    {"google.protobuf.UInt32Value", "PB_WRAPPER"},
    {"google.protobuf.BoolValue", "PB_WRAPPER"},
    {"google.protobuf.StringValue", "PB_WRAPPER"},
    {"google.protobuf.BytesValue", "PB_WRAPPER"},
};

/* a.b -> a_b */
static char *flat(const char *name)
{
    char *to = pbgen_text("%s", name);
    for (char *c = to; *c; c++) {
        *c = *c == '.' ? '_' : *c;
    }
    return to;
}

static char *c_name(const struct file *file, const char *local)
{
    return pbgen_text("pb_%s_%s", file->prefix, flat(local));
}

/* DiscoveryType.EDSConfig -> DISCOVERY_TYPE_EDS_CONFIG */
static char *capitals(const char *name)
{
    char *to = pbgen_alloc(strlen(name) * 2 + 1);
    size_t len = 0;
    for (size_t i = 0; name[i]; i++) {
        unsigned char c = (unsigned char)name[i];
        bool is_start =
            i && isupper(c) && isalnum((unsigned char)name[i - 1]) &&
            (!isupper((unsigned char)name[i - 1]) || islower((unsigned char)name[i + 1]));
        if (is_start) {
            to[len++] = '_';
        }
        to[len++] = (char)(isalnum(c) ? toupper(c) : '_');
    }
    return to;
}

static char *c_constant(const struct file *file, const char *local, const char *name)
{
    return pbgen_text("PB_%s_%s_%s", capitals(file->prefix), capitals(local), capitals(name));
}

static const char *member(const struct field *f)
{
    static const char *const words[] = {
        "auto",    "break",  "case",     "char",   "const",    "continue", "default",
        "do",      "double", "else",     "enum",   "extern",   "float",    "for",
        "goto",    "if",     "inline",   "int",    "long",     "register", "restrict",
        "return",  "short",  "signed",   "sizeof", "static",   "struct",   "switch",
        "typedef", "union",  "unsigned", "void",   "volatile", "while",    "unknown"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(f->name, words[i]) == 0) {
            return pbgen_text("%s_", f->name);
        }
    }
    return f->name;
}

static const char *c_type(const struct field *f)
{
    if (f->message) {
        return pbgen_text("struct %s *", c_name(f->message->file, f->message->local));
    }
    if (f->enumeration) {
        return "int32_t ";
    }
    return pbgen_text("%s ", f->scalar->c);
}

static void write_struct(FILE *out, const struct message *m)
{
    fprintf(out, "\n/* %s */\nstruct %s {\n", m->full, c_name(m->file, m->local));
    fputs("    const struct pb_unknown *unknown;\n", out);
    const char *oneof = "";
    for (const struct field *f = m->fields; f; f = f->next) {
        if (f->oneof && strcmp(f->oneof, oneof) != 0) {
            bool is_first = true;
            for (const struct field *b = m->fields; b != f; b = b->next) {
                is_first = is_first && !(b->oneof && strcmp(b->oneof, f->oneof) == 0);
            }
            if (is_first) {
                fprintf(out, "    int32_t %s_case; /* %s_... */\n", f->oneof,
                        c_constant(m->file, m->local, f->oneof));
            }
            oneof = f->oneof;
        }
        if (f->label == OPTIONAL && !f->message) {
            fprintf(out, "    bool has_%s;\n", f->name);
        }
        if (f->label == REPEATED || f->label == MAP) {
            fprintf(out,
                    "    struct {\n        %s*at;\n        uint32_t count;\n"
                    "        uint32_t room;\n    } %s;",
                    c_type(f), member(f));
        } else {
            fprintf(out, "    %s%s;", c_type(f), member(f));
        }
        if (f->enumeration) {
            fprintf(out, " /* %s_... */",
                    pbgen_text("PB_%s_%s", capitals(f->enumeration->file->prefix),
                               capitals(f->enumeration->local)));
        } else if (f->oneof) {
            fprintf(out, " /* in %s */", f->oneof);
        }
        fputc('\n', out);
    }
    fputs("};\n", out);
}

static void write_oneof_cases(FILE *out, const struct message *m)
{
    for (const struct field *f = m->fields; f; f = f->next) {
        if (f->oneof) {
            fprintf(out, "#define %s_%s %u\n", c_constant(m->file, m->local, f->oneof),
                    capitals(f->name), f->number);
        }
    }
}

void pbgen_write_header(FILE *out, const struct schema *s, const struct file *file)
{
    char *guard = capitals(file->base);
    fprintf(out, "#ifndef PROTO_%s_PB_H\n#define PROTO_%s_PB_H\n", guard, guard);
    fprintf(out, "/* Written by pbgen from %s.proto; package %s. */\n", file->base, file->package);
    fputs("#include \"codec/pb.h\"\n", out);
    for (const struct import *i = file->imports; i; i = i->next) {
        fprintf(out, "#include \"proto/%s.pb.h\"\n", i->base);
    }
    fputc('\n', out);
    for (const struct enumeration *e = s->enums; e; e = e->next) {
        if (e->file == file) {
            fprintf(out, "enum {\n");
            for (int i = 0; i < e->count; i++) {
                fprintf(out, "    %s = %d,\n", c_constant(file, e->local, e->values[i].name),
                        e->values[i].number);
            }
            fprintf(out, "};\nextern const struct pb_enum %s_enum;\n", c_name(file, e->local));
        }
    }
    for (const struct message *m = s->messages; m; m = m->next) {
        if (m->file == file) {
            fprintf(out, "struct %s;\n", c_name(file, m->local));
            write_oneof_cases(out, m);
        }
    }
    for (const struct message *m = s->messages; m; m = m->next) {
        if (m->file == file) {
            write_struct(out, m);
            fprintf(out, "extern const struct pb_desc %s_desc;\n", c_name(file, m->local));
            if (!m->is_entry) {
                fprintf(out, "#define PB_%s_%s_URL \"type.googleapis.com/%s\"\n",
                        capitals(file->prefix), capitals(m->local), m->full);
            }
        }
    }
    for (const struct method *m = file->methods; m; m = m->next) {
        fprintf(out, "#define %s_PATH \"/%s.%s/%s\"\n", c_constant(file, m->service, m->name),
                file->package, m->service, m->name);
    }
    fputs("#endif\n", out);
}

static void write_field(FILE *out, const struct message *m, const struct field *f)
{
    static const char *const labels[] = {"PB_SINGLE", "PB_OPTIONAL", "PB_ONEOF", "PB_REPEATED",
                                         "PB_MAP"};
    const char *name = c_name(m->file, m->local);
    enum label label = f->message && f->label == OPTIONAL ? SINGLE : f->label;
    fprintf(out, "    {.name = \"%s\",\n", f->name);
    if (f->message) {
        fprintf(out, "     .type.message = &%s_desc,\n",
                c_name(f->message->file, f->message->local));
    } else if (f->enumeration) {
        fprintf(out, "     .type.enumeration = &%s_enum,\n",
                c_name(f->enumeration->file, f->enumeration->local));
    }
    fprintf(out, "     .number = %u,\n     .offset = offsetof(struct %s, %s),\n", f->number, name,
            member(f));
    if (label == OPTIONAL) {
        fprintf(out, "     .presence = offsetof(struct %s, has_%s),\n", name, f->name);
    } else if (label == ONEOF) {
        fprintf(out, "     .presence = offsetof(struct %s, %s_case),\n", name, f->oneof);
    }
    fprintf(out, "     .kind = %s,\n     .label = %s,\n     .flags = %s},\n",
            f->message       ? "PB_MESSAGE"
            : f->enumeration ? "PB_ENUM"
                             : f->scalar->kind,
            labels[label], f->sensitive ? "PB_SENSITIVE" : "0");
}

static void write_message_table(FILE *out, const struct message *m)
{
    const char *name = c_name(m->file, m->local);
    const char *special = m->is_entry ? "PB_MAP_ENTRY" : "PB_PLAIN";
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (strcmp(specials[i].full, m->full) == 0) {
            special = specials[i].special;
        }
    }
    int count = 0;
    for (const struct field *f = m->fields; f; f = f->next) {
        count++;
    }
    if (count) {
        fprintf(out, "\nstatic const struct pb_field %s_fields[] = {\n", name);
        for (const struct field *f = m->fields; f; f = f->next) {
            write_field(out, m, f);
        }
        fputs("};\n", out);
    }
    fprintf(out,
            "\nconst struct pb_desc %s_desc = {\n    .name = \"%s\",\n    .fields = %s,\n"
            "    .count = %d,\n    .bytes = sizeof(struct %s),\n    .special = %s,\n};\n",
            name, m->full, count ? pbgen_text("%s_fields", name) : "NULL", count, name, special);
}

void pbgen_write_tables(FILE *out, const struct schema *s, const struct file *file)
{
    fprintf(out, "/* Written by pbgen from %s.proto. */\n#include \"proto/%s.pb.h\"\n", file->base,
            file->base);
    for (const struct enumeration *e = s->enums; e; e = e->next) {
        if (e->file != file) {
            continue;
        }
        const char *name = c_name(file, e->local);
        fprintf(out, "\nstatic const struct pb_enum_value %s_values[] = {\n", name);
        for (int i = 0; i < e->count; i++) {
            fprintf(out, "    {\"%s\", %d},\n", e->values[i].name, e->values[i].number);
        }
        fprintf(out,
                "};\n\nconst struct pb_enum %s_enum = {\n    .name = \"%s\",\n"
                "    .values = %s_values,\n    .count = %d,\n};\n",
                name, e->full, name, e->count);
    }
    for (const struct message *m = s->messages; m; m = m->next) {
        if (m->file == file) {
            write_message_table(out, m);
        }
    }
}

static int by_full_name(const void *a, const void *b)
{
    const struct message *const *x = a;
    const struct message *const *y = b;
    return strcmp((*x)->full, (*y)->full);
}

void pbgen_write_types(FILE *out, const struct schema *s)
{
    fputs("/* Written by pbgen. */\n#include \"proto/types.pb.h\"\n\n", out);
    for (const struct file *f = s->files; f; f = f->next) {
        fprintf(out, "#include \"proto/%s.pb.h\"\n", f->base);
    }
    size_t count = 0;
    for (const struct message *m = s->messages; m; m = m->next) {
        count++;
    }
    const struct message **all = pbgen_alloc(sizeof *all * (count + 1));
    count = 0;
    for (const struct message *m = s->messages; m; m = m->next) {
        if (!m->is_entry) {
            all[count++] = m;
        }
    }
    qsort(all, count, sizeof *all, by_full_name);
    fputs("\nstatic const struct pb_desc *const by_name[] = {\n", out);
    for (size_t i = 0; i < count; i++) {
        if (i && strcmp(all[i - 1]->full, all[i]->full) == 0) {
            pbgen_die(all[i]->file->path, 1, "'%s' is also in %s", all[i]->full,
                      all[i - 1]->file->path);
        }
        fprintf(out, "    &%s_desc,\n", c_name(all[i]->file, all[i]->local));
    }
    fprintf(out, "};\n\nconst struct pb_types proto_types = {by_name, %zu};\n", count);
}

void pbgen_write_types_header(FILE *out)
{
    fputs("#ifndef PROTO_TYPES_PB_H\n#define PROTO_TYPES_PB_H\n"
          "/* Written by pbgen: every message of src/proto by its full name, for pb_find. */\n"
          "#include \"codec/pb.h\"\n\nextern const struct pb_types proto_types;\n#endif\n",
          out);
}
