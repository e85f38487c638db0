"""inboxd as a service of the operating system: systemd's unit, launchd's property list."""
