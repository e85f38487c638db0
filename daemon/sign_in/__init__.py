"""Signing in with OAuth 2: getting tokens from a provider, keeping and renewing them.

keeper ── what the mailbox asks for a token; renews it in time, one process at a time
vault ─── where tokens are kept: keyring or encrypted file
provider  the port to those who issue tokens; google, microsoft and oidc stand behind it,
          each around the library that is kept for it and imported only when it is used
"""
