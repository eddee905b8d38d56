"""Views: what people look at across many rows; asked of the reader, never holding up a write."""
