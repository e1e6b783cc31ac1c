"""What runs in processes of its own, since it touches the device, or has to be patched before a training begins."""
