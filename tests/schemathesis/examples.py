"""Every example in an OpenAPI document fits its schema: examples.py DOCUMENT"""

import json
import sys

import jsonschema_rs


def contents(node):
    """Whatever has both a schema and examples."""
    if isinstance(node, dict):
        if "schema" in node and "examples" in node:
            yield node
        for child in node.values():
            yield from contents(child)
    elif isinstance(node, list):
        for child in node:
            yield from contents(child)


document = json.load(open(sys.argv[1]))
checked = 0
for content in contents({key: document[key] for key in ("paths", "components")}):
    schema = {**content["schema"], "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for name, example in content["examples"].items():
        for error in validator.iter_errors(example["value"]):
            sys.exit(f"the example {name} does not fit its schema: {error}")
        checked += 1
assert checked > 50, f"only {checked} examples"
print(f"{checked} examples fit their schemas")
