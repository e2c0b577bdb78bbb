"""Personal data in golden datasets: what a trained adapter could give away."""
