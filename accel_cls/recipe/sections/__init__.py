"""A recipe's sections: every key, its type, default, range and meaning."""
