/* How many CPUs this process may use: the affinity mask, and the quotas of the control groups it is in,
 * rounded up; and how much memory. */
#include "io/worker.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/span.h"

enum { FILE_BYTES = 4096, PATH_BYTES = 1024 };

/* The first part of a small file; empty if it can not be read. */
static struct span read_file(const char *path, char *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return SPAN_EMPTY;
    }
    ssize_t n = read(fd, to, FILE_BYTES);
    (void)close(fd); /* only read from */
    return n <= 0 ? SPAN_EMPTY : span_from(to, (size_t)n);
}

static unsigned cpus_of(struct span quota_text, struct span period_text)
{
    uint64_t quota_us;
    uint64_t period_us;
    if (!span_to_u64(span_trim(quota_text), &quota_us) ||
        !span_to_u64(span_trim(period_text), &period_us) || quota_us == 0 || period_us == 0 ||
        quota_us > UINT64_MAX - period_us) {
        return UINT32_MAX; /* "max", -1 or nothing: no quota */
    }
    uint64_t cpus = (quota_us + period_us - 1) / period_us;
    return cpus > UINT32_MAX ? UINT32_MAX : (unsigned)cpus;
}

static struct span first_line(struct span text)
{
    return span_cut(&text, '\n');
}

/* cpu.max of version 2: "150000 100000" or "max 100000". */
static unsigned quota_v2(const char *folder)
{
    char path[PATH_BYTES];
    char text[FILE_BYTES];
    (void)snprintf(path, sizeof(path), "%s/cpu.max", folder);
    struct span rest = first_line(read_file(path, text));
    struct span quota = span_cut(&rest, ' ');
    return cpus_of(quota, rest);
}

static unsigned quota_v1(const char *folder)
{
    char path[PATH_BYTES];
    char quota[FILE_BYTES];
    char period[FILE_BYTES];
    (void)snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
    struct span quota_text = first_line(read_file(path, quota));
    (void)snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
    return cpus_of(quota_text, first_line(read_file(path, period)));
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The smallest quota from `group` up to the mount's root: an outer group bounds the inner ones. In a
 * container the path may name what is only there outside; then the root is our own group. */
static unsigned quota_up(const char *mount, struct span group,
                         unsigned (*quota_of)(const char *folder))
{
    unsigned cpus = UINT32_MAX;
    for (;;) {
        char folder[PATH_BYTES / 2];
        int n = snprintf(folder, sizeof(folder), "%s%.*s", mount, SPAN_ARG(group));
        if (n > 0 && (size_t)n < sizeof(folder)) {
            cpus = smaller(cpus, quota_of(folder));
        }
        if (group.len == 0) {
            return cpus;
        }
        ssize_t slash = span_rfind_byte(group, '/');
        group = span_first(group, slash < 0 ? 0 : (size_t)slash);
    }
}

static bool has_cpu(struct span controllers)
{
    while (controllers.at != NULL) {
        if (span_is(span_cut(&controllers, ','), "cpu")) {
            return true;
        }
    }
    return false;
}

/* `table` is /proc/self/cgroup: lines of "number:controllers:path", version 2 with no controllers. */
static unsigned cgroup_quota(const char *sys, struct span table)
{
    unsigned cpus = UINT32_MAX;
    while (table.at != NULL) {
        struct span path = span_cut(&table, '\n');
        struct span number = span_cut(&path, ':');
        struct span controllers = span_cut(&path, ':');
        if (path.len == 0) {
            continue;
        }
        if (controllers.len == 0 && span_is(number, "0")) {
            cpus = smaller(cpus, quota_up(sys, path, quota_v2));
        } else if (has_cpu(controllers)) {
            char mount[PATH_BYTES / 4];
            int n = snprintf(mount, sizeof(mount), "%s/%.*s", sys, SPAN_ARG(controllers));
            if (n > 0 && (size_t)n < sizeof(mount)) {
                cpus = smaller(cpus, quota_up(mount, path, quota_v1));
            }
            (void)snprintf(mount, sizeof(mount), "%s/cpu", sys);
            cpus = smaller(cpus, quota_up(mount, path, quota_v1));
        }
    }
    return cpus;
}

unsigned worker_cpu_quota(void)
{
    cpu_set_t set;
    unsigned cpus = UINT32_MAX;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        cpus = (unsigned)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than cpu_set_t can say */
        cpus = online > 0 ? (unsigned)online : 1;
    }
    char text[FILE_BYTES];
    cpus = smaller(cpus, cgroup_quota("/sys/fs/cgroup", read_file("/proc/self/cgroup", text)));
    return cpus == 0 ? 1 : cpus;
}

/* ---- memory ---- */

static uint64_t bytes_of(const char *folder, const char *file)
{
    char path[PATH_BYTES];
    char text[FILE_BYTES];
    uint64_t bytes;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    bool there = span_to_u64(span_trim(first_line(read_file(path, text))), &bytes);
    return there && bytes > 0 ? bytes : UINT64_MAX; /* "max", or no such file */
}

static uint64_t memory_up(const char *mount, struct span group, const char *file)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        char folder[PATH_BYTES / 2];
        int n = snprintf(folder, sizeof(folder), "%s%.*s", mount, SPAN_ARG(group));
        if (n > 0 && (size_t)n < sizeof(folder)) {
            uint64_t bytes = bytes_of(folder, file);
            least = bytes < least ? bytes : least;
        }
        if (group.len == 0) {
            return least;
        }
        ssize_t slash = span_rfind_byte(group, '/');
        group = span_first(group, slash < 0 ? 0 : (size_t)slash);
    }
}

static uint64_t cgroup_memory(const char *sys, struct span table)
{
    uint64_t least = UINT64_MAX;
    while (table.at != NULL) {
        struct span path = span_cut(&table, '\n');
        struct span number = span_cut(&path, ':');
        struct span controllers = span_cut(&path, ':');
        uint64_t bytes = UINT64_MAX;
        if (path.len > 0 && controllers.len == 0 && span_is(number, "0")) {
            bytes = memory_up(sys, path, "memory.max");
        } else if (path.len > 0 && span_is(controllers, "memory")) {
            char mount[PATH_BYTES / 4];
            (void)snprintf(mount, sizeof(mount), "%s/memory", sys);
            bytes = memory_up(mount, path, "memory.limit_in_bytes");
        }
        least = bytes < least ? bytes : least;
    }
    return least;
}

uint64_t worker_memory_quota(void)
{
    char text[FILE_BYTES];
    uint64_t bytes = cgroup_memory("/sys/fs/cgroup", read_file("/proc/self/cgroup", text));
    return bytes >= INT64_MAX / 2 ? 0 : bytes; /* version 1 says "none" by a huge number */
}
