"""What reviewers of a preference study get, and what they send back."""
