#ifndef TESTS_CODEC_PB_TEST_H
#define TESTS_CODEC_PB_TEST_H
/* The tables of pb_test.proto, written by hand. */
#include "codec/pb.h"

#define LIST_OF(type)   \
    struct {            \
        type *at;       \
        uint32_t count; \
        uint32_t room;  \
    }

struct inner {
    const struct pb_unknown *unknown;
    uint32_t a;
    struct inner *inner;
};

struct by_name {
    const struct pb_unknown *unknown;
    struct span key;
    struct inner *value;
};

struct by_number {
    const struct pb_unknown *unknown;
    int32_t key;
    struct span value;
};

struct everything {
    const struct pb_unknown *unknown;
    double f_double;
    float f_float;
    int64_t f_int64;
    uint64_t f_uint64;
    int32_t f_int32;
    uint64_t f_fixed64;
    uint32_t f_fixed32;
    bool f_bool;
    struct span f_string;
    struct inner *f_message;
    struct span f_bytes;
    uint32_t f_uint32;
    int32_t f_enum;
    int32_t f_sfixed32;
    int64_t f_sfixed64;
    int32_t f_sint32;
    int64_t f_sint64;
    bool has_maybe;
    uint32_t maybe;
    int32_t choice_case;
    struct span text;
    struct inner *inner;
    uint64_t number;
    LIST_OF(int32_t) ints;
    LIST_OF(struct span) texts;
    LIST_OF(struct inner *) inners;
    LIST_OF(double) doubles;
    LIST_OF(struct by_name *) by_name;
    LIST_OF(struct by_number *) by_number;
};

static const struct pb_enum_value color_values[] = {{"RED", 0}, {"GREEN", 1}, {"BLUE", -1}};
static const struct pb_enum color_enum = {"test.Color", color_values, 3};

static const struct pb_desc inner_desc;
static const struct pb_field inner_fields[] = {
    {"a", {NULL}, 1, offsetof(struct inner, a), 0, PB_UINT32, PB_SINGLE, 0},
    {"inner", {&inner_desc}, 2, offsetof(struct inner, inner), 0, PB_MESSAGE, PB_SINGLE, 0},
};
static const struct pb_desc inner_desc = {"test.Inner", inner_fields, 2, sizeof(struct inner),
                                          PB_PLAIN};

static const struct pb_field by_name_fields[] = {
    {"key", {NULL}, 1, offsetof(struct by_name, key), 0, PB_STRING, PB_SINGLE, 0},
    {"value", {&inner_desc}, 2, offsetof(struct by_name, value), 0, PB_MESSAGE, PB_SINGLE, 0},
};
static const struct pb_desc by_name_desc = {"test.Everything.ByNameEntry", by_name_fields, 2,
                                            sizeof(struct by_name), PB_MAP_ENTRY};
static const struct pb_field by_number_fields[] = {
    {"key", {NULL}, 1, offsetof(struct by_number, key), 0, PB_INT32, PB_SINGLE, 0},
    {"value", {NULL}, 2, offsetof(struct by_number, value), 0, PB_STRING, PB_SINGLE, 0},
};
static const struct pb_desc by_number_desc = {"test.Everything.ByNumberEntry", by_number_fields, 2,
                                              sizeof(struct by_number), PB_MAP_ENTRY};

#define AT(member) offsetof(struct everything, member)
#define PLAIN(member, number, kind) {#member, {NULL}, number, AT(member), 0, kind, PB_SINGLE, 0}
static const struct pb_field everything_fields[] = {
    PLAIN(f_double, 1, PB_DOUBLE),
    PLAIN(f_float, 2, PB_FLOAT),
    PLAIN(f_int64, 3, PB_INT64),
    PLAIN(f_uint64, 4, PB_UINT64),
    PLAIN(f_int32, 5, PB_INT32),
    PLAIN(f_fixed64, 6, PB_FIXED64),
    PLAIN(f_fixed32, 7, PB_FIXED32),
    PLAIN(f_bool, 8, PB_BOOL),
    PLAIN(f_string, 9, PB_STRING),
    {"f_message", {&inner_desc}, 11, AT(f_message), 0, PB_MESSAGE, PB_SINGLE, 0},
    PLAIN(f_bytes, 12, PB_BYTES),
    PLAIN(f_uint32, 13, PB_UINT32),
    {"f_enum", {.enumeration = &color_enum}, 14, AT(f_enum), 0, PB_ENUM, PB_SINGLE, 0},
    PLAIN(f_sfixed32, 15, PB_SFIXED32),
    PLAIN(f_sfixed64, 16, PB_SFIXED64),
    PLAIN(f_sint32, 17, PB_SINT32),
    PLAIN(f_sint64, 18, PB_SINT64),
    {"maybe", {NULL}, 19, AT(maybe), AT(has_maybe), PB_UINT32, PB_OPTIONAL, 0},
    {"text", {NULL}, 20, AT(text), AT(choice_case), PB_STRING, PB_ONEOF, 0},
    {"inner", {&inner_desc}, 21, AT(inner), AT(choice_case), PB_MESSAGE, PB_ONEOF, 0},
    {"number", {NULL}, 22, AT(number), AT(choice_case), PB_UINT64, PB_ONEOF, 0},
    {"ints", {NULL}, 30, AT(ints), 0, PB_INT32, PB_REPEATED, 0},
    {"texts", {NULL}, 31, AT(texts), 0, PB_STRING, PB_REPEATED, 0},
    {"inners", {&inner_desc}, 32, AT(inners), 0, PB_MESSAGE, PB_REPEATED, 0},
    {"doubles", {NULL}, 33, AT(doubles), 0, PB_DOUBLE, PB_REPEATED, 0},
    {"by_name", {&by_name_desc}, 40, AT(by_name), 0, PB_MESSAGE, PB_MAP, 0},
    {"by_number", {&by_number_desc}, 41, AT(by_number), 0, PB_MESSAGE, PB_MAP, 0},
};
static const struct pb_desc everything_desc = {"test.Everything", everything_fields,
                                               ARRAY_LEN(everything_fields),
                                               sizeof(struct everything), PB_PLAIN};
#endif
