"""The same models in other libraries, each a program for an environment of its own."""
