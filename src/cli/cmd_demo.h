#ifndef CLI_CMD_DEMO_H
#define CLI_CMD_DEMO_H
/* mesh demo: two services that talk through two sidecars over mutual TLS, on this machine, with nothing
 * installed. Ctrl-C takes it all away again. --check looks at a few facts and exits 0 or 1. */

/* argv[0] is "demo". */
int cmd_demo(int argc, char **argv);
#endif
