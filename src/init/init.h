#ifndef INIT_INIT_H
#define INIT_INIT_H
/* The role `mesh init`: sets the redirect rules of this network namespace up, and ends. */
int init_main(int argc, char **argv);
#endif
