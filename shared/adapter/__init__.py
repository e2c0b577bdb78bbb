"""The adapter package: the files that the trainer publishes and the inference service loads."""
