/* Running programs. Whole matches go through the table where there is one; all else simulates every
 * thread of the program at once, byte by byte, so the time is text times program whatever the pattern. */
#include "codec/regex_int.h"

#include "base/mem.h"

#define PLACES_ON_STACK 4096 /* of threads' groups, 4 bytes each; more are borrowed from the heap */
#define NO_PLACE UINT32_MAX

static bool is_word(struct span text, size_t at)
{
    char c = text.at[at];
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static bool holds(struct span text, size_t at, uint8_t place)
{
    bool before = at > 0 && is_word(text, at - 1);
    bool after = at < text.len && is_word(text, at);
    switch ((enum regex_place)place) {
    case REGEX_TEXT_BEGIN:
        return at == 0;
    case REGEX_TEXT_END:
        return at == text.len;
    case REGEX_LINE_BEGIN:
        return at == 0 || text.at[at - 1] == '\n';
    case REGEX_LINE_END:
        return at == text.len || text.at[at] == '\n';
    case REGEX_WORD_EDGE:
        return before != after;
    case REGEX_NOT_WORD_EDGE:
        return before == after;
    }
    return false;
}

/* Threads in order of preference, each instruction at most once (Briggs and Torczon's sparse set). */
struct threads {
    uint16_t dense[REGEX_PROGRAM_MAX];
    uint16_t sparse[REGEX_PROGRAM_MAX];
    uint16_t count;
};

static bool threads_add(struct threads *t, uint16_t pc)
{
    uint16_t i = t->sparse[pc];
    if (i < t->count && t->dense[i] == pc) {
        return false;
    }
    t->sparse[pc] = t->count;
    t->dense[t->count++] = pc;
    return true;
}

static void threads_init(struct threads *t, const struct regex *re)
{
    memset(t->sparse, 0, re->inst_count * sizeof(t->sparse[0]));
    t->count = 0;
}

/* --- yes or no --- */

/* Adds all that `pc` reaches without a byte; true when a match is among them. */
static bool reach(const struct regex *re, struct threads *t, uint16_t pc, struct span text,
                  size_t at)
{
    bool matched = false;
    uint16_t next = t->count;
    /* What is added is looked at in turn: the set is its own queue. */
    for (threads_add(t, pc); next < t->count; next++) {
        const struct regex_inst *inst = &re->insts[t->dense[next]];
        if (inst->op == REGEX_OP_SPLIT) {
            threads_add(t, inst->x);
            threads_add(t, inst->y);
        } else if (inst->op == REGEX_OP_SAVE ||
                   (inst->op == REGEX_OP_ASSERT && holds(text, at, inst->low))) {
            threads_add(t, inst->x);
        }
        matched |= inst->op == REGEX_OP_MATCH;
    }
    return matched;
}

static bool simulate(const struct regex *re, struct span text, bool is_whole)
{
    struct threads lists[2];
    struct threads *now = &lists[0];
    struct threads *then = &lists[1];
    threads_init(now, re);
    threads_init(then, re);
    bool matched = reach(re, now, re->start, text, 0);
    for (size_t at = 0; at < text.len; at++) {
        if (is_whole ? now->count == 0 : matched) {
            return !is_whole;
        }
        then->count = 0;
        matched = false;
        for (uint16_t i = 0; i < now->count; i++) {
            const struct regex_inst *inst = &re->insts[now->dense[i]];
            if (regex_takes(re, inst, (unsigned char)text.at[at])) {
                matched |= reach(re, then, inst->x, text, at + 1);
            }
        }
        if (!is_whole) {
            matched |= reach(re, then, re->start, text, at + 1);
        }
        struct threads *swap = now;
        now = then;
        then = swap;
    }
    return matched;
}

static bool run_table(const struct regex_dfa *dfa, struct span text)
{
    size_t state = 1;
    for (size_t i = 0; i < text.len && state != 0; i++) {
        state = dfa->next[state * dfa->class_count + dfa->classes[(unsigned char)text.at[i]]];
    }
    return dfa->accept[state] != 0;
}

bool regex_full(const struct regex *re, struct span text)
{
    return re->dfa != NULL ? run_table(re->dfa, text) : simulate(re, text, true);
}

bool regex_search(const struct regex *re, struct span text)
{
    return simulate(re, text, false);
}

/* --- where --- */

/* Threads, and where each has entered and left groups: `slots` places a thread, by instruction. */
struct tracked {
    struct threads set;
    uint32_t *places;
};

struct pike {
    const struct regex *re;
    struct span text;
    struct tracked lists[2];
    /* what is still to be followed: an instruction, or a place to put back */
    struct {
        uint16_t pc; /* slot, when restoring */
        bool restores;
        uint32_t place;
    } stack[2 * REGEX_PROGRAM_MAX];
    uint32_t places[2 * REGEX_GROUPS_MAX]; /* of the thread in hand */
};

/* Follows `pc` in order of preference; p->places changes on the way and is put back. */
static void follow(struct pike *p, struct tracked *to, uint16_t pc, size_t at)
{
    size_t depth = 0;
    uint32_t slots = p->re->slot_count;
    p->stack[depth].pc = pc;
    p->stack[depth++].restores = false;
    while (depth > 0) {
        depth--;
        pc = p->stack[depth].pc;
        if (p->stack[depth].restores) {
            p->places[pc] = p->stack[depth].place;
            continue;
        }
        if (!threads_add(&to->set, pc)) {
            continue;
        }
        const struct regex_inst *inst = &p->re->insts[pc];
        if (inst->op == REGEX_OP_SPLIT) {
            p->stack[depth].pc = inst->y;
            p->stack[depth++].restores = false;
        } else if (inst->op == REGEX_OP_SAVE) {
            p->stack[depth].pc = inst->y;
            p->stack[depth].place = p->places[inst->y];
            p->stack[depth++].restores = true;
            p->places[inst->y] = (uint32_t)at;
        } else if (inst->op != REGEX_OP_ASSERT || !holds(p->text, at, inst->low)) {
            memcpy(to->places + (size_t)pc * slots, p->places, slots * sizeof(p->places[0]));
            continue;
        }
        p->stack[depth].pc = inst->x;
        p->stack[depth++].restores = false;
    }
}

/* Moves the threads over the byte at `at`. A thread that matches ends those less preferred than it. */
static bool advance(struct pike *p, struct tracked *now, struct tracked *then, size_t at,
                    uint32_t *best)
{
    size_t bytes = p->re->slot_count * sizeof(p->places[0]);
    then->set.count = 0;
    for (uint16_t i = 0; i < now->set.count; i++) {
        uint16_t pc = now->set.dense[i];
        const struct regex_inst *inst = &p->re->insts[pc];
        const uint32_t *places = now->places + (size_t)pc * p->re->slot_count;
        if (inst->op == REGEX_OP_MATCH) {
            memcpy(best, places, bytes);
            best[1] = (uint32_t)at;
            return true;
        }
        if (at < p->text.len && regex_takes(p->re, inst, (unsigned char)p->text.at[at])) {
            memcpy(p->places, places, bytes);
            follow(p, then, inst->x, at + 1);
        }
    }
    return false;
}

static bool pike_run(struct pike *p, size_t from, uint32_t *best)
{
    struct tracked *now = &p->lists[0];
    struct tracked *then = &p->lists[1];
    bool matched = false;
    threads_init(&now->set, p->re);
    threads_init(&then->set, p->re);
    for (size_t at = from; at <= p->text.len; at++) {
        if (!matched) { /* a match that begins here comes after those that began before */
            memset(p->places, 0xff, sizeof(p->places));
            p->places[0] = (uint32_t)at;
            follow(p, now, p->re->start, at);
        }
        matched |= advance(p, now, then, at, best);
        struct tracked *swap = now;
        now = then;
        then = swap;
        if (matched && now->set.count == 0) {
            break;
        }
    }
    return matched;
}

bool regex_find(const struct regex *re, struct span text, size_t from, struct span *groups,
                size_t count)
{
    uint32_t on_stack[PLACES_ON_STACK];
    uint32_t best[2 * REGEX_GROUPS_MAX];
    struct pike pike; /* large: only what is used is set */
    size_t list_places = (size_t)re->inst_count * re->slot_count;
    if (text.len >= NO_PLACE) {
        return false;
    }
    text.at = text.at ? text.at : "";
    pike.re = re;
    pike.text = text;
    bool fits = list_places * 2 <= PLACES_ON_STACK;
    uint32_t *places = fits ? on_stack : mem_array(list_places * 2, sizeof(places[0]));
    pike.lists[0].places = places;
    pike.lists[1].places = places + list_places;
    bool found = pike_run(&pike, from, best);
    if (!fits) {
        mem_free(places);
    }
    for (size_t i = 0; i < count && found; i++) {
        bool took_part =
            i * 2 < re->slot_count && best[2 * i] != NO_PLACE && best[2 * i + 1] != NO_PLACE;
        groups[i] = took_part ? span_from(text.at + best[2 * i], best[2 * i + 1] - best[2 * i])
                              : SPAN_EMPTY;
    }
    return found;
}

size_t regex_group_count(const struct regex *re)
{
    return re->group_count;
}

/* --- substitution --- */

int regex_check_substitution(const struct regex *re, struct span substitution, struct err *err)
{
    for (size_t i = 0; i < substitution.len; i++) {
        if (substitution.at[i] != '\\') {
            continue;
        }
        i++;
        char c = i < substitution.len ? substitution.at[i] : '\0';
        if (c >= '0' && c <= '9' && (size_t)(c - '0') > re->group_count) {
            return err_set(err, -ERR_CONFIG,
                           "substitution '%.*s': the regex has %zu groups, not %c",
                           SPAN_ARG(substitution), (size_t)re->group_count, c);
        }
        if (c != '\\' && (c < '0' || c > '9')) {
            return err_set(err, -ERR_CONFIG, "substitution '%.*s': after \\ comes a digit or \\",
                           SPAN_ARG(substitution));
        }
    }
    return 0;
}

static int put_substitution(struct span substitution, const struct span *groups, struct buf *out)
{
    int failed = 0;
    for (size_t i = 0; i < substitution.len && failed == 0; i++) {
        char c = substitution.at[i];
        if (c != '\\' || i + 1 == substitution.len) {
            failed = buf_append_byte(out, c);
            continue;
        }
        c = substitution.at[++i];
        failed =
            c >= '0' && c <= '9' ? buf_append_span(out, groups[c - '0']) : buf_append_byte(out, c);
    }
    return failed;
}

int regex_replace(const struct regex *re, struct span text, struct span substitution,
                  struct buf *out)
{
    struct span groups[REGEX_GROUPS_MAX];
    size_t at = 0;          /* what is before has been copied or replaced */
    size_t last = SIZE_MAX; /* where the last match ended */
    int failed = 0;
    text.at = text.at ? text.at : "";
    while (failed == 0 && at <= text.len && regex_find(re, text, at, groups, REGEX_GROUPS_MAX)) {
        size_t start = (size_t)(groups[0].at - text.at);
        failed = buf_append(out, text.at + at, start - at);
        at = start;
        if (groups[0].len == 0 && start == last) {
            /* No empty match right behind a match: one character further. */
            size_t step = size_max(span_utf8_char(span_from_offset(text, at)), 1);
            struct span skipped = span_first(span_from_offset(text, at), step);
            failed = failed ? failed : buf_append_span(out, skipped);
            at += step;
            continue;
        }
        failed = failed ? failed : put_substitution(substitution, groups, out);
        at += groups[0].len;
        last = at;
    }
    return failed ? failed : buf_append_span(out, span_from_offset(text, at));
}
