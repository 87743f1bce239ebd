"""`tumorline app`: a page and a REST interface on this machine, around the models that `predict` runs.

server the routes · parameters and head what of a request they take · guard who is heard · uploads what is received ·
waiting who is next · worker the process that predicts, told by worker_process · inputs which files are a case ·
answers what is said of them, views what is shown · catalogue models · run_pages runs · serving the port, connections
on it.
"""
