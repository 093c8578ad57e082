// The configurations that `gateway init` writes, embedded in the executable.

#ifndef CASES_H
#define CASES_H

#include <stddef.h>

typedef struct {
    /// Name of the case, as `--case` takes it.
    const char *_Nonnull name;
    const unsigned char *_Nonnull configuration;
    size_t configuration_count;
    const unsigned char *_Nonnull readme;
    size_t readme_count;
} configuration_case;

/// Number of cases.
size_t configuration_case_count(void);

/// The case at an index below the count.
configuration_case configuration_case_at(size_t index);

#endif
