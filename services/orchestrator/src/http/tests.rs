//! The admin address on a real database, with sagas that the real driver has moved to where a test needs them.

mod audit;
mod bulk;
mod graph;
mod operations;
mod past_sagas;
mod seen_sagas;
mod timers;

mod start_saga;

use axum::http::{Method, StatusCode};
use makegood_chassis::clock::DbClock;
use makegood_contracts::{command::Direction, id::SagaId, orchestrator::StartSaga, reply::Outcome};
use makegood_messaging::{at_hand::AtHand, bus::Bus};
use makegood_saga::event::Event;
use makegood_testing::{SHOP, ShopApi, TestDatabase, nats_url};
use serde_json::{Map, Value, json};
use sha2::Digest as _;
use sqlx::PgPool;
use uuid::Uuid;

use super::router;
use crate::{
    Config, MIGRATOR,
    definitions::DefinitionShelf,
    driver::{Advance, Advanced},
    invariants::INVARIANTS,
    saga_cache::SagaCache,
};

/// A seat, a wait for consent, a room that needs the seat's number, and the charge, from which there is no way back.
const TRIP: &str = "
saga: trip
version: 1
steps:
  - { step: seat, command: trains.hold_seat, compensate: trains.release_seat }
  - { step: consent, await: consent, deadline: 1h, on_deadline: compensate }
  - { step: room, command: hotels.hold_room, compensate: hotels.release_room, pending: trips.ask, input: { seat: $.seat.number } }
  - { step: charge, command: banks.charge, pivot: true }
";
/// The same with an insurance after the consent.
const TRIP_2: &str = "
saga: trip
version: 2
steps:
  - { step: seat, command: trains.hold_seat, compensate: trains.release_seat }
  - { step: consent, await: consent, deadline: 1h, on_deadline: compensate }
  - { step: insurance, command: insurers.insure, compensate: insurers.cancel }
  - { step: room, command: hotels.hold_room, compensate: hotels.release_room, input: { seat: $.seat.number } }
  - { step: charge, command: banks.charge, pivot: true }
";
/// A third one, in which the seat is held by another command.
const TRIP_3: &str = "
saga: trip
version: 3
steps:
  - { step: seat, command: buses.hold_seat, compensate: buses.release_seat }
  - { step: charge, command: banks.charge, pivot: true }
";

/// A shop's operator, and the participants of its sagas.
struct Shop {
    database: TestDatabase,
    api: ShopApi,
    advance: Advance,
    cache: SagaCache,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(&[(1, TRIP)]).await
    }

    async fn open_with(versions: &[(i32, &str)]) -> Self {
        let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
        for (version, yaml) in versions {
            sqlx::query("insert into definition (name, version, yaml, sha256) values ('trip', $1, $2, $3)")
                .bind(version)
                .bind(yaml)
                .bind(sha2::Sha256::digest(yaml).to_vec())
                .execute(&database.db)
                .await
                .expect("writes a definition");
        }
        let bus = Bus::connect(&nats_url(), "orchestrator-test").await.expect("connects");
        let api = ShopApi::open(&database.db, |context| router(context, bus, &Config::default())).await;
        let definitions = DefinitionShelf::new(database.db.clone()).current().await.expect("definitions");
        let clock = DbClock::measure(&database.db).await.expect("a clock");
        let advance = Advance { connections: AtHand::new(database.db.clone()), clock, definitions };
        Self { database, api, advance, cache: SagaCache::default() }
    }

    fn db(&self) -> &PgPool {
        &self.database.db
    }

    /// A trip of the shop whose seat is out.
    async fn trip(&mut self) -> Uuid {
        self.trip_of(json!({"account_id": SHOP.id, "livemode": SHOP.livemode})).await
    }

    async fn trip_of(&mut self, input: Value) -> Uuid {
        self.trips_of(input, 1).await[0]
    }

    async fn trips_of(&mut self, input: Value, count: usize) -> Vec<Uuid> {
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        let start = |id: &Uuid| StartSaga {
            saga_id: *id,
            definition: "trip".to_owned(),
            reference: format!("order of {id}"),
            customer: Some("ann@example.com".to_owned()),
            input: input.clone(),
            signals: Map::new(),
            traceparent: None,
        };
        let starts: Vec<StartSaga> = ids.iter().map(start).collect();
        self.advance.start(&mut self.cache, &starts).await.expect("begins");
        ids
    }

    async fn feed(&mut self, id: Uuid, event: Event) {
        self.advance.apply(&mut self.cache, &[(id, event)], &mut Advanced::default()).await.expect("is written");
    }

    async fn reply(&mut self, id: Uuid, step: &str, direction: Direction, outcome: Outcome) {
        self.feed(id, Event::Replied { step: step.to_owned(), direction, attempt: 1, outcome }).await;
    }

    async fn done(&mut self, id: Uuid, step: &str) {
        self.reply(id, step, Direction::Do, Outcome::Done { output: json!({"number": 7}) }).await;
    }

    async fn undone(&mut self, id: Uuid, step: &str) {
        self.reply(id, step, Direction::Undo, Outcome::done()).await;
    }

    /// A trip that waits for consent.
    async fn waiting(&mut self) -> Uuid {
        let id = self.trip().await;
        self.done(id, "seat").await;
        id
    }

    /// A trip whose seat is parked.
    async fn parked(&mut self) -> Uuid {
        let id = self.trip().await;
        self.reply(id, "seat", Direction::Do, Outcome::defect("no such train")).await;
        id
    }

    async fn completed(&mut self) -> Uuid {
        let id = self.waiting().await;
        self.feed(id, Event::Signalled { signal: "consent".into(), payload: json!({}), by: None }).await;
        self.done(id, "room").await;
        self.done(id, "charge").await;
        id
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, _, body) = self.api.send(&self.api.admin, (Method::GET, path), &[], Value::Null).await;
        (status, body)
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
        let (status, _, body) = self.api.send(&self.api.admin, (Method::POST, path), headers, body).await;
        (status, body)
    }

    /// An operator's verb on one saga, with a reason.
    async fn operate(&self, id: Uuid, verb: &str, mut body: Value) -> (StatusCode, Value) {
        body["reason"] = json!("the carrier is down");
        self.post(&format!("{}/{verb}", path(id)), &[], body).await
    }

    async fn saga(&self, id: Uuid) -> Value {
        let (status, body) = self.get(&path(id)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    async fn audit_rows(&self) -> i64 {
        sqlx::query_scalar("select count(*) from audit").fetch_one(self.db()).await.expect("counts")
    }

    /// The promises hold over what the test left.
    async fn close(self) {
        let Self { database, api, advance, .. } = self;
        drop((api, advance));
        database.verify_and_drop(INVARIANTS).await;
    }
}

fn path(id: Uuid) -> String {
    format!("/v1/admin/sagas/{}", SagaId::from_uuid(id))
}
