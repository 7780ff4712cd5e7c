/* The floor of a sidecar: one thread, TLS 1.3 with certificates on both sides on one end, plain TCP on the
 * other, no HTTP. Two of them are the floor of a pair. It uses the library and the settings of the product;
 * each wake-up is one read of up to 64 KiB, and all records of it leave in one send.
 *
 *    tls_relay in|out PORT UPSTREAM_PORT CERT KEY ROOT      prints "ready PORT"
 *    in: TLS from clients, plain to the upstream; out: the other way round
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/platform.h>
#include <mbedtls/platform_time.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>

#include "floor.h"

#define RECORD_BYTES 16383
#define SEALED_BYTES (FLOOR_READ_BYTES + 8192) /* 64 KiB in records, or a handshake flight */

struct pair;

struct end {
    int fd;
    struct pair *pair;
    uint32_t events;
    char *held; /* what this end could not take yet */
    size_t held_from, held_to;
};

struct pair {
    struct end tls, plain;
    mbedtls_ssl_context ssl;
    bool established, closed;
    struct pair *next_dead;
};

static int poller;
static bool is_client; /* of TLS: the "out" side */
static mbedtls_ssl_config config;
static struct pair *dead;
static char opened[FLOOR_READ_BYTES];
/* Ciphertext of the wake-up in hand, both ways. */
static char sealed_in[FLOOR_READ_BYTES], sealed_out[SEALED_BYTES];
static size_t sealed_in_from, sealed_in_to, sealed_out_len;

/* ---- what mbedTLS wants of its platform, as the product gives it */

int mbedtls_hardware_poll(void *unused, unsigned char *to, size_t len, size_t *got);
int mbedtls_hardware_poll(void *unused, unsigned char *to, size_t len, size_t *got)
{
    (void)unused;
    *got = len;
    return getrandom(to, len, 0) == (ssize_t)len ? 0 : -1;
}

mbedtls_ms_time_t mbedtls_ms_time(void)
{
    return floor_now_ns() / 1000000;
}

static int draw(void *unused, unsigned char *to, size_t len)
{
    size_t got;
    return mbedtls_hardware_poll(unused, to, len, &got);
}

static int take_sealed(void *arg, unsigned char *to, size_t room)
{
    (void)arg;
    size_t n = sealed_in_to - sealed_in_from;
    if (n == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    n = n < room ? n : room;
    memcpy(to, sealed_in + sealed_in_from, n);
    sealed_in_from += n;
    return (int)n;
}

static int give_sealed(void *arg, const unsigned char *from, size_t len)
{
    (void)arg;
    if (len > SEALED_BYTES - sealed_out_len) {
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
    memcpy(sealed_out + sealed_out_len, from, len);
    sealed_out_len += len;
    return (int)len;
}

/* ---- ends */

static void watch(struct end *e, bool read)
{
    uint32_t want = (read ? (uint32_t)EPOLLIN : 0) | (e->held != NULL ? (uint32_t)EPOLLOUT : 0);
    if (want == e->events) {
        return;
    }
    e->events = want;
    struct epoll_event ev = {.events = want, .data.ptr = e};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, e->fd, &ev) == -1) {
        floor_die("epoll_ctl");
    }
}

/* An end is read while the other takes what it brings. */
static void watch_both(struct pair *p)
{
    watch(&p->tls, p->plain.held == NULL);
    watch(&p->plain, p->established && p->tls.held == NULL);
}

static void close_pair(struct pair *p)
{
    if (p->closed) {
        return;
    }
    p->closed = true;
    (void)close(p->tls.fd);
    (void)close(p->plain.fd);
    p->next_dead = dead;
    dead = p;
}

/* Sends, and holds what does not fit. Nothing is held before: its source was not read. */
static void send_or_hold(struct end *e, const char *from, size_t len)
{
    if (len == 0) {
        return;
    }
    ssize_t n = send(e->fd, from, len, MSG_NOSIGNAL);
    if (n == -1 && errno != EAGAIN) {
        close_pair(e->pair);
        return;
    }
    size_t done = n > 0 ? (size_t)n : 0;
    if (done == len) {
        return;
    }
    e->held = realloc(e->held, e->held_to + len - done);
    if (e->held == NULL) {
        floor_die("realloc");
    }
    memcpy(e->held + e->held_to, from + done, len - done);
    e->held_to += len - done;
}

static void flush_held(struct end *e)
{
    ssize_t n = send(e->fd, e->held + e->held_from, e->held_to - e->held_from, MSG_NOSIGNAL);
    if (n == -1 && errno != EAGAIN) {
        close_pair(e->pair);
        return;
    }
    e->held_from += n > 0 ? (size_t)n : 0;
    if (e->held_from == e->held_to) {
        free(e->held);
        e->held = NULL;
        e->held_from = e->held_to = 0;
    }
}

static void flush_sealed(struct pair *p)
{
    send_or_hold(&p->tls, sealed_out, sealed_out_len);
    sealed_out_len = 0;
}

/* ---- bytes */

/* True once established; flushes what the handshake wrote. */
static bool handshake(struct pair *p)
{
    int rc = mbedtls_ssl_handshake(&p->ssl);
    flush_sealed(p);
    if (rc == 0) {
        p->established = true;
    } else if (rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE) {
        fprintf(stderr, "tls_relay: handshake: -0x%04x\n", (unsigned)-rc);
        close_pair(p);
    }
    return p->established;
}

static void on_tls_readable(struct pair *p)
{
    ssize_t got = recv(p->tls.fd, sealed_in, sizeof(sealed_in), 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            close_pair(p);
        }
        return;
    }
    sealed_in_from = 0;
    sealed_in_to = (size_t)got;
    size_t len = 0;
    while ((p->established || handshake(p)) && !p->closed) {
        int rc = mbedtls_ssl_read(&p->ssl, (unsigned char *)opened + len, sizeof(opened) - len);
        if (rc > 0) {
            len += (size_t)rc;
        } else if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
            break;
        } else if (rc != MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            send_or_hold(&p->plain, opened, len);
            close_pair(p);
            return;
        }
    }
    if (!p->closed) {
        flush_sealed(p);
        send_or_hold(&p->plain, opened, len);
    }
}

static void on_plain_readable(struct pair *p)
{
    ssize_t got = recv(p->plain.fd, opened, sizeof(opened), 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            close_pair(p);
        }
        return;
    }
    for (size_t done = 0; done < (size_t)got;) {
        size_t n = (size_t)got - done < RECORD_BYTES ? (size_t)got - done : RECORD_BYTES;
        int rc = mbedtls_ssl_write(&p->ssl, (const unsigned char *)opened + done, n);
        if (rc <= 0) {
            close_pair(p);
            return;
        }
        done += (size_t)rc;
    }
    flush_sealed(p);
}

static void on_event(struct end *e, uint32_t events)
{
    struct pair *p = e->pair;
    if (!p->closed && (events & EPOLLOUT) != 0 && e->held != NULL) {
        flush_held(e);
    }
    if (!p->closed && (e->events & EPOLLIN) != 0 &&
        (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        if (e == &p->tls) {
            on_tls_readable(p);
        } else {
            on_plain_readable(p);
        }
    } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        close_pair(p);
    }
    if (!p->closed) {
        watch_both(p);
    }
}

/* ---- set-up */

static void add(struct pair *p, struct end *e, int fd)
{
    e->fd = fd;
    e->pair = p;
    struct epoll_event ev = {.events = 0, .data.ptr = e};
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1 || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev) == -1) {
        floor_die("epoll_ctl");
    }
}

static void accept_all(int listener, uint16_t upstream)
{
    int down;
    while ((down = floor_accept(listener)) != -1) {
        int up = floor_connect(upstream);
        struct pair *p = up == -1 ? NULL : calloc(1, sizeof(*p));
        if (p == NULL) {
            (void)close(down);
            continue;
        }
        add(p, &p->tls, is_client ? up : down);
        add(p, &p->plain, is_client ? down : up);
        mbedtls_ssl_init(&p->ssl);
        if (mbedtls_ssl_setup(&p->ssl, &config) != 0 ||
            mbedtls_ssl_set_hostname(&p->ssl, NULL) != 0) {
            floor_die("mbedtls_ssl_setup");
        }
        mbedtls_ssl_set_bio(&p->ssl, p, give_sealed, take_sealed, NULL);
        sealed_in_from = sealed_in_to = 0;
        if (is_client) {
            (void)handshake(p);
        }
        if (!p->closed) {
            watch_both(p);
        }
    }
}

static void check(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "tls_relay: %s: -0x%04x\n", what, (unsigned)-rc);
        exit(1);
    }
}

/* The whole file, with the NUL that mbedTLS wants after PEM; `*len` counts it. */
static unsigned char *slurp(const char *path, size_t *len)
{
    static unsigned char text[3][16384];
    static int used;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        floor_die(path);
    }
    unsigned char *to = text[used++];
    *len = fread(to, 1, sizeof(text[0]) - 1, f) + 1;
    to[*len - 1] = '\0';
    (void)fclose(f);
    return to;
}

static void set_up_tls(char **files)
{
    static const int suites[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256, 0};
    static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, 0};
    static mbedtls_x509_crt own, root;
    static mbedtls_pk_context key;

    check(mbedtls_platform_set_time(time), "clock");
    check((int)psa_crypto_init(), "psa_crypto_init");
    mbedtls_x509_crt_init(&own);
    mbedtls_x509_crt_init(&root);
    mbedtls_pk_init(&key);
    size_t len;
    const unsigned char *pem = slurp(files[0], &len);
    check(mbedtls_x509_crt_parse(&own, pem, len), files[0]);
    pem = slurp(files[1], &len);
    check(mbedtls_pk_parse_key(&key, pem, len, NULL, 0, draw, NULL), files[1]);
    pem = slurp(files[2], &len);
    check(mbedtls_x509_crt_parse(&root, pem, len), files[2]);
    mbedtls_ssl_config_init(&config);
    check(mbedtls_ssl_config_defaults(&config,
                                      is_client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
                                      MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT),
          "defaults");
    mbedtls_ssl_conf_rng(&config, draw, NULL);
    mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(&config, suites);
    mbedtls_ssl_conf_groups(&config, groups);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&config, &root, NULL);
    check(mbedtls_ssl_conf_own_cert(&config, &own, &key), "own certificate");
}

static void bury(void)
{
    while (dead != NULL) {
        struct pair *p = dead;
        dead = p->next_dead;
        mbedtls_ssl_free(&p->ssl);
        free(p->tls.held);
        free(p->plain.held);
        free(p);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7 || (strcmp(argv[1], "in") != 0 && strcmp(argv[1], "out") != 0)) {
        fprintf(stderr, "usage: tls_relay in|out PORT UPSTREAM_PORT CERT KEY ROOT\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    is_client = strcmp(argv[1], "out") == 0;
    set_up_tls(argv + 4);
    int listener = floor_listen((uint16_t)floor_number("PORT", argv[2], 0, 65535));
    uint16_t upstream = (uint16_t)floor_number("UPSTREAM_PORT", argv[3], 1, 65535);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev[FLOOR_EVENTS] = {{.events = EPOLLIN, .data.ptr = NULL}};
    if (poller == -1 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev[0]) == -1) {
        floor_die("epoll");
    }
    floor_ready(listener);
    for (;;) {
        int n = epoll_wait(poller, ev, FLOOR_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr == NULL) {
                accept_all(listener, upstream);
            } else {
                on_event(ev[i].data.ptr, ev[i].events);
            }
        }
        bury();
    }
}
