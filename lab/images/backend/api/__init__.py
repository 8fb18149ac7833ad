"""The application: tables, API, and what it logs."""
