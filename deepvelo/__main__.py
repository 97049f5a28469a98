"""``python -m deepvelo`` is the same as the command ``deepvelo``."""

from deepvelo.cli import main

if __name__ == "__main__":
    main()
