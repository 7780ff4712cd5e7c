#ifndef UNIT_KUBE_API_BENCH_H
#define UNIT_KUBE_API_BENCH_H
/* For tests of kube_client: an API server of our own on the loopback that answers as it is told, a client of it, and what came of calls. */
#include "http/http_server.h"
#include "kube/kube_client.h"
#include "support/test_pki.h"

#define BENCH_NAME "kube.test" /* that the server's certificate has */
#define BENCH_STATUS(reason, message) \
    "{\"kind\":\"Status\",\"message\":\"" message "\",\"reason\":\"" reason "\"}"

/* What the server says next; the last of the list stands. */
struct bench_reply {
    unsigned
        status; /* 0 = the connection is closed without a word; 1 = no answer; 2 = the stream is kept */
    const char *retry_after;
    const char *body;
};

struct bench {
    struct loop *loop;
    struct http_server *server;
    struct kube_conf conf;
    struct kube_client *client;
    const struct bench_reply *replies;
    unsigned asked; /* requests that came */
    char request[512];
    char who[256]; /* authorization of the last */
    char subject[256];
    char fields[256];
    struct http_stream *kept;
    /* what came of a call */
    unsigned answers;
    struct kube_answer answer;
    char why[512];
    char reason[64];
    char told[64];
    /* of a stream */
    unsigned begins, ends, lines;
    char text[4096];
    struct kube_stream *stream;
    const char *close_at; /* the line at which it is closed */
};

/* What all tests of a program share. */
extern struct bench_papers {
    char folder[64];
    struct test_pki *pki;
    struct test_cert server, client;
    struct tls_ctx *tls; /* of the server */
} bench_papers;
int bench_set_up(void **state);
int bench_tear_down(void **state);

/* A server, and in `conf` what leads to it; then bench_connect for the client. */
void bench_init(struct bench *b, bool tls);
void bench_connect(struct bench *b);
void bench_open(struct bench *b); /* both, with TLS */
void bench_dispose(struct bench *b);
void bench_on_request(void *arg, const struct http_request *rq);
/* Turns until the number is that high. */
void bench_until(struct bench *b, const unsigned *what, unsigned n);
/* Until the server's stream is closed. */
void bench_until_left(struct bench *b);
void bench_on_answer(void *arg, const struct kube_answer *a);
void bench_start(struct bench *b, const struct kube_call_spec *spec);
/* Waits for the answer; its code. */
int bench_ask(struct bench *b, const struct kube_call_spec *spec);
int bench_get(struct bench *b); /* of the pods */
/* A file in the folder; the text of its path, good for two calls. */
const char *bench_put(const char *name, const char *text);
#endif
