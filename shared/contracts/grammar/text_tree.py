"""Many texts as few byte automata: alternatives that share their beginnings are read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.contracts.grammar.utf8 import ByteNode

_Costs = Callable[[bytes], list[int]]


def text_nodes(texts: Iterable[bytes], costs: _Costs) -> list[ByteNode]:
    """The places before any of `texts`, none of them empty; `costs(text)[i]` is the fewest tokens of `text[i:]`.

    One place for all, unless one text begins another: the shorter ones then get places of their own.
    """
    rest, nodes = sorted(set(texts)), []
    while rest:
        following = [*rest[1:], b""]
        longest = [text for text, after in zip(rest, following, strict=True) if not after.startswith(text)]
        nodes.append(_node(longest, costs))
        kept = set(longest)
        rest = [text for text in rest if text not in kept]
    return nodes


def _node(texts: list[bytes], costs: _Costs) -> ByteNode:
    best: dict[bytes, tuple[int, bytes]] = {}  # by prefix: fewest tokens of a rest, and that rest
    tree: dict[bytes, set[int]] = {}
    for text in texts:
        for place, cost in enumerate(costs(text)[: len(text)]):
            prefix, rest = text[:place], text[place:]
            tree.setdefault(prefix, set()).add(text[place])
            if prefix not in best or (cost, len(rest)) < (best[prefix][0], len(best[prefix][1])):
                best[prefix] = (cost, rest)
    nodes: dict[bytes, ByteNode] = {}
    for prefix in sorted(tree, key=len, reverse=True):
        table = {byte: nodes.get(prefix + bytes([byte])) for byte in sorted(tree[prefix])}
        cost, witness = best[prefix]
        nodes[prefix] = ByteNode(table, witness, cost)
    return nodes[b""]
