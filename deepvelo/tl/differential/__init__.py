"""What differs between two sets of cells: composition, marker genes and kinetics."""
