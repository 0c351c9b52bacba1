"""The CT6 application. It runs as /app1 or /app2, so its modules import each other relatively."""
