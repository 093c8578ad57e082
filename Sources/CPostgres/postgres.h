#pragma once

#include <libpq-fe.h>
#include <sys/eventfd.h>

// An eventfd's flags are an enumeration whose members Swift imports in part.
static inline int cpostgres_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
