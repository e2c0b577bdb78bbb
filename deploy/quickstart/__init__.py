"""The demo: two tenants, from golden dataset to served adapter, on this machine."""
