"""What this service measures, and how it is told: Prometheus metrics."""
