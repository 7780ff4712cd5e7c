#ifndef CONTROL_SOURCES_SOURCE_H
#define CONTROL_SOURCES_SOURCE_H
/* The one shape in which objects come to control, whatever brought them: an object came or changed, an object is gone, and what is
 * wrong with a file, replaced as a whole. Sources speak to this table; it decides who wins when two bring the same
 * object (files before Kubernetes before the API's store; among files the first by name), says so in a finding, and tells what is in force.
 *
 *    from_files (an origin a file) --.
 *    from_kube (one origin) ---------+
 *    from_store (one origin) --------+--> sources --on_object, on_gone, on_settled--> world/world_builder
 *
 * One thread. In: sources/from_*. Out: source_events. Next: world/world_build. */
#include "base/compiler.h"
#include "base/span.h"
#include "model/finding.h"
#include "model/object.h"

struct source_events {
    void (*on_object)(void *arg,
                      struct object *o); /* came, or changed; a reference is given with it */
    void (*on_gone)(void *arg, struct span key);
    void (*on_settled)(
        void *arg); /* a batch is over, and something in it changed: time to build a world */
};

struct sources;
NONNULL_RETURN struct sources *sources_new(const struct source_events *events, void *arg);
/* Tells nothing any more. NULL is fine. */
void sources_free(struct sources *s);

/* What is in force. */
const struct object *sources_get(const struct sources *s, struct span key);
size_t sources_count(const struct sources *s);
/* Sorted by key. */
void sources_each(const struct sources *s, void (*on_object)(void *arg, const struct object *o),
                  void *arg);
/* All findings of all origins, and who lost to whom; by origin's name. */
void sources_each_finding(const struct sources *s,
                          void (*on_finding)(void *arg, const struct finding *f), void *arg);
/* A batch is over: on_settled follows if anything changed since the last time. Findings may have changed
 * without any object. */
void sources_settle(struct sources *s);

/* ---- for sources ---- */

enum source_rank { SOURCE_FILE, SOURCE_KUBE, SOURCE_STORE }; /* a lower one wins */
struct source_origin;
/* Made if there is none of that name; lives until source_close. */
NONNULL_RETURN struct source_origin *source_open(struct sources *s, enum source_rank rank,
                                                 struct span name);
/* With all its objects and findings. */
void source_close(struct source_origin *g);
/* Its name, with a NUL: lives as long as `sources`, for doc nodes and findings to point to. */
const char *source_name(const struct source_origin *g);
/* Replaces everything it brings; takes a reference of each. Those that say what they said before are not told. Of two with one key the first
 * counts; the other is told by a finding. */
void source_replace_take(struct source_origin *g, struct object **objects, size_t count);
/* One object; takes the reference. */
void source_put_take(struct source_origin *g, struct object *o);
void source_remove(struct source_origin *g, struct span key);
const struct object *source_get(const struct source_origin *g, struct span key);
/* Everything that it brings, in no order. */
void source_each(const struct source_origin *g,
                 void (*on_object)(void *arg, const struct object *o), void *arg);
/* Its findings, to be added to. */
NONNULL_RETURN struct findings *source_findings(struct source_origin *g);
/* Forgets them and answers the empty list, to be filled anew. */
NONNULL_RETURN struct findings *source_findings_reset(struct source_origin *g);
#endif
