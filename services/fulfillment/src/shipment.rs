//! What a shipment is called, what goes into it, and what it may become.
//!
//! ```text
//! created ──▶ released ──▶ shipped
//!    └───────────┴──▶ cancelled
//! ```
//! Pure: no I/O and no clock. Every verb may be repeated.

use std::collections::BTreeMap;

use makegood_contracts::inventory::Allocation;
use uuid::{Builder, Uuid, Version};

/// The states of a shipment, as the table spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Planned; nothing leaves the warehouse.
    Created,
    /// Paid for: the carrier is to have it.
    Released,
    /// The carrier has it, and says so.
    Shipped,
    /// The order was undone.
    Cancelled,
}

/// What a verb makes of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Move(State),
    /// It is there already, or further.
    Already,
    /// Nothing may lead there from here.
    Illegal,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Created, Self::Released, Self::Shipped, Self::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Released => "released",
            Self::Shipped => "shipped",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub const fn release(self) -> Step {
        match self {
            Self::Created => Step::Move(Self::Released),
            Self::Released | Self::Shipped => Step::Already,
            Self::Cancelled => Step::Illegal,
        }
    }

    pub const fn cancel(self) -> Step {
        match self {
            Self::Created | Self::Released => Step::Move(Self::Cancelled),
            Self::Cancelled => Step::Already,
            Self::Shipped => Step::Illegal,
        }
    }

    /// Whether it can be taken back after its order was completed. What the carrier was told of, it may have, and deliver.
    pub const fn may_be_withdrawn(self, was_offered: bool) -> bool {
        match self {
            Self::Created | Self::Cancelled => true,
            Self::Released => !was_offered,
            Self::Shipped => false,
        }
    }

    pub const fn ship(self) -> Step {
        match self {
            Self::Released => Step::Move(Self::Shipped),
            Self::Shipped => Step::Already,
            Self::Created | Self::Cancelled => Step::Illegal,
        }
    }
}

/// The shipment of a saga from a warehouse: the same id whenever it is asked for. It has the form of a UUIDv7 with the
/// saga's own time, so that new shipments lie side by side in the index; the rest is hashed (UUIDv5) from both.
pub fn shipment_id(saga_id: Uuid, warehouse: &str) -> Uuid {
    const TIME_BYTES: usize = 6;
    let mut bytes = Uuid::new_v5(&saga_id, warehouse.as_bytes()).into_bytes();
    bytes[..TIME_BYTES].copy_from_slice(&saga_id.as_bytes()[..TIME_BYTES]);
    Builder::from_bytes(bytes).with_version(Version::SortRand).into_uuid()
}

/// What goes into the parcel of each warehouse; allocations of the same SKU add up.
pub fn parcels(allocations: &[Allocation]) -> BTreeMap<&str, BTreeMap<&str, i64>> {
    let mut parcels: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    for allocation in allocations {
        let quantity = parcels.entry(&allocation.warehouse).or_default().entry(&allocation.sku).or_default();
        *quantity = quantity.saturating_add(allocation.quantity);
    }
    parcels
}

#[cfg(test)]
mod tests {
    use super::*;

    type Verb = fn(State) -> Step;
    const VERBS: [(&str, Verb, State); 3] = [
        ("release", State::release, State::Released),
        ("cancel", State::cancel, State::Cancelled),
        ("ship", State::ship, State::Shipped),
    ];

    #[test]
    fn every_verb_leads_to_its_own_state_and_may_be_repeated() {
        for (name, verb, target) in VERBS {
            assert_eq!(verb(target), Step::Already, "{name}");
            for state in State::ALL {
                if let Step::Move(to) = verb(state) {
                    assert_eq!(to, target, "{name} of {state:?}");
                }
            }
        }
    }

    #[test]
    fn what_has_shipped_or_is_cancelled_never_moves_again() {
        for (name, verb, _) in VERBS {
            for state in [State::Shipped, State::Cancelled] {
                assert!(!matches!(verb(state), Step::Move(_)), "{name} of {state:?}");
            }
        }
    }

    #[test]
    fn a_shipments_id_is_the_same_each_time_and_sorts_with_its_saga() {
        let saga = Uuid::from_u128(0x0198_f0c2_a3b4_7c5d_8e9f_0a1b_2c3d_4e5f);
        let near = shipment_id(saga, "near");
        assert_eq!(near, shipment_id(saga, "near"));
        assert_ne!(near, shipment_id(saga, "far"));
        assert_ne!(near, shipment_id(Uuid::from_u128(saga.as_u128() + 1), "near"));
        assert_eq!((near.get_version(), near.get_timestamp()), (Some(Version::SortRand), saga.get_timestamp()));
    }
}
