"""Send alerts to a web address."""

from __future__ import annotations

import json
import logging
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pydantic import SecretStr

from dataworks_tasks.monitor.alerts import Alert

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0


class Webhook:
    """Posts each alert as a JSON object. The address is a secret: most carry a token."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url

    def __call__(self, alert: Alert) -> None:
        """Post the alert; a failure is logged, and the alert is not sent again."""
        # ``text`` is what Slack, Mattermost and Teams show.
        body = json.dumps({**alert, "text": alert["message"]}).encode()
        request = Request(  # noqa: S310 - the settings take http and https only
            self._url.get_secret_value(),
            data=body,
            headers={"Content-Type": "application/json", "User-Agent": "dataworks"},
        )
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
                return
        except HTTPError as error:
            reason = f"answered {error.code}"
            error.close()
        except (URLError, HTTPException, OSError) as error:
            reason = f"cannot be reached: {type(error).__name__}"
        log.warning("the alert webhook %s; this alert was not delivered there", reason)
