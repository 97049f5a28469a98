"""``python -m deepvelo`` is the same as the command ``deepvelo``; torchrun starts it in several processes."""

from deepvelo.cli import main

if __name__ == "__main__":
    main()
