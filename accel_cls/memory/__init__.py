"""What a training needs of memory, what there is, and the largest micro-batch that fits."""
