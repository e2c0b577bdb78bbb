"""Takes a goal apart into branches of plain facts: a tableau in negation normal form.

A value of the type meets the goal exactly when it meets all facts of some branch, `Loose` ones aside. Source of the
method: Smullyan 1968 (analytic tableaux); forks are taken smallest first, after dropping options that contradict what
is known, as in DPLL's unit propagation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.contracts.json_schema.affirmation import Affirmation, AreDisjoint
from shared.contracts.json_schema.denial import Denial
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.fact import Demand, Fact, Fork, Goal, Length, Loose, Presence, Step, Values
from shared.contracts.json_schema.keyword_reader import KeywordReader

MAX_BRANCHES = 256
"""Of one goal and type; forks beyond are left to the check of the finished text."""
MAX_STEPS = 20_000

_Owned = tuple[Step, frozenset[str]]


@dataclass
class Branch:
    """One way to meet a goal."""

    facts: dict[Fact, None] = field(default_factory=dict)
    forks: list[tuple[Fork, frozenset[str]]] = field(default_factory=list)
    met: set[tuple[Demand, frozenset[str]]] = field(default_factory=set)
    signs: dict[str, bool] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    least: int = 0
    most: int | None = None
    is_listed: bool = False
    """Its values are listed by `enum` or `const`: what else holds is tried on each of them."""

    def copy(self) -> Branch:
        """An independent branch that begins with the same facts."""
        return Branch(
            dict(self.facts), list(self.forks), set(self.met), dict(self.signs), set(self.present), set(self.absent),
            self.least, self.most, self.is_listed,
        )  # fmt: skip

    def take(self, fact: Fact) -> bool:
        """Adds a fact; False when it contradicts another."""
        self.facts[fact] = None
        match fact:
            case Presence(name=name, holds=holds):
                (self.present if holds else self.absent).add(name)
                return name not in (self.absent if holds else self.present)
            case Length(least=least, most=most):
                self.least = max(self.least, least)
                if most is not None:
                    self.most = most if self.most is None else min(self.most, most)
                return self.most is None or self.least <= self.most
            case Values(holds=True):
                self.is_listed = True
        return True


class Tableau:
    """Expands goals over one document for values of one type."""

    def __init__(
        self, document: Document, kind: str, follow: Callable[[str, str], str | None], are_disjoint: AreDisjoint
    ) -> None:
        self._document = document
        reader = KeywordReader(document, kind, follow)
        self._affirmation, self._denial = Affirmation(reader, are_disjoint), Denial(reader)
        self._count = 0
        self._steps = 0

    def branches(self, goal: Goal) -> list[Branch]:
        """All ways to meet the goal; none when no value of the type does."""
        self._count, self._steps = 1, 0
        found: list[Branch] = []
        root = Branch()
        ordered = sorted(goal, key=lambda demand: (demand.place, demand.holds))
        if self._propagate(root, [(demand, frozenset()) for demand in ordered]):
            self._search(root, found)
        return found

    def _search(self, branch: Branch, found: list[Branch]) -> None:
        stack = [branch]
        while stack:
            branch = stack.pop()
            if branch.is_listed or not branch.forks:
                found.append(branch)
                continue
            branch.forks.sort(key=lambda owned: len(owned[0].options))
            fork, owners = branch.forks.pop(0)
            live = self._live(branch, fork, owners)
            if live is None:
                stack.append(branch)
            elif self._count + len(live) - 1 > MAX_BRANCHES or self._steps > MAX_STEPS:
                branch.facts[Loose(fork.place, f"stands for more than {MAX_BRANCHES} alternatives")] = None
                stack.append(branch)
            else:
                self._count += max(len(live) - 1, 0)
                stack.extend(reversed(live))

    def _live(self, branch: Branch, fork: Fork, owners: frozenset[str]) -> list[Branch] | None:
        """The branch with each option that does not contradict it; None when one option holds already."""
        live = []
        for option in fork.options:
            child = branch.copy()
            if self._propagate(child, [(step, owners) for step in option]):
                if not owners and len(child.facts) == len(branch.facts) and len(child.forks) == len(branch.forks):
                    return None
                live.append(child)
        return live

    def _propagate(self, branch: Branch, todo: list[_Owned]) -> bool:
        """Follows everything that leaves no choice; False when the branch contradicts itself."""
        while todo:
            step, owners = todo.pop()
            self._steps += 1
            if isinstance(step, Fork):
                branch.forks.append((step, owners))
            elif isinstance(step, Demand):
                if (step, owners) in branch.met:
                    continue
                if branch.signs.setdefault(step.place, step.holds) != step.holds:
                    return False
                branch.met.add((step, owners))
                steps = self._expand(step, owners)
                if steps is None:
                    return False
                todo.extend(reversed(list(steps)))
            elif not branch.take(step):
                return False
        return True

    def _expand(self, demand: Demand, owners: frozenset[str]) -> Iterable[_Owned] | None:
        if not demand.holds:
            steps = self._denial.steps(demand.place)
            return None if steps is None else [(step, frozenset()) for step in steps]
        schema = self._document.schema(demand.place)
        if isinstance(schema, dict) and schema.keys() & {"unevaluatedProperties", "unevaluatedItems"}:
            owners = owners | {demand.place}
        steps = self._affirmation.steps(demand.place, owners)
        return None if steps is None else [(step, owners) for step in steps]
