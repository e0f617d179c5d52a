//! The checks between services against real databases: a shop in which all is well, then broken in one place after another.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, migrate::Migrator, postgres::PgConnectOptions};
use uuid::Uuid;

use super::*;

/// One completed checkout of which a part has been returned and one that was declined, as the services leave them.
const BOOKS: [(&str, &str); 5] = [
    (
        "orchestrator",
        "insert into definition (name, version, yaml, sha256) values ('checkout', 1, '', '');
         insert into finished_saga (id, definition, version, reference, state, revision, progress, input, created_at)
         values ('00000000-0000-7000-8000-000000000001', 'checkout', 1, 'ord_1', 'completed', 9, '{}', '{}', now()),
                ('00000000-0000-7000-8000-000000000002', 'checkout', 1, 'ord_2', 'compensated', 9, '{}', '{}', now())",
    ),
    (
        "order",
        "insert into checkout (id, order_id, account_id, livemode, cart_id, email, shipping_address, shipping_method, token_hash, fingerprint,
                               confirmed_in_call, status, opened_at, opened_total_minor, currency, hold_expires_at, created_at, decided_at)
         select id::uuid, order_id::uuid, gen_random_uuid(), false, gen_random_uuid(), 'a@example.com', '{}', 'standard', token::bytea, '',
                true, status, now(), 500, 'GBP', now(), now() - interval '5 minutes', now()
         from (values ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000011', 't1', 'completed'),
                      ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000012', 't2', 'failed'))
              as checkout (id, order_id, token, status);
         insert into orders (id, checkout_id, account_id, livemode, email, status, total_minor, currency, lines)
         select order_id, id, account_id, livemode, email, status, 500, 'GBP', '[]' from checkout;
         insert into order_return (id, order_id, account_id, livemode, status, lines, refund_minor, receive_by, begun, received_at, decided_at,
                                   ended_at, refund_id, restocked_units)
         select '00000000-0000-7000-8000-000000000031', id, account_id, livemode, 'completed', '[]', 100, now(), true, now(), now(), now(),
                '00000000-0000-7000-8000-000000000031', 1
         from orders where status = 'completed'",
    ),
    (
        "inventory",
        "insert into hold (id, account_id, livemode, state, skus, warehouse_ids, quantities)
         select id::uuid, gen_random_uuid(), false, state, array['sku'], array[gen_random_uuid()], array[1]
         from (values ('00000000-0000-7000-8000-000000000001', 'committed'), ('00000000-0000-7000-8000-000000000002', 'released'))
              as hold (id, state);
         insert into warehouse (id, account_id, livemode, code, priority)
         values ('00000000-0000-7000-8000-000000000041', gen_random_uuid(), false, 'main', 1);
         insert into stock_receipt (account_id, livemode, sku, warehouse_id, quantity, actor, return_id, returned_hold)
         select account_id, false, 'sku', id, 1, 'test', '00000000-0000-7000-8000-000000000031', '00000000-0000-7000-8000-000000000001'
         from warehouse",
    ),
    (
        "payment",
        "insert into payment_intent (id, saga_id, account_id, livemode, order_id, amount_minor, currency, payment_method, state, authorization_id, captured_minor, refunded_minor)
         values ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000001', gen_random_uuid(), false,
                 '00000000-0000-7000-8000-000000000011', 500, 'GBP', 'pm_card_visa', 'succeeded', '00000000-0000-7000-8000-000000000021', 500, 100),
                ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000002', gen_random_uuid(), false,
                 '00000000-0000-7000-8000-000000000012', 500, 'GBP', 'pm_card_chargeDeclined', 'failed', '00000000-0000-7000-8000-000000000022', 0, 0);
         insert into payment_operation (operation_id, intent_id, account_id, livemode, kind, amount_minor, state)
         values ('00000000-0000-7000-8000-000000000021', '00000000-0000-7000-8000-000000000001', gen_random_uuid(), false, 'authorize', 500, 'succeeded'),
                ('00000000-0000-7000-8000-000000000023', '00000000-0000-7000-8000-000000000001', gen_random_uuid(), false, 'capture', 500, 'succeeded'),
                ('00000000-0000-7000-8000-000000000022', '00000000-0000-7000-8000-000000000002', gen_random_uuid(), false, 'authorize', 500, 'declined');
         insert into payment_operation (operation_id, intent_id, account_id, livemode, kind, amount_minor, state, refund_id)
         values ('00000000-0000-7000-8000-000000000025', '00000000-0000-7000-8000-000000000001', gen_random_uuid(), false, 'refund', 100,
                 'succeeded', '00000000-0000-7000-8000-000000000031')",
    ),
    (
        "sandbox",
        "insert into charge (authorization_id, order_id, currency, state, amount_minor, authorized_minor, captured_minor, refunded_minor)
         values ('00000000-0000-7000-8000-000000000021', '00000000-0000-7000-8000-000000000011', 'GBP', 'captured', 500, 500, 500, 100),
                ('00000000-0000-7000-8000-000000000022', '00000000-0000-7000-8000-000000000012', 'GBP', 'declined', 500, 0, 0, 0);
         insert into provider_operation (operation_id, kind, authorization_id, content_hash, amount_minor, currency, status, provider_reference)
         values ('00000000-0000-7000-8000-000000000021', 'authorize', '00000000-0000-7000-8000-000000000021', '', 500, 'GBP', 'succeeded', 'a'),
                ('00000000-0000-7000-8000-000000000023', 'capture', '00000000-0000-7000-8000-000000000021', '', 500, 'GBP', 'succeeded', 'b'),
                ('00000000-0000-7000-8000-000000000025', 'refund', '00000000-0000-7000-8000-000000000021', '', 100, 'GBP', 'succeeded', 'r'),
                ('00000000-0000-7000-8000-000000000022', 'authorize', '00000000-0000-7000-8000-000000000022', '', 500, 'GBP', 'declined', 'c')",
    ),
];

/// Where it is broken, and which checks say so.
const BREAKS: [(&str, &str, &[&str]); 10] = [
    ("inventory", "update stock_receipt set quantity = 2 where return_id is not null", &["returned_goods_are_in_stock"]),
    ("order", "update order_return set refund_minor = 99", &["returns_are_paid_back"]),
    // The refund of a return stands in the books, and yet the payment does not count it.
    (
        "payment",
        "update payment_intent set refunded_minor = 98 where state = 'succeeded'",
        &["returns_give_back_no_more_than_was_paid", "provider_books_equal_ours"],
    ),
    ("orchestrator", "delete from finished_saga where state = 'compensated'", &["accepted_checkouts_have_their_saga"]),
    ("order", "update checkout set status = 'failed' where status = 'completed'", &["ended_sagas_decide_their_checkouts", "paid_is_what_the_order_costs"]),
    ("inventory", "update hold set state = 'allocated' where state = 'committed'", &["holds_end_with_their_saga"]),
    ("payment", "update payment_intent set order_id = gen_random_uuid() where state = 'succeeded'", &["paid_is_what_the_order_costs"]),
    (
        "sandbox",
        "insert into charge (authorization_id, order_id, currency, state, amount_minor, authorized_minor)
         values ('00000000-0000-7000-8000-000000000024', '00000000-0000-7000-8000-000000000011', 'GBP', 'authorized', 500, 500);
         insert into provider_operation (operation_id, kind, authorization_id, content_hash, amount_minor, status, provider_reference)
         values ('00000000-0000-7000-8000-000000000024', 'authorize', '00000000-0000-7000-8000-000000000024', '', 500, 'succeeded', 'd')",
        &["one_live_charge_per_order", "operations_are_what_the_provider_did"],
    ),
    (
        "order",
        "insert into order_cancellation (id, order_id, account_id, livemode, status, decided_at)
         select gen_random_uuid(), id, account_id, livemode, 'completed', now() from orders where status = 'completed'",
        &["cancelled_orders_are_paid_back"],
    ),
    ("sandbox", "update charge set captured_minor = 499 where state = 'captured'", &["provider_books_equal_ours"]),
];

/// A database for each service, its name made of the test's id and the service's name.
struct Books {
    server: PgConnectOptions,
    id: String,
}

fn name(id: &str, service: &str) -> String {
    format!("test_auditor_{id}_{service}")
}

impl Books {
    async fn create() -> Self {
        let url = std::env::var("MAKEGOOD_TEST_DATABASE_URL")
            .expect("MAKEGOOD_TEST_DATABASE_URL names a PostgreSQL server for tests");
        let server: PgConnectOptions = url.parse().expect("the URL of a PostgreSQL server");
        let books = Self { server, id: Uuid::now_v7().simple().to_string() };
        for (service, rows) in BOOKS {
            books.on_server(format!("create database {}", name(&books.id, service))).await;
            let mut connection = books.database(service).connect().await.expect("connects");
            for folder in ["every_service", service] {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(folder);
                let mut migrator = Migrator::new(path).await.expect("migrations");
                migrator.set_ignore_missing(true).run_direct(None, &mut connection, false).await.expect("migrates");
            }
            connection.close().await.expect("closes");
            books.execute(service, rows).await;
        }
        books
    }

    fn database(&self, service: &str) -> PgConnectOptions {
        self.server.clone().database(&name(&self.id, service))
    }

    async fn execute(&self, service: &str, statements: &'static str) {
        let mut connection = self.database(service).connect().await.expect("connects");
        sqlx::raw_sql(statements).execute(&mut connection).await.expect(service);
    }

    async fn on_server(&self, statement: String) {
        let mut connection = self.server.connect().await.expect("the test server is there");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.expect("creates or drops a database");
    }

    /// The names of the checks that do not hold.
    async fn broken(&self) -> Vec<&'static str> {
        let database_url = self.server.to_url_lossy().to_string();
        let config =
            Config { database_url, nats_url: String::new(), secret: self.id.clone(), api_keys: PathBuf::new() };
        let auditor = Auditor { databases: Databases::new(config, address), promises: Vec::new() };
        let report = auditor.audit().await.expect("audited");
        assert_eq!(report.checks.len(), CROSS_CHECKS.len());
        let errors: Vec<_> = report.checks.iter().filter_map(|check| check.error.as_ref()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        report.checks.iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    async fn drop(self) {
        for (service, _) in BOOKS {
            self.on_server(format!("drop database {} with (force)", name(&self.id, service))).await;
        }
    }
}

/// The test's id travels as the secret, which no check needs.
fn address(config: &Config, service: &str) -> anyhow::Result<String> {
    let server: PgConnectOptions = config.database_url.parse()?;
    Ok(server.database(&name(&config.secret, service)).to_url_lossy().to_string())
}

#[tokio::test]
async fn books_in_order_keep_every_promise_and_each_break_is_named() {
    let books = Books::create().await;
    assert_eq!(books.broken().await, [""; 0]);
    let mut expected: Vec<&str> = Vec::new();
    for (service, statement, checks) in BREAKS {
        books.execute(service, statement).await;
        expected.extend(checks);
        let broken = books.broken().await;
        for check in expected.iter() {
            assert!(broken.contains(check), "{check} is not among {broken:?} after: {statement}");
        }
        assert!(
            broken.iter().all(|check| expected.contains(check)),
            "{broken:?} instead of {expected:?} after: {statement}"
        );
    }
    books.drop().await;
}

#[tokio::test]
async fn a_saga_that_is_past_the_time_for_which_it_is_kept_is_not_missed() {
    let books = Books::create().await;
    books.execute("orchestrator", "delete from finished_saga where state = 'compensated'").await;
    assert_eq!(books.broken().await, ["accepted_checkouts_have_their_saga"]);
    let its_day_is_gone = "update saga_retention set kept_since = '00000000-0000-7000-8000-000000000003'";
    books.execute("orchestrator", its_day_is_gone).await;
    assert_eq!(books.broken().await, [""; 0]);
    books.drop().await;
}

/// Where the shop's own provider is asked, the sandbox has nothing; where the sandbox is, a shop may sell in live mode too.
#[tokio::test]
async fn the_sandbox_confirms_payments_of_either_mode_where_it_is_the_provider_at_all() {
    let books = Books::create().await;
    books
        .execute("payment", "update payment_intent set livemode = true; update payment_operation set livemode = true")
        .await;
    assert_eq!(books.broken().await, [""; 0]);
    books.execute("sandbox", "delete from charge").await;
    assert_eq!(books.broken().await, ["provider_books_equal_ours"]);
    books.execute("sandbox", "delete from provider_operation").await;
    assert_eq!(books.broken().await, [""; 0], "nobody has ever asked it for anything");
    books.drop().await;
}
