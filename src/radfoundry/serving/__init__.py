"""The server: an API that takes volumes, and the page that shows them. docs/api.md is the contract of both.

`running.run_server` starts it, `app.create_app` is the application. Nothing is imported here: `radfoundry ask` shares rules with the server
and needs none of its libraries.
"""
