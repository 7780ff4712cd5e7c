/* Shedding load: see overload.h. */
#include "proxy/overload.h"

#include <sys/resource.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/worker.h"

#define LOOK_MS 250
#define SLACK 50u          /* thousandths: how far below its threshold a level ends */
#define FILES_MAX 1048576u /* open files asked for: more than memory has connections for */
#define FILES_OWN 64u      /* listeners, the control plane, logs */
#define CONNECTIONS_LEAST 64u
#define FREE_PART 4 /* of what is allocated: resident, but free, as the allocator keeps it */
#define FREE_BYTES (8u << 20)

struct overload {
    struct overload_spec spec;
    struct deadline look;
    enum overload_level level;
    unsigned memory, connections; /* pressures, thousandths */
    struct metric_series *gauge;
};

static const unsigned thresholds[] = {
    [OVERLOAD_IDLE] = 850, [OVERLOAD_CONNECTIONS] = 920, [OVERLOAD_REQUESTS] = 970};

enum overload_level overload_next(enum overload_level now, unsigned memory, unsigned connections)
{
    for (enum overload_level l = OVERLOAD_REQUESTS; l > OVERLOAD_NONE; l--) {
        unsigned from = thresholds[l] - (l <= now ? SLACK : 0);
        if (memory >= from || (l == OVERLOAD_IDLE && connections >= from)) {
            return l;
        }
    }
    return OVERLOAD_NONE;
}

static uint64_t resident_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text));
    if (fd != -1) {
        (void)close(fd); /* only read from */
    }
    struct span rest = n > 0 ? span_from(text, (size_t)n) : SPAN_EMPTY;
    uint64_t pages;
    (void)span_cut(&rest, ' '); /* the first number: all that is mapped */
    return span_to_u64(span_cut(&rest, ' '), &pages) ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* What is resident but free is used again before more is taken, so beyond some it does not count: a proxy that has
 * shed its load would otherwise wait for its allocator. */
static uint64_t used_bytes(void)
{
    uint64_t live = mem_live_bytes();
    uint64_t most = live + live / FREE_PART + FREE_BYTES;
    uint64_t resident = resident_bytes();
    return resident < most ? resident : most;
}

static unsigned pressure_of(uint64_t used, uint64_t limit)
{
    return limit == 0 ? 0 : used >= limit ? 1000 : (unsigned)(used * 1000 / limit);
}

static void tell_workers(const struct overload *o)
{
    for (unsigned i = 0; i < *o->spec.worker_count; i++) {
        proxy_worker_shed(o->spec.workers[i],
                          (struct proxy_shed){.idle = o->level >= OVERLOAD_IDLE,
                                              .connections = o->level >= OVERLOAD_CONNECTIONS,
                                              .requests = o->level >= OVERLOAD_REQUESTS});
    }
}

static void say(const struct overload *o)
{
    static const char *const does[] = {"all is taken on again", "idle connections end",
                                       "new connections are refused",
                                       "new requests are answered 503"};
    if (o->level == OVERLOAD_NONE) {
        log_info("proxy", "overload over memory_percent=%u connections_percent=%u", o->memory / 10,
                 o->connections / 10);
    } else {
        log_warn("proxy", "MESH4081 overloaded: %s memory_percent=%u connections_percent=%u",
                 does[o->level], o->memory / 10, o->connections / 10);
    }
}

static void on_look(struct deadline *d)
{
    struct overload *o = container_of(d, struct overload, look);
    const struct overload_spec *spec = &o->spec;
    o->memory = pressure_of(spec->memory_bytes > 0 ? used_bytes() : 0, spec->memory_bytes);
    o->connections =
        pressure_of(shared_connections(spec->shared), shared_connections_max(spec->shared));
    enum overload_level before = o->level;
    o->level = overload_next(before, o->memory, o->connections);
    if (o->level != before) {
        say(o);
        metric_gauge_set(o->gauge, o->level);
    }
    if (o->level != before || o->level >= OVERLOAD_IDLE) { /* each time some more idle ones end */
        tell_workers(o);
    }
    deadline_arm(&o->look, spec->loop, LOOK_MS);
}

/* A connection through us has two descriptors; shells often leave 1024. */
static uint32_t connections_for_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == -1) {
        return 0;
    }
    rlim_t most = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
    if (files.rlim_cur < most) {
        files.rlim_cur = most;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* then what there is must do */
        (void)getrlimit(RLIMIT_NOFILE, &files); /* worked a moment ago */
    }
    uint32_t usable = files.rlim_cur > FILES_MAX ? FILES_MAX : (uint32_t)files.rlim_cur;
    uint32_t count = usable > FILES_OWN ? (usable - FILES_OWN) / 2 : 0;
    return count > CONNECTIONS_LEAST ? count : CONNECTIONS_LEAST;
}

struct overload *overload_new(const struct overload_spec *spec)
{
    static const char *const no_labels[] = {NULL};
    static const struct metric_family_spec level = {
        .name = "mesh_overload_level",
        .help = "0: none; 1: idle connections end; 2: new ones are refused; 3: requests get 503",
        .kind = METRIC_GAUGE,
        .labels = no_labels,
    };
    struct overload *o = mem_new(struct overload);
    o->spec = *spec;
    uint32_t by_files = connections_for_files();
    if (spec->memory_bytes == 0) {
        o->spec.memory_bytes = worker_memory_quota();
    }
    shared_set_connections(spec->shared,
                           spec->max_connections > 0 ? spec->max_connections : by_files,
                           spec->max_connections_per_peer);
    struct metric_family *family = metric_family_add(spec->registry, &level);
    o->gauge = metric_series_get(metric_shard_new(spec->registry), family, NULL);
    metric_gauge_set(o->gauge, OVERLOAD_NONE);
    deadline_init(&o->look, on_look);
    deadline_arm(&o->look, spec->loop, LOOK_MS);
    return o;
}

void overload_free(struct overload *o)
{
    if (o != NULL) {
        deadline_disarm(&o->look);
        mem_free(o);
    }
}

size_t overload_gauges(const struct overload *o, struct overload_gauge to[OVERLOAD_GAUGES])
{
    if (o == NULL) {
        return 0;
    }
    const struct overload_gauge all[OVERLOAD_GAUGES] = {
        {"overload.envoy.resource_monitors.fixed_heap.pressure", o->memory / 10},
        {"overload.envoy.resource_monitors.global_downstream_max_connections.pressure",
         o->connections / 10},
        {"overload.envoy.overload_actions.reduce_timeouts.active", o->level >= OVERLOAD_IDLE},
        {"overload.envoy.overload_actions.disable_http_keepalive.active",
         o->level >= OVERLOAD_CONNECTIONS},
        {"overload.envoy.overload_actions.stop_accepting_connections.active",
         o->level >= OVERLOAD_CONNECTIONS},
        {"overload.envoy.overload_actions.stop_accepting_requests.active",
         o->level >= OVERLOAD_REQUESTS},
    };
    memcpy(to, all, sizeof(all));
    return OVERLOAD_GAUGES;
}
