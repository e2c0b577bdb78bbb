"""Teachers behind an OpenAI-compatible endpoint (POST /chat/completions)."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from shared.digest import sha256_bytes
from trainer_svc.curation.question import Question
from trainer_svc.teacher.base import NoAnswer, TeacherAway, TeacherCard, TeacherRefused, TeacherSlow
from trainer_svc.teacher.settings import TeacherEntry, read_key

MAX_BODY_BYTES = 1 << 20
"""Of a response: 64 of the longest outputs that a row may have."""
_OF_THE_QUESTION = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_MAX_FORMATLESS = 10_000
_CONNECT_SECONDS = 10.0
"""Until a connection stands, TLS included; less where a whole request may not take twice as long."""


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice]


class OpenAiTeacher:
    """Implements `Teacher`. Follows no redirect and no proxy of the environment: rows go where the operator says."""

    def __init__(self, entry: TeacherEntry) -> None:
        self._entry = entry
        self._url = entry.url.rstrip("/") + "/chat/completions"
        self._formatless: set[str] = set()  # digests of schemas that the endpoint does not take as a response format
        self._places = asyncio.Semaphore(entry.parallel_requests)
        context: ssl.SSLContext | bool = True
        if entry.ca_file is not None:
            context = ssl.create_default_context(cafile=str(entry.ca_file))
        # Shorter than that of all, or nobody could tell a server that is away from one that thinks.
        connect = min(_CONNECT_SECONDS, entry.timeout_seconds / 2)
        self._client = httpx.AsyncClient(
            verify=context,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(entry.timeout_seconds, connect=connect),
            limits=httpx.Limits(max_connections=entry.parallel_requests),
        )

    @property
    def card(self) -> TeacherCard:
        """By the operator's file."""
        entry = self._entry
        return TeacherCard(entry.kind, entry.model, entry.max_rows, entry.parallel_requests)

    async def answer(self, question: Question, seed: int) -> str:
        """As the protocol says. A contract in JSON goes along as the response format, unless that was refused."""
        schema = sha256_bytes(question.json_schema.encode())
        has_format = bool(question.json_schema) and schema not in self._formatless
        async with self._places:
            status, body = await self._post(self._request(question, seed, has_format=has_format))
            if status == HTTPStatus.BAD_REQUEST and has_format:
                status, body = await self._post(self._request(question, seed, has_format=False))
                if status == HTTPStatus.OK and len(self._formatless) < _MAX_FORMATLESS:
                    self._formatless.add(schema)
        if status in _OF_THE_QUESTION:
            raise NoAnswer(f"the teacher does not take the question (HTTP {status})")
        return _text(body)

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    def _request(self, question: Question, seed: int, *, has_format: bool) -> dict[str, Any]:  # Any: JSON
        messages = [{"role": "system", "content": question.instructions}]
        for text, output in question.examples:
            messages += [{"role": "user", "content": text}, {"role": "assistant", "content": output}]
        body: dict[str, Any] = {  # Any: JSON
            "model": self._entry.model,
            "messages": [*messages, {"role": "user", "content": question.input}],
            "temperature": self._entry.temperature,
            "seed": seed,
            self._entry.token_limit_field: self._entry.max_answer_tokens,
        }
        if has_format:
            schema = {"name": "output", "schema": json.loads(question.json_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    async def _post(self, body: dict[str, Any]) -> tuple[int, bytes]:  # Any: JSON
        """Status and body of a response that is about the question. Raises for all others, and for none."""
        try:
            async with asyncio.timeout(self._entry.timeout_seconds):  # of all, where httpx counts each read anew
                async with self._client.stream("POST", self._url, json=body, headers=self._headers()) as response:
                    _check_status(response)
                    return response.status_code, await _read(response)
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as err:  # says nothing of the question
            raise TeacherAway("cannot be reached in time") from err
        except (TimeoutError, httpx.TimeoutException) as err:
            raise TeacherSlow(f"no answer within {self._entry.timeout_seconds:g} s") from err
        except httpx.HTTPError as err:
            raise TeacherAway(f"cannot be reached: {type(err).__name__}") from err

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if self._entry.api_key_file is None:
            return headers
        try:
            return headers | {"authorization": f"Bearer {read_key(self._entry.api_key_file)}"}
        except (OSError, ValueError) as err:
            raise TeacherRefused("its key cannot be read") from err


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == HTTPStatus.OK or status in _OF_THE_QUESTION:
        return
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TeacherAway(f"is busy or broken (HTTP {status})", _wanted_wait(response.headers.get("retry-after", "")))
    raise TeacherRefused(f"refuses (HTTP {status})")


def _wanted_wait(text: str) -> float | None:
    """Seconds of a Retry-After header, which may be a date (RFC 9110, 10.2.3); None where there is none."""
    if text.isascii() and text.isdecimal():
        return float(text[:6])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for numbers of any length in it
        return None
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


async def _read(response: httpx.Response) -> bytes:
    """The body, as it travels: a compressed one, which was not asked for, might unpack to any size, and is none."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise NoAnswer(f"the teacher's answer has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _text(body: bytes) -> str:
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as err:
        raise NoAnswer("the teacher's answer is no chat completion") from err
    if not completion.choices:
        raise NoAnswer("the teacher's answer holds no text")
    choice = completion.choices[0]
    if choice.finish_reason not in (None, "stop"):
        raise NoAnswer("the teacher's answer was cut short by its limit of tokens or a filter")
    if choice.message.content is None:
        raise NoAnswer("the teacher's answer holds no text")
    return choice.message.content
