#ifndef CONTROL_SOURCES_FROM_FILES_H
#define CONTROL_SOURCES_FROM_FILES_H
/* Objects from folders of *.yaml, *.yml and *.json, watched. A file counts as a whole: with an error in it, what it said before stays in force, and findings
 * say file, line, field, reason and fix. When it is gone, so are its objects. A file
 * that is bad when control starts says what the store remembers it to have said when it was last good. Files and folders that begin with a dot are left
 * alone; folders within are read up to FROM_FILES_DEPTH deep. */
#include "base/compiler.h"
#include "base/err.h"
#include "control/sources/source.h"
#include "io/loop.h"
#include "store/store.h"

#define FROM_FILES_DEPTH 4
#define FROM_FILES_MAX 20000              /* of one folder, with those within */
#define FROM_FILES_BYTES_MAX (16UL << 20) /* of one file */

struct from_files;
/* `store` may be NULL: then a bad file says nothing after a restart. Reads all that is there before it returns (the caller settles the sources), then follows changes. Fails when `folder` is none, or can not be watched. */
MUST_USE int from_files_new(struct from_files **out, struct loop *loop, struct sources *sources,
                            struct store *store, const char *folder, struct err *err);
/* Stops watching; what was read stays in `sources`. NULL is fine. */
void from_files_free(struct from_files *f);
#endif
