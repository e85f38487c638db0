"""What people are told by themselves: in which words, as a mail, over HTTP, and when a week is
over. Pure but for `webhook`; what is told, and to whom, `daemon.use_cases.notices` decides.

(`daemon.notify` is something else: what systemd is told.)
"""
