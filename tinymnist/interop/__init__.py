"""Other frameworks' models: read without the framework, written so that the framework opens them.

``formats`` tells what a file is and opens it; every other module knows one format.
"""
