"""`python -m jiriki.cli`: the same as the command `jiriki`."""

from jiriki.cli.entry import main

if __name__ == "__main__":
    main()
