#ifndef TLS_IO_TLS_INT_H
#define TLS_IO_TLS_INT_H
/* What the files of io_tls share.
 *
 *   io_tls.c            start, and the stream once it is open
 *   io_tls_handshake.c  who the peer is; failures and their reasons
 *   io_tls_cipher.c     ciphertext between mbedTLS and the lower stream                             */
#include <mbedtls/ssl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "io/deadline.h"
#include "tls/io_tls.h"
#include "tls/tls_ctx_int.h"

enum {
    IO_TLS_GATHER_BYTES = LOOP_READ_BYTES + LOOP_SEAL_BYTES,
    IO_TLS_OUT_BYTES_MAX = 256 * 1024, /* unsent ciphertext: one writev's, or a handshake flight */
    IO_TLS_BIO_FAILED = -0x0050,       /* from mbedTLS's f_recv and f_send: `lower_code` says why */
};

enum tls_state {
    TLS_HANDSHAKE, /* waits for lower; ends with on_done */
    TLS_OPEN,
    TLS_FAILED, /* handshake failed; waits for the owner to close */
};

/* Ciphertext while one call lasts. */
struct tls_turn {
    struct span in;  /* not yet taken by mbedTLS */
    bool was_filled; /* lower was read in this call, which is enough (level-triggered) */
    bool starved;    /* mbedTLS asked for more than there is */
    char *gather;    /* records of one writev are collected here; NULL = they go to `out` */
    size_t gather_len;
};

struct io_tls {
    struct io io;
    struct tls_ctx *ctx; /* counted */
    enum tls_state state;
    mbedtls_ssl_context ssl;
    struct tls_turn turn;
    struct buf saved; /* ciphertext that mbedTLS did not ask for: the owner's buffer was full */
    struct buf out;   /* ciphertext that lower did not take */
    struct tls_peer peer;
    struct arena arena;              /* what `peer` points to */
    struct tls_handshake *handshake; /* owned; NULL once it is over */
    char *why;                       /* owned; NULL = nothing failed */
    int lower_code;                  /* 0 = alive; -ERR_EOF, or what lower answered */
    int read_code;   /* what follows the bytes: 1 = nothing yet, 0 = end, negative */
    int write_code;  /* 0 = alive */
    bool end_told;   /* the owner has read read_code */
    bool close_sent; /* close_notify */
    bool lower_shut;
};

/* Gone when it is done, to keep an idle stream small. */
struct tls_handshake {
    struct io_tls *t;
    struct deadline deadline;
    struct loop_task start;
    struct verify_result verify;
    int64_t limit_ms;
    void (*on_done)(void *arg, struct io *io, int code, const char *why);
    void *arg;
};

/* --- io_tls_cipher.c --- */

/* mbedTLS's f_recv and f_send; `t` is a struct io_tls. */
int io_tls_bio_recv(void *t, unsigned char *to, size_t len);
int io_tls_bio_send(void *t, const unsigned char *from, size_t len);
/* Around each call of mbedTLS that may read. */
void io_tls_begin_input(struct io_tls *t);
void io_tls_end_input(struct io_tls *t);
/* 0 when nothing of `out` is left, -EAGAIN, or the failure of lower. */
int io_tls_flush(struct io_tls *t);
/* Watches of lower what the state, `out` and the owner's wishes ask for. */
void io_tls_watch_lower(struct io_tls *t);

/* --- io_tls_handshake.c --- */

/* Goes on as far as lower's bytes allow; may end in on_done. */
void io_tls_run_handshake(struct io_tls *t);
/* Sets mbedTLS's side up and arms the deadline. */
void io_tls_begin_handshake(struct io_tls *t, const struct io_tls_spec *spec);
/* Forgets what only the handshake needs. */
void io_tls_end_handshake(struct io_tls *t);
/* Our code for what mbedTLS answered; keeps why. */
int io_tls_failure(struct io_tls *t, int rc);
/* The first reason stays. */
void io_tls_set_why(struct io_tls *t, const char *text);
/* mbedTLS's f_sni, for a server's configuration: keeps the server name that a client asks for. One with
 * bytes that no name has (as in hello_parse) ends the handshake. */
int io_tls_on_sni(void *unused, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len);
#endif
