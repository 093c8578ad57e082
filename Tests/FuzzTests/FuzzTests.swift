import Foundation
import TestSupport
import Testing

@testable import FuzzEntries

/// A bounded run of each entry: its corpus, which has every input that once found something, and mutations of it.
@Suite struct FuzzTests {
    private static let mutations = Int(ProcessInfo.processInfo.environment["FUZZ_RUNS"] ?? "") ?? 2000

    @Test(arguments: FuzzEntry.all.map(\.name))
    func noInputBreaks(name: String) throws {
        let entry = try #require(FuzzEntry.all.first { $0.name == name })
        let corpus = try Corpus(name)
        #expect(!corpus.inputs.isEmpty, "Tests/Fuzz/corpus/\(name) is empty")
        for (file, input) in corpus.inputs {
            #expect(throws: Never.self, "Tests/Fuzz/corpus/\(name)/\(file)") { try input.withUnsafeBytes(entry.run) }
        }
        // The name is part of the seed, so that the entries do not all see the same numbers.
        var random = SplitMix(seed: name.utf8.reduce(1) { $0 &* 31 &+ UInt64($1) })
        for round in 0..<Self.mutations {
            let input = corpus.mutated(&random)
            do {
                try input.withUnsafeBytes(entry.run)
            } catch {
                Issue.record("mutation \(round): \(error)\n\(Data(input).base64EncodedString())")
                return
            }
        }
    }

    @Test func everyCorpusHasItsEntry() throws {
        let directories = try FileManager.default.contentsOfDirectory(atPath: Checkout.path("Tests/Fuzz/corpus"))
        #expect(Set(directories) == Set(FuzzEntry.all.map(\.name)))
    }
}

/// Inputs of an entry, and how others are made from them.
private struct Corpus {
    let inputs: [(file: String, bytes: [UInt8])]

    init(_ name: String) throws {
        let directory = Checkout.path("Tests/Fuzz/corpus/\(name)")
        inputs = try FileManager.default.contentsOfDirectory(atPath: directory).sorted().map { file in
            (file, Array(try Data(contentsOf: URL(fileURLWithPath: directory + "/" + file))))
        }
    }

    func mutated(_ random: inout SplitMix) -> [UInt8] {
        var bytes = inputs.randomElement(using: &random)?.bytes ?? []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &random)
            let length = min(Int.random(in: 1...16, using: &random), bytes.count - place)
            switch Int.random(in: 0..<7, using: &random) {
            case 0 where !bytes.isEmpty: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1 where !bytes.isEmpty: bytes[place] = .random(in: 0...255, using: &random)
            case 2: bytes.insert(.random(in: 0...255, using: &random), at: place)
            case 3: bytes.removeSubrange(place..<place + length)
            case 4: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
            case 5: bytes.removeSubrange(place...)
            default:
                // A piece of another input.
                let other = inputs.randomElement(using: &random)?.bytes ?? []
                guard !other.isEmpty else { continue }
                let start = Int.random(in: 0..<other.count, using: &random)
                bytes.insert(contentsOf: other[start..<min(start + 32, other.count)], at: place)
            }
        }
        return bytes
    }
}
