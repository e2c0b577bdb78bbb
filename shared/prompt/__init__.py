"""The one way from an input to token ids, for training, evaluation and serving."""

from shared.prompt.renderer import PromptRenderer

__all__ = ["PromptRenderer"]
