import Foundation

/// Descriptors 0, 1 and 2.
package enum StandardDescriptors {
    /// Opens `/dev/null` in the place of each that the process was started without: else the next file or socket would
    /// get its number, and the log would be written into that. To be called before anything is opened.
    package static func complete() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
            // The kernel gives the lowest number that is free.
            _ = open("/dev/null", O_RDWR)
        }
    }
}
