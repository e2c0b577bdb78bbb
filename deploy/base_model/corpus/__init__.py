"""Generated text on which the base model is trained: extraction, copying and text-to-SQL documents."""
