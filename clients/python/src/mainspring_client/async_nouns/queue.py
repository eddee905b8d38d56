"""Queues, messages and dead letters."""

# Written by tools/twins.py from nouns/queue.py: edit that one, then run the tool.

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring_client import operations
from mainspring_client.async_nouns.noun import AsyncNoun, Call
from mainspring_client.queue_records import (
    Acked,
    AckedBatch,
    DeadLetterPage,
    Extended,
    Leased,
    Messages,
    Nacked,
    NewMessage,
    Published,
    PublishedBatch,
    PushPage,
    PushSubscription,
    PushSubscriptionPage,
    PushUnsubscribed,
    QueueCounts,
    QueueDeleted,
    QueuePage,
    QueuePurged,
    QueueRecord,
    Redriven,
    Released,
)
from mainspring_client.values import Json, PushFormat, QueueType, SignatureStyle, When


class AsyncDeadLetters(AsyncNoun):
    """Dead letters."""

    async def list(self, queue: str, *, cursor: str | None = None, limit: int | None = None) -> DeadLetterPage:
        """List the dead letters of a queue, or those in a dead-letter queue, newest first."""
        return await self._call(operations.QUEUE_DLQ_LIST, locals())

    async def redrive(
        self,
        queue: str,
        *,
        message_id: str | None = None,
        since: When | None = None,
        max_messages: int | None = None,
        idempotency_key: str | None = None,
    ) -> Redriven:
        """Send dead letters back to where they came from: one, some or all."""
        return await self._call(operations.QUEUE_DLQ_REDRIVE, locals())


class AsyncQueue(AsyncNoun):
    """Queues and their messages."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.dlq = AsyncDeadLetters(call)

    async def create(
        self,
        name: str,
        *,
        type: QueueType | None = None,
        dead_letter_queue: str | None = None,
        max_retries: int | None = None,
        message_retention_days: float | None = None,
        visibility_timeout_default: float | None = None,
        enable_priority: bool | None = None,
        idempotency_key: str | None = None,
    ) -> QueueRecord:
        """Create a queue; one that is there with equal settings is the answer too."""
        return await self._call(operations.QUEUE_CREATE, locals())

    async def list(self, *, cursor: str | None = None, limit: int | None = None) -> QueuePage:
        """List queues, newest first."""
        return await self._call(operations.QUEUE_LIST, locals())

    async def get(self, queue: str) -> QueueRecord:
        """Get a queue's settings."""
        return await self._call(operations.QUEUE_GET, locals())

    async def update(
        self,
        queue: str,
        *,
        type: QueueType | None = None,
        dead_letter_queue: str | None = None,
        max_retries: int | None = None,
        message_retention_days: float | None = None,
        visibility_timeout_default: float | None = None,
        enable_priority: bool | None = None,
        idempotency_key: str | None = None,
    ) -> QueueRecord:
        """Change a queue's settings; what the body does not name stays."""
        return await self._call(operations.QUEUE_UPDATE, locals())

    async def delete(self, queue: str, *, idempotency_key: str | None = None) -> QueueDeleted:
        """Delete a queue with its messages; also when it already was."""
        return await self._call(operations.QUEUE_DELETE, locals())

    async def purge(self, queue: str, *, idempotency_key: str | None = None) -> QueuePurged:
        """Remove every message of a queue: waiting, delayed and leased."""
        return await self._call(operations.QUEUE_PURGE, locals())

    async def pause(self, queue: str, *, idempotency_key: str | None = None) -> QueueRecord:
        """Hand out no messages until resumed; publishing goes on."""
        return await self._call(operations.QUEUE_PAUSE, locals())

    async def resume(self, queue: str, *, idempotency_key: str | None = None) -> QueueRecord:
        """Hand out messages again."""
        return await self._call(operations.QUEUE_RESUME, locals())

    async def stats(self, queue: str) -> QueueCounts:
        """Count the messages of a queue: available, delayed, in flight, dead."""
        return await self._call(operations.QUEUE_STATS, locals())

    async def publish(
        self,
        queue: str,
        payload: Json,
        *,
        delay_seconds: float | None = None,
        priority: int | None = None,
        message_group_id: str | None = None,
        deduplication_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        group_id: str | None = None,
        dedup_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Published:
        """Publish a message; a queue that nobody has made is made."""
        return await self._call(operations.QUEUE_PUBLISH, locals())

    async def publish_batch(
        self,
        queue: str,
        messages: Sequence[NewMessage],
        *,
        idempotency_key: str | None = None,
    ) -> PublishedBatch:
        """Publish up to 1,000 messages, all of them or none."""
        return await self._call(operations.QUEUE_PUBLISH_BATCH, locals())

    async def consume(
        self,
        queue: str,
        *,
        max_messages: int | None = None,
        visibility_timeout: float | None = None,
        wait_seconds: float | None = None,
        receive_attempt_id: str | None = None,
    ) -> Messages:
        """Lease messages, if need be after waiting for the first."""
        return await self._call(operations.QUEUE_CONSUME, locals())

    async def peek(self, queue: str, *, max_messages: int | None = None) -> Messages:
        """Look at the messages that would be handed out next, without leasing them."""
        return await self._call(operations.QUEUE_PEEK, locals())

    async def ack(
        self,
        queue: str,
        message_id: str,
        *,
        receipt: str | None = None,
        idempotency_key: str | None = None,
    ) -> Acked:
        """Acknowledge a leased message; it is gone."""
        return await self._call(operations.QUEUE_ACK, locals())

    async def ack_batch(
        self,
        queue: str,
        messages: Sequence[Leased] | None = None,
        *,
        message_ids: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> AckedBatch:
        """Acknowledge up to 1,000 leased messages; what is refused leaves the others as they are."""
        return await self._call(operations.QUEUE_ACK_BATCH, locals())

    async def nack(
        self,
        queue: str,
        message_id: str,
        *,
        receipt: str | None = None,
        requeue: bool | None = None,
        delay_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> Nacked:
        """Say that a leased message failed: it comes back, or is a dead letter."""
        return await self._call(operations.QUEUE_NACK, locals())

    async def release(
        self,
        queue: str,
        message_id: str,
        *,
        receipt: str | None = None,
        delay_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> Released:
        """Give a leased message back without counting a failure."""
        return await self._call(operations.QUEUE_RELEASE, locals())

    async def extend(
        self,
        queue: str,
        message_id: str,
        *,
        receipt: str | None = None,
        visibility_timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> Extended:
        """Keep a leased message for longer."""
        return await self._call(operations.QUEUE_EXTEND, locals())

    async def push_subscribe(
        self,
        queue: str,
        url: str | None = None,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        signature_style: SignatureStyle | None = None,
        format: PushFormat | None = None,
        max_retries: int | None = None,
        dead_letter_queue: str | None = None,
        visibility_timeout: float | None = None,
        timeout_seconds: float | None = None,
        max_concurrency: int | None = None,
        forward_to: str | None = None,
        idempotency_key: str | None = None,
    ) -> PushSubscription:
        """Post a queue's messages to a URL; the same URL again changes the subscription."""
        return await self._call(operations.QUEUE_PUSH_SUBSCRIBE, locals())

    async def push_list(
        self,
        queue: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> PushSubscriptionPage:
        """List a queue's push subscriptions, newest first."""
        return await self._call(operations.QUEUE_PUSH_LIST, locals())

    async def push_unsubscribe(
        self,
        queue: str,
        subscription_id: str,
        *,
        idempotency_key: str | None = None,
    ) -> PushUnsubscribed:
        """End a push subscription; what is being posted ends by itself."""
        return await self._call(operations.QUEUE_PUSH_UNSUBSCRIBE, locals())

    async def push_deliveries(
        self,
        queue: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        subscription_id: str | None = None,
    ) -> PushPage:
        """List what was posted of a queue's messages, newest first."""
        return await self._call(operations.QUEUE_PUSH_DELIVERIES, locals())
