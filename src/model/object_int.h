#ifndef MODEL_OBJECT_INT_H
#define MODEL_OBJECT_INT_H
/* What the files of model/object share. */
#include "model/object.h"
#include "model/reader.h"

/* The kind by apiVersion and kind; -1: none of ours, and a finding says why. Fills what findings say of the
 * object: r->kind. */
int object_kind_of(struct reader *r, const struct doc_node *doc);
/* Fills o->key, from kind, namespace and name. */
void object_make_key(struct object *o);
/* A field at the root that is not there in Kubernetes. */
void object_say_stranger(struct reader *r, const struct doc_entry *entry, const char *const *known,
                         size_t known_count);
/* As object_read, for a document that stands at `at` ("items[2]" of a List). */
struct object *object_read_at(const struct doc_node *doc, const struct reader_step *at,
                              struct findings *f);
#endif
