//! A payment service and a provider of its own for each test, each with its own database.

use std::path::PathBuf;

use makegood_chassis::{
    auth::{ApiKeys, Scope},
    clock::DbClock,
    http::HttpContext,
    secret::Secret,
    shutdown::Shutdown,
};
use makegood_contracts::{
    command::{Direction, StepKey},
    money::Money,
    payment::{AuthorizePayment, OwnIntent, RefundPayment},
    reply::Outcome,
};
use makegood_messaging::{barrier, participant::Job};
use makegood_testing::TestDatabase;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    Config,
    cashier::Cashier,
    commands::{authorize_payment, capture_payment, refund_payment, void_payment},
    operation::id_of_step,
    operation_inquiry::{self, Decision},
};

pub(super) use makegood_testing::SHOP;

const SECRET: &str = "a secret that only these tests know of";
pub(super) const PROVIDER_KEY: &str = "sk_provider_test";

/// Everything that a test touches. Databases of a failed test are kept for a look.
pub(super) struct World {
    pub(super) db: PgPool,
    pub(super) provider_db: PgPool,
    pub(super) cashier: Cashier,
    pub(super) provider_url: String,
    pub(super) payment_url: String,
    pub(super) shutdown: Shutdown,
    pub(super) secret: Secret,
    pub(super) admin_key: String,
    pub(super) http: reqwest::Client,
    folder: PathBuf,
    database: TestDatabase,
    provider_database: TestDatabase,
}

impl World {
    pub(super) async fn new() -> Self {
        let provider_database = TestDatabase::create("sandbox", &makegood_sandbox::MIGRATOR).await;
        let database = TestDatabase::create("payment", &crate::MIGRATOR).await;
        let (db, provider_db) = (database.db.clone(), provider_database.db.clone());
        let folder = std::env::temp_dir().join(format!("makegood-payment-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).expect("a folder of its own");
        let secret = Secret::new(SECRET).expect("long enough");
        let admin_key =
            ApiKeys::create(&folder.join("keys.json"), &secret, SHOP, &[Scope::Admin], "test").expect("a key");
        let keys = ApiKeys::load(folder.join("keys.json"), &secret).expect("loads");
        let shutdown = Shutdown::default();
        let context = async |db: &PgPool| HttpContext {
            db: db.clone(),
            clock: DbClock::measure(db).await.expect("measures"),
            keys: keys.clone(),
            secret: secret.clone(),
            shutdown: shutdown.clone(),
        };
        let payment_url = serve(crate::router(context(&db).await)).await;
        let sandbox_config = sandbox_config(&payment_url);
        let sandbox = context(&provider_db).await;
        tokio::spawn({
            let (db, clock, shutdown, secret) =
                (provider_db.clone(), sandbox.clock.clone(), shutdown.clone(), secret.clone());
            let config = sandbox_config.clone();
            async move { makegood_sandbox::send_callbacks(db, clock, shutdown, &secret, config).await }
        });
        let provider_url = serve(makegood_sandbox::router(sandbox, sandbox_config)).await;
        let cashier = Cashier::new(db.clone(), &config(&provider_url)).expect("a cashier");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self {
            db,
            provider_db,
            cashier,
            provider_url,
            payment_url,
            shutdown,
            secret,
            admin_key,
            http,
            folder,
            database,
            provider_database,
        }
    }

    /// Checks every promise, and removes what the test made.
    pub(super) async fn end(self) {
        self.shutdown.begin();
        self.database.verify_and_drop(crate::invariants()).await;
        self.provider_database.verify_and_drop(makegood_sandbox::invariants()).await;
        std::fs::remove_dir_all(&self.folder).expect("removes the folder");
    }

    pub(super) async fn assert_promises_kept(&self) {
        self.database.verify(crate::invariants()).await;
        self.provider_database.verify(makegood_sandbox::invariants()).await;
    }

    pub(super) async fn authorize(&self, saga: Uuid, card: &str) -> Outcome {
        let job = job(saga, "authorize_payment", Direction::Do, order(saga, card));
        only(authorize_payment::handle(&self.cashier, &[job]).await)
    }

    pub(super) async fn void(&self, saga: Uuid, card: &str) -> Outcome {
        let job = job(saga, "authorize_payment", Direction::Undo, order(saga, card));
        only(void_payment::handle(&self.cashier, &[job]).await)
    }

    pub(super) async fn capture(&self, saga: Uuid) -> Outcome {
        let job = job(saga, "capture_payment", Direction::Do, OwnIntent {});
        only(capture_payment::handle(&self.cashier, &[job]).await)
    }

    pub(super) async fn refund(&self, saga: Uuid, refund_id: Uuid, minor: i64) -> Outcome {
        let amount = pounds(minor);
        let input = RefundPayment { payment_intent_id: Some(saga), amount, refund_id, reason: None };
        let job = job(refund_id, "refund_payment", Direction::Do, input);
        only(refund_payment::handle(&self.cashier, &[job]).await)
    }

    /// Asks about everything that is undecided, now, and gives what was decided.
    pub(super) async fn inquire(&self) -> Vec<Decision> {
        sqlx::query("update payment_operation set ask_at = now() - interval '1 s' where ask_at is not null")
            .execute(&self.db)
            .await
            .expect("makes all due");
        operation_inquiry::ask_due(&self.cashier).await.expect("asks").1
    }

    pub(super) async fn set_faults(&self, faults: Value) {
        let request =
            self.http.put(format!("{}/sandbox/faults", self.provider_url)).bearer_auth(&self.admin_key).json(&faults);
        let status = request.send().await.expect("answers").status();
        assert!(status.is_success(), "{status}");
    }

    pub(super) async fn state(&self, saga: Uuid) -> String {
        sqlx::query_scalar("select state from payment_intent where id = $1")
            .bind(saga)
            .fetch_one(&self.db)
            .await
            .expect("an intent")
    }

    /// What the barrier holds for the authorization of a saga.
    pub(super) async fn recorded(&self, saga: Uuid, direction: Direction) -> Option<Outcome> {
        let mut conn = self.db.acquire().await.expect("a connection");
        let key = key(saga, "authorize_payment", direction);
        barrier::outcomes(&mut conn, &[&key]).await.expect("reads").pop().flatten()
    }

    /// The provider's own word on a saga's charge: authorized, captured, refunded, voided.
    pub(super) async fn charge(&self, saga: Uuid) -> Option<[i64; 4]> {
        let id = id_of_step(&key(saga, "authorize_payment", Direction::Do));
        let row: Option<(i64, i64, i64, i64)> = sqlx::query_as(
            "select authorized_minor, captured_minor, refunded_minor, voided_minor from charge where authorization_id = $1",
        )
        .bind(id)
        .fetch_optional(&self.provider_db)
        .await
        .expect("reads the provider's books");
        row.map(|(authorized, captured, refunded, voided)| [authorized, captured, refunded, voided])
    }

    /// The transfers of a saga, as `kind code amount`.
    pub(super) async fn transfers(&self, saga: Uuid) -> Vec<String> {
        sqlx::query_scalar("select kind || ' ' || code || ' ' || amount_minor from transfer where intent_id = $1 order by occurred_at, txn_id, seq")
            .bind(saga)
            .fetch_all(&self.db)
            .await
            .expect("reads the ledger")
    }
}

/// Pence.
pub(super) fn pounds(minor: i64) -> Money {
    Money::from_columns(minor, "GBP").expect("a currency")
}

pub(super) fn done_with(outcome: &Outcome) -> &Value {
    let Outcome::Done { output } = outcome else { panic!("expected done, got {outcome:?}") };
    output
}

pub(super) fn refused_with(outcome: &Outcome) -> &str {
    let Outcome::Refused { code, .. } = outcome else { panic!("expected a refusal, got {outcome:?}") };
    code
}

pub(super) fn is_retry(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { retryable: true, .. })
}

pub(super) fn is_defect(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { retryable: false, .. })
}

pub(super) fn key(saga_id: Uuid, step: &str, direction: Direction) -> StepKey {
    StepKey { saga_id, step: step.to_owned(), direction }
}

/// Every order costs 100.00 GBP.
pub(super) fn order(saga: Uuid, card: &str) -> AuthorizePayment {
    AuthorizePayment {
        account: SHOP,
        order_id: saga,
        amount: pounds(10_000),
        payment_method: card.to_owned(),
        reference: Some(format!("test-{}", saga.simple())),
    }
}

pub(super) fn job<I>(saga: Uuid, step: &str, direction: Direction, input: I) -> Job<I> {
    Job { key: key(saga, step, direction), attempt: 1, traceparent: None, reply_to: "reply.0".to_owned(), input }
}

pub(super) fn only(outcomes: anyhow::Result<Vec<Outcome>>) -> Outcome {
    let mut outcomes = outcomes.expect("the batch is handled");
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

fn config(provider_url: &str) -> Config {
    Config {
        provider_url: provider_url.to_owned(),
        provider_key: Some(PROVIDER_KEY.parse().expect("a key")),
        provider_timeout_seconds: 2,
        provider_in_flight: 16,
        inquire_after_seconds: 60,
    }
}

fn sandbox_config(payment_url: &str) -> makegood_sandbox::Config {
    makegood_sandbox::Config {
        sandbox_provider_key: Some(PROVIDER_KEY.parse().expect("a key")),
        sandbox_provider_callback_url: format!("{payment_url}/v1/provider/callbacks"),
        sandbox_public_url: None,
        sandbox_ship_after: std::time::Duration::ZERO,
    }
}

async fn serve(router: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// All answers of the provider are cut off after they took effect.
pub(super) fn dropping() -> Value {
    json!({ "drop_answers_percent": 100 })
}

/// Nothing goes wrong.
pub(super) fn healthy() -> Value {
    json!({})
}
