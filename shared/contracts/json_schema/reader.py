"""Reads a schema into the tree of values it allows; what it cannot hold, it refuses by JSON Pointer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from referencing.exceptions import Unresolvable

from shared.contracts.json_schema.disjoint import is_disjoint
from shared.contracts.json_schema.keywords import ANNOTATIONS, DEFINITIONS, KNOWN, TYPED, refusal
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.node import (
    ArrayNode,
    ChoiceNode,
    LiteralNode,
    Node,
    ObjectNode,
    Property,
    canonical_json,
)
from shared.contracts.json_schema.scalar import read_number, read_string
from shared.contracts.json_schema.spelling import escape
from shared.contracts.json_schema.validity import SchemaValidator

_Schema = dict[str, Any]  # Any: JSON values, checked against the meta-schema before
_TOGETHER = frozenset({"properties", "additionalProperties"})
"""These read each other, so they must not be split between anyOf and its neighbourhood."""
_HOLDERS = DEFINITIONS | {"properties", "items", "anyOf", "oneOf"}
_OPEN_NOTE = "narrowed: only declared properties are generated"


class SchemaReader:
    """One pass over one schema; `ledger` holds what was found.

    `unreadable` are pointers of subschemas that lost a malformed keyword: no fault is derived from its absence.
    """

    def __init__(self, root: _Schema, ledger: Ledger, unreadable: Iterable[str] = ()) -> None:
        self._root = root
        self._unreadable = set(unreadable)
        self._ledger = ledger
        self._validator = SchemaValidator(root)
        self._known: dict[str, Node | None] = {}
        self._open: list[str] = []

    def read(self, schema: Any, pointer: str, *, merged: bool = False) -> Node | None:  # Any: a schema, true or false
        """The values of one subschema; None after a fault. `merged`: keywords from around it were added."""
        if not isinstance(schema, dict):
            what = "allows any value, which cannot be guaranteed: give a type" if schema else "allows no value"
            self._ledger.refuse(pointer, f"This schema {what}.")
            return None
        if merged:
            return self._read(schema, pointer)
        if pointer not in self._known:
            self._open.append(pointer)
            self._known[pointer] = self._read(schema, pointer)
            self._open.pop()
        return self._known[pointer]

    def _read(self, schema: _Schema, pointer: str) -> Node | None:
        self._annotations(schema, pointer)
        rest = {key: value for key, value in schema.items() if key in KNOWN and key not in ANNOTATIONS | DEFINITIONS}
        if "$ref" in rest:
            return self._reference(rest, pointer)
        for keyword in ("anyOf", "oneOf"):
            if keyword in rest:
                return self._alternatives(rest, keyword, pointer)
        for keyword in ("const", "enum"):
            if keyword in rest:
                return self._values(rest, keyword, pointer)
        return self._typed(rest, pointer)

    def _annotations(self, schema: _Schema, pointer: str) -> None:
        for keyword in schema:
            place = f"{pointer}/{escape(keyword)}"
            if keyword not in KNOWN:
                self._ledger.refuse(place, refusal(keyword))
                self._unreadable.add(pointer)
            elif keyword == "$id" and pointer:
                self._ledger.refuse(place, "$id below the root changes what $ref means: remove it.")
            elif keyword in ANNOTATIONS:
                self._ledger.annotate(place)

    def _reference(self, schema: _Schema, pointer: str) -> Node | None:
        place = f"{pointer}/$ref"
        for keyword in schema.keys() - {"$ref"}:
            self._ledger.refuse(f"{pointer}/{keyword}", f"{keyword} beside $ref: move it into the definition.")
        target: str = schema["$ref"]
        if target != "#" and not target.startswith("#/"):
            self._ledger.refuse(place, f"{target!r} is not local: only references such as #/$defs/name are followed.")
            return None
        found = self._follow(target)
        if not isinstance(found, dict | bool):
            self._ledger.refuse(place, f"{target!r} is not the place of a schema in this document.")
            return None
        self._ledger.enforce(place)
        if unquote(target[1:]) in self._open:
            self._ledger.refuse(place, f"{target!r} refers to itself: recursion cannot be guaranteed; nest it by hand.")
            return None
        return self.read(found, unquote(target[1:]))

    def _follow(self, target: str) -> Any:  # Any: a schema, or None
        """The schema at a pointer; only places where a schema may stand, so that it was checked like every other."""
        parts = [part.replace("~1", "/").replace("~0", "~") for part in unquote(target).split("/")[1:]]
        found: Any = self._root  # Any: walks JSON
        while parts and isinstance(found, dict):
            keyword = parts.pop(0)
            found = found.get(keyword) if keyword in _HOLDERS else None
            if keyword == "items":
                continue
            key = parts.pop(0) if parts else ""
            if isinstance(found, list):
                found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
            else:
                found = found.get(key) if isinstance(found, dict) else None
        return None if parts else found

    def _alternatives(self, schema: _Schema, keyword: str, pointer: str) -> Node | None:
        place = f"{pointer}/{keyword}"
        around = {key: value for key, value in schema.items() if key != keyword}
        branches: list[Node | None] = []
        for index, branch in enumerate(schema[keyword]):
            merged = self._merge(around, branch, pointer, f"{place}/{index}")
            branches.append(None if merged is None else self.read(merged, f"{place}/{index}", merged=bool(around)))
        nodes = [node for node in branches if node is not None]
        if len(nodes) < len(branches):
            return None
        for key in around:
            self._ledger.enforce(f"{pointer}/{key}", f"in every branch of {keyword}")
        if keyword == "oneOf" and not self._are_disjoint(nodes, place):
            return None
        self._ledger.enforce(place)
        return nodes[0] if len(nodes) == 1 else ChoiceNode(pointer, tuple(nodes))

    def _merge(self, around: _Schema, branch: Any, pointer: str, place: str) -> Any:  # Any: schemas
        """A branch with the keywords beside anyOf added: the same meaning as long as they do not overlap."""
        if not around or not isinstance(branch, dict):
            return branch
        clash = {key for key in around.keys() & branch.keys() if around[key] != branch[key]}
        split = _TOGETHER & around.keys() and _TOGETHER & branch.keys()
        if "$ref" in branch or clash or split or {"anyOf", "oneOf"} & (around.keys() | branch.keys()):
            for key in sorted(around):
                what = f"{key} beside anyOf or oneOf overlaps with {place}: write it into each branch."
                self._ledger.refuse(f"{pointer}/{key}", what)
            return None
        return {**around, **branch}

    def _are_disjoint(self, nodes: list[Node], place: str) -> bool:
        for i, one in enumerate(nodes):
            for j, other in enumerate(nodes):
                if i != j and not is_disjoint(one, other):
                    self._ledger.refuse(
                        place,
                        f"Branches {min(i, j)} and {max(i, j)} of oneOf may both hold: use anyOf, or give them a "
                        "required property with different const values.",
                    )
                    return False
        return True

    def _values(self, schema: _Schema, keyword: str, pointer: str) -> Node | None:
        others = {key: value for key, value in schema.items() if key != keyword}
        values = schema["enum"] if keyword == "enum" else [schema["const"]]
        try:
            allowed = [value for value in values if self._validator.is_valid(value, others)]
        except (Unresolvable, RecursionError) as err:
            self._ledger.refuse(f"{pointer}/{keyword}", f"The keywords beside {keyword} cannot be applied: {err}.")
            return None
        if not allowed:
            self._ledger.refuse(f"{pointer}/{keyword}", "No value is left: the keywords beside it exclude every one.")
            return None
        for key in others:
            self._ledger.enforce(f"{pointer}/{key}", f"applied to the values of {keyword}")
        self._ledger.enforce(f"{pointer}/{keyword}")
        try:
            texts = {canonical_json(value): value for value in allowed}
        except (ValueError, RecursionError) as err:
            self._ledger.refuse(f"{pointer}/{keyword}", f"A value cannot be written as JSON text: {err}.")
            return None
        literals = [LiteralNode(pointer, value, text) for text, value in texts.items()]
        return literals[0] if len(literals) == 1 else ChoiceNode(pointer, tuple(literals))

    def _typed(self, schema: _Schema, pointer: str) -> Node | None:
        if "type" not in schema and pointer in self._unreadable:
            return None
        if "type" not in schema:
            hint = next((kind for kind, words in TYPED.items() if schema.keys() & set(words)), None)
            what = f'add "type": "{hint}"' if hint else "give a type, enum, const or anyOf"
            self._ledger.refuse(pointer, f"Without a type any value of other types is allowed: {what}.")
            return None
        types = [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
        if "number" in types and "integer" in types:
            types.remove("integer")
        self._ledger.enforce(f"{pointer}/type")
        spoken = {"number" if kind == "integer" else kind for kind in types}
        for kind, words in TYPED.items():
            for keyword in schema.keys() & set(words) if kind not in spoken else ():
                self._ledger.annotate(f"{pointer}/{keyword}", f"has no effect: no {kind} is allowed here")
        nodes = [self._of_type(kind, schema, pointer) for kind in types]
        found = [node for node in nodes if node is not None]
        if len(found) < len(nodes):
            return None
        return found[0] if len(found) == 1 else ChoiceNode(pointer, tuple(found))

    def _of_type(self, kind: str, schema: _Schema, pointer: str) -> Node | None:
        match kind:
            case "string":
                return read_string(schema, pointer, self._ledger)
            case "integer" | "number":
                return read_number(schema, pointer, self._ledger, integer=kind == "integer")
            case "boolean":
                truth = (LiteralNode(pointer, True, "true"), LiteralNode(pointer, False, "false"))
                return ChoiceNode(pointer, truth)
            case "array":
                return self._array(schema, pointer)
            case "object":
                return self._object(schema, pointer)
        return LiteralNode(pointer, None, "null")

    def _array(self, schema: _Schema, pointer: str) -> Node | None:
        least, most = int(schema.get("minItems", 0)), schema.get("maxItems")
        most = None if most is None else int(most)
        for keyword in ("minItems", "maxItems"):
            if keyword in schema:
                self._ledger.enforce(f"{pointer}/{keyword}")
        if schema.get("uniqueItems"):
            self._ledger.refuse(f"{pointer}/uniqueItems", "uniqueItems cannot be guaranteed: remove it.")
        elif "uniqueItems" in schema:
            self._ledger.annotate(f"{pointer}/uniqueItems", "false asks for nothing")
        if most is not None and most < least:
            self._ledger.refuse(f"{pointer}/maxItems", f"No array has at least {least} and at most {most} items.")
        if "items" not in schema:
            self._ledger.refuse(pointer, "Without items any value is allowed in the array: say what the items are.")
            return None
        self._ledger.enforce(f"{pointer}/items")
        item = self.read(schema["items"], f"{pointer}/items")
        return None if item is None else ArrayNode(pointer, item, least, most)

    def _object(self, schema: _Schema, pointer: str) -> Node | None:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = set(schema.get("required", ()))
        closed = self._closed(schema, pointer, declared=bool(properties))
        for keyword in ("properties", "required"):
            if keyword in schema:
                self._ledger.enforce(f"{pointer}/{keyword}")
        for name in sorted(required - properties.keys()):
            self._ledger.refuse(f"{pointer}/required", f"{name!r} is required but not declared in properties.")
        members = []
        for name, value in properties.items():
            place = f"{pointer}/properties/{escape(name)}"
            if value is False and name not in required:
                self._ledger.enforce(place, "never generated")
                continue
            node = self.read(value, place)
            if node is not None:
                members.append(Property(name, node, name in required))
        return ObjectNode(pointer, tuple(members), closed)

    def _closed(self, schema: _Schema, pointer: str, *, declared: bool) -> bool:
        place = f"{pointer}/additionalProperties"
        extra = schema.get("additionalProperties", True)
        if isinstance(extra, dict) and extra:
            self._ledger.refuse(
                place, "Undeclared keys cannot be guaranteed: declare each in properties and use false."
            )
        elif extra is False:
            self._ledger.enforce(place)
        elif not declared:
            self._ledger.refuse(pointer, "An object without properties allows any key: declare them in properties.")
        else:
            self._ledger.enforce(place, _OPEN_NOTE)
        return extra is False
