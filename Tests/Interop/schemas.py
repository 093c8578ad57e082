"""Checks JSON-RPC messages against the official schema of their revision, where the schemas are at hand."""
import functools
import json
import os
import pathlib

DIRECTORY = pathlib.Path(
    os.environ.get("MCP_SCHEMA", pathlib.Path(__file__).resolve().parents[3] / "shared" / "mcp-schema"))
REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]

try:
    import jsonschema
    from referencing import Registry, Resource
except ImportError:
    jsonschema = None


def missing():
    """Why nothing can be checked; None when everything can."""
    if jsonschema is None:
        return "jsonschema is not installed"
    return None if DIRECTORY.is_dir() else f"the official schemas are not in {DIRECTORY}"


class Revision:
    def __init__(self, name):
        document = json.loads((DIRECTORY / f"{name}.json").read_text())
        self.section = "$defs" if "$defs" in document else "definitions"
        self.definitions = document[self.section]
        # The published files say integer where the specification says number (default, minimum, maximum and answers of a form).
        for key in ("default", "minimum", "maximum"):
            part = self.definitions.get("NumberSchema", {}).get("properties", {}).get(key)
            if part and part.get("type") == "integer":
                part["type"] = "number"
        content = self.definitions.get("ElicitResult", {}).get("properties", {}).get("content", {})
        for part in content.get("additionalProperties", {}).get("anyOf", []) + [content.get("additionalProperties", {})]:
            if isinstance(part.get("type"), list) and "integer" in part["type"]:
                part["type"] = ["number" if kind == "integer" else kind for kind in part["type"]]
        self.kind = jsonschema.validators.validator_for(document)
        self.registry = Registry().with_resource("mcp:schema", Resource.from_contents(
            document, default_specification=jsonschema.validators.validator_for(document) and _specification(document)))
        self.calls, self.results, self.errors = {}, {}, {}
        for definition, body in self.definitions.items():
            properties = body.get("properties", {})
            method = properties.get("method", {}).get("const")
            if method and not definition.startswith(("Client", "Server")):
                self.calls[method] = definition
                result = definition.removesuffix("Request") + "Result"
                if definition.endswith("Request") and result in self.definitions:
                    self.results[method] = result
            for part in properties.get("error", {}).get("allOf", []):
                code = part.get("properties", {}).get("code", {}).get("const")
                if code is not None:
                    self.errors[code] = definition

    @functools.lru_cache(maxsize=None)
    def validator(self, definition):
        return self.kind({"$ref": f"mcp:schema#/{self.section}/{definition}"}, registry=self.registry)

    def against(self, definition, value):
        return [f"{definition}{error.json_path[1:]}: {error.message[:300]}"
                for error in list(self.validator(definition).iter_errors(value))[:5]]

    def first(self, *definitions):
        return next(definition for definition in definitions if definition in self.definitions)

    def check(self, message, method):
        """What is wrong with a message; `method` is that of the request that a response answers."""
        if isinstance(message, list):
            if not self.name_is_batch():
                return ["a batch in a revision without batches"]
            return [error for element in message for error in self.check(element, method)]
        if "method" in message:
            known = self.calls.get(message["method"])
            if known is None:
                return [f"method {message['method']} is not part of the revision"]
            return self.against(known, message)
        if "error" in message:
            known = self.errors.get(message["error"].get("code"))
            return self.against(known or self.first("JSONRPCErrorResponse", "JSONRPCError"), message)
        if "result" in message:
            asks = message["result"].get("resultType") == "input_required" and "InputRequiredResult" in self.definitions
            known = "InputRequiredResult" if asks else self.results.get(method)
            errors = self.against(known, message["result"]) if known else []
            return errors or self.against(self.first("JSONRPCResultResponse", "JSONRPCResponse"), message)
        return ["neither request, notification nor response"]

    def name_is_batch(self):
        return "JSONRPCBatchRequest" in self.definitions


def _specification(document):
    from referencing.jsonschema import DRAFT7, DRAFT202012
    return DRAFT202012 if "2020-12" in document.get("$schema", "") else DRAFT7


@functools.lru_cache(maxsize=None)
def revision(name):
    return Revision(name)
