"""A trained network for use elsewhere: as ONNX, with a card that says what it is, and the use of it."""
