"""A schema document whose parts are named by place, and what its references point at."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # ships no types

from shared.contracts.json_schema.dialect import Dialect, meta_validator
from shared.contracts.json_schema.keywords import escape, subschemas

_Schema = Any  # Any: a schema, true or false


class Document:
    """One schema with every schema inside it.

    A place is a JSON Pointer from the root, `""` for the root itself; inside a meta-schema that is referred to it is
    `URI#POINTER`.
    """

    def __init__(self, root: dict[str, Any], dialect: Dialect) -> None:  # Any: JSON values
        self.root, self.dialect = root, dialect
        self._schemas: dict[str, _Schema] = {}
        self._bases: dict[str, str] = {}
        self._resources: dict[str, str] = {"": ""}
        """Places by absolute URI without fragment."""
        self._anchors: dict[tuple[str, str], str] = {}
        self.dynamic_anchors: dict[str, list[str]] = {}
        self._scan(root, "", "")

    def schema(self, place: str) -> _Schema:
        """The schema at a place that `places` or `target` named."""
        return self._schemas[place]

    def shares_base(self, place: str) -> bool:
        """Whether references at a place mean the same as at the root."""
        return self._bases[place] == self._bases[""]

    @property
    def places(self) -> tuple[str, ...]:
        """Every place of this document where a schema stands, outer ones first."""
        return tuple(place for place in self._schemas if is_own(place))

    def target(self, place: str, reference: str) -> str | None:
        """The place that a `$ref` at `place` means; None when it leaves the document or leads to no schema."""
        uri, fragment = urldefrag(_absolute(self._bases[place], reference))
        if uri not in self._resources and not self._take_up(uri):
            return None
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            return self._anchors.get((uri, fragment))
        return self._follow(self._resources[uri], fragment)

    def _take_up(self, uri: str) -> bool:
        """Takes a published meta-schema into the document."""
        resource = REGISTRY.get(uri) or REGISTRY.get(uri + "#")
        if resource is None:
            return False
        self._resources[uri] = f"{uri}#"
        self._scan(resource.contents, f"{uri}#", uri)
        return True

    def _follow(self, place: str, pointer: str) -> str | None:
        target = place + pointer
        if target in self._schemas:
            return target
        value, base = self._schemas[place], self._bases[place]
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list):
                value = value[int(key)] if key.isdecimal() and int(key) < len(value) else None
            else:
                value = value.get(key) if isinstance(value, dict) else None
            place = f"{place}/{escape(key)}"
            base = self._bases.get(place, base)
        if place in self._schemas:
            return place
        # A place where no keyword expects a schema was not checked with the rest.
        if not isinstance(value, dict | bool) or not meta_validator(self.dialect).is_valid(value):
            return None
        self._scan(value, place, base)
        return place

    def _scan(self, schema: _Schema, place: str, base: str) -> None:
        stack = [(schema, place, base)]
        while stack:
            schema, place, base = stack.pop()
            if isinstance(schema, dict) and not (self.dialect.hides_siblings and "$ref" in schema):
                base = self._named(schema, place, base)
            self._schemas[place] = schema
            self._bases[place] = base
            inside = [(sub, place + rest, base) for rest, sub in subschemas(schema)]
            stack.extend(reversed(inside))

    def _named(self, schema: dict[str, Any], place: str, base: str) -> str:  # Any: JSON values
        """Notes the names that a schema gives itself; returns its base URI."""
        name = schema.get(self.dialect.id_keyword)
        if isinstance(name, str):
            uri, fragment = urldefrag(_absolute(base, name))
            if fragment:
                self._anchors[uri, unquote(fragment)] = place
            if not name.startswith("#"):
                self._resources[uri] = place
                base = uri
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = schema.get(keyword)
            if isinstance(anchor, str):
                self._anchors[base, anchor] = place
                if keyword == "$dynamicAnchor":
                    self.dynamic_anchors.setdefault(anchor, []).append(place)
        return base


def _absolute(base: str, reference: str) -> str:
    """A reference against its base (RFC 3986, 5.2); `urljoin` knows no fragments of a URN."""
    return base + reference if reference.startswith("#") else urljoin(base, reference)


def is_own(place: str) -> bool:
    """Whether a place is in the document itself, not in a meta-schema that it refers to."""
    return not place or place.startswith("/")
