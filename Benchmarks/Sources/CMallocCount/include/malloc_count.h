#ifndef MALLOC_COUNT_H
#define MALLOC_COUNT_H

#include <stdint.h>

/// Allocations of this process since its start: calls of malloc, calloc, realloc and their aligned relatives.
uint64_t malloc_count(void);

#endif
