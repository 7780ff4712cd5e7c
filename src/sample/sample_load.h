#ifndef SAMPLE_SAMPLE_LOAD_H
#define SAMPLE_SAMPLE_LOAD_H
/* mesh sample load URL: a constant rate of GET requests (open loop: a slow answer does not slow the next request,
 * and time is counted from when a request was due), for so long or until a signal, then one line of summary, or
 * JSON. Users sign in once at /login and take turns; "-" is nobody.
 *
 * With --stats it serves GET /stats, the tally since the last POST /reset, as JSON. */

/* argv[0] is "load". Exit 0, 1 when any request failed, 2 for usage. */
int sample_load_main(int argc, char **argv);
#endif
