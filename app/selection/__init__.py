"""One selection of cells for all pages: what is selected, figures that show and change it, and its bar."""
