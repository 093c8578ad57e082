#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Returns the commit that this was built from, in lower-case hexadecimal; empty when it is not known.
const char *build_commit(void);

#ifdef __cplusplus
}
#endif
