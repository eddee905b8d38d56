"""Webhooks: what is sent, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping

from mainspring_client import operations
from mainspring_client.nouns.noun import Noun
from mainspring_client.values import DeliveryState, Json, SignatureStyle, When
from mainspring_client.webhook_records import Delivery, DeliveryAttempts, DeliveryPage, DeliverySent, Emitted, Replayed


class Webhook(Noun):
    """Webhooks and their deliveries."""

    def send(
        self,
        url: str,
        payload: Json,
        *,
        event: str | None = None,
        secret: str | None = None,
        signature_style: SignatureStyle | None = None,
        headers: Mapping[str, str] | None = None,
        retry: int | None = None,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> DeliverySent:
        """Send a payload to a URL, with retries, and signed when there is a secret."""
        return self._call(operations.WEBHOOK_SEND, locals())

    def get(self, delivery_id: str) -> Delivery:
        """Get a delivery."""
        return self._call(operations.WEBHOOK_GET, locals())

    def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: DeliveryState | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> DeliveryPage:
        """List deliveries, newest first."""
        return self._call(operations.WEBHOOK_LIST, locals())

    def attempts(self, delivery_id: str) -> DeliveryAttempts:
        """List the attempts of a delivery."""
        return self._call(operations.WEBHOOK_ATTEMPTS, locals())

    def replay(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliverySent:
        """Send a delivery once more."""
        return self._call(operations.WEBHOOK_REPLAY, locals())

    def replay_many(
        self,
        *,
        status: DeliveryState | None = None,
        since: When | None = None,
        until: When | None = None,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Replayed:
        """Send deliveries once more, by state and time; `dry_run` only counts them."""
        return self._call(operations.WEBHOOK_REPLAY_MANY, locals())

    def cancel(self, delivery_id: str, *, idempotency_key: str | None = None) -> Delivery:
        """Cancel a delivery that is not over yet."""
        return self._call(operations.WEBHOOK_CANCEL, locals())

    def emit(self, event: str, payload: Json, *, idempotency_key: str | None = None) -> Emitted:
        """Send an event to every endpoint whose filters match it."""
        return self._call(operations.WEBHOOK_EMIT, locals())
