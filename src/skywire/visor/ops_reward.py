"""Where this visor's rewards are paid. Source: visor.md §3.2."""

from typing import TYPE_CHECKING

from skywire.operations import operation

if TYPE_CHECKING:
    from skywire.visor.visor import Visor


@operation(rpc="GetRewardAddress", http="GET /visors/{pk}/reward")
async def reward_address(visor: "Visor") -> str:
    """The Skycoin address that this visor's rewards go to; empty when there is none."""
    visor.reward.create()  # as in Go; the log server hands the file out
    return visor.reward.get()


@operation(rpc="SetRewardAddress", http="PUT /visors/{pk}/reward")
async def set_reward_address(visor: "Visor", address: str) -> str:
    """Have rewards paid to another Skycoin address, which is also the answer."""
    visor.reward.set(address)
    return visor.reward.get()


@operation(rpc="DeleteRewardAddress", http="DELETE /visors/{pk}/reward")
async def delete_reward_address(visor: "Visor") -> None:
    """Forget the address: no rewards are paid."""
    visor.reward.delete()
