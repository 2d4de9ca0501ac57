"""The dashboard: what the tables say, for people; read-only except for retry and bury.

guard -> views, study, plugin_pages    pages, made from SELECTs and templates without scripts
      -> decisions                     the only ones that write, by the functions of the command line
      -> entrance                      login and logout
"""
