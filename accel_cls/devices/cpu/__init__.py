"""What torch is slow at on a CPU, done faster: memory that is used again, dropout's masks, weights in bf16."""
