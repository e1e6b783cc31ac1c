"""What a user might change, said only where what was measured supports it."""

from __future__ import annotations

from collections.abc import Iterator

from accel_cls.profiling.measurements import Cut, ProfileResult

_ANOTHER = "(it is another training, though)"


def advice(profile: ProfileResult) -> list[str]:
    """A line for each change that would pay; none where nothing stands out."""
    return [*_cut(profile), *_precision(profile), *_processes(profile), *_parts(profile)]


def _cut(profile: ProfileResult) -> Iterator[str]:
    """Another cut has less padding, or can be shared more evenly; but each micro-batch costs something by itself."""
    per_pass, per_token = profile.micro_batch_cost
    own, *others = profile.first.cuts
    real, processes = profile.each("real"), len(profile.processes)

    def cost(cut: Cut) -> float:
        return (per_pass * cut.micro_batches + per_token * real / (1 - cut.padding)) / processes / cut.busy

    same = [cut for cut in others if cut.key != "train.batch_size"]
    best = min(same, key=cost, default=own)
    gain = (cost(own) - cost(best)) / profile.seconds
    padding = profile.padding_seconds / profile.seconds
    if gain >= 0.05:
        busy = f" and processes busy {best.busy:.0%} of the time instead of {own.busy:.0%}" if processes > 1 else ""
        yield (
            f"{best.key}={best.value} would cut an update into {best.micro_batches:.1f} micro-batches instead of "
            f"{own.micro_batches:.1f}, with {best.padding:.0%} padding instead of {own.padding:.0%}{busy}: up to "
            f"{gain:.0%} of the time saved, by what a micro-batch and a token cost here; only dropout's draws change"
        )
    elif padding >= 0.15:
        (larger,) = [cut for cut in others if cut not in same]
        if larger.padding < own.padding - 0.03:
            yield (
                f"padding costs about {padding:.0%} of an update, and smaller micro-batches would cost as much by "
                f"themselves; of {larger.value} examples an update ({larger.key}) more texts are of like length: "
                f"{larger.padding:.0%} padding instead of {own.padding:.0%} {_ANOTHER}"
            )


def _precision(profile: ProfileResult) -> Iterator[str]:
    products = profile.first.products
    if not products:
        return
    share = dict(profile.kinds()).get("matrix products", 0.0)
    faster = products["fp32"] / products["bf16"]
    saved = share * (1 - 1 / faster)
    # Measured: 26% foreseen, 18% saved (34 million weights); 11% foreseen, nothing saved (0.6 million).
    if saved >= 0.2:
        yield (
            f"in products with this model's matrices this CPU is {faster:.1f} times as fast in bf16 as in fp32, casts "
            f"included (measured now); they are {share:.0%} of an update: a profile with mixed_precision: bf16 would "
            f"save up to {saved:.0%} of it, less what is cast between them; measure it with that profile, too"
        )


def _processes(profile: ProfileResult) -> Iterator[str]:
    if len(profile.processes) == 1 or profile.first.updates[0].ready is None:
        return
    late, exchange = (max(seconds) / profile.seconds for seconds in zip(*profile.waiting_times(), strict=True))
    if late >= 0.1:
        yield (
            f"one process waits {late:.0%} of an update for another: the plan has them busy "
            f"{profile.first.cuts[0].busy:.0%} of the time; if that is near 100%, look for a device that is slower or "
            "busy with something else"
        )
    if exchange >= 0.15:
        yield (
            f"the exchange of gradients takes {exchange:.0%} of an update, whatever its size: a larger "
            f"train.batch_size has fewer of them {_ANOTHER}"
        )


def _parts(profile: ProfileResult) -> Iterator[str]:
    kinds = dict(profile.kinds())
    if profile.share("data") >= 0.1:
        yield (
            f"making micro-batches takes {profile.share('data'):.0%} of an update: see that no other program takes "
            "this process's CPU cores"
        )
    if profile.share("optimizer") >= 0.15:
        yield (
            f"the optimizer takes {profile.share('optimizer'):.0%} of an update, whatever its size: a larger "
            f"train.batch_size has fewer of them {_ANOTHER}"
        )
    if profile.share("other") >= 0.1:
        yield (
            f"{profile.share('other'):.0%} of an update is none of these parts: mostly what is logged, which is less "
            "with a larger train.log_every"
        )
    if kinds.get("dropout", 0.0) >= 0.15:
        yield (
            f"dropout takes {kinds['dropout']:.0%} of an update, most of it drawing random numbers; model.dropout=0 "
            f"would save it, and let attention run in one piece {_ANOTHER}"
        )
