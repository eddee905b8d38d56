"""Keys, webhook endpoints, the audit log, and what stands where others send bills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring_client import operations
from mainspring_client.nouns.noun import Call, Noun
from mainspring_client.records import AuditPage, Balance, Capability, Discovered, KeyCreated, KeyPage, KeyRevoked, Topup
from mainspring_client.values import DeliveryState, Scope, SignatureStyle, When
from mainspring_client.webhook_records import (
    EndpointDeleted,
    EndpointDeliveries,
    EndpointPage,
    EndpointRecord,
    EndpointWithSecret,
    EventEmitted,
    Replays,
    RetryPolicy,
)


class Keys(Noun):
    """API keys."""

    def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        project_id: str | None = None,
    ) -> KeyPage:
        """List keys without their secrets, newest first."""
        return self._call(operations.ACCOUNT_KEYS_LIST, locals())

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope] | None = None,
        project_id: str | None = None,
        expires_at: When | None = None,
        idempotency_key: str | None = None,
    ) -> KeyCreated:
        """Create a key; its secret is shown in this answer only."""
        return self._call(operations.ACCOUNT_KEYS_CREATE, locals())

    def rotate(
        self,
        key_id: str,
        *,
        grace_hours: float | None = None,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> KeyCreated:
        """Create a key in place of another, which stays valid for grace_hours."""
        return self._call(operations.ACCOUNT_KEYS_ROTATE, locals())

    def revoke(
        self,
        key_id: str,
        *,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> KeyRevoked:
        """Revoke a key at once."""
        return self._call(operations.ACCOUNT_KEYS_REVOKE, locals())


class Endpoints(Noun):
    """Webhook endpoints."""

    def register(
        self,
        url: str,
        events: Sequence[str] | None = None,
        *,
        description: str | None = None,
        signature_style: SignatureStyle | None = None,
        headers: Mapping[str, str] | None = None,
        retry_policy: int | Sequence[float] | RetryPolicy | None = None,
        timeout_seconds: float | None = None,
        max_concurrency: int | None = None,
        rate_limit: float | None = None,
        ordered: bool | None = None,
        enabled: bool | None = None,
        secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> EndpointWithSecret:
        """Make an endpoint for a project's events; its secret is shown in this answer only."""
        return self._call(operations.ACCOUNT_WEBHOOKS_REGISTER, locals())

    def list(self, *, cursor: str | None = None, limit: int | None = None) -> EndpointPage:
        """List endpoints without their secrets, newest first."""
        return self._call(operations.ACCOUNT_WEBHOOKS_LIST, locals())

    def get(self, webhook_id: str) -> EndpointRecord:
        """Get an endpoint and how it is doing."""
        return self._call(operations.ACCOUNT_WEBHOOKS_GET, locals())

    def update(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        signature_style: SignatureStyle | None = None,
        headers: Mapping[str, str] | None = None,
        retry_policy: int | Sequence[float] | RetryPolicy | None = None,
        timeout_seconds: float | None = None,
        max_concurrency: int | None = None,
        rate_limit: float | None = None,
        ordered: bool | None = None,
        enabled: bool | None = None,
        idempotency_key: str | None = None,
    ) -> EndpointRecord:
        """Change an endpoint, or switch it on or off; what the body does not name stays."""
        return self._call(operations.ACCOUNT_WEBHOOKS_UPDATE, locals())

    def delete(self, webhook_id: str, *, idempotency_key: str | None = None) -> EndpointDeleted:
        """Send nothing there any more; what waits is cancelled."""
        return self._call(operations.ACCOUNT_WEBHOOKS_DELETE, locals())

    def test(self, webhook_id: str, *, idempotency_key: str | None = None) -> EventEmitted:
        """Send an endpoint an event of the type test, whatever it listens for."""
        return self._call(operations.ACCOUNT_WEBHOOKS_TEST, locals())

    def rotate(
        self,
        webhook_id: str,
        *,
        grace_hours: float | None = None,
        secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> EndpointWithSecret:
        """Give an endpoint a new secret; for grace_hours the old one signs as well."""
        return self._call(operations.ACCOUNT_WEBHOOKS_ROTATE, locals())

    def recover(
        self,
        webhook_id: str,
        *,
        since: When | None = None,
        limit: int | None = None,
        idempotency_key: str | None = None,
    ) -> Replays:
        """Send an endpoint once more what failed since an instant."""
        return self._call(operations.ACCOUNT_WEBHOOKS_RECOVER, locals())

    def deliveries(
        self,
        webhook_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: DeliveryState | None = None,
        event: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> EndpointDeliveries:
        """List the deliveries to an endpoint, newest first."""
        return self._call(operations.ACCOUNT_WEBHOOKS_DELIVERIES, locals())


class Audit(Noun):
    """The audit log."""

    def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        project_id: str | None = None,
        since: When | None = None,
        operation: str | None = None,
        object: str | None = None,
        key_id: str | None = None,
    ) -> AuditPage:
        """List who changed which setting or right, newest first."""
        return self._call(operations.ACCOUNT_AUDIT_LIST, locals())


class Account(Noun):
    """The account."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.keys = Keys(call)
        self.webhooks = Endpoints(call)
        self.audit = Audit(call)

    def balance(self) -> Balance:
        """Tell that nothing costs anything."""
        return self._call(operations.ACCOUNT_BALANCE, locals())

    def topup(
        self,
        *,
        amount_usd: float | None = None,
        amount: float | None = None,
        currency: str | None = None,
        payment_method: str | None = None,
        return_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Topup:
        """Tell that nothing has to be paid."""
        return self._call(operations.ACCOUNT_TOPUP, locals())


class Discovery(Noun):
    """What the server can do."""

    def list(self) -> Discovered:
        """List everything that this server can do."""
        return self._call(operations.DISCOVERY_LIST, locals())

    def get(self, capability: str) -> Capability:
        """Describe one capability: its parameters, result, errors and examples."""
        return self._call(operations.DISCOVERY_GET, locals())
