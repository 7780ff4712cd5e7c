/* Optimal string alignment: insertions, deletions, other letters, neighbours that changed places. */
#include "model/near.h"

#define NAME_BYTES 64

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static size_t steps_between(struct span a, struct span b)
{
    size_t rows[3][NAME_BYTES + 1];
    if (a.len > NAME_BYTES || b.len > NAME_BYTES) {
        return SIZE_MAX;
    }
    size_t *above2 = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        above2[j] = 0;
        above[j] = 0;
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *oldest = above2;
        above2 = above;
        above = row;
        row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = lower(a.at[i - 1]), y = lower(b.at[j - 1]);
            row[j] = size_min(above[j - 1] + (x != y), size_min(above[j], row[j - 1]) + 1);
            bool swapped = i > 1 && j > 1 && x == lower(b.at[j - 2]) && y == lower(a.at[i - 2]);
            if (swapped) {
                row[j] = size_min(row[j], above2[j - 2] + 1);
            }
        }
    }
    return row[b.len];
}

void near_init(struct near *n, struct span word)
{
    /* One mistake in three letters, at most three. */
    *n = (struct near){.word = word, .best_steps = size_min(word.len / 3, 3) + 1};
}

void near_try(struct near *n, struct span name)
{
    size_t steps = steps_between(n->word, name);
    if (steps < n->best_steps) {
        n->best_steps = steps;
        n->best = name;
    }
}
