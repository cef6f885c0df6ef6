"""The asset that asks the model, and the steps it is made of."""
