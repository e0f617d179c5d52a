//! The inventory's tables, with its own rules (`makegood_inventory::{hold, hold_plan}`).

use std::collections::{BTreeMap, BTreeSet};

use makegood_contracts::{
    account::Account,
    inventory::{AllocatedStock, Allocation, HeldStock, HoldStock, RestockReturn, RestockSale, RestockedReturn},
    reply::Outcome,
};
use makegood_inventory::{
    hold::{Counts, Hold, State, Verdict},
    hold_plan::{self, FreeStock, Order, Pick, Plan},
    restock_plan::{self, Restock, SoldLine},
};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Shorter than the shop's own, so that holds end while much else goes on.
pub(super) const HOLD_TTL: Duration = Duration::seconds(60);
/// How late the sweeper may be, as the inventory's invariant has it.
const GRACE: Duration = Duration::seconds(60);

/// One SKU in one warehouse.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Shelf {
    on_hand: i64,
    held: i64,
    allocated: i64,
}

struct HoldRow {
    state: State,
    expires_at: OffsetDateTime,
    picks: Vec<Pick>,
}

pub(super) struct Stock {
    account: Account,
    shelves: BTreeMap<(String, Uuid), Shelf>,
    received: BTreeMap<(String, Uuid), i64>,
    holds: BTreeMap<Uuid, HoldRow>,
    /// Holds whose sale has come back.
    restocked: BTreeSet<Uuid>,
    /// What each return brought back of a hold's sale.
    returned: BTreeMap<Uuid, (Uuid, Vec<Restock>)>,
}

impl Shelf {
    fn post(&mut self, counts: Counts, quantity: i64) {
        self.on_hand += i64::from(counts.on_hand) * quantity;
        self.held += i64::from(counts.held) * quantity;
        self.allocated += i64::from(counts.allocated) * quantity;
    }
}

impl Stock {
    pub(super) fn new(account: Account) -> Self {
        Self {
            account,
            shelves: BTreeMap::new(),
            received: BTreeMap::new(),
            holds: BTreeMap::new(),
            restocked: BTreeSet::new(),
            returned: BTreeMap::new(),
        }
    }

    pub(super) fn receive(&mut self, sku: &str, warehouse: Uuid, quantity: i64) {
        let place = (sku.to_owned(), warehouse);
        self.shelves.entry(place.clone()).or_default().on_hand += quantity;
        *self.received.entry(place).or_default() += quantity;
    }

    pub(super) fn hold(&mut self, saga: Uuid, payload: &Value, now: OffsetDateTime) -> anyhow::Result<Outcome> {
        let input: HoldStock = serde_json::from_value(payload.clone())?;
        let free = self.shelves.iter().map(|((sku, warehouse_id), shelf)| FreeStock {
            account: self.account,
            sku: sku.clone(),
            warehouse_id: *warehouse_id,
            priority: i32::from(warehouse_id.as_bytes()[15]),
            quantity: shelf.on_hand - shelf.held - shelf.allocated,
        });
        let free = free.filter(|free| free.quantity > 0).collect();
        let order = Order { account: input.account, lines: &input.lines };
        let Some(plan) = hold_plan::plan_all(free, &[order]).pop() else { anyhow::bail!("one order, one plan") };
        let picks = match plan {
            Plan::Hold(picks) => picks,
            Plan::OutOfStock(shortages) => {
                return Ok(Outcome::refused("out_of_stock", hold_plan::describe(&shortages)));
            }
            Plan::Unusable => return Ok(Outcome::refused("invalid_lines", "")),
        };
        if self.holds.contains_key(&saga) {
            return Ok(Outcome::defect("The saga holds stock already: a saga has one hold."));
        }
        let expires_at = now + HOLD_TTL;
        let state = State::at_first(input.confirmed);
        self.holds.insert(saga, HoldRow { state, expires_at, picks });
        self.post(saga, state.counts());
        let allocations = input.confirmed.then(|| self.allocations_of(saga));
        Ok(Outcome::Done { output: serde_json::to_value(HeldStock { expires_at, allocations })? })
    }

    fn post(&mut self, saga: Uuid, counts: Counts) {
        let Some(row) = self.holds.get(&saga) else { return };
        for pick in &row.picks {
            self.shelves.entry((pick.sku.clone(), pick.warehouse_id)).or_default().post(counts, pick.quantity);
        }
    }

    /// Moves a saga's hold by one of its verbs, and posts the difference.
    fn move_hold(&mut self, saga: Uuid, now: OffsetDateTime, verb: fn(&mut Hold) -> Verdict) -> Option<Verdict> {
        let row = self.holds.get_mut(&saga)?;
        let mut hold = Hold::found(row.state, row.state == State::Held && row.expires_at <= now);
        let verdict = verb(&mut hold);
        row.state = hold.state();
        if let Some(counts) = hold.posting() {
            self.post(saga, counts);
        }
        Some(verdict)
    }

    pub(super) fn allocate(&mut self, saga: Uuid, now: OffsetDateTime) -> anyhow::Result<Outcome> {
        let verdict = self.move_hold(saga, now, Hold::allocate).unwrap_or(Verdict::Expired);
        let Verdict::Done = verdict else { return Ok(outcome(verdict)) };
        let allocations = self.allocations_of(saga);
        Ok(Outcome::Done { output: serde_json::to_value(AllocatedStock { allocations })? })
    }

    fn allocations_of(&self, saga: Uuid) -> Vec<Allocation> {
        let allocation = |pick: &Pick| Allocation {
            warehouse: pick.warehouse_id.to_string(),
            sku: pick.sku.clone(),
            quantity: pick.quantity,
        };
        self.holds.get(&saga).map_or(&[][..], |row| &row.picks).iter().map(allocation).collect()
    }

    pub(super) fn release(&mut self, saga: Uuid) -> Outcome {
        self.move_hold(saga, OffsetDateTime::UNIX_EPOCH, Hold::release).map_or(Outcome::done(), outcome)
    }

    pub(super) fn commit(&mut self, saga: Uuid) -> Outcome {
        match self.move_hold(saga, OffsetDateTime::UNIX_EPOCH, Hold::commit) {
            Some(verdict) => outcome(verdict),
            None => Outcome::defect("The saga has no hold: nothing can be committed."),
        }
    }

    /// What a completed checkout took comes back as a receipt, once.
    pub(super) fn restock(&mut self, payload: &Value, is_anew: bool) -> anyhow::Result<Outcome> {
        let RestockSale { checkout_id } = serde_json::from_value(payload.clone())?;
        let Some(row) = self.holds.get(&checkout_id).filter(|row| row.state == State::Committed) else {
            return Ok(Outcome::defect(format!("Checkout {checkout_id} has no committed hold.")));
        };
        if self.restocked.insert(checkout_id) || is_anew {
            for pick in &row.picks {
                let shelf = self.shelves.entry((pick.sku.clone(), pick.warehouse_id)).or_default();
                shelf.on_hand += pick.quantity;
            }
        }
        Ok(Outcome::done())
    }

    /// What a return brought and can be sold again, once, to the warehouses that sold it.
    pub(super) fn restock_return(&mut self, payload: &Value, is_anew: bool) -> anyhow::Result<Outcome> {
        let RestockReturn { return_id, checkout_id, lines } = serde_json::from_value(payload.clone())?;
        let Some(row) = self.holds.get(&checkout_id).filter(|row| row.state == State::Committed) else {
            return Ok(Outcome::defect(format!("Checkout {checkout_id} has no committed hold.")));
        };
        let units = lines.iter().map(|line| line.quantity).sum();
        let done = Outcome::Done { output: serde_json::to_value(RestockedReturn { units })? };
        if self.returned.contains_key(&return_id) && !is_anew {
            return Ok(done);
        }
        let mut sold = self.sold_lines(checkout_id, row);
        let plan = match restock_plan::plan(&mut sold, lines.iter().map(|line| (line.sku.as_str(), line.quantity))) {
            Ok(plan) => plan,
            Err(too_many) => return Ok(Outcome::defect(format!("{too_many:?} of checkout {checkout_id}"))),
        };
        for one in &plan {
            self.shelves.entry((one.sku.clone(), one.warehouse_id)).or_default().on_hand += one.quantity;
        }
        self.returned.insert(return_id, (checkout_id, plan));
        Ok(done)
    }

    /// A sale's picks, with what is back of each.
    fn sold_lines(&self, checkout: Uuid, row: &HoldRow) -> Vec<SoldLine> {
        let restocks = self.returned.values().filter(|(of, _)| *of == checkout).flat_map(|(_, plan)| plan);
        let back = |pick: &Pick| -> i64 {
            let same = |one: &&Restock| one.sku == pick.sku && one.warehouse_id == pick.warehouse_id;
            restocks.clone().filter(same).map(|one| one.quantity).sum()
        };
        let line = |pick: &Pick| SoldLine {
            sku: pick.sku.clone(),
            warehouse_id: pick.warehouse_id,
            sold: pick.quantity,
            back: back(pick),
        };
        row.picks.iter().map(line).collect()
    }

    /// Units that a return brought back.
    pub(super) fn returned_by(&self, id: Uuid) -> i64 {
        self.returned.get(&id).map_or(0, |(_, plan)| plan.iter().map(|one| one.quantity).sum())
    }

    pub(super) fn has_come_back(&self, checkout: Uuid) -> bool {
        self.restocked.contains(&checkout)
    }

    /// The sweeper ends holds whose time is over; whose they were, and in which state.
    pub(super) fn sweep(&mut self, now: OffsetDateTime, also_allocated: bool) -> Vec<(Uuid, State)> {
        let ends = |row: &HoldRow| {
            row.expires_at <= now && (row.state == State::Held || (also_allocated && row.state == State::Allocated))
        };
        let due: Vec<(Uuid, State)> =
            self.holds.iter().filter(|(_, row)| ends(row)).map(|(saga, row)| (*saga, row.state)).collect();
        for (saga, _) in &due {
            if let Some(row) = self.holds.get_mut(saga) {
                let counts = State::Expired.counts() - row.state.counts();
                row.state = State::Expired;
                self.post(*saga, counts);
            }
        }
        due
    }

    /// Promised to its order, or sold to it.
    pub(super) fn is_allocated(&self, saga: Uuid) -> bool {
        matches!(self.state_of(saga), Some(State::Allocated | State::Committed))
    }

    pub(super) fn state_of(&self, saga: Uuid) -> Option<State> {
        self.holds.get(&saga).map(|row| row.state)
    }

    /// I2 and I5: nothing is sold twice, counters are the sum of the holds, and no hold outlives its time.
    pub(super) fn broken(&self, now: OffsetDateTime) -> Option<String> {
        let mut expected: BTreeMap<(String, Uuid), Shelf> = BTreeMap::new();
        for (place, quantity) in &self.received {
            expected.entry(place.clone()).or_default().on_hand = *quantity;
        }
        for (saga, row) in &self.holds {
            for pick in &row.picks {
                let place = (pick.sku.clone(), pick.warehouse_id);
                let shelf = expected.entry(place).or_default();
                shelf.post(row.state.counts(), pick.quantity);
                if self.restocked.contains(saga) {
                    shelf.on_hand += pick.quantity;
                }
            }
            if row.state == State::Held && row.expires_at + GRACE < now {
                return Some(format!("the hold of {saga} outlives its time"));
            }
        }
        for one in self.returned.values().flat_map(|(_, plan)| plan) {
            expected.entry((one.sku.clone(), one.warehouse_id)).or_default().on_hand += one.quantity;
        }
        if expected != self.shelves {
            return Some(format!("the stock's counters are not the sum of its holds: {:?}", self.shelves));
        }
        let oversold = self.shelves.iter().find(|(_, shelf)| shelf.on_hand - shelf.held - shelf.allocated < 0);
        oversold.map(|((sku, _), shelf)| format!("{sku} is oversold: {shelf:?}"))
    }
}

fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Done => Outcome::done(),
        Verdict::Expired => Outcome::refused("hold_expired", "The time for which the stock was held is over."),
        Verdict::Illegal(state) => Outcome::defect(format!("The hold is {}: this step cannot follow.", state.as_str())),
    }
}
