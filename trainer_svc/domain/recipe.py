"""Which training code this is, for what outlives an update of it: runs in the middle, measures of their time."""

RECIPE_VERSION = 6
"""Grows when the same rows and settings give other weights, or an evaluation does other work: 2 has batches of an order
of its own, 3 a learning rate of its own for bases of the Qwen family, 4 computes the adapter in the base's type, sums
in another order, and has batches of rows that are less alike, 5 scales and caps scores and logits as each
architecture does, evaluates several states of the adapter, and counts fields in another way, 6 has vLLM answer what
is evaluated, and asks the base alone as well."""
