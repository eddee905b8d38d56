"""Keys, the audit log, and what stands where others send bills."""

from __future__ import annotations

from mainspring.doors.rest import account, audit
from mainspring.doors.rest import requests as given
from mainspring.doors.rest import results as made
from mainspring.doors.rest.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="account.keys.list",
        method="GET",
        paths=("/v1/account/keys/list",),
        summary="List keys without their secrets, newest first",
        handler=account.page,
        query=given.KeysQuery,
        result=made.KeyPage,
        scope="admin",
    ),
    Operation(
        id="account.keys.create",
        method="POST",
        paths=("/v1/account/keys/create",),
        summary="Create a key; its secret is shown in this answer only",
        handler=account.create,
        body=given.KeyFields,
        result=made.KeyCreated,
        scope="admin",
        needs=(("name",),),
        idempotent=True,
        audited=True,
    ),
    Operation(
        id="account.keys.rotate",
        method="POST",
        paths=("/v1/account/keys/rotate/{id}",),
        summary="Create a key in place of another, which stays valid for grace_hours",
        handler=account.rotate,
        body=given.RotateFields,
        result=made.KeyCreated,
        scope="admin",
        idempotent=True,
        audited=True,
    ),
    Operation(
        id="account.keys.revoke",
        method="DELETE",
        paths=("/v1/account/keys/revoke/{id}",),
        summary="Revoke a key at once",
        handler=account.revoke,
        body=given.RevokeFields,
        result=made.KeyRevoked,
        scope="admin",
        idempotent=True,
        audited=True,
    ),
    Operation(
        id="account.audit.list",
        method="GET",
        paths=("/v1/account/audit/list",),
        summary="List who changed which setting or right, newest first",
        handler=audit.page,
        query=given.AuditQuery,
        result=made.AuditPage,
        scope="admin",
    ),
    Operation(
        id="account.balance",
        method="GET",
        paths=("/v1/account/balance",),
        summary="Tell that nothing costs anything",
        handler=account.balance,
        result=made.Balance,
    ),
    Operation(
        id="account.topup",
        method="POST",
        paths=("/v1/account/topup",),
        summary="Tell that nothing has to be paid",
        handler=account.topup,
        body=given.TopupFields,
        result=made.Topup,
        idempotent=True,
    ),
    Operation(
        id="activate",
        method="POST",
        paths=("/v1/activate",),
        summary="Get the key of a development server",
        handler=account.activate,
        body=given.ActivateFields,
        result=made.Activation,
        public=True,
        dev=True,
    ),
)
