"""Views in the store: one read each, with its SQL in sql/view_<noun>.sql."""
