"""Every family of models that transformers can classify texts with, tried as a tiny random model."""
