"""One public assertion a file."""
