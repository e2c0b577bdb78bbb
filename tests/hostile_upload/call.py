"""Hostile calls: names that are paths, offsets and digests that lie, steps out of order."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from goldsmith.trainer.v1 import dataset_service_pb2 as pb
from goldsmith.trainer.v1 import golden_dataset_pb2 as golden
from goldsmith.trainer.v1 import training_job_pb2
from shared.client.channel import domain_errors
from tests.hostile_upload import json_lines
from tests.hostile_upload.attack import ACTIVE, CONTRACT, TENANT, Attack, Room

_MIB = 1 << 20
FIELD, GAP = "InvalidInput FIELD_INVALID", "OutOfRange OFFSET_GAP"
DIFFERS, QUOTA = "StateConflict DIGEST_DIFFERS", "Exhausted QUOTA_EXCEEDED"
_IDS = (
    "", ".", "..", "../d", "a/../b", "/etc/passwd", "a/b", "a\\b", "a\x00b", "a\nb", "a b", "ä", "A", "-a", "a-", "1a",
    "a" * 64, "%2e%2e", "a.upload", ".scratch", "a\u202eb", "\uff5ea", "$(id)", "a;b",
)  # fmt: skip
_PARENTS = (
    "",
    "acme",
    "tenants/",
    "tenants/..",
    "tenants/../acme",
    "tenants/acme/",
    "tenants//acme",
    "tenants/.scratch",
)


def _create(room: Room, *, id_: str = "", parent: str = TENANT, **fields: object) -> str:
    wanted = golden.GoldenDataset(**({"contract": CONTRACT} | fields))  # type: ignore[arg-type]  # hostile
    request = pb.CreateGoldenDatasetRequest(parent=parent, dataset_id=id_, dataset=wanted)
    with domain_errors():
        return room.outcome(room.stub.CreateGoldenDataset(request, timeout=30))


def _fresh() -> str:
    return f"d-{uuid.uuid4().hex[:12]}"


def _names() -> Iterator[Attack]:
    for bad in _IDS:
        name = f"{TENANT}/datasets/{bad}"
        yield Attack(f"create {bad!r}", FIELD, lambda room, bad=bad: _create(room, id_=bad))
        yield Attack(f"upload to {bad!r}", FIELD, lambda room, name=name: str(room.put(name, b"x")))
        yield Attack(f"seal {bad!r}", FIELD, lambda room, name=name: room.seal(name, b"x"))
    for parent in _PARENTS:
        yield Attack(
            f"create below {parent!r}", FIELD, lambda room, parent=parent: _create(room, id_="d", parent=parent)
        )
        yield Attack(f"list {parent!r}", FIELD, lambda room, parent=parent: _list(room, parent=parent))


def _list(room: Room, **fields: object) -> str:
    with domain_errors():
        request = pb.ListGoldenDatasetsRequest(**({"parent": TENANT} | fields))  # type: ignore[arg-type]  # hostile
        return str(room.stub.ListGoldenDatasets(request, timeout=30))


def _begun(act: Callable[[Room, str], object]) -> Callable[[Room], str]:
    """After 100 bytes of an upload."""

    def run(room: Room) -> str:
        name = room.create()
        room.put(name, json_lines.rows()[:100])
        return str(act(room, name))

    return run


def _sealed(act: Callable[[Room, str, bytes], object]) -> Callable[[Room], str]:
    """After an upload was sealed."""

    def run(room: Room) -> str:
        name, data = room.create(), json_lines.rows()
        room.trainer.upload(name, data)
        return str(act(room, name, data))

    return run


def _too_long(room: Room) -> str:
    """One row of 100 MiB."""
    name, chunk = room.create(), b"x" * _MIB
    for number in range(100):
        room.put(name, chunk, number * _MIB)
    return "stored"


def _train(room: Room) -> str:
    name = room.create()
    room.trainer.upload(name, b"")
    job = training_job_pb2.TrainingJob(dataset=name, adapter=f"{TENANT}/adapters/a")
    return room.trainer.train(f"{TENANT}/jobs/{_fresh()}", job).name


def _twice(room: Room) -> str:
    name = _fresh()
    _create(room, id_=name)
    return _create(room, id_=name)


def _creations() -> dict[str, tuple[Callable[[Room], str], str]]:
    other = "tenants/other/contracts/answer"
    return {
        "create twice": (_twice, "AlreadyExists RESOURCE_EXISTS"),
        "create with another tenant's contract": (lambda room: _create(room, id_=_fresh(), contract=other), FIELD),
        "create with a path as contract": (lambda room: _create(room, id_=_fresh(), contract="../../c"), FIELD),
        "create without contract": (lambda room: _create(room, id_=_fresh(), contract=""), FIELD),
        "create with a contract that is not": (
            lambda room: _create(room, id_=_fresh(), contract=f"{TENANT}/contracts/none"),
            "NotFound RESOURCE_NOT_FOUND",
        ),
        "create in a format that is not": (lambda room: _create(room, id_=_fresh(), format=99), FIELD),
        "create with a long prompt": (
            lambda room: _create(room, id_=_fresh(), instruction_prompt="x" * 65_537),
            FIELD,
        ),
        "list from a made-up place": (lambda room: _list(room, page_token="!"), FIELD),
        "list fewer than none": (lambda room: _list(room, page_size=-1), FIELD),
    }


def _curate(*steps: golden.CurationStep.ValueType, source: str = "") -> Callable[[Room], str]:
    """From a source, or from an upload that is not sealed."""

    def run(room: Room) -> str:
        name = f"{TENANT}/datasets/{_fresh()}"
        return room.outcome(room.trainer.curate(name, source or room.create(), steps))

    return run


def _curations() -> dict[str, tuple[Callable[[Room], str], str]]:
    nfc = golden.CURATION_STEP_UNICODE_NFC
    unknown: golden.CurationStep.ValueType = 99  # type: ignore[assignment]  # hostile
    return {
        "curate by no step": (_curate(), FIELD),
        "curate by a step twice": (_curate(nfc, nfc), FIELD),
        "curate by ten thousand steps": (_curate(*[nfc] * 10_000), FIELD),
        "curate by no known step": (_curate(golden.CURATION_STEP_UNSPECIFIED), FIELD),
        "curate by a step that is not": (_curate(unknown), FIELD),
        "curate what is not sealed": (_curate(nfc), "StateConflict STATE_CONFLICT"),
        "curate a path": (_curate(nfc, source="../../etc/passwd"), FIELD),
        "curate another tenant's": (_curate(nfc, source="tenants/other/datasets/d"), FIELD),
        "curate what is not": (_curate(nfc, source=f"{TENANT}/datasets/none"), "NotFound RESOURCE_NOT_FOUND"),
    }


def _uploads() -> dict[str, tuple[Callable[[Room], str], str]]:
    absent = f"{TENANT}/datasets/none"
    return {
        "upload to what is not": (lambda room: str(room.put(absent, b"x")), "NotFound RESOURCE_NOT_FOUND"),
        "upload to another tenant": (
            lambda room: str(room.put("tenants/other/datasets/d", b"x")),
            "NotFound RESOURCE_NOT_FOUND",
        ),
        "seal what is not": (lambda room: room.seal(absent, b"x"), "NotFound RESOURCE_NOT_FOUND"),
        "a gap": (_begun(lambda room, name: room.put(name, b"x", 101)), GAP),
        "an offset below zero": (_begun(lambda room, name: room.put(name, b"x", -1)), GAP),
        "the largest offset": (_begun(lambda room, name: room.put(name, b"x", (1 << 63) - 1)), GAP),
        "the smallest offset": (_begun(lambda room, name: room.put(name, b"x", -(1 << 63))), GAP),
        "other bytes": (_begun(lambda room, name: room.put(name, b"x" * 100)), "Conflict CONTENT_MISMATCH"),
        "other bytes at the end": (_begun(lambda room, name: room.put(name, b"x", 99)), "Conflict CONTENT_MISMATCH"),
        "bytes that go on otherwise": (
            _begun(lambda room, name: room.put(name, json_lines.rows()[50:99] + b"xyz", 50)),
            "Conflict CONTENT_MISMATCH",
        ),
        "the same bytes": (_begun(lambda room, name: room.put(name, json_lines.rows()[20:120], 20)), "120"),
        "no bytes": (_begun(lambda room, name: room.put(name, b"", 100)), FIELD),
        "a chunk too large by one": (_begun(lambda room, name: room.put(name, b"x" * (_MIB + 1), 100)), FIELD),
        "one row of 100 MiB": (_too_long, QUOTA),
        "train on what failed": (_train, "StateConflict STATE_CONFLICT"),
    }


def _seals() -> dict[str, tuple[Callable[[Room], str], str]]:
    begun, more = json_lines.rows()[:100], json_lines.rows()
    return {
        "seal half": (_begun(lambda room, name: room.seal(name, more)), DIFFERS),
        "seal a size too small": (_begun(lambda room, name: room.seal(name, begun, size=99)), DIFFERS),
        "seal a size too large": (_begun(lambda room, name: room.seal(name, begun, size=101)), DIFFERS),
        "seal a size below zero": (_begun(lambda room, name: room.seal(name, begun, size=-100)), DIFFERS),
        "seal the largest size": (_begun(lambda room, name: room.seal(name, begun, size=(1 << 63) - 1)), DIFFERS),
        "seal without digest": (_begun(lambda room, name: room.seal(name, begun, digest="")), DIFFERS),
        "seal a path": (_begun(lambda room, name: room.seal(name, begun, digest="sha256:../../x")), DIFFERS),
        "seal another digest": (
            _begun(lambda room, name: room.seal(name, begun, digest="sha256:" + "0" * 64)),
            DIFFERS,
        ),
        "seal a digest of a MiB": (_begun(lambda room, name: room.seal(name, begun, digest="0" * _MIB)), DIFFERS),
        "seal MD5": (_begun(lambda room, name: room.seal(name, begun, digest="md5:" + "0" * 32)), DIFFERS),
        "seal twice": (_sealed(lambda room, name, data: room.seal(name, data)), ACTIVE),
        "seal twice, otherwise": (_sealed(lambda room, name, data: room.seal(name, data + b"x")), DIFFERS),
        "upload after the seal": (
            _sealed(lambda room, name, data: room.put(name, b"x", len(data))),
            "StateConflict STATE_CONFLICT",
        ),
        "upload the same after the seal": (
            _sealed(lambda room, name, data: room.put(name, data[:10])),
            "StateConflict STATE_CONFLICT",
        ),
    }


def attacks() -> Iterator[Attack]:
    """All of them."""
    yield from _names()
    for name, (act, expected) in (_creations() | _curations() | _uploads() | _seals()).items():
        yield Attack(name, expected, act)
