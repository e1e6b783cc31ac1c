"""What is compared: a module each, with every setting in it, started as a process of its own."""
