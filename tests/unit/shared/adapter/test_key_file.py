"""The operator's keys in files."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from shared.adapter.key_file import TrustedKeyFile, read_signer, read_trusted_keys
from shared.errors import InvalidInput
from tests.operator_key import OperatorKey

ONE, OTHER = OperatorKey(1), OperatorKey(2)
FIELD = "key_file"
_RSA = generate_private_key(65537, 2048)
RSA_PRIVATE = _RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
RSA_PUBLIC = _RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
LOCKED = load_pem_private_key(ONE.private_pem, None).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)


def _openssl(*arguments: str, folder: Path) -> bytes:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True).stdout


class TestReadSigner:
    """The key that signs."""

    def test_reads_what_openssl_makes(self, tmp_path: Path) -> None:
        """As the module's docstring tells an operator; the fingerprint is the one that openssl tells."""
        _openssl("genpkey", "-algorithm", "ed25519", "-out", "signing.pem", folder=tmp_path)
        (tmp_path / "signing.pem").chmod(0o600)
        (tmp_path / "public.pem").write_bytes(_openssl("pkey", "-in", "signing.pem", "-pubout", folder=tmp_path))
        _openssl("pkey", "-pubin", "-in", "public.pem", "-outform", "DER", "-out", "key.der", folder=tmp_path)
        fingerprint = _openssl("dgst", "-sha256", "-r", "key.der", folder=tmp_path).split()[0].decode()

        signer = read_signer(tmp_path / "signing.pem", FIELD)

        assert signer.key_id == f"sha256:{fingerprint}"
        assert list(read_trusted_keys(tmp_path / "public.pem", FIELD)) == [signer.key_id]

    @pytest.mark.parametrize("mode", [0o604, 0o644, 0o620, 0o601])
    def test_refuses_a_file_that_others_can_use(self, tmp_path: Path, mode: int) -> None:
        """Read by others it is no secret, written by them it is not the operator's."""
        path = ONE.write_private(tmp_path / "key")
        path.chmod(mode)

        with pytest.raises(InvalidInput, match=f"mode {mode:04o}"):
            read_signer(path, FIELD)

    def test_takes_one_that_a_group_may_read(self, tmp_path: Path) -> None:
        """As Kubernetes mounts a secret."""
        path = ONE.write_private(tmp_path / "key")
        path.chmod(0o440)

        assert read_signer(path, FIELD).key_id == ONE.signer.key_id

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "no PEM private key"),
            (ONE.public_pem, "no PEM private key"),
            (LOCKED, "without a password"),
            (ONE.private_pem[:60], "no PEM private key"),
            (RSA_PRIVATE, "another algorithm"),
        ],
    )
    def test_refuses_anything_else(self, tmp_path: Path, data: bytes, words: str) -> None:
        """By the setting's name, and without a word of the file."""
        path = ONE.write_private(tmp_path / "key")
        path.write_bytes(data)

        with pytest.raises(InvalidInput, match=words) as caught:
            read_signer(path, FIELD)

        assert [violation.path for violation in caught.value.violations] == [FIELD]
        secret = b"".join(ONE.private_pem.splitlines()[1:-1]).decode()
        assert secret not in str(caught.value)

    def test_refuses_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        """Before anything is served unsigned."""
        with pytest.raises(InvalidInput, match="No such file"):
            read_signer(tmp_path / "none", FIELD)


class TestReadTrustedKeys:
    """The keys whose signatures are trusted."""

    def test_reads_several_with_comments(self, tmp_path: Path) -> None:
        """A new key is added before the old one goes."""
        path = tmp_path / "keys"
        path.write_bytes(b"# 2025\n" + ONE.public_pem + b"\n# 2026\n" + OTHER.public_pem + ONE.public_pem)

        assert set(read_trusted_keys(path, FIELD)) == {ONE.signer.key_id, OTHER.signer.key_id}

    @pytest.mark.parametrize("prefix", [b"# ", b"#", b"  ", b"\t"])
    def test_takes_a_key_that_is_commented_out_for_a_comment(self, tmp_path: Path, prefix: bytes) -> None:
        """It is no longer trusted, and spoils nothing."""
        path = tmp_path / "keys"
        taken_out = b"".join(prefix + line for line in OTHER.public_pem.splitlines(keepends=True))
        path.write_bytes(taken_out + ONE.public_pem + taken_out)

        assert list(read_trusted_keys(path, FIELD)) == [ONE.signer.key_id]

    @pytest.mark.parametrize("line", [b"-----BEGIN", b"-----END"])
    def test_never_trusts_a_key_that_is_half_commented_out(self, tmp_path: Path, line: bytes) -> None:
        """Its end may not be taken from a comment, nor from the next key."""
        path = tmp_path / "keys"
        path.write_bytes(OTHER.public_pem.replace(line, b"# " + line) + ONE.public_pem)

        try:
            trusted = set(read_trusted_keys(path, FIELD))
        except InvalidInput:
            trusted = set()

        assert OTHER.signer.key_id not in trusted

    @pytest.mark.parametrize("change", [lambda pem: b"\xef\xbb\xbf" + pem, lambda pem: pem.replace(b"\n", b"\r\n")])
    def test_reads_what_any_editor_writes(self, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
        """A byte order mark before the first key must not take it out, nor do other line ends."""
        path = tmp_path / "keys"
        path.write_bytes(change(ONE.public_pem + OTHER.public_pem))

        assert set(read_trusted_keys(path, FIELD)) == {ONE.signer.key_id, OTHER.signer.key_id}

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "holds no PUBLIC KEY"),
            (b"ssh-ed25519 AAAA", "holds no PUBLIC KEY"),
            (ONE.public_pem + ONE.private_pem, "part 2 is a private key"),
            (ONE.public_pem + RSA_PUBLIC, "part 2 is a key of another algorithm"),
            (ONE.public_pem.replace(b"PUBLIC KEY", b"CERTIFICATE"), "is a CERTIFICATE"),
            (ONE.public_pem + OTHER.public_pem[:50], "a beginning and no end"),
            (ONE.public_pem[:40] + b"****" + ONE.public_pem[44:], "part 1 is no public key"),
            (b" " * (1 << 20) + ONE.public_pem, "more than"),
        ],
    )
    def test_refuses_anything_else(self, tmp_path: Path, data: bytes, words: str) -> None:
        """One part that is no key spoils the file: it may be the one that matters."""
        path = tmp_path / "keys"
        path.write_bytes(data)

        with pytest.raises(InvalidInput, match=words) as caught:
            read_trusted_keys(path, FIELD)

        assert caught.value.violations[0].path == FIELD


class TestTrustedKeyFile:
    """The same while the service runs."""

    def test_is_read_again_when_it_changes(self, tmp_path: Path) -> None:
        """Written in place or replaced."""
        path = tmp_path / "keys"
        path.write_bytes(ONE.public_pem)
        keys = TrustedKeyFile(path, FIELD)
        path.write_bytes(ONE.public_pem + OTHER.public_pem)

        assert set(keys.current()) == {ONE.signer.key_id, OTHER.signer.key_id}
        (tmp_path / "new").write_bytes(OTHER.public_pem)
        (tmp_path / "new").replace(path)
        assert set(keys.current()) == {OTHER.signer.key_id}

    def test_broken_or_gone_changes_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Each use logs it; a half-written file must not lock everybody out, or let anybody in."""
        path = tmp_path / "keys"
        path.write_bytes(ONE.public_pem)
        keys = TrustedKeyFile(path, FIELD)

        with caplog.at_level(logging.ERROR):
            for spoil in (lambda: path.write_bytes(b"half"), path.unlink):
                spoil()
                assert list(keys.current()) == list(keys.current()) == [ONE.signer.key_id]

        assert [record.message for record in caplog.records] == ["trusted keys not changed"] * 4

    def test_is_read_again_as_long_as_it_is_bad(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What makes a file readable need not change it."""
        path = tmp_path / "keys"
        path.write_bytes(ONE.public_pem)
        keys = TrustedKeyFile(path, FIELD)
        path.write_bytes(OTHER.public_pem + ONE.public_pem)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", _denied)
            assert set(keys.current()) == {ONE.signer.key_id}

        assert set(keys.current()) == {ONE.signer.key_id, OTHER.signer.key_id}


def _denied(*_: object) -> None:
    raise PermissionError(13, "Permission denied")
