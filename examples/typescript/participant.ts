// A participant: the commands of the service `giftwrap`, each taking effect once, whatever dies or is said twice.
// Copy the file. Yours are SERVICE, the two commands and COMMANDS; the rest is the same for every participant.
import { AckPolicy, jetstreamManager, type JetStreamClient, type JsMsg } from "@nats-io/jetstream";
import { connect, nanos } from "@nats-io/transport-node";
import { Client } from "pg";

type Key = { saga_id: string; step: string; direction: "do" | "undo" };
type Item = { key: Key; attempt: number; deadline?: string; reply_to: string; payload: Record<string, unknown> };
type Outcome = { status: "done" | "refused" | "failed"; output?: object; code?: string; detail?: string; retryable?: boolean };
type Command = (db: Client, key: Key, payload: Item["payload"]) => Promise<Outcome>;
const SERVICE = "giftwrap", STREAM = "MAKEGOOD_COMMAND";

const wrapGift: Command = async (db, key, { paper }) => {
  const wrap = "insert into wrapping select $1, $2, kind from paper where kind = $3 and is_in_stock";
  const { rowCount } = await db.query(wrap, [key.saga_id, key.step, paper]);
  if (rowCount === 0) return { status: "refused", code: "out_of_paper", detail: `no ${paper} paper is left` };
  return { status: "done", output: { paper } };
};
const unwrapGift: Command = async (db, key) => {
  await db.query("delete from wrapping where (saga_id, step) = ($1, $2)", [key.saga_id, key.step]);
  return { status: "done" };
};

const COMMANDS = new Map([[`cmd.${SERVICE}.wrap_gift.v1`, wrapGift], [`cmd.${SERVICE}.unwrap_gift.v1`, unwrapGift]]);

// One transaction, then the replies, then the ack. After dying in between it all comes again, and finds its answers.
async function handle(db: Client, js: JetStreamClient, message: JsMsg): Promise<void> {
  const body = [message.subject, message.data];
  if ((await db.query("select where park_if_unreadable($1, $2)", body)).rowCount) return message.ack();
  const replies = new Map<string, object[]>();
  await db.query("begin");
  for (const { key, attempt, deadline, reply_to, payload } of message.json<Item[]>()) {
    if ((await db.query("select where $1::timestamptz < clock_timestamp()", [deadline])).rowCount) continue; // Too late.
    await db.query("savepoint command"); // A command that fails takes no other along.
    let outcome: Outcome | null;
    try {
      outcome = (await db.query("select barrier_claim($1) as outcome", [key])).rows[0].outcome;
      if (!outcome) {
        outcome = await COMMANDS.get(message.subject)!(db, key, payload);
        if (outcome.status === "failed") await db.query("rollback to command"); // The claim too: the next attempt runs it.
        else await db.query("select barrier_decide($1, $2)", [key, outcome]);
      }
    } catch (error) {
      await db.query("rollback to command"); // Where the connection is lost this fails too, and all of it comes again.
      console.error(`${message.subject} cannot be done:`, key, error);
      const retryable = /^(40|53|55|57)/.test(String((error as { code?: unknown }).code)); // A deadlock, …
      outcome = { status: "failed", detail: String(error), retryable };
    }
    replies.set(reply_to, [...(replies.get(reply_to) ?? []), { key, attempt, outcome }]);
  }
  await db.query("commit");
  for (const [subject, items] of replies) await js.publish(subject, JSON.stringify(items));
  message.ack();
}

let isStopping = false, message: JsMsg | null = null; // Kept where it could not be handled: the next connection does.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (isStopping = true));
const { host: servers, username: user, password: pass } = new URL(process.env["NATS_URL"]!);
const bus = await connect({ servers, user, pass, name: SERVICE, maxReconnectAttempts: -1, waitOnFirstConnect: true });
while (!isStopping) {
  const db = new Client(process.env["DATABASE_URL"]);
  db.on("error", (error) => console.warn(error.message)); // Without a listener the process would end.
  try {
    await db.connect();
    const manager = await jetstreamManager(bus), js = manager.jetstream();
    const filter = { durable_name: SERVICE, filter_subject: `cmd.${SERVICE}.>`, ack_policy: AckPolicy.Explicit };
    await manager.consumers.add(STREAM, { ...filter, ack_wait: nanos(10_000) });
    const messages = await js.consumers.get(STREAM, SERVICE);
    for (; !isStopping; message = null)
      if ((message ??= await messages.next({ expires: 2_000 }))) await handle(db, js, message);
  } catch (error) {
    console.warn("trying again:", String(error));
    if (!/connection|ECONN/.test(String(error))) message = null; // What could not be said comes again by itself.
    await new Promise((resume) => setTimeout(resume, 1_000));
  }
  await db.end();
}
await bus.drain();
