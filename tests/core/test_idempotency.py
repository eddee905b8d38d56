from __future__ import annotations

import pytest

from mainspring.core.errors import Invalid
from mainspring.core.idempotency import check_key, mismatch


@pytest.mark.parametrize("key", ["k", "x" * 512, "é" * 512, " "])
def test_a_key_has_1_to_512_characters(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 513])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_key(key)
    assert caught.value.field == "idempotency_key"


def test_a_known_key_with_another_body_has_a_code_of_its_own_and_no_retry_helps() -> None:
    refusal = mismatch()
    assert (refusal.code, refusal.field, refusal.retryable) == ("IDEMPOTENCY_MISMATCH", "idempotency_key", False)
