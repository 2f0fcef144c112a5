"""How the models that ship with the repository were trained."""
