"""What accel_cls is compared with: each is a process of its own that answers one `Request`."""
