package import ProcessMemory

/// Settings of one group of listeners; both processes have one for their main and one for their admin port.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `addresses` | – | addresses to listen at; all of them or none |
/// | `name` | `main` | listener's name in logs and on exchanges |
/// | `maximumHeaderBytes` | 32 KiB | request line and headers together, or trailers alone; beyond: 431 |
/// | `maximumHeaderCount` | 128 | header fields; beyond: 431 |
/// | `headerTimeout` | 10 s | time from a request's first byte to the end of its head; beyond: 408 |
/// | `bodyTimeout` | 30 s | time between two reads of a body that a handler waits for; beyond: 408 |
/// | `bodyTotal` | 5 min | time for a whole body; beyond: 408 |
/// | `bodyRate` | 256 B/s | average rate of a body, after `bodyTimeout` of grace; below: 408 |
/// | `idleTimeout` | 75 s | time that a connection may be without a request; beyond: closed silently |
/// | `writeTimeout` | 60 s | period in which a slow reader must take `writeRate`; else closed |
/// | `writeRate` | 256 B/s | average rate at which a reader must take output while some waits |
/// | `lingeringTimeout` | 5 s | time for which bytes that a client still sends after an early answer are discarded |
/// | `maximumConnections` | 10 000 | open connections; beyond: 503 and close; 0 is unlimited |
/// | `backlog` | 1024 | connections that the kernel may hold before they are accepted |
/// | `writeBufferHighWater`, `…LowWater` | 64, 16 KiB | waiting bytes at which `isWritable` becomes false, then true |
/// | `receiveBuffer` | 4 KiB | bytes read at once; each connection keeps a buffer of this size |
/// | `memory` | unlimited | budget that bodies and unread output beyond 64 KiB draw from; a body without room: 503 |
/// | `unixSocketMode` | 0o660 | permissions of Unix-domain listening sockets |
/// | `drainIdleGrace` | 0 s | time for which a drain keeps idle connections, to answer requests already on their way |
package struct HTTPServerConfiguration: Sendable {
    /// Addresses to listen on; they share limits and handlers.
    package var addresses: [HTTPListenAddress]
    /// Name of this server in logs (`listener`) and on every exchange.
    package var name: String
    /// Largest size of request line and header fields together, line ends included, in bytes.
    package var maximumHeaderBytes = 32 * 1024
    /// Largest number of header fields in one request.
    package var maximumHeaderCount = 128
    /// Longest time from the first byte of a request to the last of its head.
    package var headerTimeout: Duration = .seconds(10)
    /// Longest pause between two reads of a body, while a handler waits for it.
    package var bodyTimeout: Duration = .seconds(30)
    /// Longest time for a whole body, while a handler waits for it.
    package var bodyTotal: Duration = .seconds(300)
    /// Smallest average rate at which a body must arrive, in bytes per second, once `bodyTimeout` has passed; 0: no
    /// minimum.
    package var bodyRate = 256
    /// Longest time of a connection without a request.
    package var idleTimeout: Duration = .seconds(75)
    /// Time after which a reader that takes less than `writeRate`, while output waits for it, is cut off.
    package var writeTimeout: Duration = .seconds(60)
    /// Smallest average rate at which a reader must take waiting output, in bytes per second; 0: any byte suffices.
    package var writeRate = 256
    /// Time for which the rest of a body is read and discarded after a response that did not wait for it.
    package var lingeringTimeout: Duration = .seconds(5)
    /// Largest number of connections, over all addresses; 0: no limit.
    package var maximumConnections = 10_000
    /// Length of the kernel's accept queue.
    package var backlog = 1024
    /// Number of bytes waiting for a slow reader at which `HTTPExchange.isWritable` turns false.
    package var writeBufferHighWater = 64 * 1024
    /// Number of waiting bytes at which it turns true again.
    package var writeBufferLowWater = 16 * 1024
    /// Size of the read buffer in bytes. Each connection keeps one, and nearly every request is smaller.
    package var receiveBuffer = 4096
    /// Budget of the process from which whole bodies and output that waits for its reader draw.
    package var memory = MemoryBudget.unlimited
    /// File mode of a Unix-domain listening socket; set before the first connection is possible.
    package var unixSocketMode: UInt32 = 0o660
    /// Time that a drain keeps idle keep-alive connections open. Zero closes them at once; a short time lets a request
    /// that crosses the drain be answered (with `Connection: close`) instead of being reset.
    package var drainIdleGrace: Duration = .zero

    /// Creates the default settings for the given addresses.
    package init(addresses: [HTTPListenAddress], name: String = "main") {
        self.addresses = addresses
        self.name = name
    }
}
