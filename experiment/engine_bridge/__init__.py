"""Training steps on the project's own engine: see recording.py for how, docs/engine.md for what it can do."""
