"""Identities from client certificates, which the TLS handshake has verified.

The certificate's subject alternative names hold one URI of the form `goldsmith://tenants/{tenant}?role={role}`, for
example `goldsmith://tenants/acme?role=admin`. For the roles `operator` and `service`, which stand above tenants, the
tenant is `-`: `goldsmith://tenants/-?role=service`. Other names (DNS, SPIFFE) may stand beside it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from shared.errors import Unauthenticated
from shared.rpc.identity.caller import Identity, IdentityMethod, Role

_SCHEME = "goldsmith:"
_FORM = re.compile(r"goldsmith://tenants/(?P<tenant>[a-z0-9-]+)\?role=(?P<role>[a-z]+)")
_ABOVE_TENANTS = "-"


@lru_cache(maxsize=1024)  # a connection shows the same bytes at each call
def certificate_identity(pem: bytes) -> Identity:
    """Whose certificate this is. It must have been verified: nothing here looks at its signature.

    Raises:
        Unauthenticated: CERTIFICATE_INVALID when it does not hold exactly one name of the form above.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    own = [uri for uri in uris if uri.startswith(_SCHEME)]
    if len(own) != 1:
        raise _invalid(f"it holds {len(own)} names goldsmith://..., one is needed")
    form = _FORM.fullmatch(own[0])
    if form is None or form["role"] not in set(Role):
        raise _invalid(f"{own[0][:120]!r} is no such name")
    common = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        return Identity(
            subject=common[0] if common else own[0],
            tenant=None if form["tenant"] == _ABOVE_TENANTS else form["tenant"],
            roles=frozenset({Role(form["role"])}),
            method=IdentityMethod.CERTIFICATE,
            expire_time=certificate.not_valid_after_utc,
        )
    except ValueError as err:
        raise _invalid(str(err)) from err


def _invalid(description: str) -> Unauthenticated:
    return Unauthenticated(
        "CERTIFICATE_INVALID",
        f"the client certificate names no caller: {description}",
        hint="issue it with the URI goldsmith://tenants/{tenant}?role={role} as subject alternative name",
    )
