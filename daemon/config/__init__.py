"""What the user decides: settings, where they come from, and passwords.

`settings` is the one place where every option, its default and its meaning are written down;
`load` finds and checks a configuration, `render` writes one, `secrets` finds passwords.
"""
