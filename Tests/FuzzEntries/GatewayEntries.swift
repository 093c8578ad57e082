#if DEBUG

import JSON
import NIOCore

@testable import GatewayCore

extension FuzzEntry {
    static let gatewayEntries = [
        FuzzEntry("chat") { bytes in
            guard let map = types else { throw FuzzFinding("the configuration of this entry is not valid") }
            var translator = ChatTranslator(map)
            guard case .success(let call) = translator.translate(ByteBuffer(bytes: bytes)) else { return }
            try require(
                (try? JSONValue(parsing: call.arguments.readableBytesView))?.object != nil,
                "the arguments of a call are no JSON object")
        },
        FuzzEntry("configuration") { bytes in
            guard let document = try? JSONValue(parsing: bytes) else { return }
            _ = try? GatewayConfiguration.read(document, environment: [:], overrides: [:])
        },
        // A template and arguments, divided by a zero byte.
        FuzzEntry("template") { bytes in
            let (source, arguments) = halves(bytes)
            guard let template = try? Template(String(decoding: source, as: UTF8.self)) else { return }
            arguments.withUnsafeBytes { bytes in
                guard let arguments = try? TemplateArguments(bytes) else { return }
                _ = try? arguments.text(template) { text, name throws(TemplateArguments.ArgumentError) in
                    try TemplateArguments.checked(text, name)
                }
                for name in template.arguments { _ = try? arguments.texts(name) }
            }
        },
    ]

    private static let types: TypeMap? = {
        let document: JSONValue = [
            "upstreams": ["tools": ["url": "http://127.0.0.1:1/mcp/"]],
            "chat": [
                "types": [
                    "search_any": ["tool": "search_any", "arguments": ["model": [:], "query": [:]]],
                    "chat": ["tool": "chat", "arguments": ["message": ["trim": true]]],
                    "numbers": [
                        "tool": "numbers",
                        "arguments": [
                            "count": ["coerce": "integer"], "ratio": ["coerce": "number", "required": false],
                            "on": ["coerce": "boolean", "default": false], "fixed": ["value": [1, "two"]],
                        ],
                    ],
                ]
            ],
        ]
        guard let configuration = try? GatewayConfiguration.read(document, environment: [:], overrides: [:]) else {
            return nil
        }
        return TypeMap(configuration.chat, upstreams: configuration.upstreams)
    }()
}

#endif
