"""What counting and depth estimation have of their own."""
