"""`repeat`: one recipe trained several times by one command, with several seeds or with each fold held out once."""
