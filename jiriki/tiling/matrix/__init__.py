"""Plans for the matrix unit: convolutions, matrix products and their epilogues."""
