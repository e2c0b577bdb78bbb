"""Who vouches for an adapter."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapter.package import MAX_SIGNATURE_BYTES
from shared.adapter.signature import Signature, check_signature
from shared.digest import sha256_bytes
from shared.errors import StateConflict
from tests.operator_key import OperatorKey

ONE, OTHER = OperatorKey(1), OperatorKey(2)
DIGEST = sha256_bytes(b"a manifest")
SIGNED = ONE.signer.sign(DIGEST).to_json()


def _fault(signature: bytes | None, digest: str = DIGEST) -> str:
    with pytest.raises(StateConflict) as caught:
        check_signature(digest, signature, ONE.trusted)
    assert caught.value.reason == "SIGNATURE_REFUSED"
    return caught.value.metadata["fault"]


def _changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(SIGNED), **fields}, sort_keys=True, separators=(",", ":")).encode()


class TestSignature:
    """The file beside the manifest."""

    def test_names_the_key_that_made_it(self) -> None:
        """Whoever trusts that key, among others, learns which it was."""
        assert check_signature(DIGEST, SIGNED, {**OTHER.trusted, **ONE.trusted}) == ONE.signer.key_id

    def test_is_the_same_bytes_each_time(self) -> None:
        """Two publications of one package are one."""
        assert ONE.signer.sign(DIGEST).to_json() == SIGNED
        assert Signature.from_json(SIGNED).to_json() == SIGNED

    def test_of_another_manifest_is_refused(self) -> None:
        """It cannot be put beside other weights."""
        assert _fault(SIGNED, sha256_bytes(b"another manifest")) == "mismatch"

    def test_by_a_stranger_is_refused(self) -> None:
        """Also one that calls itself by a trusted key's name."""
        foreign = OTHER.signer.sign(DIGEST)

        assert _fault(foreign.to_json()) == "untrusted"
        assert _fault(Signature(ONE.signer.key_id, foreign.value).to_json()) == "mismatch"

    def test_that_is_not_there_is_refused(self) -> None:
        """Nobody vouches for such a package."""
        assert _fault(None) == "missing"

    def test_of_the_bare_digest_is_refused(self) -> None:
        """What the same key signs for another purpose means nothing here."""
        bare = ONE._key.sign(bytes.fromhex(DIGEST.removeprefix("sha256:")))

        assert _fault(Signature(ONE.signer.key_id, bare).to_json()) == "mismatch"

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff",
            b"null",
            b"[" * 3000,
            SIGNED + b"\n",
            SIGNED.replace(b'{"', b'{"key_id":"x","', 1),
            _changed(more=1),
            _changed(algorithm="none"),
            _changed(key_id=5),
            _changed(key_id="sha256:" + "A" * 64),
            _changed(value=None),
            _changed(value="*" * 88),
            _changed(value=base64.b64encode(bytes(63)).decode()),
            _changed(value=json.loads(SIGNED)["value"] + "\n"),
            b" " * (MAX_SIGNATURE_BYTES + 1),
        ],
    )
    def test_in_another_form_is_refused(self, data: bytes) -> None:
        """There is one spelling of a signature."""
        assert _fault(data) == "malformed"

    @given(place=st.integers(0, len(SIGNED) - 1), value=st.integers(0, 255))
    def test_with_any_byte_changed_is_refused(self, place: int, value: int) -> None:
        """None of them is without meaning."""
        changed = SIGNED[:place] + bytes([value]) + SIGNED[place + 1 :]

        assert changed == SIGNED or _fault(changed) in ("malformed", "untrusted", "mismatch")

    def test_is_one_for_openssl_too(self, tmp_path: Path) -> None:
        """Anybody can check it without this program, from what the module says."""
        if shutil.which("openssl") is None:
            pytest.skip("no openssl on this machine")
        (tmp_path / "key").write_bytes(ONE.public_pem)
        (tmp_path / "signed").write_bytes(b"goldsmith-adapter-v1\0" + bytes.fromhex(DIGEST.removeprefix("sha256:")))
        (tmp_path / "signature").write_bytes(base64.b64decode(json.loads(SIGNED)["value"]))
        command = "openssl pkeyutl -verify -pubin -inkey key -rawin -in signed -sigfile signature".split()

        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

        assert "Verified Successfully" in done.stdout


class TestSigner:
    """The private key in the trainer."""

    def test_never_shows_its_key(self) -> None:
        """Not in a log, and not in an error that prints what it holds."""
        assert repr(ONE.signer) == f"Signer({ONE.signer.key_id})"
