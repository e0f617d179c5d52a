"""A participant: the commands of the service `loyalty`, each taking effect once, whatever dies or is said twice.
Copy the file. Yours are SERVICE, the two commands and COMMANDS; the rest is the same for every participant."""
import asyncio, json, logging, os, signal
import nats, psycopg
from nats.js.api import ConsumerConfig
from psycopg.types.json import Jsonb

SERVICE, STREAM = "loyalty", "MAKEGOOD_COMMAND"

async def award_points(db, key, payload):
    if await value(db, "select is_closed from account where customer = %s", payload["customer"]):
        return {"status": "refused", "code": "account_closed", "detail": "the customer has left the programme"}
    # Money is decimal text, and PostgreSQL reads it exactly: a float would lose pennies.
    award = "insert into points values (%s, %s, %s, floor(%s::numeric)) returning points"
    points = await value(db, award, key["saga_id"], key["step"], payload["customer"], payload["total"]["amount"])
    return {"status": "done", "output": {"points": points}}

async def revoke_points(db, key, payload):
    await db.execute("delete from points where (saga_id, step) = (%s, %s)", (key["saga_id"], key["step"]))
    return {"status": "done"}

COMMANDS = {f"cmd.{SERVICE}.award_points.v1": award_points, f"cmd.{SERVICE}.revoke_points.v1": revoke_points}

async def value(db, sql, *parameters):
    row = await (await db.execute(sql, parameters)).fetchone()
    return row and row[0]

async def handle(db, js, message):
    # One transaction, then the replies, then the ack. After dying in between it all comes again, and finds its answers.
    if await value(db, "select park_if_unreadable(%s, %s)", message.subject, message.data):
        return await message.ack()
    replies = {}
    async with db.transaction():
        for item in json.loads(message.data):
            key = item["key"]
            if await value(db, "select %s::timestamptz < clock_timestamp()", item.get("deadline")):
                continue  # The sender has given up on it: too late to begin.
            try:
                async with db.transaction():  # A savepoint: a command that fails takes no other along.
                    outcome = await value(db, "select barrier_claim(%s)", Jsonb(key))
                    if outcome is None:
                        outcome = await COMMANDS[message.subject](db, key, item["payload"])
                        if outcome["status"] == "failed":
                            raise psycopg.Rollback  # Nothing of it stays, the claim neither: the next attempt runs it.
                        await db.execute("select barrier_decide(%s, %s)", (Jsonb(key), Jsonb(outcome)))
            except Exception as error:  # What will fail again is a defect: the saga is parked, and an operator sees why.
                logging.exception("%s cannot be done: %s", message.subject, key)
                retryable = isinstance(error, psycopg.OperationalError)  # A deadlock, …
                outcome = {"status": "failed", "detail": repr(error), "retryable": retryable}
            replies.setdefault(item["reply_to"], []).append({"key": key, "attempt": item["attempt"], "outcome": outcome})
    for subject, items in replies.items():
        await js.publish(subject, json.dumps(items).encode())
    await message.ack()

async def main():
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    bus = await nats.connect(os.environ["NATS_URL"], name=SERVICE, max_reconnect_attempts=-1)
    js, consumer = bus.jetstream(), ConsumerConfig(durable_name=SERVICE, filter_subject=f"cmd.{SERVICE}.>", ack_wait=10)
    messages, message = await js.pull_subscribe_bind(SERVICE, STREAM), None
    while not stop.is_set():
        try:
            async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True) as db:
                await js.add_consumer(STREAM, consumer)  # Made again if it was lost with its stream.
                while not stop.is_set():
                    try:
                        message = message or (await messages.fetch(1, timeout=2))[0]
                    except TimeoutError:
                        continue  # Nothing came: time to see whether to stop.
                    await handle(db, js, message)
                    message = None  # Not before: over a new connection the same message is handled again, at once.
        except (nats.errors.Error, psycopg.OperationalError) as error:
            message = message if isinstance(error, psycopg.Error) else None  # What could not be said comes again by itself.
            logging.warning("trying again: %s", error)
            await asyncio.sleep(1)
    await bus.close()

asyncio.run(main())
