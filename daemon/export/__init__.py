"""A model as a directory that plain transformers code can load, without inboxd.

`configuration_inboxd` and `modeling_inboxd` become the custom code of that directory, together
with all of our modules that they import. inboxd itself never loads custom code.
"""
