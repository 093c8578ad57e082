#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Standard output is a pipe to whoever waits for the line.
func flushOutput() { fflush(nil) }
