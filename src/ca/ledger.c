/* The ledger of what was issued and revoked.
 * In: csr_service, ca.c. Out: store/store. */
#include "ca/ledger.h"

#include <stdlib.h>

#include "base/instant.h"
#include "base/mem.h"
#include "codec/hex.h"

#define SPACE SPAN("ca-revoked") /* blobs: serial or SPIFFE ID -> seconds since 1970 */

struct store_call *ledger_write(struct store_port *port, const struct ledger_entry *entry,
                                store_on_answer on_answer, void *arg)
{
    const struct store_issue issue = {
        .serial = entry->serial,
        .identity = entry->identity,
        .not_before_us = entry->not_before_s * 1000000,
        .not_after_us = entry->not_after_s * 1000000,
        .proof = entry->proof,
        .issued_us = instant_wall_us(),
        .peer = entry->peer,
    };
    return store_ledger_append(port, &issue, on_answer, arg);
}

static void tell(struct ledger_look *look, int code, const struct err *err)
{
    look->call = NULL;
    mem_free((char *)(uintptr_t)look->identity_key);
    look->identity_key = NULL;
    look->on_known(look->arg, code, err);
}

/* True when that was the end of it. */
static bool end_if_failed(struct ledger_look *look, const struct store_answer *a)
{
    struct err err;
    if (a->code == 0) {
        return false;
    }
    tell(look, err_set(&err, a->code, "what is revoked can not be read: %s", a->why), &err);
    return true;
}

static void on_identity(void *arg, const struct store_answer *a)
{
    struct ledger_look *look = arg;
    struct err err;
    uint64_t since = 0;
    if (end_if_failed(look, a)) {
        return;
    }
    err_clear(&err);
    int code = 0;
    if (a->count > 0 &&
        (!span_to_u64(a->blobs[0].value, &since) || look->issued_s <= (int64_t)since)) {
        code = err_set(&err, -ERR_DENIED,
                       "MESH3005 the identity was revoked; join again with a new token");
    }
    tell(look, code, &err);
}

static void on_serial(void *arg, const struct store_answer *a)
{
    struct ledger_look *look = arg;
    struct err err;
    if (end_if_failed(look, a)) {
        return;
    }
    if (a->count > 0) {
        tell(look,
             err_set(&err, -ERR_DENIED,
                     "MESH3005 the client certificate was revoked; join again with a new token"),
             &err);
        return;
    }
    look->call = store_blob_get(look->port, SPACE, span_of(look->identity_key), on_identity, look);
}

void ledger_look_start(struct ledger_look *look, struct store_port *port, struct span serial,
                       struct span identity, int64_t issued_s)
{
    look->port = port;
    look->identity_key = mem_strndup(identity.at, identity.len);
    look->issued_s = issued_s;
    look->call = store_blob_get(port, SPACE, serial, on_serial, look);
}

void ledger_look_stop(struct ledger_look *look)
{
    store_call_forget(look->call);
    mem_free((char *)(uintptr_t)look->identity_key);
    look->call = NULL;
    look->identity_key = NULL;
}

struct store_call *ledger_revoked_list(struct store_port *port, store_on_answer on_answer,
                                       void *arg)
{
    return store_blob_list(port, SPACE, on_answer, arg);
}

void ledger_revoked_copy(struct ledger_revoked *to, struct arena *arena,
                         const struct store_answer *from)
{
    struct store_blob *rows = arena_array(arena, from->count + 1, sizeof(*rows));
    for (size_t i = 0; i < from->count; i++) {
        rows[i].key = arena_dup(arena, from->blobs[i].key);
        rows[i].value = arena_dup(arena, from->blobs[i].value);
    }
    to->rows = rows;
    to->count = from->count;
}

static int by_key(const void *key, const void *row)
{
    return span_cmp(*(const struct span *)key, ((const struct store_blob *)row)->key);
}

static const struct store_blob *find(const struct ledger_revoked *r, struct span key)
{
    return bsearch(&key, r->rows, r->count, sizeof(*r->rows), by_key);
}

bool ledger_is_revoked(const struct ledger_revoked *r, const struct store_issue *issue)
{
    if (find(r, issue->serial) != NULL) {
        return true;
    }
    const struct store_blob *row = find(r, issue->identity);
    uint64_t since = 0;
    return row != NULL &&
           (!span_to_u64(row->value, &since) || issue->issued_us / 1000000 <= (int64_t)since);
}

bool ledger_is_serial(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (hex_digit(text.at[i]) < 0 || (text.at[i] >= 'A' && text.at[i] <= 'F')) {
            return false;
        }
    }
    return text.len > 0 && text.len <= 40;
}

struct store_call *ledger_revoke(struct store_port *port, struct span what,
                                 store_on_answer on_answer, void *arg)
{
    char now[SPAN_U64_BYTES];
    return store_blob_put(port, SPACE, what, span_of_u64((uint64_t)instant_wall_s(), now),
                          on_answer, arg);
}
