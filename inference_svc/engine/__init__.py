"""vLLM and nothing else: the only importers of vllm."""
