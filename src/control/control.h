#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H
/* The role `mesh control`: discovery, configuration, API, telemetry, and the CA in the same process. */
int control_main(int argc, char **argv);
#endif
