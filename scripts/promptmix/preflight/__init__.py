"""What is needed, and whether it is there, before weeks of computing begin."""
