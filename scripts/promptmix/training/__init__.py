"""Training, selection and evaluation of networks (paper, sections III and IV)."""
