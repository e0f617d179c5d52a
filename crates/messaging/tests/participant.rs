//! A participant against real PostgreSQL and real JetStream: duplicates, undo before do, poison, a lost stream.

use std::{cell::RefCell, rc::Rc, time::Duration};

use async_nats::jetstream;
use futures::StreamExt as _;
use makegood_chassis::{clock::DbClock, shutdown::Shutdown};
use makegood_contracts::{
    command::{Command, Direction, StepKey},
    reply::{Outcome, Reply},
    subject,
};
use makegood_messaging::{
    barrier,
    bus::Bus,
    insert_first,
    participant::{Job, Participant},
    worker::Worker,
};
use makegood_testing::{TestDatabase, nats_client, nats_url};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::task::LocalSet;
use uuid::Uuid;

/// Every condition here comes within milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

static NO_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;

/// A participant named for the test and its run, whose steps put a row in `effect` or take it away.
struct Bench {
    database: TestDatabase,
    bus: Bus,
    service: &'static str,
    reply_to: String,
    shutdown: Shutdown,
    seen: Rc<RefCell<Vec<usize>>>,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Bench {
    async fn start(test: &str) -> Self {
        Self::start_with(test, |_, _| {}).await
    }

    /// `hook` is called after commits, with where the database is.
    async fn start_with(test: &str, hook: impl Fn(&PgConnectOptions, Vec<Uuid>) + 'static) -> Self {
        // The broker keeps what earlier runs sent, so each run has a participant of its own.
        let service: &'static str = format!("{test}-{}", Uuid::now_v7().simple()).leak();
        let database = TestDatabase::create("messaging", &NO_MIGRATIONS).await;
        sqlx::query("create table effect (saga_id uuid primary key, note text not null constraint effect_note check (note <> 'poison'))")
            .execute(&database.db)
            .await
            .expect("creates");
        let bus = Bus::connect(&nats_url(), service).await.expect("connects");
        let shutdown = Shutdown::default();
        let clock = DbClock::measure(&database.db).await.expect("a clock");
        let worker = Worker { db: database.db.clone(), bus: bus.clone(), clock, shutdown: shutdown.clone() };
        let seen = Rc::new(RefCell::new(Vec::new()));
        let batches = Rc::clone(&seen);
        let options = database.db.connect_options();
        let participant = Participant::new(service, worker)
            .action("put_note", async move |tx: &mut PgConnection, jobs: &[Job<String>]| {
                batches.borrow_mut().push(jobs.len());
                put_notes(tx, jobs).await
            })
            .statement("stamp_note", stamp_notes)
            .undo("take_note", take_notes)
            .after_commit(move |sagas| hook(&options, sagas));
        let running = tokio::task::spawn_local(participant.run());
        let reply_to = format!("reply.{service}");
        Self { database, bus, service, reply_to, shutdown, seen, running }
    }

    fn command(&self, saga_id: Uuid, direction: Direction, note: &str) -> Command {
        Command {
            key: StepKey { saga_id, step: "put_note".to_owned(), direction },
            attempt: 1,
            deadline: None,
            traceparent: None,
            reply_to: self.reply_to.clone(),
            payload: serde_json::value::to_raw_value(note).expect("JSON"),
        }
    }

    async fn send(&self, commands: &[Command]) {
        for (direction, verb) in [(Direction::Do, "put_note"), (Direction::Undo, "take_note")] {
            let some: Vec<_> = commands.iter().filter(|command| command.key.direction == direction).collect();
            self.bus
                .publish_all(&subject::command(&format!("{}.{verb}", self.service)), &some)
                .await
                .expect("published");
        }
    }

    /// The next `count` replies on this test's own subject, read without a consumer of the stream.
    async fn listen(&self) -> async_nats::Subscriber {
        let client = nats_client().await;
        let subscriber = client.subscribe(self.reply_to.clone()).await.expect("subscribes");
        client.flush().await.expect("flushed");
        subscriber
    }

    async fn effects(&self) -> i64 {
        sqlx::query_scalar("select count(*) from effect").fetch_one(&self.database.db).await.expect("counts")
    }

    async fn stop(self) {
        self.shutdown.token.cancel();
        self.running.await.expect("no panic").expect("an orderly end");
        self.database.verify_and_drop(&[]).await;
    }
}

async fn put_notes(tx: &mut PgConnection, jobs: &[Job<String>]) -> anyhow::Result<Vec<Outcome>> {
    sqlx::query("insert into effect select * from unnest($1::uuid[], $2::text[])")
        .bind(jobs.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.input.as_str()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(jobs.iter().map(|_| Outcome::done()).collect())
}

/// Effect and outcome in one statement.
async fn stamp_notes(connection: &mut PgConnection, jobs: &[Job<String>]) -> anyhow::Result<Vec<Outcome>> {
    let outcomes = vec![Outcome::done(); jobs.len()];
    let decided: Vec<_> = jobs.iter().map(|job| &job.key).zip(&outcomes).collect();
    let notes: Vec<String> = jobs.iter().map(|job| job.input.clone()).collect();
    let sql =
        concat!("with stamped as (insert into effect select * from unnest($1::uuid[], $5::text[])) ", insert_first!());
    barrier::statement(connection, sql, &decided, |query| query.bind(notes)).await?;
    Ok(outcomes)
}

async fn take_notes(tx: &mut PgConnection, jobs: &[Job<String>]) -> anyhow::Result<Vec<Outcome>> {
    sqlx::query("delete from effect where saga_id = any($1)")
        .bind(jobs.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(jobs.iter().map(|_| Outcome::done()).collect())
}

async fn take_replies(subscriber: &mut async_nats::Subscriber, count: usize) -> Vec<Reply> {
    let mut replies = Vec::new();
    while replies.len() < count {
        let message = tokio::time::timeout(PATIENCE, subscriber.next()).await.expect("in time").expect("a message");
        replies.extend(serde_json::from_slice::<Vec<Reply>>(&message.payload).expect("replies"));
    }
    replies
}

fn is_done(reply: &Reply) -> bool {
    matches!(reply.outcome, Outcome::Done { .. })
}

async fn local<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

#[tokio::test]
async fn a_command_that_comes_many_times_takes_effect_once_and_is_answered_each_time() {
    local(async {
        let bench = Bench::start("t-duplicates").await;
        let mut replies = bench.listen().await;
        let commands: Vec<_> = (0..200).map(|_| bench.command(Uuid::now_v7(), Direction::Do, "x")).collect();
        for _ in 0..3 {
            bench.send(&commands).await;
            assert!(take_replies(&mut replies, commands.len()).await.iter().all(is_done));
        }
        assert_eq!(bench.effects().await, 200);
        assert!(bench.seen.borrow().iter().any(|size| *size > 50), "commands are handled in batches");
        bench.stop().await;
    })
    .await;
}

/// The participant's own thread waits for the answer meanwhile, so what is not committed by then stays unseen.
fn is_seen_by_others(options: &PgConnectOptions, saga_id: Uuid) -> bool {
    let options = options.clone();
    let look = async move {
        let mut other = PgConnection::connect_with(&options).await.expect("connects");
        sqlx::query_scalar("select exists (select from effect where saga_id = $1)")
            .bind(saga_id)
            .fetch_one(&mut other)
            .await
            .expect("looks")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(look)).join().expect("no panic")
}

#[tokio::test]
async fn the_hook_is_called_for_each_batch_once_others_can_see_it_and_for_repeats_too() {
    local(async {
        let called = Rc::new(RefCell::new(Vec::new()));
        let calls = Rc::clone(&called);
        let bench = Bench::start_with("t-hook", move |options, sagas| {
            calls.borrow_mut().extend(sagas.into_iter().map(|saga_id| (saga_id, is_seen_by_others(options, saga_id))));
        })
        .await;
        let mut replies = bench.listen().await;
        let (good, bad) = (Uuid::now_v7(), Uuid::now_v7());
        for (saga_id, note) in [(good, "x"), (good, "x"), (bad, "poison")] {
            bench.send(&[bench.command(saga_id, Direction::Do, note)]).await;
            take_replies(&mut replies, 1).await;
        }
        assert_eq!(*called.borrow(), [(good, true), (good, true), (bad, false)]);
        bench.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_verb_of_one_statement_takes_effect_once_and_not_after_its_undo() {
    local(async {
        let bench = Bench::start("t-statement").await;
        let mut replies = bench.listen().await;
        let subject = subject::command(&format!("{}.stamp_note", bench.service));
        let known: Vec<_> = (0..20).map(|_| bench.command(Uuid::now_v7(), Direction::Do, "x")).collect();
        bench.bus.publish_all(&subject, &known).await.expect("published");
        assert!(take_replies(&mut replies, known.len()).await.iter().all(is_done));
        let undone = Uuid::now_v7();
        bench.send(&[bench.command(undone, Direction::Undo, "x")]).await;
        take_replies(&mut replies, 1).await;
        // One message: repeats, one that comes after its undo, poison, and one that is new.
        let mut mixed = known.clone();
        mixed.push(bench.command(undone, Direction::Do, "x"));
        mixed.push(bench.command(Uuid::now_v7(), Direction::Do, "poison"));
        mixed.push(bench.command(Uuid::now_v7(), Direction::Do, "x"));
        bench.bus.publish_all(&subject, &mixed).await.expect("published");
        let answers = take_replies(&mut replies, mixed.len()).await;
        let of = |command: &Command| answers.iter().find(|reply| reply.key == command.key).expect("answered");
        assert!(known.iter().all(|command| is_done(of(command))), "{answers:?}");
        assert!(
            matches!(&of(&mixed[20]).outcome, Outcome::Refused { code, .. } if code == "compensated"),
            "{answers:?}"
        );
        assert!(matches!(of(&mixed[21]).outcome, Outcome::Failed { retryable: false, .. }), "{answers:?}");
        assert!(is_done(of(&mixed[22])), "{answers:?}");
        assert_eq!(bench.effects().await, 21);
        bench.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_undo_that_comes_first_does_nothing_and_refuses_the_action_that_comes_after() {
    local(async {
        let bench = Bench::start("t-tombstone").await;
        let mut replies = bench.listen().await;
        let (never_came, came) = (Uuid::now_v7(), Uuid::now_v7());
        bench.send(&[bench.command(came, Direction::Do, "x")]).await;
        take_replies(&mut replies, 1).await;
        let undo = [bench.command(never_came, Direction::Undo, "x"), bench.command(came, Direction::Undo, "x")];
        for _ in 0..2 {
            bench.send(&undo).await;
            assert!(take_replies(&mut replies, 2).await.iter().all(is_done));
        }
        assert_eq!(bench.effects().await, 0);
        bench.send(&[bench.command(never_came, Direction::Do, "x")]).await;
        let late = take_replies(&mut replies, 1).await;
        assert!(matches!(&late[0].outcome, Outcome::Refused { code, .. } if code == "compensated"), "{late:?}");
        assert_eq!(bench.effects().await, 0);
        bench.stop().await;
    })
    .await;
}

#[tokio::test]
async fn one_poisonous_command_among_many_is_parked_alone() {
    local(async {
        let bench = Bench::start("t-poison").await;
        let mut replies = bench.listen().await;
        let note = |n: usize| if n == 77 { "poison" } else { "x" };
        let mut commands: Vec<_> = (0..200).map(|n| bench.command(Uuid::now_v7(), Direction::Do, note(n))).collect();
        commands[10].payload = serde_json::value::to_raw_value(&7).expect("JSON");
        bench.send(&commands).await;
        let answered = take_replies(&mut replies, 200).await;
        assert_eq!(answered.iter().filter(|reply| is_done(reply)).count(), 198);
        let defects =
            answered.iter().filter(|reply| matches!(reply.outcome, Outcome::Failed { retryable: false, .. })).count();
        assert_eq!(defects, 2);
        // What is no command at all has nobody to be answered to; it is parked, and what stands beside it goes on.
        let mixed = format!(
            "[{{\"no\": \"command\"}}, {}]",
            serde_json::to_string(&bench.command(Uuid::now_v7(), Direction::Do, "x")).expect("JSON")
        );
        let subject = subject::command(&format!("{}.put_note", bench.service));
        bench.bus.publish(&subject, mixed.into_bytes()).await.expect("published");
        assert!(is_done(&take_replies(&mut replies, 1).await[0]));
        assert_eq!(bench.effects().await, 199);
        let parked: i64 =
            sqlx::query_scalar("select count(*) from dead_letter").fetch_one(&bench.database.db).await.expect("counts");
        assert_eq!(parked, 3);
        bench.stop().await;
    })
    .await;
}

/// As when a role of the next release is here before its migrations, and is stopped again.
#[tokio::test]
async fn a_command_whose_table_is_not_there_waits_and_outlives_the_process() {
    local(async {
        let bench = Bench::start("t-early").await;
        let db = bench.database.db.clone();
        sqlx::query("alter table effect rename to later").execute(&db).await.expect("renames");
        bench.send(&[bench.command(Uuid::now_v7(), Direction::Do, "x")]).await;
        let tried_again = async {
            while bench.seen.borrow().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, tried_again).await.expect("it is tried again and again");
        bench.shutdown.token.cancel();
        bench.running.await.expect("no panic").expect("an orderly end");

        let parked: i64 = sqlx::query_scalar("select count(*) from dead_letter").fetch_one(&db).await.expect("counts");
        assert_eq!(parked, 0, "nothing is wrong with the command");
        let commands = jetstream::new(nats_client().await).get_stream(subject::COMMAND_STREAM).await.expect("a stream");
        let consumer = commands.consumer_info(bench.service).await.expect("a consumer");
        assert_eq!(consumer.num_ack_pending, 1, "another process gets it");
        sqlx::query("alter table later rename to effect").execute(&db).await.expect("renames");
        bench.database.verify_and_drop(&[]).await;
    })
    .await;
}

#[tokio::test]
async fn an_expired_command_is_not_started() {
    local(async {
        let bench = Bench::start("t-expired").await;
        let mut replies = bench.listen().await;
        let mut expired = bench.command(Uuid::now_v7(), Direction::Do, "x");
        expired.deadline = Some(time::macros::datetime!(2020-01-01 00:00 UTC));
        let fresh = bench.command(Uuid::now_v7(), Direction::Do, "x");
        bench.send(&[expired, fresh.clone()]).await;
        let answered = take_replies(&mut replies, 1).await;
        assert_eq!(answered[0].key, fresh.key);
        assert_eq!(bench.effects().await, 1);
        bench.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_consumer_is_made_again_and_commands_sent_again_are_handled() {
    local(async {
        let bench = Bench::start("t-consumer").await;
        let mut replies = bench.listen().await;
        bench.send(&[bench.command(Uuid::now_v7(), Direction::Do, "x")]).await;
        take_replies(&mut replies, 1).await;
        let jetstream = jetstream::new(nats_client().await);
        jetstream.delete_consumer_from_stream(bench.service, subject::COMMAND_STREAM).await.expect("deleted");
        bench.send(&[bench.command(Uuid::now_v7(), Direction::Do, "x")]).await;
        // The new consumer reads the stream from its beginning, so the first command is answered once more.
        let answered = take_replies(&mut replies, 2).await;
        assert!(answered.iter().all(is_done));
        assert_eq!(bench.effects().await, 2);
        bench.stop().await;
    })
    .await;
}
