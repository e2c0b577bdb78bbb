"""What one generated answer is worth against its golden output."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Generated:
    """One answer of a model."""

    text: str
    token_count: int
    """Output tokens, the stop token left out."""
    ended: bool
    """Whether the model took the stop token by itself before its budget of tokens was spent."""


@dataclass(frozen=True)
class FieldCount:
    """Leaves of one row at one path.

    `matched + mismatched + omitted` are the golden leaves, `matched + mismatched + invented` the generated ones.
    """

    path: str
    """A JSON Pointer with `-` for places in a list; empty for answers that are no JSON."""
    matched: int = 0
    omitted: int = 0
    """The answer has nothing where the golden output has a leaf."""
    invented: int = 0
    """The answer has a leaf where the golden output has nothing."""
    mismatched: int = 0
    """Both have a leaf, with another value."""

    @property
    def golden(self) -> int:
        """Leaves of the golden output."""
        return self.matched + self.mismatched + self.omitted

    @property
    def generated(self) -> int:
        """Leaves of the answer."""
        return self.matched + self.mismatched + self.invented


@dataclass(frozen=True)
class RowScore:
    """One answer against its golden output. The answer is its whole text, as a caller would read it."""

    is_valid: bool
    """Keeps its contract, by the contract's own check."""
    is_exact: bool
    """Equal after canonicalisation."""
    fields: tuple[FieldCount, ...]
    """Sorted by path."""
    has_filler: bool
    """Text stands around the JSON value, the statement or the choice."""
    ended: bool
    """As in `Generated`."""
    token_count: int
    """As in `Generated`."""
    is_parsed: bool | None = None
    """SQL only: the text is one SELECT in its dialect."""
    executes_alike: bool | None = None
    """SQL that SQLite runs only: the results are equal on every database."""
    rouge_l: float | None = None
    """Text only, 0..1."""

    @property
    def matched(self) -> int:
        """Of all paths."""
        return sum(field.matched for field in self.fields)

    @property
    def omitted(self) -> int:
        """Of all paths."""
        return sum(field.omitted for field in self.fields)

    @property
    def invented(self) -> int:
        """Of all paths."""
        return sum(field.invented for field in self.fields)

    @property
    def mismatched(self) -> int:
        """Of all paths."""
        return sum(field.mismatched for field in self.fields)

    @property
    def golden(self) -> int:
        """Leaves of the golden output."""
        return sum(field.golden for field in self.fields)

    @property
    def generated(self) -> int:
        """Leaves of the answer."""
        return sum(field.generated for field in self.fields)
