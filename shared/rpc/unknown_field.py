"""Refuses requests that say more than this server understands."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from shared.errors import FieldViolation, InvalidInput


def refuse_unknown_fields(message: Message, path: str = "") -> None:
    """Lets a message pass whose fields, at every depth, are all known to this version of the contract.

    Protobuf keeps unknown fields silently. A newer client's option would be dropped without a word, and it might be one
    that the promised format depends on. So the request is refused, not narrowed.

    Raises:
        InvalidInput: FIELD_INVALID with the path of each message that holds unknown fields, and their numbers.
    """
    violations = list(_violations(message, path))
    if violations:
        raise InvalidInput(
            "FIELD_INVALID",
            f"{violations[0].path or 'the request'}: {violations[0].description}",
            hint="The client's API is newer than the server's: leave the field out or update the server.",
            violations=violations,
        )


def _violations(message: Message, path: str) -> Iterator[FieldViolation]:
    unknown = UnknownFieldSet(message)
    numbers = sorted({unknown[index].field_number for index in range(len(unknown))})
    if numbers:
        yield FieldViolation(path, f"holds unknown field number(s) {', '.join(map(str, numbers))}")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        inside = f"{path}.{field.name}" if path else field.name
        if field.is_repeated:
            for index, child in enumerate(value):
                yield from _violations(child, f"{inside}[{index}]")
        else:
            yield from _violations(value, inside)
