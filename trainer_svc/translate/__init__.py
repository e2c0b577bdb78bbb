"""Between protobuf and the domain; pure functions, no decisions."""
