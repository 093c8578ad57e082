"""The gateway's judgement of arguments beside Python's jsonschema: random schemas as those of tools, random values as
arguments. SCHEMA_COUNT sets the number of schemas, SCHEMA_SEED which."""
import http.client
import json
import os
import random

import jsonschema
import pytest

import counting_server
import peers
import services

COUNT, SEED = int(os.environ.get("SCHEMA_COUNT", "200")), int(os.environ.get("SCHEMA_SEED", "1"))
VALUES = 15
NAMES = ("a", "b", "ab", "é")
TEXTS = ("", "a", "ab", "abc", "1", "é", "\U0001f600", "a\nb")
# Expressions that ECMAScript and Python read alike.
PATTERNS = ("^a", "b$", "^[a-z]*$", "a|1", "^.{2}$", "[^a]", "^(ab)+$", "\\d", "^a?b?c?$", "^$")
NUMBERS = (0, 1, 2, 3, -1, 1.5, 2.0, 0.1, 1e3, -0.0, 2**53, 1e300)


class Maker:
    """Random schemas of 2020-12, and values that are near to what they want."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def scalar(self):
        return self.random.choice((None, True, False, *NUMBERS, *TEXTS))

    def value(self, depth=2):
        kind = self.random.random()
        if depth == 0 or kind < 0.5:
            return self.scalar()
        if kind < 0.75:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        return {self.random.choice(NAMES): self.value(depth - 1) for _ in range(self.random.randrange(4))}

    def schema(self, depth=3):
        if depth == 0 or self.random.random() < 0.05:
            return self.random.choice((True, True, False, {}, {"type": self.random.choice(("string", "integer"))}))
        made = {}
        for _ in range(self.random.randrange(1, 4)):
            keyword = self.random.choice(list(self.KEYWORDS))
            made[keyword] = self.KEYWORDS[keyword](self, depth - 1)
        if "$ref" in made and self.random.random() < 0.5:
            made.pop("$ref")
        return made

    def several(self, depth):
        return [self.schema(depth) for _ in range(self.random.randrange(1, 4))]

    def named(self, depth):
        return {name: self.schema(depth) for name in self.random.sample(NAMES, self.random.randrange(1, 4))}

    def count(self, _):
        return self.random.randrange(4)

    def number(self, _):
        return self.random.choice(NUMBERS)

    def types(self, _):
        every = ("null", "boolean", "object", "array", "number", "integer", "string")
        return self.random.choice(every) if self.random.random() < 0.7 else self.random.sample(every, 2)

    def names(self, _):
        return self.random.sample(NAMES, self.random.randrange(3))

    KEYWORDS = {
        "type": types, "minimum": number, "maximum": number, "exclusiveMinimum": number, "exclusiveMaximum": number,
        # Not 3: jsonschema divides doubles, and takes 1e300 for one of its multiples.
        "multipleOf": lambda self, _: self.random.choice((1, 2, 0.5)),
        "minLength": count, "maxLength": count, "pattern": lambda self, _: self.random.choice(PATTERNS),
        "enum": lambda self, _: [self.value(1) for _ in range(self.random.randrange(1, 5))],
        "const": lambda self, _: self.value(1),
        "items": schema, "prefixItems": several, "contains": schema, "minContains": count, "maxContains": count,
        "minItems": count, "maxItems": count, "uniqueItems": lambda self, _: self.random.random() < 0.8,
        "properties": named, "required": names, "additionalProperties": schema, "minProperties": count,
        "maxProperties": count, "propertyNames": schema,
        "patternProperties": lambda self, depth: {self.random.choice(PATTERNS): self.schema(depth)},
        "dependentRequired": lambda self, depth: {self.random.choice(NAMES): self.names(depth)},
        "dependentSchemas": named, "allOf": several, "anyOf": several, "oneOf": several, "not": schema,
        "if": schema, "then": schema, "else": schema,
        "$ref": lambda self, _: self.random.choice(("#/$defs/one", "#/$defs/two")),
    }

    def document(self):
        """The schema of a tool's arguments."""
        return {"type": "object", "required": ["value"], "properties": {"value": self.schema()},
                "$defs": {"one": self.schema(1) if self.random.random() < 0.9 else {}, "two": self.schema(2)}}


class SchemaServer(counting_server.CountingServer):
    """Lists a tool for each schema; each answers with its own name."""

    def __init__(self, directory, documents):
        super().__init__(directory / "effects", "modern")
        self.tools = [{"name": f"tool{number}", "inputSchema": document, "annotations": {"readOnlyHint": True}}
                      for number, document in enumerate(documents)]

    async def answer(self, request):
        message = request.json()
        if message.get("method") == "tools/list":
            return self._result(message, {"tools": self.tools} | counting_server.LISTED)
        if message.get("method") == "tools/call":
            return self._result(message, {"content": [{"type": "text", "text": message["params"]["name"]}]})
        return await super().answer(request)


@pytest.fixture
def judged(tmp_path):
    """Documents, the validators of those that are valid schemas, and a connection to the gateway."""
    maker, documents = Maker(SEED), []
    while len(documents) < COUNT:
        document = maker.document()
        # References in a ring have no meaning; jsonschema follows them until it breaks.
        if "#/$defs" not in json.dumps(document["$defs"]):
            documents.append(document)
    server = peers.InThread(SchemaServer(tmp_path, documents))
    settings = json.loads((services.ROOT / "gateway.json").read_text())
    settings["accessLog"] = False
    settings["chat"] = {"defaultType": "tool0", "types": {f"tool{number}": {
        "tool": f"tool{number}", "arguments": {"value": {"falsyIsMissing": False}}, "reply": {"text": "plain"}}
        for number in range(COUNT)}}
    config = tmp_path / "gateway.json"
    config.write_text(json.dumps(settings))
    front = services.gateway(f"127.0.0.1:{server.port}", config=config)
    front.ready()
    yield maker, documents, http.client.HTTPConnection(front.addresses["main"], timeout=20)
    assert front.stop() == 0
    server.stop()


def test_both_judge_alike(judged):
    maker, documents, connection = judged
    differences, verdicts = [], {True: 0, False: 0}
    for number, document in enumerate(documents):
        jsonschema.Draft202012Validator.check_schema(document)
        validator = jsonschema.Draft202012Validator(document)
        for _ in range(VALUES):
            value = maker.value()
            if value is None:
                continue  # A missing argument, for the chat API.
            connection.request("POST", "/api/chat/", json.dumps({"type": f"tool{number}", "value": value}),
                               {"Accept": "application/problem+json"})
            response = connection.getresponse()
            body = json.loads(response.read())
            assert response.status == 200 or (response.status, body["label"]) == (400, "invalid_argument"), (body, document)
            theirs = validator.is_valid({"value": value})
            verdicts[theirs] += 1
            if theirs != (response.status == 200):
                differences.append(f"{'valid' if theirs else 'invalid'} for jsonschema: {json.dumps(value)} under "
                                   f"{json.dumps(document)}; ours: {body}")
    print(f"\n{verdicts[True]} valid, {verdicts[False]} invalid, {len(differences)} judged otherwise, seed {SEED}")
    assert not differences, "\n".join(differences[:5])
    assert min(verdicts.values()) > 0.1 * sum(verdicts.values()), verdicts
