"""Other libraries' names for the engine."""
