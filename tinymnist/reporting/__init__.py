"""Text tables, figures and HTML pages shared by the reports."""
