"""Real training and known tricks on the engine alone, one file each: `python -m engine.examples.mnist_cnn --help`."""
