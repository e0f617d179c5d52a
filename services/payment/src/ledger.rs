//! The ledger's flows, pure: which account owes which for each thing that happens to a payment.
//!
//! Every leg is one debit and one credit of one amount, so nothing here can fail to balance. `psp_receivable` is what
//! the provider owes the shop, `order_clearing` carries an order's money from the provider to the shop and is empty
//! when the payment has ended, `sales` is earned, `refund_contra` is given back.

pub mod accounts;
pub mod journal;

use makegood_contracts::account::Account;
use uuid::Uuid;

/// Accounts' and transfers' ids are UUIDv5 in this namespace: the same thing has the same id wherever it is computed.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0e_6a41_9d0b_4c58_8a5e_6c1f_0b7d_3e92);

/// The accounts that every shop has in every currency it is paid in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    PspReceivable,
    OrderClearing,
    Sales,
    RefundContra,
}

impl Code {
    pub const ALL: [Self; 4] = [Self::PspReceivable, Self::OrderClearing, Self::Sales, Self::RefundContra];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PspReceivable => "psp_receivable",
            Self::OrderClearing => "order_clearing",
            Self::Sales => "sales",
            Self::RefundContra => "refund_contra",
        }
    }
}

/// The id of a shop's account: nobody has to look it up.
pub fn account_id(shop: Account, code: Code, currency: &str) -> Uuid {
    let mode = if shop.livemode { "live" } else { "test" };
    let name = format!("{}:{mode}:{}:{currency}", shop.id.simple(), code.as_str());
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// How a leg counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On the balance at once.
    Posted,
    /// Reserved: on no balance until it is resolved.
    Pending,
    /// Resolves a pending leg with this much; the rest is released.
    Post,
    /// Releases a pending leg.
    Void,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Pending => "pending",
            Self::Post => "post",
            Self::Void => "void",
        }
    }
}

/// One transfer to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub kind: Kind,
    pub debit: Code,
    pub credit: Code,
    pub amount_minor: i64,
    /// The operation that books it.
    pub operation_id: Uuid,
    /// The operation whose pending leg it resolves.
    pub resolves: Option<Uuid>,
    /// The flow: authorization, sale, refund.
    pub flow: &'static str,
}

impl Leg {
    /// An operation books at most one leg of each kind, so the pair is the leg's name.
    pub fn id(&self) -> Uuid {
        leg_id(self.operation_id, self.kind)
    }

    pub fn pending_id(&self) -> Option<Uuid> {
        self.resolves.map(|operation_id| leg_id(operation_id, Kind::Pending))
    }
}

fn leg_id(operation_id: Uuid, kind: Kind) -> Uuid {
    Uuid::new_v5(&operation_id, kind.as_str().as_bytes())
}

/// The provider holds the buyer's money for the order.
pub fn authorized(operation_id: Uuid, amount_minor: i64) -> Vec<Leg> {
    vec![authorization_leg(Kind::Pending, operation_id, None, amount_minor)]
}

/// The provider owes it, and the shop has earned it; what was authorized beyond it is released.
pub fn captured(operation_id: Uuid, authorization_id: Uuid, amount_minor: i64) -> Vec<Leg> {
    vec![
        authorization_leg(Kind::Post, operation_id, Some(authorization_id), amount_minor),
        Leg {
            kind: Kind::Posted,
            debit: Code::OrderClearing,
            credit: Code::Sales,
            amount_minor,
            operation_id,
            resolves: None,
            flow: "sale",
        },
    ]
}

/// The provider lets the buyer's money go.
pub fn voided(operation_id: Uuid, authorization_id: Uuid, amount_minor: i64) -> Vec<Leg> {
    vec![authorization_leg(Kind::Void, operation_id, Some(authorization_id), amount_minor)]
}

/// A refund is asked for: reserved, because it may fail.
pub fn refund_started(operation_id: Uuid, amount_minor: i64) -> Vec<Leg> {
    vec![refund_leg(Kind::Pending, operation_id, None, amount_minor)]
}

/// The provider has given it back.
pub fn refunded(operation_id: Uuid, amount_minor: i64) -> Vec<Leg> {
    vec![refund_leg(Kind::Post, operation_id, Some(operation_id), amount_minor)]
}

/// The provider would not give it back.
pub fn refund_declined(operation_id: Uuid, amount_minor: i64) -> Vec<Leg> {
    vec![refund_leg(Kind::Void, operation_id, Some(operation_id), amount_minor)]
}

fn authorization_leg(kind: Kind, operation_id: Uuid, resolves: Option<Uuid>, amount_minor: i64) -> Leg {
    let (debit, credit) = (Code::PspReceivable, Code::OrderClearing);
    Leg { kind, debit, credit, amount_minor, operation_id, resolves, flow: "authorization" }
}

fn refund_leg(kind: Kind, operation_id: Uuid, resolves: Option<Uuid>, amount_minor: i64) -> Leg {
    let (debit, credit) = (Code::RefundContra, Code::PspReceivable);
    Leg { kind, debit, credit, amount_minor, operation_id, resolves, flow: "refund" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_resolves_its_authorization_and_empties_the_clearing() {
        let (authorization, capture) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let pending = &authorized(authorization, 100)[0];
        let legs = captured(capture, authorization, 60);
        assert_eq!(legs[0].pending_id(), Some(pending.id()));
        let clearing = |leg: &Leg| match (leg.debit, leg.credit) {
            (Code::OrderClearing, _) => -leg.amount_minor,
            (_, Code::OrderClearing) => leg.amount_minor,
            _ => 0,
        };
        assert_eq!(legs.iter().map(clearing).sum::<i64>(), 0);
    }

    #[test]
    fn accounts_of_other_shops_modes_codes_and_currencies_are_others() {
        let shop = Account { id: Uuid::from_u128(7), livemode: false };
        let live = Account { livemode: true, ..shop };
        let ids = [
            account_id(shop, Code::Sales, "GBP"),
            account_id(live, Code::Sales, "GBP"),
            account_id(shop, Code::RefundContra, "GBP"),
            account_id(shop, Code::Sales, "EUR"),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
