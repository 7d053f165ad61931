"""The way up, one idea a file: from three lines to a convolutional network and an LSTM.

`python -m engine.steps` lists the steps, `python -m engine.steps 12` runs one and checks its claims. The first nine
stand alone, in plain Python; from the tenth on they use the engine, which is what they have become.
"""
