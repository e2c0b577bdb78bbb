"""The small base model that the project ships: its text generator, tokenizer, training and export."""
