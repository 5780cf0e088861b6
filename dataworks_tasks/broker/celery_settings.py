"""The Celery settings, each with its reason."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.redis_address import SENTINEL_SCHEME, read_sentinel_address

FIRST, LATER = 0, 6
"""Priorities.

Celery on Redis takes the lower number first: messages that begin or end a run. All other messages
wait their turn in one line.
"""

TASK_SECONDS = 110
"""A task is killed after this. It returns by itself after ``range_seconds`` (at most 60), so only a
hanging driver gets here. Below the visibility timeout: the message is not delivered twice."""

FINISH_SECONDS = 24 * 3600
"""A turn of the finishing phase is short, but one query of an aggregator may take longer.

A message that is redelivered meanwhile finds the lease taken.
"""


def celery_settings(config: FrameworkConfig) -> dict[str, Any]:
    """Return the Celery configuration of the app."""
    broker_url, sentinel_options = _broker(config.broker_url.get_secret_value())
    return {
        "broker_url": broker_url,
        "broker_use_ssl": _tls(broker_url),
        # Nobody reads results: the ledger has them, and one key per message would fill Redis.
        "task_ignore_result": True,
        "result_backend": None,
        # A message is taken off the queue when its range is acknowledged, not when it is read.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # One that is killed at the time limit goes back to the queue as well.
        "task_acks_on_timeout": False,
        # Pickle would run whatever somebody with access to the broker sends.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        # Ranges take long: a prefetched message would wait while other workers are idle.
        "worker_prefetch_multiplier": 1,
        # A task of a newer version is left to newer workers; Celery's own consumer discards it.
        "worker_consumer": "dataworks_tasks.worker.consumer:PromptConsumer",
        "worker_concurrency": config.generation_workers,
        "task_time_limit": TASK_SECONDS,
        "task_default_queue": config.queue,
        "task_create_missing_queues": True,
        # Flower shows which worker processes which message.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        # Workers outlive their broker: they wait for it when they start and after it restarts.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        # A process that grew (a user's generator that leaks) is replaced; KiB, counts the peak.
        "worker_max_memory_per_child": 600_000,
        "worker_hijack_root_logger": False,
        "broker_transport_options": {
            "visibility_timeout": 120,
            # Messages that begin or end a run, and all others in one line: see send_window.lua.
            "priority_steps": [FIRST, LATER],
            # Messages of a killed worker come back seconds after the timeout, not minutes.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 10,
            # A half-open connection is noticed within seconds (celery#10502).
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 5,
            **sentinel_options,
        },
    }


def _broker(url: str) -> tuple[str, dict[str, Any]]:
    """Return the address as kombu reads it, and the transport options that belong to it."""
    if not url.startswith(SENTINEL_SCHEME):
        return url, {}
    address = read_sentinel_address(url)
    # Leave a hanging Sentinel for the next one soon: nothing is sent meanwhile.
    waiting = {"socket_timeout": 2, "socket_connect_timeout": 2}
    return address.broker_url, {
        "master_name": address.master,
        "sentinel_kwargs": {**waiting, **address.sentinel_credentials},
    }


def _tls(broker_url: str) -> dict[str, Any] | None:
    """TLS with the server's certificate checked: ``rediss://`` alone would not check it."""
    if not broker_url.startswith("rediss://"):
        return None
    query = urlsplit(broker_url).query
    options = {name: values[0] for name, values in parse_qs(query).items()}
    checked: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        if name in options:
            checked[name] = options[name]
    return checked
