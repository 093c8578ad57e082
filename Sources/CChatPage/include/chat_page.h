// The page's static files, embedded in the executable, and the compression that they are served with.

#ifndef CHAT_PAGE_H
#define CHAT_PAGE_H

#include <stddef.h>

typedef struct {
    const char *_Nonnull name;
    const unsigned char *_Nonnull bytes;
    size_t count;
} chat_page_file;

/// Returns the number of files.
size_t chat_page_file_count(void);

/// Returns the file at an index below the count. A file comes after those that it refers to.
chat_page_file chat_page_file_at(size_t index);

/// Compresses with gzip at the highest level; the result of equal input is equal.
///
/// Returns the number of bytes written, or 0 when they do not fit into `capacity`.
size_t chat_page_gzip(const unsigned char *_Nonnull bytes, size_t count, unsigned char *_Nonnull output, size_t capacity);

#endif
