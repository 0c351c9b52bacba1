"""The application with the original interface; see app.py."""
