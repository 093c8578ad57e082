#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// The commit that this was built from, lower-case hexadecimal; empty when it is not known.
const char *build_commit(void);

#ifdef __cplusplus
}
#endif
