"""What the tests of several folders share. A folder's conftest.py imports the fixtures it needs.

Not in the root conftest.py: what it imports, every test pays for.
"""
