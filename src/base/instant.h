#ifndef BASE_INSTANT_H
#define BASE_INSTANT_H
/* Clocks. Monotonic time orders events and carries deadlines; wall time is for people, certificates
 * and logs. Both can be faked: a simulation sets and advances them by hand, and a dev build honours
 * MESH_TEST_CLOCK=offset,rate (seconds added to wall time, and how many seconds pass in one), so that
 * certificates can be seen to expire; monotonic time then stays true. mbedTLS reads the same clock. Any
 * thread. */
#include "base/compiler.h"

int64_t instant_mono_ns(void);
int64_t instant_wall_us(void); /* microseconds since 1970, UTC */

static inline int64_t instant_mono_ms(void)
{
    return instant_mono_ns() / 1000000;
}

static inline int64_t instant_wall_s(void)
{
    return instant_wall_us() / 1000000;
}

/* How long, in real milliseconds, until the wall clock shows this time (0 if it does already). Who arms a
 * deadline for a time of day asks here, so that a clock that runs faster in a test is heeded. */
int64_t instant_until_wall_ms(int64_t wall_us);

/* A point in time as people write it: the proleptic Gregorian calendar in UTC. */
struct instant_civil {
    int year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
    int hour, minute, second;
    int weekday; /* 0 = Sunday */
};

/* Seconds since 1970 to calendar and back; years 1 to 9999. Fields must be in range. */
struct instant_civil instant_to_civil(int64_t wall_s);
int64_t instant_from_civil(const struct instant_civil *civil);

/* Reads MESH_TEST_CLOCK in a dev build; in a release build the variable is ignored. Main thread,
 * before others start. -ERR_CONFIG on a malformed value. */
MUST_USE int instant_init(void);
/* Freezes both clocks at these values until instant_fake_stop: for simulations, one thread. */
void instant_fake_start(int64_t mono_ns, int64_t wall_us);
void instant_fake_advance(int64_t ns);
void instant_fake_stop(void);
bool instant_is_fake(void);
#endif
