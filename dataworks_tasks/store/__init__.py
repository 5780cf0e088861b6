"""The databases: connections, bulk writes and what differs between the servers."""
