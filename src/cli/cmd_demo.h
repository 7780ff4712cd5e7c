#ifndef CLI_CMD_DEMO_H
#define CLI_CMD_DEMO_H
/* mesh demo: Bookinfo behind a whole mesh on this machine, with nothing installed; Ctrl-C takes it all away again. `break` and
 * `heal` talk to a running demo; --check tells a story and exits 0 or 1. */

/* argv[0] is "demo". */
int cmd_demo(int argc, char **argv);
#endif
