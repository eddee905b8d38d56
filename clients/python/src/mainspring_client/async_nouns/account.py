"""Keys, webhook endpoints, the audit log, and what stands where others send bills."""

# Written by tools/twins.py from nouns/account.py: edit that one, then run the tool.

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring_client import operations
from mainspring_client.async_nouns.noun import AsyncNoun, Call
from mainspring_client.records import AuditPage, Balance, Capability, Discovered, KeyCreated, KeyPage, KeyRevoked, Topup
from mainspring_client.values import Scope, When
from mainspring_client.webhook_records import (
    DeliveryLog,
    DeliverySent,
    Endpoint,
    EndpointCreated,
    EndpointDeleted,
    EndpointPage,
    Replayed,
    RetryPolicy,
)


class AsyncKeys(AsyncNoun):
    """API keys."""

    async def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        project_id: str | None = None,
    ) -> KeyPage:
        """List keys without their secrets, newest first."""
        return await self._call(operations.ACCOUNT_KEYS_LIST, locals())

    async def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope] | None = None,
        project_id: str | None = None,
        expires_at: When | None = None,
        idempotency_key: str | None = None,
    ) -> KeyCreated:
        """Create a key; its secret is shown in this answer only."""
        return await self._call(operations.ACCOUNT_KEYS_CREATE, locals())

    async def rotate(
        self,
        key_id: str,
        *,
        grace_hours: float | None = None,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> KeyCreated:
        """Create a key in place of another, which stays valid for grace_hours."""
        return await self._call(operations.ACCOUNT_KEYS_ROTATE, locals())

    async def revoke(
        self,
        key_id: str,
        *,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> KeyRevoked:
        """Revoke a key at once."""
        return await self._call(operations.ACCOUNT_KEYS_REVOKE, locals())


class AsyncEndpoints(AsyncNoun):
    """Webhook endpoints."""

    async def register(
        self,
        url: str,
        events: Sequence[str] | None = None,
        *,
        secret: str | None = None,
        description: str | None = None,
        retry_policy: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> EndpointCreated:
        """Register an endpoint; its secret is shown in this answer only."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_REGISTER, locals())

    async def list(self, *, cursor: str | None = None, limit: int | None = None) -> EndpointPage:
        """List endpoints, newest first."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_LIST, locals())

    async def get(self, webhook_id: str) -> Endpoint:
        """Get an endpoint."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_GET, locals())

    async def update(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
        description: str | None = None,
        retry_policy: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Endpoint:
        """Change an endpoint."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_UPDATE, locals())

    async def delete(self, webhook_id: str, *, idempotency_key: str | None = None) -> EndpointDeleted:
        """Delete an endpoint."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_DELETE, locals())

    async def test(self, webhook_id: str, *, idempotency_key: str | None = None) -> DeliverySent:
        """Send an endpoint the event `test`."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_TEST, locals())

    async def rotate(
        self,
        webhook_id: str,
        *,
        grace_hours: float | None = None,
        idempotency_key: str | None = None,
    ) -> EndpointCreated:
        """Give an endpoint a new secret; both sign for a while."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_ROTATE, locals())

    async def recover(
        self,
        webhook_id: str,
        *,
        since: When | None = None,
        idempotency_key: str | None = None,
    ) -> Replayed:
        """Send an endpoint again what has failed since an instant."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_RECOVER, locals())

    async def deliveries(self, webhook_id: str, *, cursor: str | None = None, limit: int | None = None) -> DeliveryLog:
        """List what was sent to an endpoint, newest first."""
        return await self._call(operations.ACCOUNT_WEBHOOKS_DELIVERIES, locals())


class AsyncAudit(AsyncNoun):
    """The audit log."""

    async def list(self, *, cursor: str | None = None, limit: int | None = None) -> AuditPage:
        """List who changed what, newest first."""
        return await self._call(operations.ACCOUNT_AUDIT_LIST, locals())


class AsyncAccount(AsyncNoun):
    """The account."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.keys = AsyncKeys(call)
        self.webhooks = AsyncEndpoints(call)
        self.audit = AsyncAudit(call)

    async def balance(self) -> Balance:
        """Tell that nothing costs anything."""
        return await self._call(operations.ACCOUNT_BALANCE, locals())

    async def topup(
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
        return await self._call(operations.ACCOUNT_TOPUP, locals())


class AsyncDiscovery(AsyncNoun):
    """What the server can do."""

    async def list(self) -> Discovered:
        """List everything that this server can do."""
        return await self._call(operations.DISCOVERY_LIST, locals())

    async def get(self, capability: str) -> Capability:
        """Describe one capability: its parameters, result, errors and examples."""
        return await self._call(operations.DISCOVERY_GET, locals())
