"""The training of the models that ship with the repository (resources/models)."""
