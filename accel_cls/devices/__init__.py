"""What a kind of device needs: a CPU, a GPU, XLA."""
