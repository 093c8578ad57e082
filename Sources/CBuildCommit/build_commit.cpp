// Sources of the commit; the first that exists is used:
//   1. -Xcxx -DBUILD_COMMIT=\"…\", for builds without the repository, such as a container's
//   2. the last line of the clone's reflog; the compiler notes the dependency, so the next commit is built in
//   3. what `git archive` wrote into archive_commit.h
// The manifest cannot name the commit: SwiftPM caches the evaluated manifest, so that the commit would be an old one.

#include "build_commit.h"
#include "archive_commit.h"

#pragma clang diagnostic ignored "-Wc23-extensions"
#pragma clang diagnostic ignored "-Wc++26-extensions"

namespace {

struct Commit {
    char text[65];
};

/// Returns the prefix of hexadecimal digits; empty unless there are 40 (SHA-1) or 64 (SHA-256).
template <typename Byte>
constexpr Commit hexadecimal(const Byte *bytes, unsigned long count) {
    Commit commit{};
    unsigned long length = 0;
    while (length < 64 && length < count
        && ((bytes[length] >= '0' && bytes[length] <= '9') || (bytes[length] >= 'a' && bytes[length] <= 'f'))) {
        commit.text[length] = static_cast<char>(bytes[length]);
        length++;
    }
    return length == 40 || length == 64 ? commit : Commit{};
}

/// Returns the new commit in the reflog's last line: the old commit, a blank, the new commit, a blank, the committer and
/// the time. Only the result is kept: the names in the reflog do not get into the executable.
template <typename Byte>
constexpr Commit lastOfReflog(const Byte *log, unsigned long count) {
    while (count > 0 && log[count - 1] == '\n') count--;
    unsigned long start = count;
    while (start > 0 && log[start - 1] != '\n') start--;
    while (start < count && log[start] != ' ') start++;
    return start < count ? hexadecimal(log + start + 1, count - start - 1) : Commit{};
}

#if defined(__has_embed) && !defined(BUILD_COMMIT)
#if __has_embed("../../.git/logs/HEAD") == 1
#define HAS_REFLOG 1
#endif
#endif

#if defined(HAS_REFLOG)
consteval Commit fromReflog() {
    constexpr unsigned char log[] = {
#embed "../../.git/logs/HEAD"
    };
    return lastOfReflog(log, sizeof log);
}
#else
consteval Commit fromReflog() { return Commit{}; }
#endif

#if defined(BUILD_COMMIT)
constexpr Commit given = hexadecimal(BUILD_COMMIT, sizeof(BUILD_COMMIT) - 1);
#else
constexpr Commit given = fromReflog();
#endif
constexpr Commit archived = hexadecimal(ARCHIVE_COMMIT, sizeof(ARCHIVE_COMMIT) - 1);
constexpr Commit commit = given.text[0] ? given : archived;

} // namespace

extern "C" const char *build_commit(void) { return commit.text; }
