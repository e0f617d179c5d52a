//! Which warehouse serves which order: the whole batch is planned here, on numbers that are locked meanwhile.
//!
//! Orders are served in the order in which they came, each wholly or not at all. One warehouse that has everything is
//! preferred to several; a line is split only when no warehouse has all of it; among equals the lower priority number
//! wins. Pure: no I/O and no clock, and never more is planned than was free.

use std::collections::{BTreeMap, HashMap};

use makegood_contracts::{account::Account, inventory::HoldLine};
use uuid::Uuid;

/// A refusal names at most this many SKUs; a cart may have thousands, and nobody reads more.
const LISTED_SHORTAGES_MAX: usize = 20;

/// What nobody has a claim on, of one SKU in one warehouse.
#[derive(Debug, Clone)]
pub struct FreeStock {
    pub account: Account,
    pub sku: String,
    pub warehouse_id: Uuid,
    /// Lower is preferred.
    pub priority: i32,
    pub quantity: i64,
}

/// What one saga wants.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    pub account: Account,
    pub lines: &'a [HoldLine],
}

/// What one order gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// These, which add up to exactly what was wanted.
    Hold(Vec<Pick>),
    /// Nothing, for want of these.
    OutOfStock(Vec<Shortage>),
    /// Nothing: the lines make no sense.
    Unusable,
}

/// So many of a SKU from one warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    pub sku: String,
    pub warehouse_id: Uuid,
    pub quantity: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    pub sku: String,
    pub wanted: i64,
    pub available: i64,
}

/// One warehouse's free quantity of a SKU while the batch is planned.
struct Shelf {
    warehouse_id: Uuid,
    free: i64,
}

/// A shop's shelves by SKU, each SKU's in the order of preference.
type Shelves = HashMap<String, Vec<Shelf>>;

/// Plans all orders, first come, first served.
pub fn plan_all(free_stock: Vec<FreeStock>, orders: &[Order<'_>]) -> Vec<Plan> {
    let mut shops = shelves_by_shop(free_stock);
    orders.iter().map(|order| plan(shops.entry(order.account).or_default(), order.lines)).collect()
}

/// The refusal's detail, for people.
pub fn describe(shortages: &[Shortage]) -> String {
    let listed: Vec<String> = shortages
        .iter()
        .take(LISTED_SHORTAGES_MAX)
        .map(|short| format!("{}: wanted {}, available {}", short.sku, short.wanted, short.available))
        .collect();
    match shortages.len().saturating_sub(LISTED_SHORTAGES_MAX) {
        0 => listed.join("; "),
        unlisted => format!("{}; and {unlisted} more", listed.join("; ")),
    }
}

fn shelves_by_shop(mut free_stock: Vec<FreeStock>) -> HashMap<Account, Shelves> {
    free_stock.sort_by_key(|free| (free.priority, free.warehouse_id));
    let mut shops: HashMap<Account, Shelves> = HashMap::new();
    for free in free_stock {
        let shelf = Shelf { warehouse_id: free.warehouse_id, free: free.quantity };
        shops.entry(free.account).or_default().entry(free.sku).or_default().push(shelf);
    }
    shops
}

fn plan(shelves: &mut Shelves, lines: &[HoldLine]) -> Plan {
    let Some(wanted) = add_up(lines) else { return Plan::Unusable };
    let shortages: Vec<Shortage> =
        wanted.iter().filter_map(|(sku, quantity)| shortage(shelves, sku, *quantity)).collect();
    if !shortages.is_empty() {
        return Plan::OutOfStock(shortages);
    }
    let picks: Vec<Pick> = match one_warehouse_with_all(shelves, &wanted) {
        Some(warehouse_id) => wanted
            .iter()
            .map(|(sku, quantity)| Pick { sku: (*sku).to_owned(), warehouse_id, quantity: *quantity })
            .collect(),
        None => wanted.iter().flat_map(|(sku, quantity)| picks_of(shelves_of(shelves, sku), sku, *quantity)).collect(),
    };
    take(shelves, &picks);
    Plan::Hold(picks)
}

/// Lines of the same SKU add up. None when there are no lines or a quantity is not positive; a sum past the end of the
/// type stays there, where no warehouse can serve it.
fn add_up(lines: &[HoldLine]) -> Option<BTreeMap<&str, i64>> {
    let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines {
        if line.quantity <= 0 {
            return None;
        }
        let sum = wanted.entry(&line.sku).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    (!wanted.is_empty()).then_some(wanted)
}

fn shelves_of<'a>(shelves: &'a Shelves, sku: &str) -> &'a [Shelf] {
    shelves.get(sku).map_or(&[], Vec::as_slice)
}

fn shortage(shelves: &Shelves, sku: &str, wanted: i64) -> Option<Shortage> {
    let available = shelves_of(shelves, sku).iter().map(|shelf| shelf.free).sum();
    (available < wanted).then(|| Shortage { sku: sku.to_owned(), wanted, available })
}

/// The most preferred warehouse that can ship the whole order.
fn one_warehouse_with_all(shelves: &Shelves, wanted: &BTreeMap<&str, i64>) -> Option<Uuid> {
    let has = |warehouse_id: Uuid, sku: &str, quantity: i64| {
        shelves_of(shelves, sku).iter().any(|shelf| shelf.warehouse_id == warehouse_id && shelf.free >= quantity)
    };
    let (first_sku, _) = wanted.first_key_value()?;
    let candidates = shelves_of(shelves, first_sku).iter().map(|shelf| shelf.warehouse_id);
    candidates.into_iter().find(|warehouse_id| wanted.iter().all(|(sku, quantity)| has(*warehouse_id, sku, *quantity)))
}

/// One SKU: from the most preferred warehouse that has all of it, or else from as few in order of preference as it
/// takes.
fn picks_of(shelves: &[Shelf], sku: &str, quantity: i64) -> Vec<Pick> {
    let pick = |shelf: &Shelf, quantity| Pick { sku: sku.to_owned(), warehouse_id: shelf.warehouse_id, quantity };
    if let Some(shelf) = shelves.iter().find(|shelf| shelf.free >= quantity) {
        return vec![pick(shelf, quantity)];
    }
    let mut missing = quantity;
    let mut picks = Vec::new();
    for shelf in shelves.iter().filter(|shelf| shelf.free > 0) {
        if missing == 0 {
            break;
        }
        let taken = shelf.free.min(missing);
        missing -= taken;
        picks.push(pick(shelf, taken));
    }
    picks
}

fn take(shelves: &mut Shelves, picks: &[Pick]) {
    for pick in picks {
        let shelf = shelves
            .get_mut(&pick.sku)
            .and_then(|shelves| shelves.iter_mut().find(|shelf| shelf.warehouse_id == pick.warehouse_id));
        if let Some(shelf) = shelf {
            shelf.free -= pick.quantity;
        }
    }
}

#[cfg(test)]
mod tests;
