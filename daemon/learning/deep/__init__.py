"""The deep fine-tune of an account's encoder: what to learn, where it is kept, the process."""
