#ifndef FLOOR_H
#define FLOOR_H
/* What the floor programs share. They show how little work moving the bytes can be, so they stand on
 * system calls alone: nothing of src/ may make them slower or faster. */
#include <stddef.h>
#include <stdint.h>

#define FLOOR_READ_BYTES 65536
#define FLOOR_EVENTS 256

/* Prints the sentence and errno to stderr, exits 1. */
_Noreturn void floor_die(const char *what);
/* A non-blocking listener on 127.0.0.1; port 0 lets the kernel choose. */
int floor_listen(uint16_t port);
/* A blocking, connected socket with TCP_NODELAY, or -1. */
int floor_connect(uint16_t port);
/* Accepts one connection, non-blocking with TCP_NODELAY, or -1. */
int floor_accept(int listener);
/* Tells the harness on stdout which port is served: "ready PORT". */
void floor_ready(int listener);
/* A number from argv within min..max; exits 2 otherwise. */
long floor_number(const char *name, const char *text, long min, long max);
int64_t floor_now_ns(void);
#endif
