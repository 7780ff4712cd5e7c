#ifndef CODEC_REGEX_INT_H
#define CODEC_REGEX_INT_H
/* What the stages of codec/regex share: regex_parse.c and regex_class.c make the
 * tree, regex_compile.c the program and regex_dfa.c the table; regex.c runs them. */
#include "codec/regex.h"

#define REGEX_NEST_MAX 100    /* parentheses within parentheses: bounds recursion */
#define REGEX_REPEAT_MAX 1000 /* x{n}: RE2's own limit */
#define REGEX_RUNE_MAX 0x10ffff
#define REGEX_FOREVER UINT32_MAX

/* --- the tree --- */

enum regex_kind {
    REGEX_EMPTY,
    REGEX_CLASS,  /* one character of `ranges` */
    REGEX_CAT,    /* children in sequence */
    REGEX_ALT,    /* one of the children, the first preferred */
    REGEX_REPEAT, /* the child, min to max times */
    REGEX_GROUP,  /* the child, captured as `group` */
    REGEX_ASSERT, /* a place */
};

enum regex_place {
    REGEX_TEXT_BEGIN,
    REGEX_TEXT_END,
    REGEX_LINE_BEGIN,
    REGEX_LINE_END,
    REGEX_WORD_EDGE,
    REGEX_NOT_WORD_EDGE,
};

struct regex_range {
    uint32_t low, high; /* both included */
};

#define REGEX_CLASS_MAX 512 /* ranges */

/* A class under construction. The functions that add answer false when there is no room. */
struct regex_class {
    struct regex_range ranges[REGEX_CLASS_MAX];
    size_t count;
};

bool regex_class_add(struct regex_class *c, uint32_t low, uint32_t high);
/* \\d \\D \\s \\S \\w \\W by letter, and [:name:] or [:^name:] by name; false too when there is none. */
bool regex_class_add_perl(struct regex_class *c, char letter);
bool regex_class_add_named(struct regex_class *c, struct span name);
/* The other case of ASCII letters. */
bool regex_class_fold(struct regex_class *c);
/* Sorts, and joins ranges that touch. */
void regex_class_tidy(struct regex_class *c);
/* The complement of a tidy class. */
bool regex_class_negate(struct regex_class *c);

struct regex_node {
    enum regex_kind kind;
    struct regex_node *prev;          /* the sibling before */
    struct regex_node *last;          /* the last child */
    const struct regex_range *ranges; /* sorted, apart */
    size_t range_count;
    uint32_t min, max; /* REPEAT; max may be REGEX_FOREVER */
    bool is_lazy;
    uint32_t group;
    enum regex_place place;
};

/* -ERR_CONFIG with the reason; nodes live in the arena. `*groups`: parentheses that capture. */
MUST_USE int regex_parse(struct span pattern, unsigned flags, struct arena *arena,
                         struct regex_node **out, uint32_t *groups, struct err *err);

/* --- the program --- */

enum regex_op {
    REGEX_OP_BYTE,   /* a byte in low..high, then x */
    REGEX_OP_SET,    /* an ASCII byte in sets[y], then x */
    REGEX_OP_SPLIT,  /* x, or y */
    REGEX_OP_SAVE,   /* note the place in slot y, then x */
    REGEX_OP_ASSERT, /* if the place is `low`, then x */
    REGEX_OP_MATCH,
    REGEX_OP_FAIL,
};

struct regex_inst {
    uint8_t op;
    uint8_t low, high;
    uint16_t x, y;
};

struct regex_set {
    uint64_t bits[2];
};

/* A DFA for whole matches: state 0 is dead, 1 the start. */
struct regex_dfa {
    uint16_t class_count;
    uint8_t classes[256];
    const uint16_t *next;  /* [state * class_count + class] */
    const uint8_t *accept; /* [state]: the text may end here */
};

struct regex {
    const struct regex_inst *insts;
    const struct regex_set *sets;
    const struct regex_dfa *dfa; /* NULL: too large, or places other than begin and end */
    uint16_t inst_count;
    uint16_t set_count;
    uint16_t start;
    uint32_t group_count;
    uint32_t
        slot_count; /* that SAVE instructions use: two a kept group, the whole match included */
};

static inline bool regex_takes(const struct regex *re, const struct regex_inst *inst,
                               unsigned char byte)
{
    if (inst->op == REGEX_OP_BYTE) {
        return byte >= inst->low && byte <= inst->high;
    }
    return inst->op == REGEX_OP_SET && byte < 128 &&
           (re->sets[inst->y].bits[byte >> 6] >> (byte & 63) & 1) != 0;
}

/* The table, in the arena, or NULL when it would be too large. */
const struct regex_dfa *regex_dfa_new(const struct regex *re, struct arena *arena);
#endif
