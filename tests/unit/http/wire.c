/* See wire.h. */
#include "unit/http/wire.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/instant.h"
#include "io/io.h"

void wire_init(struct wire *w, size_t room)
{
    memset(w, 0, sizeof(*w));
    instant_fake_start(1000000000, 1700000000000000);
    w->loop = loop_new(true);
    io_mem_pair(w->loop, room, &w->ours, &w->peer);
    buf_init(&w->got, 1u << 30);
}

void wire_turn(struct wire *w)
{
    for (int i = 0; i < 100000 && loop_turn(w->loop, false); i++) {
    }
}

void wire_drain(struct wire *w)
{
    char room[16384];
    ssize_t n;
    while (w->peer && (n = io_read(w->peer, room, sizeof(room))) != -EAGAIN) {
        if (n <= 0) {
            w->peer_eof = true;
            return;
        }
        ASSERT(buf_append(&w->got, room, (size_t)n) == 0);
    }
}

void wire_run(struct wire *w)
{
    size_t before;
    do {
        before = buf_len(&w->got);
        wire_turn(w);
        wire_drain(w);
    } while (buf_len(&w->got) != before);
}

void wire_send(struct wire *w, struct span bytes)
{
    while (bytes.len > 0 && w->peer) {
        ssize_t n = io_write(w->peer, bytes.at, bytes.len);
        if (n < 0 && n != -EAGAIN) {
            return; /* ours has closed */
        }
        bytes = span_from_offset(bytes, n > 0 ? (size_t)n : 0);
        wire_run(w);
    }
}

void wire_send_end(struct wire *w)
{
    ASSERT(io_shut(w->peer) == 0);
    wire_run(w);
}

void wire_advance(struct wire *w, int64_t ms)
{
    instant_fake_advance(ms * 1000000);
    wire_run(w);
}

void wire_dispose(struct wire *w)
{
    if (w->conn) {
        http_conn_close(w->conn);
        w->conn = NULL;
    }
    io_close(w->peer);
    w->peer = NULL;
    wire_turn(w);
    buf_dispose(&w->got);
    loop_free(w->loop);
    instant_fake_stop();
}

static size_t guard_bytes(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (len + page - 1) / page * page + page;
}

char *wire_guard(struct span s)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t all = guard_bytes(s.len);
    char *base = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(base != MAP_FAILED);
    ASSERT(mprotect(base + all - page, page, PROT_NONE) == 0);
    char *copy = base + all - page - s.len;
    if (s.len > 0) {
        memcpy(copy, s.at, s.len);
    }
    return copy;
}

void wire_guard_free(char *copy, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t all = guard_bytes(len);
    ASSERT(munmap(copy + len + page - all, all) == 0);
}
