/* The window of a load: see measure.h. */
#include "measure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "floor.h"

static unsigned bucket_of(uint64_t v)
{
    if (v < MEASURE_STEPS) {
        return (unsigned)v;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(v) - MEASURE_STEP_BITS;
    return (shift + 1) * MEASURE_STEPS + (unsigned)((v >> shift) - MEASURE_STEPS);
}

static uint64_t bucket_value(unsigned bucket)
{
    if (bucket < MEASURE_STEPS) {
        return bucket;
    }
    unsigned shift = bucket / MEASURE_STEPS - 1;
    uint64_t low = (uint64_t)(bucket % MEASURE_STEPS + MEASURE_STEPS) << shift;
    return low + ((1ull << shift) >> 1);
}

void measure_latency(struct measure *m, int64_t ns)
{
    m->count[bucket_of(ns < 0 ? 0 : (uint64_t)ns)]++;
    m->total++;
    m->max_ns = ns > m->max_ns ? ns : m->max_ns;
}

static double latency_us(const struct measure *m, double quantile)
{
    uint64_t rank = (uint64_t)((double)m->total * quantile);
    uint64_t seen = 0;
    for (unsigned i = 0; i < MEASURE_BUCKETS; i++) {
        seen += m->count[i];
        if (seen > rank) {
            return (double)bucket_value(i) / 1000.0;
        }
    }
    return (double)m->max_ns / 1000.0;
}

/* On-CPU time of all threads: the first number of schedstat, which is exact while they do not run. */
static int64_t process_cpu_ns(int pid)
{
    char path[320];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) {
        floor_die(path);
    }
    int64_t sum = 0;
    const struct dirent *entry;
    while ((entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        FILE *f = fopen(path, "re");
        long long ns = 0;
        if (f != NULL && fscanf(f, "%lld", &ns) == 1) {
            sum += ns;
        }
        if (f != NULL) {
            (void)fclose(f);
        }
    }
    (void)closedir(tasks);
    return sum;
}

static void read_cpu(struct measure *m, int sign)
{
    for (int i = 0; i < m->watch_count; i++) {
        m->cpu_ns += sign * process_cpu_ns(m->watch[i]);
    }
}

void measure_start(struct measure *m, int64_t now_ns)
{
    m->from_ns = now_ns + m->warmup_ns;
    m->to_ns = m->from_ns + m->measure_ns;
}

void measure_answer(struct measure *m, int64_t now_ns)
{
    m->answered++;
    if (!m->measuring && !m->over && now_ns >= m->from_ns) {
        m->measuring = true;
        m->from_ns = now_ns;
        read_cpu(m, -1);
    } else if (m->measuring) {
        m->measured++;
        if (now_ns >= m->to_ns) {
            m->measuring = false;
            m->over = true;
            m->to_ns = now_ns;
            read_cpu(m, 1);
        }
    }
}

bool measure_option(struct measure *m, int option, const char *value)
{
    switch (option) {
    case 'w':
        m->warmup_ns = floor_number("warmup-ms", value, 1, 60000) * 1000000;
        return true;
    case 'm':
        m->measure_ns = floor_number("measure-ms", value, 1, 60000) * 1000000;
        return true;
    case 't':
        if (m->watch_count == MEASURE_WATCH_MAX) {
            fprintf(stderr, "at most %d --watch\n", MEASURE_WATCH_MAX);
            exit(2);
        }
        m->watch[m->watch_count++] = (int)floor_number("watch", value, 1, 1 << 22);
        return true;
    default:
        return false;
    }
}

void measure_print(const struct measure *m, uint64_t unanswered)
{
    double seconds = (double)(m->to_ns - m->from_ns) / 1e9;
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, \"unanswered\": %llu, "
           "\"cpu_us_per_request\": %.4f, \"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f, "
           "\"p999_us\": %.2f, \"max_us\": %.2f}\n",
           (unsigned long long)m->measured, seconds, (double)m->measured / seconds,
           (unsigned long long)unanswered,
           m->measured == 0 ? 0.0 : (double)m->cpu_ns / 1000.0 / (double)m->measured,
           latency_us(m, 0.5), latency_us(m, 0.9), latency_us(m, 0.99), latency_us(m, 0.999),
           (double)m->max_ns / 1000.0);
}
