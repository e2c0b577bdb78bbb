"""Where a fault lies, in words that may be logged."""

from __future__ import annotations

import json

from shared.contracts.spec import ContractSpec

MASK = "*"


def loggable_path(path: str, spec: ContractSpec) -> str:
    """`path` (`output#/json/pointer`) with each name that the contract does not spell out masked.

    Property names of an open map are generated: they are as much a tenant's content as the values are. Indices of
    arrays are masked with them, since a name may be a number, too.
    """
    head, hash_mark, pointer = path.partition("#")
    segments = [_shown(segment, spec) for segment in pointer.split("/")]
    return head + hash_mark + "/".join(segments)


def _shown(segment: str, spec: ContractSpec) -> str:
    name = segment.replace("~1", "/").replace("~0", "~")
    return segment if not segment or json.dumps(name) in spec.json_schema else MASK
