"""What the trainer knows about datasets, jobs and adapters, without any transport, store or engine."""
