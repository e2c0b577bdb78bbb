"""What a replica knows about adapters and requests, without any transport or engine."""
