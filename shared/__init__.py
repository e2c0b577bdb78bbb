"""What both services must agree on, and nothing else. Stays empty so that importing one part loads only that part."""
