//! Typed identifiers: a UUIDv7 behind a prefix that says what it names, such as `ord_0198…`.
//!
//! Tables store the bare UUID; people, logs and HTTP see the prefixed form, so that an order's id
//! pasted where a cart's is expected is refused with a clear error instead of finding nothing.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// What an [`Id`] names. Implemented by the markers below only.
pub trait Kind {
    /// The prefix without its underscore.
    const PREFIX: &'static str;
}

/// An identifier of one [`Kind`]; shown and parsed as `<prefix>_<32 hex digits>`.
pub struct Id<K: Kind>(Uuid, PhantomData<fn() -> K>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $marker:ident, $alias:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $marker {}
        impl Kind for $marker { const PREFIX: &'static str = $prefix; }
        $(#[$doc])*
        pub type $alias = Id<$marker>;
    )*};
}

kinds! {
    /// A shop.
    AccountKind, AccountId, "acct";
    /// A cart.
    CartKind, CartId, "crt";
    /// A checkout; the same UUID is its saga's id.
    CheckoutKind, CheckoutId, "chk";
    /// An order.
    OrderKind, OrderId, "ord";
    /// The cancellation of a completed order; the same UUID is its saga's id.
    CancellationKind, CancellationId, "cnl";
    /// The return of goods of a completed order; the same UUID is its saga's id.
    ReturnKind, ReturnId, "ret";
    /// A run of a definition.
    SagaKind, SagaId, "sga";
    /// A payment intent.
    PaymentIntentKind, PaymentIntentId, "pi";
    /// A shipment.
    ShipmentKind, ShipmentId, "shp";
    /// An operation on many sagas.
    BulkOperationKind, BulkOperationId, "blk";
    /// A row of the audit.
    AuditKind, AuditId, "aud";
    /// A domain event.
    EventKind, EventId, "evt";
    /// A parked message.
    DeadLetterKind, DeadLetterId, "dlq";
}

impl<K: Kind> Id<K> {
    /// Wraps a UUID read from a table or a message.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    pub const fn uuid(&self) -> Uuid {
        self.0
    }
}

/// Why a text is no id of the expected kind; worded for the caller of the API.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "expected an id such as `{prefix}_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f`: the prefix `{prefix}_` and 32 hexadecimal digits"
)]
pub struct ParseIdError {
    prefix: &'static str,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = ParseIdError { prefix: K::PREFIX };
        let hex = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(error)?;
        match hex.len() {
            32 => Uuid::try_parse(hex).map(Self::from_uuid).map_err(|_| ParseIdError { prefix: K::PREFIX }),
            _ => Err(ParseIdError { prefix: K::PREFIX }),
        }
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.0.simple())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: Kind> Copy for Id<K> {}
impl<K: Kind> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K: Kind> Eq for Id<K> {}
impl<K: Kind> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K: Kind> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: Kind> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = OrderId::from_uuid(Uuid::from_u128(0x0198_f0c2_a3b4_7c5d_8e9f_0a1b_2c3d_4e5f));
        assert_eq!(id.to_string(), "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn another_kind_a_hyphenated_uuid_and_noise_are_refused() {
        for text in
            ["crt_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f", "ord_0198f0c2-a3b4-7c5d-8e9f-0a1b2c3d4e5f", "ord_", "", "ord_zz"]
        {
            assert!(text.parse::<OrderId>().is_err(), "{text}");
        }
    }
}
