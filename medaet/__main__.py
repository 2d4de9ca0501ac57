"""`python -m medaet`: the command line."""

from medaet.cli import main

if __name__ == "__main__":
    main()
