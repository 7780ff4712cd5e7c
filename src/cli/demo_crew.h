#ifndef CLI_DEMO_CREW_H
#define CLI_DEMO_CREW_H
/* The processes of a demo: each is started, asked until it is ready, and started again when it ends by itself.
 *
 *   IDLE --start--> STARTING --answers 200--> READY
 *     ^                |  \--ended--------------|--> ENDED --after a moment, unless held--> STARTING
 *     '----------------'----- stop -------------'
 *
 * All runs on the loop; nothing here waits but demo_crew_end. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "io/loop.h"

enum demo_state { DEMO_IDLE, DEMO_STARTING, DEMO_READY, DEMO_ENDED };

/* Where a member runs, when that is not where we do (demo_pods). */
struct demo_seat {
    int net_ns;              /* a descriptor */
    uint32_t user;           /* and group; 0 = ours */
    const char *resolv_conf; /* NULL = ours */
};

struct demo_member;
/* All texts are borrowed for the crew's life. */
struct demo_member_spec {
    const char *name;             /* "reviews-v1", "proxy of reviews-v1" */
    const char *const *argv;      /* without the binary itself, NULL-terminated */
    const char *const *env;       /* additions, or NULL */
    const char *log;              /* file for what it prints */
    const char *ready_origin;     /* "http://127.66.0.11:15000", "unix:/path" */
    const char *ready_path;       /* 200 when ready */
    const struct demo_seat *seat; /* borrowed; NULL = here */
    bool sudden; /* ended by SIGKILL: it would drain, and there is nobody to drain for */
};

enum demo_happening {
    DEMO_HAS_ENDED, /* by itself, or by somebody's signal */
    DEMO_IS_BACK,   /* ready, after it had ended */
};
struct demo_crew_events {
    /* `detail`: how it ended ("signal 9"), or how long it was away ("0.21 s"). */
    void (*on_happening)(void *arg, const struct demo_member *m, enum demo_happening what,
                         const char *detail);
};

struct demo_crew;
NONNULL_RETURN struct demo_crew *demo_crew_new(struct loop *loop, const struct demo_crew_events *ev,
                                               void *arg);
/* Ends all processes, waits at most 5 s. NULL is fine. */
void demo_crew_free(struct demo_crew *c);

NONNULL_RETURN struct demo_member *demo_crew_add(struct demo_crew *c,
                                                 const struct demo_member_spec *spec);
/* The member of that name, or NULL. */
struct demo_member *demo_crew_find(const struct demo_crew *c, struct span name);
/* In the order of adding; NULL at the end. `after` NULL begins. */
struct demo_member *demo_crew_next(const struct demo_crew *c, const struct demo_member *after);

MUST_USE int demo_member_start(struct demo_member *m, struct err *err);
/* SIGKILL, as an accident would: it is started again, unless held. */
void demo_member_kill(struct demo_member *m);
/* While held it is not started again; letting go starts it if it has ended. */
void demo_member_hold(struct demo_member *m, bool hold);
const char *demo_member_name(const struct demo_member *m);
const char *demo_member_log(const struct demo_member *m);
/* Where it answers, as in the spec. */
const char *demo_member_origin(const struct demo_member *m);
enum demo_state demo_member_state(const struct demo_member *m);
/* From its first start until it was ready; -1 before. */
int64_t demo_member_ready_ms(const struct demo_member *m);
unsigned demo_member_restarts(const struct demo_member *m);
int demo_member_pid(const struct demo_member *m); /* 0: it does not run */
/* The last line that it printed, in `to`; empty when there is none. */
struct span demo_member_last_words(const struct demo_member *m, char *to, size_t room);

/* Memory of a process in KiB: its share of what is shared (Pss), and all that is resident. 0 if it is gone. */
struct demo_memory {
    uint64_t pss_kib, rss_kib;
};
struct demo_memory demo_memory_of(int pid);
#endif
