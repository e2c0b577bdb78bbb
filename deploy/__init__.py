"""What is shipped beside the services: the base model and the quickstart."""
