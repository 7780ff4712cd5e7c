/* Tree to program. In: nodes of regex_parse.c. Out: instructions over bytes. Next: regex_dfa.c, regex.c.
 *
 * Code is laid from the end to the start: each node is compiled knowing the instruction that follows
 * it, so nothing is patched but the split of a loop. Characters beyond ASCII become sequences of
 * UTF-8 byte ranges. */
#include "base/mem.h"
#include "codec/regex_int.h"

#define SETS_MAX 256
#define TAIL_CACHE 64

struct compiler {
    struct regex_inst insts[REGEX_PROGRAM_MAX];
    struct regex_set sets[SETS_MAX];
    uint32_t inst_count;
    uint32_t set_count;
    bool is_full;
    /* continuation bytes already laid for the class in hand */
    uint16_t tails[TAIL_CACHE];
    size_t tail_count;
};

static uint16_t emit(struct compiler *c, struct regex_inst inst)
{
    if (c->inst_count == REGEX_PROGRAM_MAX) {
        c->is_full = true;
        return 0;
    }
    c->insts[c->inst_count] = inst;
    return (uint16_t)c->inst_count++;
}

static uint16_t emit_split(struct compiler *c, uint16_t x, uint16_t y)
{
    return emit(c, (struct regex_inst){.op = REGEX_OP_SPLIT, .x = x, .y = y});
}

/* A byte range, then `next`; one that was laid for this class before is used again. */
static uint16_t emit_bytes(struct compiler *c, uint8_t low, uint8_t high, uint16_t next)
{
    for (size_t i = 0; i < c->tail_count; i++) {
        const struct regex_inst *old = &c->insts[c->tails[i]];
        if (old->low == low && old->high == high && old->x == next) {
            return c->tails[i];
        }
    }
    uint16_t pc =
        emit(c, (struct regex_inst){.op = REGEX_OP_BYTE, .low = low, .high = high, .x = next});
    if (c->tail_count < TAIL_CACHE) {
        c->tails[c->tail_count++] = pc;
    }
    return pc;
}

/* An entry that takes either way; `none` stands for no way yet. */
#define NO_ENTRY UINT16_MAX

static uint16_t either(struct compiler *c, uint16_t entry, uint16_t other)
{
    return entry == NO_ENTRY ? other : emit_split(c, entry, other);
}

static size_t utf8_put(uint32_t rune, uint8_t *to)
{
    size_t len = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1; rune >>= 6) {
        to[i] = (uint8_t)(0x80 | (rune & 0x3f));
    }
    to[0] = (uint8_t)(leads[len] | rune);
    return len;
}

/* Runes low..high of one encoded length, whose bytes may be ranged over one by one. */
static uint16_t emit_sequence(struct compiler *c, uint32_t low, uint32_t high, uint16_t next)
{
    uint8_t from[4] = {0};
    uint8_t to[4] = {0};
    size_t len = utf8_put(low, from);
    (void)utf8_put(high, to);
    for (size_t i = len; i-- > 0;) {
        next = emit_bytes(c, from[i], to[i], next);
    }
    return next;
}

/* Cuts low..high into parts for emit_sequence: within one encoded length, and such that below the first
 * byte in which the ends differ, all continuation bytes are covered. */
static uint16_t emit_runes(struct compiler *c, uint32_t low, uint32_t high, uint16_t next,
                           uint16_t entry)
{
    static const uint32_t length_ends[] = {0x7f, 0x7ff, 0xd7ff, 0xffff, REGEX_RUNE_MAX};
    while (low <= high && !c->is_full) {
        uint32_t end = high;
        for (size_t i = 0; i < ARRAY_LEN(length_ends); i++) {
            if (low <= length_ends[i] && end > length_ends[i]) {
                end = length_ends[i];
            }
        }
        for (uint32_t mask = 0x3f; low > 0x7f && mask <= 0x3ffff; mask = mask << 6 | 0x3f) {
            if ((low & ~mask) == (end & ~mask)) {
                break;
            }
            if ((low & mask) != 0) {
                end = low | mask;
                break;
            }
            if ((end & mask) != mask) {
                end = (end & ~mask) - 1;
            }
        }
        /* Surrogates are no characters (RFC 3629 section 3). */
        if (low < 0xd800 || low > 0xdfff) {
            entry = either(c, entry, emit_sequence(c, low, end, next));
        } else {
            end = high < 0xdfff ? high : 0xdfff;
        }
        low = end + 1;
    }
    return entry;
}

/* All ASCII of a class in one instruction. */
static uint16_t emit_ascii(struct compiler *c, const struct regex_node *node, uint16_t next)
{
    struct regex_set set = {{0, 0}};
    size_t ranges = 0;
    uint32_t low = 0;
    uint32_t high = 0;
    for (size_t i = 0; i < node->range_count && node->ranges[i].low < 0x80; i++) {
        low = node->ranges[i].low;
        high = node->ranges[i].high < 0x7f ? node->ranges[i].high : 0x7f;
        for (uint32_t b = low; b <= high; b++) {
            set.bits[b >> 6] |= (uint64_t)1 << (b & 63);
        }
        ranges++;
    }
    if (ranges <= 1) {
        return ranges == 0 ? NO_ENTRY : emit_bytes(c, (uint8_t)low, (uint8_t)high, next);
    }
    uint32_t index = 0;
    while (index < c->set_count && memcmp(&c->sets[index], &set, sizeof(set)) != 0) {
        index++;
    }
    if (index == SETS_MAX) {
        c->is_full = true;
        return 0;
    }
    c->sets[index] = set;
    c->set_count = index == c->set_count ? index + 1 : c->set_count;
    return emit(c, (struct regex_inst){.op = REGEX_OP_SET, .x = next, .y = (uint16_t)index});
}

static uint16_t emit_class(struct compiler *c, const struct regex_node *node, uint16_t next)
{
    c->tail_count = 0;
    uint16_t entry = emit_ascii(c, node, next);
    for (size_t i = 0; i < node->range_count; i++) {
        uint32_t low = node->ranges[i].low > 0x80 ? node->ranges[i].low : 0x80;
        if (node->ranges[i].high >= 0x80) {
            entry = emit_runes(c, low, node->ranges[i].high, next, entry);
        }
    }
    return entry == NO_ENTRY ? emit(c, (struct regex_inst){.op = REGEX_OP_FAIL}) : entry;
}

static uint16_t emit_node(struct compiler *c, const struct regex_node *node, uint16_t next);

/* A choice between going into the body and going on; lazy: on first. */
static void set_choice(struct compiler *c, uint16_t split, uint16_t body, uint16_t on, bool is_lazy)
{
    c->insts[split].x = is_lazy ? on : body;
    c->insts[split].y = is_lazy ? body : on;
}

/* x{min,max}: the optional copies inside one another, or a loop; then `min` copies before. A body that
 * laid nothing lays nothing again, so it is not repeated. */
static uint16_t emit_repeat(struct compiler *c, const struct regex_node *node, uint16_t next)
{
    const struct regex_node *body = node->last;
    uint16_t entry = next;
    uint32_t copies = node->min;
    if (node->max == REGEX_FOREVER) {
        uint16_t loop = emit_split(c, 0, 0);
        uint16_t inner = emit_node(c, body, loop);
        set_choice(c, loop, inner, next, node->is_lazy);
        entry = copies > 0 ? inner : loop;
        copies -= copies > 0;
    }
    for (uint32_t i = node->min; node->max != REGEX_FOREVER && i < node->max && !c->is_full; i++) {
        uint16_t inner = emit_node(c, body, entry);
        if (inner == entry) {
            break;
        }
        uint16_t split = emit_split(c, 0, 0);
        set_choice(c, split, inner, next, node->is_lazy);
        entry = split;
    }
    for (uint32_t i = 0; i < copies && !c->is_full; i++) {
        uint16_t before = entry;
        entry = emit_node(c, body, entry);
        if (entry == before) {
            break;
        }
    }
    return entry;
}

static uint16_t emit_group(struct compiler *c, const struct regex_node *node, uint16_t next)
{
    if (node->group >= REGEX_GROUPS_MAX) {
        return emit_node(c, node->last, next);
    }
    uint16_t slot = (uint16_t)(node->group * 2);
    next = emit(c, (struct regex_inst){.op = REGEX_OP_SAVE, .x = next, .y = (uint16_t)(slot + 1)});
    next = emit_node(c, node->last, next);
    return emit(c, (struct regex_inst){.op = REGEX_OP_SAVE, .x = next, .y = slot});
}

static uint16_t emit_node(struct compiler *c, const struct regex_node *node, uint16_t next)
{
    uint16_t entry = NO_ENTRY;
    if (c->is_full) {
        return 0;
    }
    switch (node->kind) {
    case REGEX_EMPTY:
        return next;
    case REGEX_CLASS:
        return emit_class(c, node, next);
    case REGEX_CAT:
        for (const struct regex_node *child = node->last; child != NULL; child = child->prev) {
            next = emit_node(c, child, next);
        }
        return next;
    case REGEX_ALT: /* from the last to the first, which is preferred */
        for (const struct regex_node *child = node->last; child != NULL; child = child->prev) {
            uint16_t way = emit_node(c, child, next);
            entry = entry == NO_ENTRY ? way : emit_split(c, way, entry);
        }
        return entry;
    case REGEX_REPEAT:
        return emit_repeat(c, node, next);
    case REGEX_GROUP:
        return emit_group(c, node, next);
    case REGEX_ASSERT:
        return emit(
            c, (struct regex_inst){.op = REGEX_OP_ASSERT, .low = (uint8_t)node->place, .x = next});
    }
    ASSERT(!"node has a kind");
    return 0;
}

static void *copy_to(struct arena *arena, const void *from, size_t count, size_t size)
{
    void *to = arena_array(arena, size_max(count, 1), size);
    memcpy(to, from, count * size);
    return to;
}

static int compile(struct regex *re, const struct regex_node *tree, struct arena *arena)
{
    struct compiler *c = mem_new(struct compiler);
    uint16_t match = emit(c, (struct regex_inst){.op = REGEX_OP_MATCH});
    re->start = emit_node(c, tree, match);
    re->inst_count = (uint16_t)c->inst_count;
    re->set_count = (uint16_t)c->set_count;
    re->insts = copy_to(arena, c->insts, c->inst_count, sizeof(c->insts[0]));
    re->sets = copy_to(arena, c->sets, c->set_count, sizeof(c->sets[0]));
    bool is_full = c->is_full;
    mem_free(c);
    return is_full ? -ERR_LIMIT : 0;
}

int regex_compile(const struct regex **out, struct span pattern, unsigned flags,
                  struct arena *arena, struct err *err)
{
    struct arena trees;
    struct regex_node *tree;
    struct regex *re = arena_new(arena, struct regex);
    arena_init(&trees, 4096);
    int failed = regex_parse(pattern, flags, &trees, &tree, &re->group_count, err);
    if (failed == 0) {
        failed = compile(re, tree, arena);
        if (failed != 0) {
            (void)err_set(err, failed, "regex '%.*s': needs more than %d instructions",
                          (int)size_min(pattern.len, 200), pattern.at, REGEX_PROGRAM_MAX);
        }
    }
    arena_dispose(&trees);
    if (failed != 0) {
        return failed;
    }
    re->slot_count = 2 * (uint32_t)size_min(re->group_count + 1, REGEX_GROUPS_MAX);
    re->dfa = regex_dfa_new(re, arena);
    *out = re;
    return 0;
}
