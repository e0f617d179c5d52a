//! What befalls processes and the broker: they die and come back, stand still and go on, or all messages are gone.

use makegood_contracts::command::Direction;
use rand::Rng as _;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Service, Simulation, Tick, faults::Faults};

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Replica(usize),
    Service(Service),
}

#[derive(Debug, Default)]
pub(super) struct Health {
    /// Counts its lives: what an earlier one had begun is forgotten.
    epoch: u32,
    is_down: bool,
    /// SIGSTOP until then.
    stands_still_until: Option<OffsetDateTime>,
}

/// What was out when all messages were lost.
pub(super) struct Recovery {
    since: OffsetDateTime,
    out: Vec<(Uuid, String, Direction)>,
}

/// A connection that comes back is noticed within this.
const NOTICED_MS: std::ops::Range<i64> = 100..1_000;
/// By then everything that was out must have been sent again: the deadlines alone would take longer.
const RECOVERED_WITHIN: Duration = Duration::milliseconds(2_500);

impl Simulation {
    fn health(&mut self, node: Node) -> &mut Health {
        self.nodes.entry(node).or_default()
    }

    fn epoch(&self, node: Node) -> u32 {
        self.nodes.get(&node).map_or(0, |health| health.epoch)
    }

    pub(super) fn replica_epoch(&self, replica: usize) -> u32 {
        self.epoch(Node::Replica(replica))
    }

    pub(super) fn service_epoch(&self, service: Service) -> u32 {
        self.epoch(Node::Service(service))
    }

    pub(super) fn is_up(&self, service: Service) -> bool {
        self.is_at_work(Node::Service(service))
    }

    pub(super) fn is_reachable(&self, replica: usize) -> bool {
        self.is_at_work(Node::Replica(replica))
    }

    fn is_at_work(&self, node: Node) -> bool {
        !self.nodes.get(&node).is_some_and(|health| health.is_down) && self.stands_still(node).is_none()
    }

    pub(super) fn stands_still(&self, node: Node) -> Option<OffsetDateTime> {
        let until = self.nodes.get(&node)?.stands_still_until?;
        (until > self.schedule.now).then_some(until)
    }

    /// Whether a process goes on with what it had begun. One that stands still does so later.
    pub(super) fn goes_on(&mut self, node: Node, epoch: u32, again: Tick) -> bool {
        if let Some(until) = self.stands_still(node) {
            self.schedule.at(until, again);
            return false;
        }
        epoch == self.epoch(node)
    }

    /// How long until the next of what happens so often on average.
    pub(super) fn until_next(&mut self, average: Duration) -> Duration {
        average * self.random.random_range(0.1..1.9)
    }

    pub(super) fn accident(&mut self) {
        if self.is_healed {
            return;
        }
        let next = self.until_next(self.faults.between_accidents);
        self.schedule.after(next, Tick::Accident);
        let service = Service::ALL[self.random.random_range(0..Service::ALL.len())];
        let replica = self.random.random_range(0..self.replicas.len());
        match self.random.random_range(0..10) {
            0..3 => self.crash(Node::Replica(replica)),
            3..5 => self.pause(Node::Replica(replica)),
            5..7 => self.crash(Node::Service(service)),
            7 => self.pause(Node::Service(service)),
            _ => self.lose_all_messages(),
        }
    }

    fn crash(&mut self, node: Node) {
        self.last_accident = self.schedule.now;
        // Mostly a restart, sometimes an outage that outlasts every retry.
        let down = match self.happens(0.1) {
            true => Duration::seconds(self.random.random_range(60..120)),
            false => Duration::milliseconds(self.random.random_range(100..8_000)),
        };
        let health = self.health(node);
        health.epoch += 1;
        health.is_down = true;
        if let Node::Replica(replica) = node {
            self.replicas[replica].restarted();
        }
        self.schedule.after(down, Tick::Restart(node));
    }

    fn pause(&mut self, node: Node) {
        self.last_accident = self.schedule.now;
        // Often longer than the time-out of a step.
        let still = Duration::milliseconds(self.random.random_range(500..20_000));
        let until = self.schedule.now + still;
        self.health(node).stands_still_until = Some(until);
    }

    pub(super) fn restart(&mut self, node: Node) {
        self.health(node).is_down = false;
        if let Node::Replica(replica) = node {
            self.recover_soon(replica);
        }
    }

    fn recover_soon(&mut self, replica: usize) {
        let delay = Duration::milliseconds(self.random.random_range(NOTICED_MS));
        self.schedule.after(delay, Tick::Recover { replica, epoch: self.replica_epoch(replica) });
    }

    fn lose_all_messages(&mut self) {
        self.wire.forget_everything();
        let is_whole = (0..self.replicas.len()).all(|replica| self.is_reachable(replica));
        for replica in 0..self.replicas.len() {
            self.recover_soon(replica);
        }
        if is_whole {
            let recovery = Recovery { since: self.schedule.now, out: self.out() };
            self.schedule.after(RECOVERED_WITHIN, Tick::CheckRecovery(recovery));
        }
    }

    /// Everything that was out when the messages were lost, and still is, has been sent again.
    pub(super) fn check_recovery(&mut self, recovery: &Recovery) {
        if self.last_accident >= recovery.since {
            return;
        }
        let out = self.out();
        let forgotten = recovery
            .out
            .iter()
            .filter(|one| out.contains(one))
            .find(|one| self.last_published.get(*one).is_some_and(|published| *published < recovery.since));
        if let Some((saga, step, direction)) = forgotten {
            let promise = format!("{saga}:{step}:{} was lost and not sent again after the loss", direction.as_str());
            self.breaks(promise);
        }
    }

    /// From here on nothing goes wrong.
    pub(super) fn heal(&mut self) {
        self.faults = Faults::none();
        self.is_healed = true;
        let nodes: Vec<Node> = self.nodes.keys().copied().collect();
        for node in nodes {
            let health = self.health(node);
            health.stands_still_until = None;
            if health.is_down {
                self.restart(node);
            }
        }
        self.schedule.after(Duration::seconds(10), Tick::Operator);
    }
}
