"""Local services: a real Valkey, mongod, Celery workers and Flower, as children of one command."""
