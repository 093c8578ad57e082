import JSON
import JSONSchema
import Testing

@testable import APIImport

@Suite("OpenAPI documents become tools") struct OpenAPIImportTests {
    @Test func anOperationBecomesATool() throws {
        let (section, notes) = try ImportedDocument.openAPI(
            ImportedDocument.document(
                """
                /orders/{orderId}:
                  parameters:
                  - {name: orderId, in: path, required: true, schema: {type: integer, minimum: 1}}
                  get:
                    operationId: getOrder
                    summary: One order
                    description: |
                      Returns   one
                      order.
                    parameters:
                    - {name: expand, in: query, description: What to add., schema: {type: array, items: {type: string}}}
                    - {name: X-Trace, in: header, schema: {type: string}}
                    responses:
                      "200":
                        description: ok
                        content:
                          application/json:
                            schema: {type: object, properties: {id: {type: integer}, secret: {type: string, writeOnly: true}}}
                """))
        #expect(section["kind"] == "http")
        #expect(section["url"] == "https://api.example.org/v1")
        #expect(
            section["tools"] == [
                "getOrder": [
                    "method": "GET", "path": "/orders/{orderId}", "query": ["expand": "{expand}"],
                    "headers": ["X-Trace": "{X-Trace}"], "title": "One order", "description": "Returns one order.",
                    "inputSchema": [
                        "type": "object",
                        "properties": [
                            "orderId": ["type": "integer", "minimum": 1],
                            "expand": [
                                "type": "array", "description": "What to add.", "items": ["type": "string"],
                            ],
                            "X-Trace": ["type": "string"],
                        ],
                        "required": ["orderId"], "additionalProperties": false,
                    ],
                    "outputSchema": ["type": "object", "properties": ["id": ["type": "integer"]]],
                    "annotations": ["readOnlyHint": true],
                ]
            ])
        #expect(notes.isEmpty)
    }

    @Test func aBodysMembersBecomeArguments() throws {
        let (tool, notes) = try ImportedDocument.tool(
            """
            /users/{id}:
              put:
                parameters: [{name: id, in: path, required: true, schema: {type: string}}]
                requestBody:
                  content:
                    application/json:
                      schema:
                        type: object
                        required: [name, created]
                        properties:
                          id: {type: integer}
                          name: {type: string, nullable: true}
                          created: {type: string, readOnly: true}
                responses: {"204": {description: done}}
            """)
        #expect(tool["method"] == "PUT")
        #expect(tool["body"] == ["id": "{id_2}", "name": "{name}"])
        #expect(tool["inputSchema"]?["required"] == ["id", "name"])
        #expect(tool["inputSchema"]?["properties"]?["name"]?["type"] == ["string", "null"])
        #expect(tool["outputSchema"] == nil)
        #expect(tool["annotations"] == ["readOnlyHint": false, "idempotentHint": true])
        #expect(notes == ["PUT /users/{id}: the argument of id is called id_2"])
    }

    @Test(
        arguments: [
            ("application/json", "{type: array, items: {type: string}}", JSONValue.string("{body}"), nil),
            ("application/merge-patch+json", "{type: object}", "{body}", nil),
            ("application/json; charset=utf-8", "{oneOf: [{type: string}, {type: object}]}", "{body}", nil),
            (
                "application/x-www-form-urlencoded", "{type: object, properties: {a: {type: string}}}", ["a": "{a}"],
                "application/x-www-form-urlencoded"
            ),
        ] as [(String, String, JSONValue, String?)])
    func bodiesOfOtherKinds(type: String, schema: String, body: JSONValue, header: String?) throws {
        let (tool, _) = try ImportedDocument.tool(
            """
            /things:
              post:
                operationId: make
                requestBody: {required: true, content: {"\(type)": {schema: \(schema)}}}
                responses: {default: {description: x}}
            """)
        #expect(tool["body"] == body)
        #expect(tool["headers"]?["Content-Type"]?.string == header)
    }

    @Test(arguments: [
        ("{type: array, items: {type: string}}", "", "array", "tags", "tags"),
        ("{type: array, items: {type: string}}", "explode: false,", "string", "tags", "tags"),
        ("{type: array, items: {type: string}}", "style: pipeDelimited,", "string", "tags", "tags"),
        (
            "{type: object, properties: {state: {type: string}}}", "style: deepObject,", "string", "tags_state",
            "tags[state]"
        ),
        ("{type: object, properties: {state: {type: boolean}}}", "", "boolean", "state", "state"),
    ])
    func queriesInTheirStyles(_ schema: String, _ style: String, _ type: String, _ name: String, _ key: String) throws {
        let (tool, _) = try ImportedDocument.tool(
            """
            /things:
              get:
                parameters: [{name: tags, in: query, \(style) schema: \(schema)}]
                responses: {}
            """)
        #expect(tool["query"] == .object(JSONObject([(key, .string("{\(name)}"))])))
        #expect(tool["inputSchema"]?["properties"]?[name]?["type"]?.string == type)
    }

    @Test func pathsInTheirStyles() throws {
        let (tool, notes) = try ImportedDocument.tool(
            """
            /a{label}/b{matrix}/{list}/{plain}/x}{y?fixed=1&open:
              get:
                parameters:
                - {name: label, in: path, required: true, style: label, schema: {type: string}}
                - {name: matrix, in: path, required: true, style: matrix, schema: {type: string}}
                - {name: list, in: path, required: true, schema: {type: array, items: {enum: [a, b]}}}
                responses: {}
            """)
        #expect(tool["path"] == "/a.{label}/b;matrix={matrix}/{list}/{plain}/x}}{{y")
        #expect(tool["query"] == ["fixed": "1", "open": ""])
        #expect(tool["inputSchema"]?["properties"]?["list"]?["description"] == "A comma-separated list. Of: a, b.")
        #expect(notes.map { $0.contains("nothing describes {plain}") } == [true])
    }

    @Test func whatCannotBeExpressedIsListed() throws {
        let (section, notes) = try ImportedDocument.openAPI(
            ImportedDocument.document(
                """
                /fine: {get: {operationId: fine, responses: {}, callbacks: {c: {x: {}}}}}
                /upload: {post: {requestBody: {required: true, content: {multipart/form-data: {schema: {type: object}}}}, responses: {}}}
                /maybe: {post: {operationId: maybe, requestBody: {content: {application/xml: {}}}, responses: {}}}
                /cookie: {get: {parameters: [{name: c, in: cookie, required: true}], responses: {}}}
                /soft: {get: {operationId: soft, parameters: [{name: c, in: cookie}, {name: Accept, in: header}, {in: query}], responses: {}}}
                /object: {get: {parameters: [{name: o, in: query, required: true, schema: {type: object}}], responses: {}}}
                /elsewhere: {get: {servers: [{url: "https://other.example"}], responses: {}}}
                /options: {options: {responses: {}}}
                /text: 1
                """, "webhooks: {w: {post: {}}}"))
        #expect(section["tools"]?.object?.keys == ["fine", "maybe", "soft"])
        for expected in [
            "GET /fine: callbacks", "POST /upload: left out: its body is multipart/form-data",
            "POST /maybe: the body is left out", "GET /cookie: left out: the required parameter c",
            "GET /soft: the parameter c is left out", "GET /soft: the header Accept is left out",
            "GET /soft: a parameter without a name", "GET /object: left out: the required parameter o",
            "GET /elsewhere: left out: it has a server", "OPTIONS /options: left out", "/text: the path is left out",
            "webhooks: left out",
        ] {
            #expect(notes.contains { $0.hasPrefix(expected) }, "\(expected) not in \(notes)")
        }
    }

    @Test func namesAreUniqueAndUsable() throws {
        let (section, notes) = try ImportedDocument.openAPI(
            ImportedDocument.document(
                """
                /a: {get: {operationId: same, responses: {}}, post: {operationId: same, responses: {}}}
                /b/{x}: {get: {responses: {}}}
                /c: {get: {operationId: "pets/find by.stat\\u00fcs\\u0000", responses: {}}}
                """.replacing("\\u00fc", with: "ü").replacing("\\u0000", with: "!")))
        #expect(section["tools"]?.object?.keys == ["same", "same_2", "get_b_x", "pets_find_by_stat_s"])
        #expect(notes.contains("POST /a: the operationId same comes twice"))
        #expect(notes.contains("POST /a: the tool is called same_2"))
    }

    @Test func someOperationsCanBeTaken() throws {
        let document = ImportedDocument.document(
            """
            /a: {get: {operationId: "a.get", responses: {}}}
            /b: {get: {operationId: b, responses: {}}}
            /c: {get: {responses: {}}}
            """)
        let taken = try ImportedDocument.openAPI(document, only: ["a.get", "get_c"])
        #expect(taken.section["tools"]?.object?.keys == ["a_get", "get_c"])
        #expect(throws: ImportError.self) { try ImportedDocument.openAPI(document, only: ["b", "d"]) }
    }

    @Test func swagger2IsRead() throws {
        let (section, notes) = try ImportedDocument.openAPI(
            """
            {"swagger":"2.0","host":"shop.example","basePath":"/api/","schemes":["http","https"],
            "securityDefinitions":{"k":{"type":"apiKey","in":"header","name":"X-Key"},
              "o":{"type":"oauth2","flow":"application","tokenUrl":"https://t.example/token"}},
            "security":[{"k":[]}],
            "definitions":{"Pet":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}},
            "paths":{"/pets":{
              "get":{"operationId":"list","parameters":[
                {"name":"tag","in":"query","type":"array","items":{"type":"string"},"collectionFormat":"multi"},
                {"name":"ids","in":"query","type":"array","items":{"type":"integer"}}],
                "responses":{"200":{"description":"x","schema":{"type":"array","items":{"$ref":"#/definitions/Pet"}}}}},
              "post":{"operationId":"add","parameters":[{"name":"pet","in":"body","required":true,
                "schema":{"$ref":"#/definitions/Pet"}}],"responses":{}}},
            "/form":{"post":{"operationId":"form","security":[{"o":["a","b"]}],"consumes":["application/x-www-form-urlencoded"],
              "parameters":[{"name":"n","in":"formData","type":"integer","required":true}],"responses":{}}},
            "/file":{"post":{"operationId":"file","parameters":[{"name":"f","in":"formData","type":"file","required":true}],
              "responses":{}}}}}
            """)
        #expect(section["url"] == "https://shop.example/api")
        #expect(section["headers"] == ["X-Key": ["env": "API_API_KEY"]])
        #expect(section["token"]?["clientCredentials"]?["tokenURL"] == "https://t.example/token")
        #expect(section["token"]?["clientCredentials"]?["scope"] == "a b")
        let tools = try #require(section["tools"])
        #expect(tools["list"]?["query"] == ["tag": "{tag}", "ids": "{ids}"])
        #expect(tools["list"]?["inputSchema"]?["properties"]?["tag"]?["type"] == "array")
        #expect(tools["list"]?["inputSchema"]?["properties"]?["ids"]?["type"] == "string")
        #expect(tools["list"]?["outputSchema"]?["properties"]?["results"]?["items"]?["required"] == ["name"])
        #expect(tools["add"]?["body"] == ["name": "{name}"])
        #expect(tools["form"]?["body"] == ["n": "{n}"])
        #expect(tools["file"] == nil)
        #expect(notes.contains { $0.hasPrefix("POST /file: left out: its body is a form with files") })
    }

    @Test(arguments: [
        ("{type: http, scheme: bearer}", "Authorization"), ("{type: http, scheme: basic}", "Authorization"),
        ("{type: apiKey, in: header, name: X-Key}", "X-Key"), ("{type: apiKey, in: cookie, name: s}", "Cookie"),
        ("{type: oauth2, flows: {implicit: {authorizationUrl: \"https://a.example\", scopes: {}}}}", "Authorization"),
        ("{type: apiKey, in: query, name: key}", nil), ("{type: mutualTLS}", nil), ("{}", nil),
    ])
    func securityBecomesPlaceholders(scheme: String, header: String?) throws {
        let (section, notes) = try ImportedDocument.openAPI(
            ImportedDocument.document(
                "/a: {get: {operationId: a, security: [{s: []}, {unknown: []}], responses: {}}}",
                "components: {securitySchemes: {s: \(scheme)}}"))
        #expect(section["headers"]?.object?.keys == header.map { [$0] })
        #expect(notes.contains { $0.hasPrefix("security s: ") })
        #expect(notes.contains("security unknown: the document does not describe it"))
    }
}
