/* Status of Istio's kinds and of GatewayClasses, and what all have in common. Next: world_status_api (Gateway, HTTPRoute). */
#include "control/world/world_status_int.h"

#include <stdio.h>

#include "base/arena.h"
#include "model/gateway_api.h"

const struct world_status_condition *world_status_condition_of(
    const struct world_status_conditions *c, const char *type)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->items[i].type, type) == 0) {
            return &c->items[i];
        }
    }
    return NULL;
}

void world_status_say(struct world_status_conditions *c, const char *type, bool is_true,
                      const char *reason, struct span message)
{
    ASSERT(c->count < WORLD_STATUS_CONDITIONS_MAX);
    c->items[c->count++] = (struct world_status_condition){
        .type = type, .status = is_true ? "True" : "False", .reason = reason, .message = message};
}

bool world_status_class(const struct world_status *s, const struct object *class,
                        struct world_status_conditions *out)
{
    UNUSED(s);
    *out = (struct world_status_conditions){.count = 0};
    if (!span_is(gateway_class_of(class)->controller, WORLD_CONTROLLER)) {
        return false;
    }
    world_status_say(out, "Accepted", true, "Accepted", SPAN("Gateways of this class are served"));
    return true;
}

/* ---- Istio's kinds ---- */

/* Findings that say that something which the object names is not there; the others are about itself. */
static const struct reference_code {
    unsigned code;
    const char *reason;
} reference_codes[] = {
    {2031, "BackendNotFound"},        {2102, "ParentNotFound"},  {2104, "HostNotFound"},
    {2105, "SubsetWithoutEndpoints"}, {2106, "SubsetNotFound"},  {2110, "PortNotFound"},
    {2120, "InvalidCertificateRef"},  {2121, "RefNotPermitted"}, {3103, "TargetNotFound"},
};

static const char *reference_reason(unsigned code)
{
    for (size_t i = 0; i < ARRAY_LEN(reference_codes); i++) {
        if (reference_codes[i].code == code) {
            return reference_codes[i].reason;
        }
    }
    return NULL;
}

static bool is_about(const struct finding *f, enum object_kind kind, struct span namespace,
                     struct span name)
{
    return span_is(f->kind, object_kinds[kind].kind) && span_eq(f->name, name) &&
           span_eq(f->namespace, namespace);
}

/* "MESH2031 spec.http[0].route[1]: route ... which does not exist (did you mean "v2"?)" */
static struct span sentence_of(struct arena *arena, const struct finding *f, size_t more)
{
    const char *text = arena_printf(arena, "MESH%04u %.*s%s%.*s", f->code, SPAN_ARG(f->path),
                                    f->path.len > 0 ? ": " : "", SPAN_ARG(f->what));
    if (f->fix.len > 0) {
        text = arena_printf(arena, "%s; %.*s", text, SPAN_ARG(f->fix));
    }
    if (more > 0) {
        text = arena_printf(arena, "%s (and %zu more)", text, more);
    }
    return span_of(text);
}

/* What was found, apart by what it means: the first of each, and how many there are. */
struct found {
    const struct finding *fault, *reference, *warning;
    size_t faults, references, warnings;
};

static void collect(const struct world_status *s, enum object_kind kind, struct span namespace,
                    struct span name, struct found *out)
{
    const struct finding *f = s->findings != NULL ? s->findings->first : NULL;
    for (; f != NULL; f = f->next) {
        if (f->severity == CODE_INFO || !is_about(f, kind, namespace, name)) {
            continue;
        }
        const struct finding **first = reference_reason(f->code) != NULL ? &out->reference
                                       : f->severity == CODE_ERROR       ? &out->fault
                                                                         : &out->warning;
        size_t *count = first == &out->reference ? &out->references
                        : first == &out->fault   ? &out->faults
                                                 : &out->warnings;
        *first = *first != NULL ? *first : f;
        (*count)++;
    }
}

static void say_found(const struct world_status *s, const struct found *found, bool is_in_force,
                      struct world_status_conditions *out)
{
    if (found->fault != NULL) {
        struct span why = sentence_of(s->arena, found->fault, found->faults - 1);
        world_status_say(
            out, "Accepted", false, "Invalid",
            is_in_force ? span_of(arena_printf(s->arena, "%.*s; what it said before stays in force",
                                               SPAN_ARG(why)))
                        : why);
    } else if (found->warning != NULL) {
        world_status_say(out, "Accepted", true, "AcceptedWithWarnings",
                         sentence_of(s->arena, found->warning, found->warnings - 1));
    } else {
        world_status_say(out, "Accepted", true, "Accepted", SPAN("it is in force"));
    }
    if (found->reference != NULL) {
        world_status_say(out, "ResolvedRefs", false, reference_reason(found->reference->code),
                         sentence_of(s->arena, found->reference, found->references - 1));
    } else if (found->fault != NULL) {
        world_status_say(out, "ResolvedRefs", false, "Invalid", SPAN("it could not be read"));
    } else {
        world_status_say(out, "ResolvedRefs", true, "ResolvedRefs",
                         SPAN("all that it names is there"));
    }
    if (found->fault != NULL) {
        world_status_say(out, "Programmed", false, "Invalid", SPAN("this version is not in force"));
    } else {
        world_status_say(out, "Programmed", true, "Programmed",
                         SPAN("proxies are told what it says"));
    }
}

static bool has_status(enum object_kind kind)
{
    const char *group = object_kinds[kind].group;
    return strcmp(group, "networking.istio.io") == 0 || strcmp(group, "security.istio.io") == 0;
}

static bool describe(const struct world_status *s, enum object_kind kind, struct span namespace,
                     struct span name, bool is_in_force, struct world_status_conditions *out)
{
    struct found found = {.faults = 0};
    *out = (struct world_status_conditions){.count = 0};
    if (!has_status(kind)) {
        return false;
    }
    collect(s, kind, namespace, name, &found);
    say_found(s, &found, is_in_force, out);
    return true;
}

bool world_status_istio(const struct world_status *s, const struct object *o,
                        struct world_status_conditions *out)
{
    return describe(s, o->kind, o->namespace, o->name, true, out);
}

bool world_status_named(const struct world_status *s, enum object_kind kind, struct span namespace,
                        struct span name, struct world_status_conditions *out)
{
    return describe(s, kind, namespace, name, false, out);
}
