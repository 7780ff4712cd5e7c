#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H
/* What the compiler can do for us: attributes, container_of, assertions. Everything includes this. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PRINTF_LIKE(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#define MUST_USE __attribute__((warn_unused_result))
#define NONNULL_RETURN __attribute__((returns_nonnull))
#define COLD __attribute__((cold, noinline))
#define LIKELY(cond) __builtin_expect(!!(cond), 1)
#define UNLIKELY(cond) __builtin_expect(!!(cond), 0)
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define UNUSED(arg) ((void)(arg))

/* From a pointer to a member back to the struct that embeds it. */
#define container_of(member_ptr, type, member) \
    ((type *)(void *)((char *)(member_ptr) - offsetof(type, member)))

/* ASSERT stays in release builds and guards what memory safety or policy rests on: our own mistakes,
 * never input. DEBUG_ASSERT is for the hot path and vanishes with NDEBUG. */
#define ASSERT(cond) (LIKELY(cond) ? (void)0 : assert_failed(__FILE__, __LINE__, #cond))
#ifdef NDEBUG
#define DEBUG_ASSERT(cond) ((void)0)
#else
#define DEBUG_ASSERT(cond) ASSERT(cond)
#endif

/* Prints file, line and expression to stderr and aborts. */
COLD void assert_failed(const char *file, int line, const char *expression)
    __attribute__((noreturn));

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline int64_t i64_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t i64_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
#endif
