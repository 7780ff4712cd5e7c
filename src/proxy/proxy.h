#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H
/* The role `proxy`: the data plane. */

/* argv[0] is the word; returns the exit status: 2 for a command line or configuration that makes no sense. */
int proxy_main(int argc, char **argv);
#endif
