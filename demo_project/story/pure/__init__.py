"""The functional halves: all state comes in as an argument and goes out as a result."""
