//! The rules of a checkout: which states follow which, and what may be asked of it in each. No I/O, no clock.

use std::fmt;

use makegood_contracts::orchestrator::{Ending, Reason};

/// How far a checkout has come. It only ever moves forward; see [`Status::may_become`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Written down; its saga prices the cart and holds the stock.
    Accepted,
    /// Priced and held; waits for the buyer to confirm.
    Open,
    /// Confirmed; its saga pays and ships.
    Processing,
    /// The buyer must authenticate the payment first.
    RequiresAction,
    Completed,
    Failed,
    Expired,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Open,
        Self::Processing,
        Self::RequiresAction,
        Self::Completed,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
    ];

    /// The spelling in tables and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Open => "open",
            Self::Processing => "processing",
            Self::RequiresAction => "requires_action",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// What a caller is told: one that is not open yet is being processed.
    pub const fn public(self) -> &'static str {
        match self {
            Self::Accepted => Self::Processing.as_str(),
            Self::Open
            | Self::Processing
            | Self::RequiresAction
            | Self::Completed
            | Self::Failed
            | Self::Expired
            | Self::Cancelled => self.as_str(),
        }
    }

    /// Decided for good: nothing about the checkout changes any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Expired | Self::Cancelled)
    }

    /// Whether `next` may follow directly. Every conditional update in the commands is one of these arrows.
    /// An operator may skip the confirmation, or give it in the buyer's stead, hence the arrows from open past processing.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Accepted => !matches!(next, Self::Accepted | Self::RequiresAction | Self::Completed),
            Self::Open => matches!(next, Self::Processing | Self::RequiresAction) || next.is_final(),
            Self::Processing => matches!(next, Self::RequiresAction) || next.is_final(),
            Self::RequiresAction => next.is_final(),
            Self::Completed | Self::Failed | Self::Expired | Self::Cancelled => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A table held a status that this build does not know.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no status of a checkout")]
pub struct UnknownStatus(String);

impl TryFrom<String> for Status {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus(text))
    }
}

/// What becomes of a buyer's confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirming {
    /// Goes on to pay.
    Confirm,
    /// Was confirmed with this very payment method: the same answer again.
    AlreadyConfirmed,
    /// The hold has ended; the saga is releasing the stock or is about to.
    HoldIsOver,
    /// Not open, or confirmed with another payment method.
    NotOpen,
}

/// Decides on a confirmation with `payment_method`. `hold_is_over` comes from the database's clock.
pub fn confirm(status: Status, confirmed_with: Option<&str>, payment_method: &str, hold_is_over: bool) -> Confirming {
    match status {
        Status::Open if hold_is_over => Confirming::HoldIsOver,
        Status::Open => Confirming::Confirm,
        Status::Processing | Status::RequiresAction | Status::Completed if confirmed_with == Some(payment_method) => {
            Confirming::AlreadyConfirmed
        }
        Status::Accepted
        | Status::Processing
        | Status::RequiresAction
        | Status::Completed
        | Status::Failed
        | Status::Expired
        | Status::Cancelled => Confirming::NotOpen,
    }
}

/// How a checkout ended, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub status: Status,
    /// Of everything but a completed checkout.
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub detail: String,
}

/// The step that waits for the buyer, and the engine's code for a deadline that has passed.
const CONFIRMATION_STEP: &str = "confirmation";
const DEADLINE_PASSED: &str = "deadline_passed";
/// The inventory's word for a confirmation that came in time and lost the race to its stock.
const HOLD_EXPIRED: &str = "hold_expired";
const CANCELLED: &str = "cancelled";

/// Reads the saga's end: abandoned before the confirmation, or confirmed too late to keep the stock, is expired, called off is cancelled, all else failed.
pub fn decide(ended: Ending, reason: Option<&Reason>) -> Decision {
    match (ended, reason) {
        (Ending::Completed, _) => Decision { status: Status::Completed, failure: None },
        (Ending::Compensated, Some(reason)) => {
            let status = match reason.code.as_str() {
                DEADLINE_PASSED if reason.step == CONFIRMATION_STEP => Status::Expired,
                HOLD_EXPIRED => Status::Expired,
                CANCELLED => Status::Cancelled,
                _ => Status::Failed,
            };
            let failure = Failure { code: reason.code.clone(), detail: reason.detail.clone() };
            Decision { status, failure: Some(failure) }
        }
        (Ending::Compensated, None) => {
            let failure =
                Failure { code: "compensated".to_owned(), detail: "It was undone without a stated reason.".to_owned() };
            Decision { status: Status::Failed, failure: Some(failure) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_never_move_backward_and_final_ones_not_at_all() {
        for status in Status::ALL {
            for next in Status::ALL {
                if status.may_become(next) {
                    assert!(!next.may_become(status), "{status} and {next} may follow each other");
                    assert!(!status.is_final(), "{status} is final, yet becomes {next}");
                }
            }
            assert_eq!(status.is_final(), !Status::ALL.into_iter().any(|next| status.may_become(next)), "{status}");
        }
    }

    #[test]
    fn every_status_survives_its_spelling() {
        for status in Status::ALL {
            assert_eq!(Status::try_from(status.as_str().to_owned()).ok(), Some(status));
        }
        assert!(Status::try_from("done".to_owned()).is_err());
    }

    #[test]
    fn only_an_open_checkout_with_a_live_hold_is_confirmed() {
        let table = [
            (Status::Open, None, false, Confirming::Confirm),
            (Status::Open, None, true, Confirming::HoldIsOver),
            (Status::Accepted, None, false, Confirming::NotOpen),
            (Status::Processing, Some("pm_a"), true, Confirming::AlreadyConfirmed),
            (Status::Processing, Some("pm_b"), false, Confirming::NotOpen),
            (Status::RequiresAction, Some("pm_a"), false, Confirming::AlreadyConfirmed),
            (Status::Completed, Some("pm_a"), true, Confirming::AlreadyConfirmed),
            (Status::Failed, Some("pm_a"), false, Confirming::NotOpen),
            (Status::Expired, None, true, Confirming::NotOpen),
            (Status::Cancelled, Some("pm_a"), false, Confirming::NotOpen),
        ];
        for (status, confirmed_with, hold_is_over, expected) in table {
            assert_eq!(confirm(status, confirmed_with, "pm_a", hold_is_over), expected, "{status} {confirmed_with:?}");
        }
    }

    #[test]
    fn the_sagas_end_decides_the_checkout() {
        let reason =
            |step: &str, code: &str| Reason { step: step.to_owned(), code: code.to_owned(), detail: String::new() };
        let table = [
            (Ending::Completed, None, Status::Completed, None),
            (
                Ending::Compensated,
                Some(reason("confirmation", "deadline_passed")),
                Status::Expired,
                Some("deadline_passed"),
            ),
            (
                Ending::Compensated,
                Some(reason("authorize_payment", "deadline_passed")),
                Status::Failed,
                Some("deadline_passed"),
            ),
            (
                Ending::Compensated,
                Some(reason("allocate_stock", "hold_expired")),
                Status::Expired,
                Some("hold_expired"),
            ),
            (Ending::Compensated, Some(reason("confirmation", "cancelled")), Status::Cancelled, Some("cancelled")),
            (Ending::Compensated, Some(reason("hold_stock", "out_of_stock")), Status::Failed, Some("out_of_stock")),
            (Ending::Compensated, None, Status::Failed, Some("compensated")),
        ];
        for (ended, reason, status, code) in table {
            let decision = decide(ended, reason.as_ref());
            assert_eq!(decision.status, status, "{reason:?}");
            assert_eq!(decision.failure.map(|failure| failure.code).as_deref(), code, "{reason:?}");
        }
    }
}
