"""`python -m bench.figures`."""

from bench.figures import main

if __name__ == "__main__":
    main()
