"""Who is calling: signed tokens, client certificates, or the one who may reach a loopback port."""

from shared.rpc.identity.caller import Identity, IdentityMethod, Role, current_identity

__all__ = ["Identity", "IdentityMethod", "Role", "current_identity"]
