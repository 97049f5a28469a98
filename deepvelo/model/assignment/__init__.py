"""Target assignment: each cell's future and past neighbours, and the neighbourhood rates they imply."""
