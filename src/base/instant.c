/* The kernel's clocks, or frozen ones for a simulation, and the calendar. */
#include "base/instant.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"

#define DAY_SECONDS 86400

/* Frozen clocks of a simulation, which runs on one thread. */
static struct {
    bool is_on;
    int64_t mono_ns;
    int64_t wall_us;
} instant_fake;

/* MESH_TEST_CLOCK: written before threads start. Wall time = base + offset + (real - base) * rate. */
static struct {
    int64_t base_us;
    int64_t offset_us;
    int64_t rate; /* 0 = the true clock */
} instant_test;

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    ASSERT(failed == 0);
    return (int64_t)now.tv_sec * per_second + (int64_t)now.tv_nsec / (1000000000 / per_second);
}

int64_t instant_mono_ns(void)
{
    if (UNLIKELY(instant_fake.is_on)) {
        return instant_fake.mono_ns;
    }
    return read_clock(CLOCK_MONOTONIC, 1000000000);
}

int64_t instant_wall_us(void)
{
    if (UNLIKELY(instant_fake.is_on)) {
        return instant_fake.wall_us;
    }
    int64_t now = read_clock(CLOCK_REALTIME, 1000000);
    if (UNLIKELY(instant_test.rate != 0)) {
        int64_t gone = (now - instant_test.base_us) * instant_test.rate;
        return instant_test.base_us + instant_test.offset_us + gone;
    }
    return now;
}

int64_t instant_until_wall_ms(int64_t wall_us)
{
    int64_t left = i64_max(wall_us - instant_wall_us(), 0);
    int64_t rate = instant_fake.is_on ? 1 : i64_max(instant_test.rate, 1);
    return (left + 1000 * rate - 1) / (1000 * rate);
}

/* Days are counted in years that begin on 1 March, so that the leap day is a year's last, and in eras of
 * 400 years, which are all alike. Day 0 of era 0 is 0000-03-01, 719468 days before 1970-01-01. */
struct instant_civil instant_to_civil(int64_t wall_s)
{
    int64_t days = wall_s / DAY_SECONDS - (wall_s % DAY_SECONDS < 0);
    int64_t second = wall_s - days * DAY_SECONDS;
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day = z - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153; /* 0 = March */
    int64_t weekday = (days % 7 + 7 + 4) % 7;
    return (struct instant_civil){
        .year = (int)(year + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(day - (153 * month + 2) / 5 + 1),
        .hour = (int)(second / 3600),
        .minute = (int)(second / 60 % 60),
        .second = (int)(second % 60),
        .weekday = (int)weekday,
    };
}

int64_t instant_from_civil(const struct instant_civil *civil)
{
    int64_t year = civil->year - (civil->month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t month = civil->month > 2 ? civil->month - 3 : civil->month + 9;
    year -= era * 400;
    int64_t day = (153 * month + 2) / 5 + civil->day - 1 + year * 365 + year / 4 - year / 100;
    int64_t days = era * 146097 + day - 719468;
    return days * DAY_SECONDS + civil->hour * 3600 + civil->minute * 60 + civil->second;
}

#ifdef MESH_DEV
static int test_clock_set(const char *text)
{
    char *end;
    errno = 0;
    long long offset_s = strtoll(text, &end, 10);
    long long rate = 1;
    if (end != text && *end == ',') {
        text = end + 1;
        rate = strtoll(text, &end, 10);
    }
    const long long offset_most = 100LL * 365 * DAY_SECONDS;
    if (errno != 0 || end == text || *end != '\0' || rate < 1 || rate > DAY_SECONDS ||
        offset_s > offset_most || offset_s < -offset_most) {
        return -ERR_CONFIG;
    }
    instant_test.base_us = read_clock(CLOCK_REALTIME, 1000000);
    instant_test.offset_us = offset_s * 1000000;
    instant_test.rate = rate;
    return 0;
}
#endif

int instant_init(void)
{
#ifdef MESH_DEV
    const char *text = getenv("MESH_TEST_CLOCK");
    if (text != NULL) {
        return test_clock_set(text);
    }
#endif
    return 0;
}

void instant_fake_start(int64_t mono_ns, int64_t wall_us)
{
    instant_fake.mono_ns = mono_ns;
    instant_fake.wall_us = wall_us;
    instant_fake.is_on = true;
}

void instant_fake_advance(int64_t ns)
{
    ASSERT(instant_fake.is_on && ns >= 0);
    /* Both from the whole: advances of less than a microsecond must not be lost to wall time. */
    int64_t before_us = instant_fake.mono_ns / 1000;
    instant_fake.mono_ns += ns;
    instant_fake.wall_us += instant_fake.mono_ns / 1000 - before_us;
}

void instant_fake_stop(void)
{
    instant_fake.is_on = false;
}

bool instant_is_fake(void)
{
    return instant_fake.is_on;
}
