"""Whom to ask, in which order, and what a failure means for the next one. Decides only."""

from collections.abc import Sequence

from system.config import did_you_mean
from system.gateway.breakers import Permit, Refused
from system.gateway.errors import (
    NOT_ASKED,
    AllFailed,
    Attempt,
    GatewayError,
    NoneAvailable,
    NotServed,
    ProviderError,
    RateLimited,
)
from system.gateway.providers.base import Provider
from system.gateway.values import AUTO, Chat

REST = 1.0  # seconds for which a provider is left alone that is rate limited and does not say for how long


def in_order(providers: Sequence[Provider], chat: Chat) -> Sequence[Provider]:
    """The providers to be asked, first to last; `providers` come by priority. Raises NotServed.

    A model that somebody has goes to them first and to the others, with models of their own, after them.
    """
    if chat.allows is not None:
        allows = chat.allows
        providers = [one for one in providers if allows(one.model)]
        if not providers or not (chat.model == AUTO or allows(chat.model)):
            msg = f"This token may not use the model `{chat.model[:200]}`."
            raise NotServed(msg, code="model_not_allowed", status=403)
    if chat.provider is not None:
        chosen = [one for one in providers if one.name == chat.provider]
        if not chosen:
            names = [one.name for one in providers]
            hint = did_you_mean(chat.provider, names)
            msg = f"Provider '{chat.provider}' not found{hint}; there is {', '.join(names)}"
            raise NotServed(msg, code="provider_not_found")
        return chosen
    if chat.model == AUTO:
        return providers
    owners = [one for one in providers if one.model == chat.model]
    if not owners:
        models = [AUTO, *dict.fromkeys(one.model for one in providers)]
        hint = did_you_mean(chat.model, models)
        msg = f"The model `{chat.model[:200]}` does not exist{hint}; there is {', '.join(models)}"
        raise NotServed(msg)
    return (
        owners
        if len(owners) == len(providers)
        else [*owners, *(one for one in providers if one not in owners)]
    )


def skipped(provider: Provider, why: str) -> Attempt:
    """A provider that has no words for the question."""
    return Attempt(provider=provider.name, model=provider.model, error="cannot", why=why)


def refused(provider: Provider, refusal: Refused) -> Attempt:
    """A provider that is not to be asked now."""
    return Attempt(
        provider=provider.name,
        model=provider.model,
        error="circuit_open",
        why=refusal.reason,
        retry_after=round(max(refusal.retry_after, 0.1), 1),
    )


def judge(permit: Permit, error: ProviderError, seconds: float) -> None:
    """Tell the breaker what a failure says about the provider."""
    if isinstance(error, RateLimited):
        permit.abandoned(rest=error.retry_after or REST)
    elif error.counts:
        permit.failed(error.word, seconds)
    elif error.upstream is not None:
        permit.succeeded(seconds)  # it did its work: the request was the caller's mistake
    else:
        permit.abandoned()


def exhausted(tried: Sequence[Attempt]) -> GatewayError:
    """What to say when nobody is left."""
    if any(one.error not in NOT_ASKED for one in tried):
        return AllFailed(tried)
    if tried and all(one.error == "cannot" for one in tried):
        told = "; ".join(f"{one.provider} {one.why}" for one in tried)
        return NotServed(f"No provider serves this request: {told}", code="unsupported", status=400)
    return NoneAvailable(tried)
