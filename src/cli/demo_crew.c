/* Starting, watching and ending the processes of a demo. */
#include "cli/demo_crew.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/http_client.h"
#include "io/deadline.h"
#include "io/process.h"

#define ASK_FIRST_MS 5 /* then ever more seldom: with hundreds, asking itself would be the load */
#define ASK_LAST_MS 80
#define ASK_MS 2000
#define AGAIN_MS 100      /* before a member that ended is started again */
#define AGAIN_MAX_MS 5000 /* when it never gets ready */
#define END_MS 5000
#define ARGS_MAX 64
#define DETAIL_BYTES 64
#define LOG_TAIL 4096

struct demo_member {
    struct list node;
    struct demo_crew *crew;
    struct demo_member_spec spec;
    const char *argv[ARGS_MAX];
    enum demo_state state;
    bool held;
    struct process *process; /* owned; NULL when there is none */
    struct http_client *client;
    bool asking;
    struct deadline wake; /* ask again, or start again */
    int64_t started_ms, ended_ms, ready_ms;
    int64_t ask_ms, again_ms;
    unsigned restarts;
};

struct demo_crew {
    struct loop *loop;
    struct demo_crew_events events;
    void *arg;
    struct list members;
    struct deadline patience; /* of the end */
    bool ending;
};

/* ---- ready? */

static void ask(struct demo_member *m);

static void on_ready_answer(void *arg, const struct http_answer *answer)
{
    struct demo_member *m = arg;
    m->asking = false;
    if (m->state != DEMO_STARTING) {
        return;
    }
    if (answer->err != NULL || answer->head->status != 200) {
        m->ask_ms = i64_min(m->ask_ms + m->ask_ms / 4 + 1, ASK_LAST_MS);
        deadline_arm(&m->wake, m->crew->loop, m->ask_ms);
        return;
    }
    m->state = DEMO_READY;
    m->again_ms = AGAIN_MS;
    int64_t now = instant_mono_ms();
    if (m->ready_ms < 0) {
        m->ready_ms = now - m->started_ms;
    }
    if (m->restarts > 0) {
        char detail[DETAIL_BYTES];
        (void)snprintf(detail, sizeof(detail), "%.2f s", (double)(now - m->ended_ms) / 1000);
        m->crew->events.on_happening(m->crew->arg, m, DEMO_IS_BACK, detail);
    }
}

static void ask(struct demo_member *m)
{
    const struct http_call call = {
        .method = SPAN("GET"),
        .path = span_of(m->spec.ready_path),
        .timeout_ms = ASK_MS,
        .on_answer = on_ready_answer,
        .arg = m,
    };
    if (m->client == NULL) {
        const struct http_client_spec spec = {.origin = span_of(m->spec.ready_origin),
                                              .connect_ms = ASK_MS};
        if (http_client_new(&m->client, m->crew->loop, &spec, NULL) < 0) {
            return; /* an origin that we made ourselves; demo_live says who is not ready */
        }
    }
    if (!m->asking) {
        m->asking = true;
        http_client_call(m->client, &call);
    }
}

/* ---- start and end */

static void on_exit_of(void *arg, struct process *p, int status)
{
    struct demo_member *m = arg;
    char detail[DETAIL_BYTES];

    UNUSED(p);
    process_free(m->process);
    m->process = NULL;
    m->ended_ms = instant_mono_ms();
    bool was = m->state == DEMO_READY || m->state == DEMO_STARTING;
    m->state = DEMO_ENDED;
    if (m->crew->ending || !was) {
        return;
    }
    (void)(WIFSIGNALED(status)
               ? snprintf(detail, sizeof(detail), "signal %d", WTERMSIG(status))
               : snprintf(detail, sizeof(detail), "exit status %d", WEXITSTATUS(status)));
    if (!m->held) {
        deadline_arm(&m->wake, m->crew->loop, m->again_ms);
        m->again_ms = i64_min(m->again_ms * 2, AGAIN_MAX_MS);
    }
    m->crew->events.on_happening(m->crew->arg, m, DEMO_HAS_ENDED, detail);
}

int demo_member_start(struct demo_member *m, struct err *err)
{
    int fd = open(m->spec.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd == -1) {
        return err_set(err, -errno, "'%s' can not be made: %s", m->spec.log, err_name(-errno));
    }
    const struct demo_seat *seat = m->spec.seat;
    const struct process_spec spec = {.argv = m->argv,
                                      .env = m->spec.env,
                                      .out_fd = fd,
                                      .err_fd = fd,
                                      .net_ns_fd = seat != NULL ? seat->net_ns : -1,
                                      .uid = seat != NULL ? seat->user : 0,
                                      .gid = seat != NULL ? seat->user : 0,
                                      .resolv_conf = seat != NULL ? seat->resolv_conf : NULL,
                                      .own_group = true};
    int code = process_start(&m->process, m->crew->loop, &spec, on_exit_of, m, err);
    (void)close(fd);
    if (code < 0) {
        return err_prefix(err, "%s", m->spec.name);
    }
    if (m->ready_ms < 0) {
        m->started_ms = instant_mono_ms();
    }
    m->state = DEMO_STARTING;
    m->ask_ms = ASK_FIRST_MS;
    deadline_arm(&m->wake, m->crew->loop, m->ask_ms);
    return 0;
}

static void on_wake(struct deadline *d)
{
    struct demo_member *m = container_of(d, struct demo_member, wake);
    if (m->state == DEMO_STARTING) {
        ask(m);
    } else if (m->state == DEMO_ENDED && !m->held && !m->crew->ending) {
        m->restarts++;
        if (demo_member_start(m, NULL) < 0) {
            deadline_arm(&m->wake, m->crew->loop, m->again_ms);
        }
    }
}

void demo_member_kill(struct demo_member *m)
{
    if (m->process != NULL) {
        int code = process_signal(m->process, SIGKILL);
        UNUSED(code); /* gone already: on_exit_of comes */
    }
}

void demo_member_hold(struct demo_member *m, bool hold)
{
    m->held = hold;
    if (hold) {
        if (m->state == DEMO_ENDED) {
            deadline_disarm(&m->wake);
        }
    } else if (m->state == DEMO_ENDED && !deadline_is_armed(&m->wake)) {
        deadline_arm(&m->wake, m->crew->loop, 0);
    }
}

/* ---- the crew */

struct demo_crew *demo_crew_new(struct loop *loop, const struct demo_crew_events *ev, void *arg)
{
    struct demo_crew *c = mem_new(struct demo_crew);
    c->loop = loop;
    c->events = *ev;
    c->arg = arg;
    list_init(&c->members);
    return c;
}

struct demo_member *demo_crew_add(struct demo_crew *c, const struct demo_member_spec *spec)
{
    struct demo_member *m = mem_new(struct demo_member);
    size_t n = 0;

    m->crew = c;
    m->spec = *spec;
    m->ready_ms = -1;
    m->again_ms = AGAIN_MS;
    m->argv[n++] = process_self();
    for (const char *const *word = spec->argv; *word != NULL; word++) {
        ASSERT(n + 1 < ARGS_MAX);
        m->argv[n++] = *word;
    }
    deadline_init(&m->wake, on_wake);
    list_push_back(&c->members, &m->node);
    return m;
}

struct demo_member *demo_crew_find(const struct demo_crew *c, struct span name)
{
    for (struct demo_member *m = demo_crew_next(c, NULL); m != NULL; m = demo_crew_next(c, m)) {
        if (span_is(name, m->spec.name)) {
            return m;
        }
    }
    return NULL;
}

struct demo_member *demo_crew_next(const struct demo_crew *c, const struct demo_member *after)
{
    struct list *node = after != NULL ? after->node.next : c->members.next;
    return node == &c->members ? NULL : list_item(node, struct demo_member, node);
}

static bool all_ended(const struct demo_crew *c)
{
    for (struct demo_member *m = demo_crew_next(c, NULL); m != NULL; m = demo_crew_next(c, m)) {
        if (m->process != NULL) {
            return false;
        }
    }
    return true;
}

static void on_patience(struct deadline *d)
{
    UNUSED(d); /* the turn that it caused is all */
}

void demo_crew_free(struct demo_crew *c)
{
    if (c == NULL) {
        return;
    }
    c->ending = true;
    for (struct demo_member *m = demo_crew_next(c, NULL); m != NULL; m = demo_crew_next(c, m)) {
        deadline_disarm(&m->wake);
        if (m->process != NULL) {
            int code = process_signal(m->process, m->spec.sudden ? SIGKILL : SIGTERM);
            UNUSED(code); /* gone already: on_exit_of comes */
        }
    }
    int64_t end = instant_mono_ms() + END_MS;
    deadline_init(&c->patience, on_patience);
    deadline_arm(&c->patience, c->loop, END_MS);
    while (!all_ended(c) && instant_mono_ms() < end) {
        (void)loop_turn(c->loop, true);
    }
    deadline_disarm(&c->patience);
    struct list *node;
    while ((node = list_pop_front(&c->members)) != NULL) {
        struct demo_member *m = list_item(node, struct demo_member, node);
        m->state = DEMO_IDLE;
        http_client_free(m->client);
        process_free(m->process);
        mem_free(m);
    }
    mem_free(c);
}

/* ---- looking */

const char *demo_member_name(const struct demo_member *m)
{
    return m->spec.name;
}

const char *demo_member_log(const struct demo_member *m)
{
    return m->spec.log;
}

const char *demo_member_origin(const struct demo_member *m)
{
    return m->spec.ready_origin;
}

enum demo_state demo_member_state(const struct demo_member *m)
{
    return m->state;
}

int64_t demo_member_ready_ms(const struct demo_member *m)
{
    return m->ready_ms;
}

unsigned demo_member_restarts(const struct demo_member *m)
{
    return m->restarts;
}

int demo_member_pid(const struct demo_member *m)
{
    return m->process != NULL ? process_pid(m->process) : 0;
}

struct span demo_member_last_words(const struct demo_member *m, char *to, size_t room)
{
    char tail[LOG_TAIL];
    ssize_t n = 0;
    int fd = open(m->spec.log, O_RDONLY | O_CLOEXEC);
    if (fd != -1) {
        off_t size = lseek(fd, 0, SEEK_END);
        off_t from = size > LOG_TAIL ? size - LOG_TAIL : 0;
        n = pread(fd, tail, sizeof(tail), from);
        (void)close(fd);
    }
    struct span rest = span_from(tail, n > 0 ? (size_t)n : 0);
    struct span last = SPAN_EMPTY;
    while (rest.at != NULL) {
        struct span line = span_cut(&rest, '\n');
        last = line.len > 0 ? line : last;
    }
    return span_of(span_to_cstr(last, to, room));
}

struct demo_memory demo_memory_of(int pid)
{
    struct demo_memory memory = {.pss_kib = 0};
    char path[64], line[128];

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    FILE *f = pid > 0 ? fopen(path, "re") : NULL;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        struct span rest = span_of(line);
        struct span name = span_cut(&rest, ':');
        struct span number = span_trim(rest);
        uint64_t kib;
        if (!span_to_u64(span_cut(&number, ' '), &kib)) {
            continue;
        }
        if (span_is(name, "Pss")) {
            memory.pss_kib = kib;
        } else if (span_is(name, "Rss")) {
            memory.rss_kib = kib;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return memory;
}
