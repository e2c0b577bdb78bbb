"""`python -m shared.cli`: the same as `goldsmith`."""

from shared.cli.main import main

if __name__ == "__main__":
    main()
