"""Contracts and datasets in the database. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from shared.errors import AlreadyExists, InvalidInput
from shared.names import ContractName, DatasetName, absent
from shared.rpc.page import Page, take_page
from trainer_svc.domain.dataset import UNFINISHED, Dataset, Finding
from trainer_svc.domain.finding_kind import ALL_FINDINGS, FindingFilter, Severity
from trainer_svc.domain.registry import Contract
from trainer_svc.store.codec import dump, load
from trainer_svc.store.table import contracts, datasets, findings, request_ids


def repeated(connection: Connection, tenant: str, method: str, request_id: str, payload_digest: str) -> bool:
    """Notes a request id; whether the same request was here before.

    Raises:
        InvalidInput: REQUEST_ID_REUSED with another payload.
    """
    if not request_id:
        return False
    where = (
        (request_ids.c.tenant == tenant) & (request_ids.c.method == method) & (request_ids.c.request_id == request_id)
    )
    stored = connection.execute(select(request_ids.c.payload_digest).where(where)).scalar()
    if stored is None:
        values = {"tenant": tenant, "method": method, "request_id": request_id, "payload_digest": payload_digest}
        connection.execute(insert(request_ids).values(values))
        return False
    if stored != payload_digest:
        raise InvalidInput("REQUEST_ID_REUSED", f"request_id {request_id} was used with another request")
    return True


def find_contract(connection: Connection, name: ContractName) -> Contract | None:
    """A contract, or None."""
    where = (contracts.c.tenant == name.tenant) & (contracts.c.id == name.id)
    body = connection.execute(select(contracts.c.body).where(where)).scalar()
    return load(Contract, body) if body is not None else None


def get_contract(connection: Connection, name: ContractName) -> Contract:
    """A contract. Raises `NotFound`."""
    found = find_contract(connection, name)
    if found is None:
        raise absent(str(name))
    return found


def add_contract(connection: Connection, contract: Contract) -> Contract:
    """Stores a contract; returns the stored one when its definition is the same.

    Raises:
        AlreadyExists: RESOURCE_EXISTS with another definition.
    """
    name = ContractName.parse(contract.name)
    stored = find_contract(connection, name)
    if stored is None:
        connection.execute(insert(contracts).values(tenant=name.tenant, id=name.id, body=dump(contract)))
        return contract
    if stored.digest != contract.digest:
        raise AlreadyExists(
            "RESOURCE_EXISTS",
            f"{contract.name} exists with another definition",
            hint="contracts never change: take a new id",
        )
    return stored


def list_contracts(connection: Connection, tenant: str, page: Page) -> tuple[list[Contract], str]:
    """One page by id, with the token of the next."""
    rows = connection.execute(
        select(contracts.c.id, contracts.c.body)
        .where((contracts.c.tenant == tenant) & (contracts.c.id > page.after))
        .order_by(contracts.c.id)
        .limit(page.size + 1)
    ).all()
    taken, token = take_page(rows, page, lambda row: str(row.id))
    return [load(Contract, row.body) for row in taken], token


def find_dataset(connection: Connection, name: DatasetName) -> Dataset | None:
    """A dataset, or None."""
    where = (datasets.c.tenant == name.tenant) & (datasets.c.id == name.id)
    body = connection.execute(select(datasets.c.body).where(where)).scalar()
    return load(Dataset, body) if body is not None else None


def get_dataset(connection: Connection, name: DatasetName) -> Dataset:
    """A dataset. Raises `NotFound`."""
    found = find_dataset(connection, name)
    if found is None:
        raise absent(str(name))
    return found


def add_dataset(connection: Connection, dataset: Dataset) -> None:
    """Stores a new dataset. Raises `AlreadyExists`."""
    name = DatasetName.parse(dataset.name)
    if find_dataset(connection, name) is not None:
        raise AlreadyExists("RESOURCE_EXISTS", f"{dataset.name} exists", hint="datasets never change: take a new id")
    connection.execute(insert(datasets).values(tenant=name.tenant, id=name.id, body=dump(dataset)))


def save_dataset(connection: Connection, dataset: Dataset, found: Sequence[Finding] | None = None) -> None:
    """Replaces a stored dataset and, where given, its findings."""
    name = DatasetName.parse(dataset.name)
    where = (datasets.c.tenant == name.tenant) & (datasets.c.id == name.id)
    connection.execute(update(datasets).where(where).values(body=dump(dataset)))
    if found is None:
        return
    connection.execute(delete(findings).where((findings.c.tenant == name.tenant) & (findings.c.dataset == name.id)))
    rows = [
        {
            "tenant": name.tenant,
            "dataset": name.id,
            "position": position,
            "row_number": finding.row_number,
            "reason": finding.reason,
            "path": finding.path,
            "message": finding.message,
            "blocking": finding.blocking,
            "related_rows": finding.related_rows,
        }
        for position, finding in enumerate(found)
    ]
    if rows:
        connection.execute(insert(findings), rows)


def remove_dataset(connection: Connection, name: DatasetName) -> None:
    """Removes a dataset that nothing refers to, and its findings."""
    connection.execute(delete(findings).where((findings.c.tenant == name.tenant) & (findings.c.dataset == name.id)))
    connection.execute(delete(datasets).where((datasets.c.tenant == name.tenant) & (datasets.c.id == name.id)))


def unfinished_datasets(connection: Connection, tenant: str = "", limit: int | None = None) -> list[DatasetName]:
    """Datasets of a tenant, or of all, that are not checked to the end; as many as `limit`.

    A text of the caller's that says the same is stored with its quotes escaped.
    """
    states = or_(*(datasets.c.body.contains(f'"state":"{state}"', autoescape=True) for state in UNFINISHED))
    own = [datasets.c.tenant == tenant] if tenant else []
    names = select(datasets.c.tenant, datasets.c.id).where(states, *own).limit(limit)
    return [DatasetName(row.tenant, row.id) for row in connection.execute(names)]


def list_datasets(connection: Connection, tenant: str, page: Page) -> tuple[list[Dataset], str]:
    """One page by id, with the token of the next."""
    rows = connection.execute(
        select(datasets.c.id, datasets.c.body)
        .where((datasets.c.tenant == tenant) & (datasets.c.id > page.after))
        .order_by(datasets.c.id)
        .limit(page.size + 1)
    ).all()
    taken, token = take_page(rows, page, lambda row: str(row.id))
    return [load(Dataset, row.body) for row in taken], token


def list_row_findings(connection: Connection, name: DatasetName, number: int) -> list[Finding]:
    """Findings of one row, in order."""
    where = (findings.c.tenant == name.tenant) & (findings.c.dataset == name.id) & (findings.c.row_number == number)
    rows = connection.execute(select(findings).where(where).order_by(findings.c.position)).all()
    return [_finding(row) for row in rows]


def list_findings(
    connection: Connection, name: DatasetName, page: Page, wanted: FindingFilter = ALL_FINDINGS
) -> tuple[list[Finding], str]:
    """One page in the order of the rows, with the token of the next."""
    where = (findings.c.tenant == name.tenant) & (findings.c.dataset == name.id)
    where &= findings.c.position >= page.number()
    if wanted.reasons:
        where &= findings.c.reason.in_(sorted(wanted.reasons))
    if wanted.least is Severity.ERROR:
        where &= findings.c.blocking.is_(True)
    else:
        where &= findings.c.reason.not_in(sorted(wanted.unwanted))
    rows = connection.execute(select(findings).where(where).order_by(findings.c.position).limit(page.size + 1)).all()
    taken = [_finding(row) for row in rows[: page.size]]
    return taken, page.numbered_token(rows[page.size].position) if len(rows) > page.size else ""


def _finding(row: Row[Any]) -> Finding:  # Any: columns have the types of the table
    return Finding(row.row_number, row.reason, row.path, row.message, row.blocking, tuple(row.related_rows))
