import asyncio

from less import Context, OrderPlaced

from .tally import add


async def process(order: OrderPlaced, context: Context):
    await asyncio.sleep(0)
    print(f"order {order['order_id']}: {add(order['items'])} pieces so far")
