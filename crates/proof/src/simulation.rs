//! A bad day in a shop, from one seed: many checkouts at once on a virtual clock cancellations and returns of what was
//! bought, two orchestrators, five services behind their barriers, a broker, a card provider, a carrier, buyers, operators, and everything
//! that can go wrong.
//!
//! The sagas run the orchestrator's own transition function over the shipped definitions, and the services' tables change
//! by the services' own pure rules. What is written here again is what lies between: who holds which message, which
//! transaction has committed, and who dies before the next thing happens. Each seed is one history, the same on every
//! machine, and each promise is looked at whenever something happens that could break it.

mod accidents;
mod cancellations;
mod carts;
mod checkouts;
mod effects;
mod faults;
mod flows;
mod operators;
mod participant;
mod payments;
mod people;
mod promises;
mod provider;
mod replica;
mod returns;
mod schedule;
mod sending;
mod shipments;
mod stock;
mod store;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use makegood_contracts::{
    account::Account,
    command::{Direction, StepKey},
    reply::Outcome,
};
use makegood_inventory::hold::State;
use makegood_payment::operation::Said;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::bug::Bug;
use accidents::Node;
use faults::Faults;
use flows::StepName;
use participant::InHand;
use payments::Errand;
use schedule::{BEGINNING, Schedule};
use wire::{Command, MessageId};

/// The shop, in test mode.
const ACCOUNT: Account = Account { id: Uuid::from_u128(0x5407), livemode: false };
/// Faults end after this; much has been begun by then, and much of it not ended.
const BAD_DAY: Duration = Duration::seconds(120);
/// A good day begins then; whatever waits for a buyer, a bank or a hold has ended by its end.
const GOOD_DAY: Duration = Duration::minutes(30);
/// Background work, such as the sweeper's, comes round this often.
const ROUND: Duration = Duration::seconds(1);

/// A service with a database and a barrier of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Cart,
    Fulfillment,
    Inventory,
    Order,
    Payment,
}

impl Service {
    const ALL: [Self; 5] = [Self::Cart, Self::Fulfillment, Self::Inventory, Self::Order, Self::Payment];

    /// The service that takes a command.
    fn of(command: &str) -> Option<Self> {
        match command.split_once('.')?.0 {
            "cart" => Some(Self::Cart),
            "fulfillment" => Some(Self::Fulfillment),
            "inventory" => Some(Self::Inventory),
            "order" => Some(Self::Order),
            "payment" => Some(Self::Payment),
            _ => None,
        }
    }
}

/// Something that happens at an instant.
enum Tick {
    Arrive(MessageId),
    Write { replica: usize, epoch: u32 },
    Publish { replica: usize, epoch: u32, message: Option<MessageId>, commands: Vec<Command> },
    Ack { replica: usize, epoch: u32, message: MessageId },
    DueRound(usize),
    Recover { replica: usize, epoch: u32 },
    Handle(InHand),
    Record(InHand, Outcome),
    Answer(InHand, Outcome),
    AckCommand(InHand),
    ProviderTakes(Errand),
    Settle(Errand, Said),
    Challenge(Uuid, bool),
    Round,
    Buyer(Uuid, people::Deed),
    Handover(shipments::Parcel, shipments::Handover),
    Operator,
    Accident,
    Restart(Node),
    CheckRecovery(accidents::Recovery),
    Heal,
}

/// One history in the making.
pub struct Simulation {
    bug: Option<Bug>,
    random: ChaCha8Rng,
    schedule: Schedule<Tick>,
    faults: Faults,
    is_healed: bool,

    flows: flows::Flows,

    wire: wire::Wire,
    store: store::Store,
    replicas: [replica::Replica; 2],
    nodes: BTreeMap<Node, accidents::Health>,
    last_accident: OffsetDateTime,
    last_published: BTreeMap<(Uuid, String, Direction), OffsetDateTime>,

    barriers: BTreeMap<Service, participant::Barrier>,
    failures_told: BTreeSet<(StepKey, u32)>,
    carts: carts::Carts,
    stock: stock::Stock,
    checkouts: checkouts::Checkouts,
    cancellations: cancellations::Cancellations,
    returns: returns::Returns,
    payments: payments::Payments,
    shipments: shipments::Shipments,
    provider: provider::Provider,
    challenged: BTreeSet<Uuid>,

    effects: BTreeMap<(Uuid, StepName, Direction), u32>,
    standing: BTreeSet<(Uuid, StepName)>,
    /// Steps that an operator has gone on without.
    left_out: BTreeSet<(Uuid, StepName)>,
    judged: BTreeSet<Uuid>,
    broken: Option<String>,
    happened: u64,
}

/// What a history came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub completed: u64,
    pub compensated: u64,
    pub events: u64,
}

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Broken {
    pub seed: u64,
    /// Since the history began.
    pub after: Duration,
    pub promise: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, after, promise } = self;
        write!(
            f,
            "seed {seed}, after {after}: {promise}\n  again: cargo run --release -p makegood-proof -- --seed {seed}"
        )
    }
}

/// Runs the history of a seed to its end.
///
/// # Errors
/// The first promise that was broken.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Summary, Broken> {
    Simulation::new(seed, bug).run().map_err(|(after, promise)| Broken { seed, after, promise })
}

impl Simulation {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let faults = Faults::drawn(&mut random);
        let mut simulation = Self {
            bug,
            random,
            schedule: Schedule::new(),
            faults,
            is_healed: false,
            flows: flows::Flows::read(bug),
            wire: wire::Wire::default(),
            store: store::Store::default(),
            replicas: Default::default(),
            nodes: BTreeMap::new(),
            last_accident: BEGINNING,
            last_published: BTreeMap::new(),
            barriers: BTreeMap::new(),
            failures_told: BTreeSet::new(),
            carts: carts::Carts::default(),
            stock: stock::Stock::new(ACCOUNT),
            checkouts: checkouts::Checkouts::default(),
            cancellations: cancellations::Cancellations::default(),
            returns: returns::Returns::default(),
            payments: payments::Payments::default(),
            shipments: shipments::Shipments::default(),
            provider: provider::Provider::default(),
            challenged: BTreeSet::new(),
            effects: BTreeMap::new(),
            standing: BTreeSet::new(),
            left_out: BTreeSet::new(),
            judged: BTreeSet::new(),
            broken: None,
            happened: 0,
        };
        simulation.open_the_shop();
        simulation
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.random_bool(probability)
    }

    /// Notes that a promise is broken; the first one counts.
    fn breaks(&mut self, promise: impl Into<String>) {
        self.broken.get_or_insert_with(|| promise.into());
    }

    fn run(mut self) -> Result<Summary, (Duration, String)> {
        for replica in 0..self.replicas.len() {
            self.schedule.after(Duration::milliseconds(100 * replica as i64), Tick::DueRound(replica));
        }
        self.schedule.after(ROUND, Tick::Round);
        self.schedule.after(BAD_DAY, Tick::Heal);
        let accident = self.until_next(self.faults.between_accidents);
        self.schedule.after(accident, Tick::Accident);
        let operator = self.until_next(self.faults.between_operators);
        self.schedule.after(operator, Tick::Operator);
        let end = BEGINNING + BAD_DAY + GOOD_DAY;
        while let Some(tick) = self.schedule.next_until(end) {
            self.happened += 1;
            self.happen(tick);
            if let Some(promise) = self.broken.take() {
                return Err((self.schedule.now - BEGINNING, promise));
            }
            if self.is_over() {
                break;
            }
        }
        self.judge_all();
        match self.broken.take() {
            Some(promise) => Err((self.schedule.now - BEGINNING, promise)),
            None => Ok(self.summary()),
        }
    }

    fn happen(&mut self, tick: Tick) {
        match tick {
            Tick::Arrive(message) => self.arrive(message),
            Tick::Write { replica, epoch } => {
                if self.goes_on(Node::Replica(replica), epoch, Tick::Write { replica, epoch }) {
                    self.write_turn(replica);
                }
            }
            Tick::Publish { replica, epoch, message, commands } => {
                if let Some(until) = self.stands_still(Node::Replica(replica)) {
                    self.schedule.at(until, Tick::Publish { replica, epoch, message, commands });
                } else if epoch == self.replica_epoch(replica) {
                    self.publish_turn(replica, message, commands);
                }
            }
            Tick::Ack { replica, epoch, message } => {
                if self.goes_on(Node::Replica(replica), epoch, Tick::Ack { replica, epoch, message }) {
                    self.ack(message);
                }
            }
            Tick::DueRound(replica) => {
                self.schedule.after(replica::DUE_ROUND, Tick::DueRound(replica));
                if self.is_reachable(replica) {
                    self.due_round(replica);
                }
            }
            Tick::Recover { replica, epoch } => {
                if self.goes_on(Node::Replica(replica), epoch, Tick::Recover { replica, epoch }) {
                    self.recover(replica);
                }
            }
            Tick::Handle(in_hand) => {
                if self.goes_on(Node::Service(in_hand.service), in_hand.epoch, Tick::Handle(in_hand.clone())) {
                    self.handle(in_hand);
                }
            }
            Tick::Record(in_hand, outcome) => {
                if in_hand.epoch == self.service_epoch(in_hand.service) {
                    self.record(in_hand.service, &in_hand.command.key, outcome.clone());
                    self.answer_soon(in_hand, outcome);
                }
            }
            Tick::Answer(in_hand, outcome) => {
                if in_hand.epoch == self.service_epoch(in_hand.service) {
                    self.answer(in_hand, outcome);
                }
            }
            Tick::AckCommand(in_hand) => {
                if in_hand.epoch == self.service_epoch(in_hand.service) {
                    self.ack(in_hand.message);
                }
            }
            Tick::ProviderTakes(errand) => self.provider_takes(errand),
            Tick::Settle(errand, said) => self.settle(errand, said),
            Tick::Challenge(operation_id, is_authentic) => self.challenge(operation_id, is_authentic),
            Tick::Round => self.round(),
            Tick::Buyer(checkout, deed) => self.buyer_acts(checkout, deed),
            Tick::Handover(parcel, happening) => self.hand_over_goes_on(parcel, happening),
            Tick::Operator => self.operator_acts(),
            Tick::Accident => self.accident(),
            Tick::Restart(node) => self.restart(node),
            Tick::CheckRecovery(recovery) => self.check_recovery(&recovery),
            Tick::Heal => self.heal(),
        }
    }

    /// Background work of the services.
    fn round(&mut self) {
        self.schedule.after(ROUND, Tick::Round);
        let now = self.schedule.now;
        if self.is_up(Service::Inventory) {
            let ended = self.stock.sweep(now, self.bug == Some(Bug::ExpiryIgnoresPayment));
            // P5: what is allocated waits for its payment, which may have begun.
            if let Some((saga, _)) = ended.iter().find(|(_, was)| *was == State::Allocated) {
                self.breaks(format!("the hold of {saga} ended though its payment had started"));
            }
        }
        self.inquire();
        if self.is_up(Service::Order) {
            let mut messages = self.checkouts.take_due(now);
            messages.extend(self.cancellations.take_due(now));
            messages.extend(self.returns.take_due(now));
            for message in messages {
                self.publish(message);
            }
        }
        if self.is_up(Service::Fulfillment) {
            self.hand_over();
        }
        self.judge();
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary { events: self.happened, ..Summary::default() };
        for row in self.store.rows.values() {
            match row.state.phase {
                makegood_saga::state::Phase::Completed => summary.completed += 1,
                makegood_saga::state::Phase::Compensated => summary.compensated += 1,
                makegood_saga::state::Phase::Forward
                | makegood_saga::state::Phase::Backward
                | makegood_saga::state::Phase::Finally => {}
            }
        }
        summary
    }
}
