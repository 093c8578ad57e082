/*
 * Tells the thread sanitizer what it cannot see of Swift's runtime, whose libraries are not instrumented.
 *
 * The functions here stand before those of the libraries (LD_PRELOAD), call them, and say what has happened. So what a
 * Mutex or a continuation guards needs no suppression, and what they do not guard is still found. Without them, every
 * Mutex for which two threads once waited is reported.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

/* In a process without the sanitizer, which inherits LD_PRELOAD, they are null. */
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

/*
 * Mutex of the module Synchronization. To lock or unlock a free one is an atomic operation in the code of the caller, which
 * is instrumented. One for which a thread waits is handed over by the kernel (FUTEX_LOCK_PI), in these functions.
 */
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK_SLOW "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
/* The Mutex: the value that the method is called on. */
#define SELF __attribute__((swift_context)) void *mutex

/*
 * Continuations. The runtime itself tells the sanitizer that a continuation is resumed, and acquires where the task is
 * scheduled anew for that. It does not where the continuation was resumed before the task has come to wait for it: then the
 * task goes on at once. It is seen here before the wait; where the two met, when the task enters its context again; and where
 * the wait is the library's own (withCheckedContinuation), when the caller gives back the memory of that call.
 */
#define CONTINUATION_AWAIT "swift_continuation_await"
#define ENTER_CONTEXT "swift_task_enterThreadLocalContext"
#define TASK_DEALLOC "swift_task_dealloc"

/* The libraries' functions; null in a process that has not linked them, where nothing calls those below. */
static SWIFT void (*next_lock_slow)(uint32_t, SELF);
static SWIFT bool (*next_try_lock_slow)(SELF);
static SWIFT void (*next_unlock_slow)(SELF);
static void (*next_continuation_await)(void *);
static void (*next_enter_context)(char *);
static void (*next_task_dealloc)(void *);
static void *(*current_task)(void);

__attribute__((constructor)) static void find_libraries(void) {
    next_lock_slow = dlsym(RTLD_NEXT, LOCK_SLOW);
    next_try_lock_slow = dlsym(RTLD_NEXT, TRY_LOCK_SLOW);
    next_unlock_slow = dlsym(RTLD_NEXT, UNLOCK_SLOW);
    next_continuation_await = dlsym(RTLD_NEXT, CONTINUATION_AWAIT);
    next_enter_context = dlsym(RTLD_NEXT, ENTER_CONTEXT);
    next_task_dealloc = dlsym(RTLD_NEXT, TASK_DEALLOC);
    current_task = dlsym(RTLD_NEXT, "swift_task_getCurrent");
}

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
SWIFT bool try_lock_slow(SELF) __asm__(TRY_LOCK_SLOW);
SWIFT void unlock_slow(SELF) __asm__(UNLOCK_SLOW);
void continuation_await(void *continuation) __asm__(CONTINUATION_AWAIT);
void enter_context(char *context) __asm__(ENTER_CONTEXT);
void task_dealloc(void *memory) __asm__(TASK_DEALLOC);

SWIFT void lock_slow(uint32_t thread, SELF) {
    next_lock_slow(thread, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT bool try_lock_slow(SELF) {
    bool locked = next_try_lock_slow(mutex);
    if (locked && __tsan_acquire) __tsan_acquire(mutex);
    return locked;
}

SWIFT void unlock_slow(SELF) {
    if (__tsan_release) __tsan_release(mutex);
    next_unlock_slow(mutex);
}

static void acquire_task(void) {
    void *task = current_task();
    if (task && __tsan_acquire) __tsan_acquire(task);
}

/* A tail call, as the runtime's own: it does not return, but goes on with the task. */
void continuation_await(void *continuation) {
    acquire_task();
    __attribute__((musttail)) return next_continuation_await(continuation);
}

void enter_context(char *context) {
    acquire_task();
    next_enter_context(context);
}

void task_dealloc(void *memory) {
    acquire_task();
    next_task_dealloc(memory);
}
