#ifndef PROTO_PBGEN_H
#define PROTO_PBGEN_H
/* What pbgen knows of the .proto files it was given. A program of the build: plain C, nothing of our
 * tree, and it ends before it would matter that it frees little. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { KIND_MESSAGE = 11, KIND_ENUM = 14 };
enum label { SINGLE, OPTIONAL, ONEOF, REPEATED, MAP };

struct enumeration {
    struct file *file;
    char *full;  /* a.b.v3.Message.Enum */
    char *local; /* Message.Enum */
    struct {
        char *name;
        int number;
    } *values;
    int count;
    struct enumeration *next;
};

/* A row of the table of scalar types. */
struct scalar {
    const char *name; /* uint32 */
    const char *kind; /* PB_UINT32 */
    const char *c;    /* uint32_t */
};

struct field {
    char *name;
    char *type_name; /* as written; NULL for scalars */
    char *oneof;     /* name, or NULL */
    const struct scalar *scalar;
    struct message *message;
    struct enumeration *enumeration;
    unsigned number;
    int line;
    enum label label;
    bool sensitive;
    struct field *next;
};

struct message {
    struct file *file;
    char *full;
    char *local;
    bool is_entry;
    struct field *fields;
    struct message *next;
};

struct method {
    char *service;
    char *name;
    struct method *next;
};

struct import {
    char *base;
    struct import *next;
};

struct file {
    const char *path;
    char *base; /* cluster */
    char *package;
    char *prefix; /* cluster, http_rbac */
    struct import *imports;
    struct method *methods;
    struct file *next;
};

/* Everything read so far; the program is one run over one set of files. */
struct schema {
    struct file *files;
    struct message *messages;
    struct enumeration *enums;
};
/* Prints file, line and message, and ends the program. */
__attribute__((format(printf, 3, 4), noreturn)) void pbgen_die(const char *path, int line,
                                                               const char *fmt, ...);
/* Cleared memory; never NULL. */
void *pbgen_alloc(size_t bytes);
/* Formatted text of its own. */
__attribute__((format(printf, 1, 2))) char *pbgen_text(const char *fmt, ...);
/* The whole file; NULL if there is none and it is not a must. */
char *pbgen_slurp(const char *path, bool must);

/* Adds one file to the schema. */
void pbgen_read(struct schema *schema, const char *path);
/* Finds the type of every field, once all files are read, and sorts fields by number. */
void pbgen_resolve(struct schema *schema);

/* Each writes one generated file. */
void pbgen_write_header(FILE *out, const struct schema *s, const struct file *file);
void pbgen_write_tables(FILE *out, const struct schema *s, const struct file *file);
void pbgen_write_types(FILE *out, const struct schema *s);
void pbgen_write_types_header(FILE *out);
#endif
