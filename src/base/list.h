#ifndef BASE_LIST_H
#define BASE_LIST_H
/* Intrusive doubly linked ring: the head is a node too. An unlinked node points to itself, so removing
 * twice is harmless. */
#include "base/compiler.h"

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void list_init(struct list *node)
{
    node->next = node->prev = node;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

/* Inserts `node` right before `place`; before the head means at the end. */
static inline void list_insert_before(struct list *place, struct list *node)
{
    node->prev = place->prev;
    node->next = place;
    place->prev->next = node;
    place->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head) {
        return NULL;
    }
    list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `to`; `from` becomes empty. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_item(node, type, member) container_of(node, type, member)
/* `next` lets the body remove `node`. */
#define LIST_EACH(node, next_node, head)                                            \
    for (struct list *node = (head)->next, *next_node = node->next; node != (head); \
         node = next_node, next_node = node->next)
#endif
