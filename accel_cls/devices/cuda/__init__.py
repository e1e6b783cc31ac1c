"""What makes training fast on a CUDA device."""
