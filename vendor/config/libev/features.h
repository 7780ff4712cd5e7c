/* Put in front of ev.h as it is installed: what changes libev's types and names. */
#define EV_COMPAT3 0
#define EV_VERIFY 0
#define EV_MULTIPLICITY 1
