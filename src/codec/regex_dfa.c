/* Program to a table, for whole matches of small programs. A state of the table is the set of
 * instructions that wait for a byte; the order of threads does not matter, since only yes or no is
 * asked. Built wholly when the pattern is compiled, so that the result can be shared between threads and
 * nothing is allocated later; too many states, or too much work, and there is no table. */
#include "base/map.h"
#include "base/mem.h"
#include "codec/regex_int.h"

#define STATES_MAX 256
#define TABLE_BYTES_MAX 32768
#define VISITS_MAX 1000000 /* instructions looked at while building: some 10 ms */

struct set {
    uint16_t *pcs; /* in ascending order */
    size_t count;
};

struct builder {
    const struct regex *re;
    struct arena arena; /* all of the building */
    struct map by_pcs;  /* set -> index + 1 */
    struct set sets[STATES_MAX];
    uint16_t next[STATES_MAX][256]; /* by class */
    uint8_t accept[STATES_MAX];
    uint8_t classes[256];
    uint8_t class_byte[256]; /* some byte of the class */
    uint8_t marks[REGEX_PROGRAM_MAX];
    uint16_t stack[REGEX_PROGRAM_MAX];
    size_t class_count;
    size_t state_count;
    size_t visits;
};

static bool can_be_table(const struct regex *re)
{
    for (uint16_t i = 0; i < re->inst_count; i++) {
        const struct regex_inst *inst = &re->insts[i];
        if (inst->op == REGEX_OP_ASSERT && inst->low != REGEX_TEXT_BEGIN &&
            inst->low != REGEX_TEXT_END) {
            return false;
        }
    }
    return true;
}

/* Bytes that no instruction tells apart form a class. */
static void find_classes(struct builder *b)
{
    bool starts[257] = {[0] = true};
    for (uint16_t i = 0; i < b->re->inst_count; i++) {
        const struct regex_inst *inst = &b->re->insts[i];
        for (unsigned byte = 1; byte < 256; byte++) {
            if (inst->op == REGEX_OP_BYTE || inst->op == REGEX_OP_SET) {
                starts[byte] |= regex_takes(b->re, inst, (unsigned char)byte) !=
                                regex_takes(b->re, inst, (unsigned char)(byte - 1));
            }
        }
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        b->class_count += starts[byte];
        b->classes[byte] = (uint8_t)(b->class_count - 1);
        b->class_byte[b->class_count - 1] = (uint8_t)byte;
    }
}

static void push(struct builder *b, size_t *depth, uint16_t pc)
{
    if (b->marks[pc] == 0) {
        b->marks[pc] = 1;
        b->stack[(*depth)++] = pc;
    }
}

/* Marks all that can be reached from what the stack holds without taking a byte. */
static void close_over(struct builder *b, size_t depth, bool at_begin, bool at_end)
{
    while (depth > 0) {
        const struct regex_inst *inst = &b->re->insts[b->stack[--depth]];
        b->visits++;
        if (inst->op == REGEX_OP_SPLIT) {
            push(b, &depth, inst->x);
            push(b, &depth, inst->y);
        } else if (inst->op == REGEX_OP_SAVE ||
                   (inst->op == REGEX_OP_ASSERT &&
                    (inst->low == REGEX_TEXT_BEGIN ? at_begin : at_end))) {
            push(b, &depth, inst->x);
        }
    }
}

/* The marked instructions that wait for something: a byte, the end of the text, or nothing (MATCH). */
static struct set collect(struct builder *b)
{
    struct set set = {.count = 0};
    set.pcs = arena_array(&b->arena, b->re->inst_count, sizeof(set.pcs[0]));
    for (uint16_t i = 0; i < b->re->inst_count; i++) {
        uint8_t op = b->re->insts[i].op;
        if (b->marks[i] != 0 && op != REGEX_OP_SPLIT && op != REGEX_OP_SAVE &&
            op != REGEX_OP_FAIL) {
            set.pcs[set.count++] = i;
        }
    }
    b->visits += b->re->inst_count;
    return set;
}

static bool accepts(struct builder *b, const struct set *set, bool at_begin)
{
    size_t depth = 0;
    memset(b->marks, 0, b->re->inst_count);
    for (size_t i = 0; i < set->count; i++) {
        push(b, &depth, set->pcs[i]);
    }
    close_over(b, depth, at_begin, true);
    for (uint16_t i = 0; i < b->re->inst_count; i++) {
        if (b->marks[i] != 0 && b->re->insts[i].op == REGEX_OP_MATCH) {
            return true;
        }
    }
    return false;
}

/* The state of the marked instructions, made if new; STATES_MAX when there are too many. */
static size_t intern(struct builder *b, bool at_begin)
{
    struct set set = collect(b);
    struct span key = span_from(set.pcs, set.count * sizeof(set.pcs[0]));
    void *known = at_begin ? NULL : map_get(&b->by_pcs, key);
    if (known != NULL) {
        return (size_t)(uintptr_t)known - 1;
    }
    if (b->state_count == STATES_MAX) {
        return STATES_MAX;
    }
    size_t state = b->state_count++;
    b->sets[state] = set;
    b->accept[state] = accepts(b, &set, at_begin);
    if (!at_begin) {
        (void)map_put(&b->by_pcs, key, (void *)(uintptr_t)(state + 1)); /* was absent */
    }
    return state;
}

/* Where a state goes on a class of bytes. */
static size_t step(struct builder *b, size_t state, size_t class)
{
    size_t depth = 0;
    const struct set *set = &b->sets[state];
    memset(b->marks, 0, b->re->inst_count);
    for (size_t i = 0; i < set->count; i++) {
        const struct regex_inst *inst = &b->re->insts[set->pcs[i]];
        if (regex_takes(b->re, inst, b->class_byte[class])) {
            push(b, &depth, inst->x);
        }
    }
    close_over(b, depth, false, false);
    return intern(b, false);
}

static bool build(struct builder *b)
{
    find_classes(b);
    memset(b->marks, 0, b->re->inst_count);
    (void)intern(b, false); /* state 0: no thread lives */
    size_t depth = 0;
    push(b, &depth, b->re->start);
    close_over(b, depth, true, false);
    (void)intern(b, true); /* state 1: the start, apart, since here the text begins */
    for (size_t state = 0; state < b->state_count; state++) {
        for (size_t class = 0; class < b->class_count; class ++) {
            size_t next = step(b, state, class);
            if (next == STATES_MAX || b->visits > VISITS_MAX) {
                return false;
            }
            b->next[state][class] = (uint16_t)next;
        }
    }
    return b->state_count * b->class_count * sizeof(uint16_t) <= TABLE_BYTES_MAX;
}

static const struct regex_dfa *table_of(const struct builder *b, struct arena *arena)
{
    struct regex_dfa *dfa = arena_new(arena, struct regex_dfa);
    uint16_t *next = arena_array(arena, b->state_count * b->class_count, sizeof(next[0]));
    uint8_t *accept = arena_array(arena, b->state_count, sizeof(accept[0]));
    for (size_t state = 0; state < b->state_count; state++) {
        memcpy(next + state * b->class_count, b->next[state], b->class_count * sizeof(next[0]));
        accept[state] = b->accept[state];
    }
    memcpy(dfa->classes, b->classes, sizeof(dfa->classes));
    dfa->class_count = (uint16_t)b->class_count;
    dfa->next = next;
    dfa->accept = accept;
    return dfa;
}

const struct regex_dfa *regex_dfa_new(const struct regex *re, struct arena *arena)
{
    if (!can_be_table(re)) {
        return NULL;
    }
    struct builder *b = mem_new(struct builder);
    b->re = re;
    arena_init(&b->arena, 16384);
    map_init(&b->by_pcs);
    const struct regex_dfa *dfa = build(b) ? table_of(b, arena) : NULL;
    map_dispose(&b->by_pcs);
    arena_dispose(&b->arena);
    mem_free(b);
    return dfa;
}
