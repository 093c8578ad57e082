/// Texts that are hashed together: each behind its length, so that none can be taken for a part of another.
package enum HashedTexts {
    /// Passes the lengths and the texts to a hash function.
    package static func feed(_ texts: some Sequence<String>, to update: (UnsafeRawBufferPointer) -> Void) {
        for var text in texts {
            withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { update($0) }
            text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
        }
    }
}
