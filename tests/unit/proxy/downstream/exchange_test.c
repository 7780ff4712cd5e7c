/* proxy/downstream/exchange over memory that takes few bytes at a time: frames off, bytes through, both ways. */
#include "proxy/downstream/exchange.c"

#include "unit/cm.h"
#include "unit/io/io_help.h"

#define FRAME_OF(text, len) "\x3d\x23\x04\x67\0\0\0" len text

struct end {
    struct io *io;
    struct buf got;
    struct span to_send;
    bool ended, shut, told;
    int code;
    char peer[64];
};

static void on_peer(void *arg, struct span any)
{
    struct end *e = arg;
    assert_false(e->told);
    e->told = true;
    (void)span_to_cstr(any, e->peer, sizeof(e->peer));
}

static void end_run(void *arg, unsigned events)
{
    struct end *e = arg;
    static char room[LOOP_READ_BYTES];
    UNUSED(events);
    for (ssize_t n = 1; !e->ended && n != -EAGAIN;) {
        n = io_read(e->io, room, 3);
        if (n > 0) {
            assert_int_equal(buf_append(&e->got, room, (size_t)n), 0);
        } else if (n != -EAGAIN) {
            e->ended = true;
            e->code = (int)n;
        }
    }
    while (e->to_send.len > 0) {
        ssize_t n = io_write(e->io, e->to_send.at, e->to_send.len);
        if (n < 0) {
            break;
        }
        e->to_send = span_from_offset(e->to_send, (size_t)n);
    }
    if (e->to_send.len == 0 && !e->shut) {
        e->shut = io_shut(e->io) == 0;
    }
    io_watch(e->io, (e->ended ? 0 : IO_READ) | (e->shut ? 0 : IO_WRITE));
}

static void end_begin(struct end *e, struct io *io, const char *send)
{
    *e = (struct end){.io = io, .to_send = span_of(send)};
    buf_init(&e->got, 1 << 20);
    io_set_owner(io, end_run, e);
    io_watch(io, IO_READ | IO_WRITE);
}

static void end_dispose(struct end *e)
{
    io_close(e->io);
    buf_dispose(&e->got);
}

static struct io *wrapped(struct loop *loop, struct io *lower, struct end *e, struct span frame)
{
    const struct exchange_spec spec = {
        .lower = lower, .frame = frame, .on_peer = on_peer, .arg = e};
    return exchange_start_take(loop, &spec);
}

static const struct span frame_a = SPAN_INIT(FRAME_OF("who-a", "\x05"));
static const struct span frame_b = SPAN_INIT(FRAME_OF("who-b", "\x05"));

static void both_tell(void **state)
{
    UNUSED(state);
    for (size_t room = 1; room < 40; room += 3) {
        struct loop *loop = loop_new(true);
        struct io *low_a, *low_b;
        struct end a, b;
        io_mem_pair(loop, room, &low_a, &low_b);
        struct io *io_a = wrapped(loop, low_a, &a, frame_a);
        struct io *io_b = wrapped(loop, low_b, &b, frame_b);
        end_begin(&a, io_a, "hello from a");
        end_begin(&b, io_b, room % 2 == 0 ? "" : "and a longer text from b, which had to wait");
        turn_out(loop);
        assert_span(buf_span(&b.got), "hello from a");
        assert_span(buf_span(&a.got),
                    room % 2 == 0 ? "" : "and a longer text from b, which had to wait");
        assert_string_equal(a.peer, "who-b");
        assert_string_equal(b.peer, "who-a");
        assert_true(a.ended && b.ended && a.code == 0 && b.code == 0);
        end_dispose(&a);
        end_dispose(&b);
        turn_out(loop);
        loop_free(loop);
    }
}

/* One end is bare: what it gets begins with our frame, what it sends is looked at. */
static void one_end_is_bare(void **state)
{
    UNUSED(state);
    static const struct {
        struct span sends;
        const char *passed, *peer;
        int code;
    } rows[] = {
        {SPAN_INIT(FRAME_OF("me", "\x02") "bytes"), "bytes", "me", 0},
        {SPAN_INIT(FRAME_OF("", "\0")), "", "", 0},
        {SPAN_INIT("no frame"), "no frame", "", 0},
        {SPAN_INIT("\x3d\x23"), "\x3d\x23", "", 0},
        {SPAN_INIT("\x3d\x23 no"), "\x3d\x23 no", "", 0},
        {SPAN_INIT(""), "", "", 0},
        {SPAN_INIT("\x3d\x23\x04\x67\x7f\0\0\0"), "", NULL, -ERR_LIMIT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct loop *loop = loop_new(true);
        struct io *low_a, *low_b;
        struct end a, b;
        io_mem_pair(loop, 1 + 7 * (i % 3), &low_a, &low_b);
        struct io *io_a = wrapped(loop, low_a, &a, frame_a);
        end_begin(&a, io_a, "x");
        end_begin(&b, low_b, "");
        b.to_send = rows[i].sends;
        turn_out(loop);
        assert_span(buf_span(&a.got), rows[i].passed);
        assert_int_equal(a.code, rows[i].code);
        assert_int_equal(a.told, rows[i].peer != NULL);
        assert_true(rows[i].peer == NULL || strcmp(a.peer, rows[i].peer) == 0);
        assert_int_equal(buf_len(&b.got), frame_a.len + 1);
        assert_memory_equal(buf_span(&b.got).at, frame_a.at, frame_a.len);
        end_dispose(&a);
        end_dispose(&b);
        turn_out(loop);
        loop_free(loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_tell),
        cmocka_unit_test(one_end_is_bare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
