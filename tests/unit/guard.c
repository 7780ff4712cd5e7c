/* Pages with an unreadable one behind them, one set a slot, mapped again at each call. */
#include "unit/guard.h"

#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 4

static struct {
    char *at;
    size_t bytes;
} maps[SLOTS];

struct span guard_copy(unsigned slot, struct span bytes)
{
    ASSERT(slot < SLOTS);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (bytes.len / page + 1) * page;
    if (maps[slot].at != NULL) {
        int failed = munmap(maps[slot].at, maps[slot].bytes);
        ASSERT(failed == 0);
    }
    maps[slot].bytes = usable + page;
    void *at =
        mmap(NULL, maps[slot].bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(at != MAP_FAILED);
    maps[slot].at = at;
    int failed = mprotect(maps[slot].at + usable, page, PROT_NONE);
    ASSERT(failed == 0);
    char *copy = maps[slot].at + usable - bytes.len;
    if (bytes.len > 0) {
        memcpy(copy, bytes.at, bytes.len);
    }
    return span_from(copy, bytes.len);
}
