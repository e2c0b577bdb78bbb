"""Contracts that are neither JSON nor SQL: one of a list of answers, a pattern, or plain text."""

from shared.contracts.plain.contract import canonicalise_plain, check_plain, lower_plain

__all__ = ["canonicalise_plain", "check_plain", "lower_plain"]
