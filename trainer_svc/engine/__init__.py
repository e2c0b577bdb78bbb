"""torch, transformers, peft and bitsandbytes: nothing outside imports them."""
