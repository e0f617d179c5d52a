//! A payment's life as one pure table: what can happen to an intent, in which state, and what it counts then.
//!
//! Commands, callbacks and inquiries all come through [`apply`]; what the table does not name does not happen.

/// Where a payment stands; spelled as Stripe spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Wanted, and nothing asked of the provider.
    RequiresConfirmation,
    /// An authorization is under way.
    Processing,
    /// The buyer must authenticate.
    RequiresAction,
    /// Authorized: the money is reserved.
    RequiresCapture,
    /// Captured.
    Succeeded,
    /// Called off; nothing is reserved.
    Canceled,
    /// Declined; nothing is reserved.
    Failed,
}

impl State {
    pub const ALL: [Self; 7] = [
        Self::RequiresConfirmation,
        Self::Processing,
        Self::RequiresAction,
        Self::RequiresCapture,
        Self::Succeeded,
        Self::Canceled,
        Self::Failed,
    ];

    /// The spelling in tables and on HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresConfirmation => "requires_confirmation",
            Self::Processing => "processing",
            Self::RequiresAction => "requires_action",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What happens to an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    AuthorizationStarted,
    ActionRequired,
    Authorized,
    Declined,
    Captured { minor: i64 },
    Voided,
    RefundStarted { minor: i64 },
    Refunded { minor: i64 },
    RefundDeclined { minor: i64 },
}

/// How far a payment has come: its state and its counters, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub state: State,
    pub amount_minor: i64,
    pub captured_minor: i64,
    /// Asked of the provider and undecided.
    pub refunding_minor: i64,
    pub refunded_minor: i64,
}

impl Progress {
    /// A payment of which nothing has happened.
    pub const fn new(amount_minor: i64) -> Self {
        Self {
            state: State::RequiresConfirmation,
            amount_minor,
            captured_minor: 0,
            refunding_minor: 0,
            refunded_minor: 0,
        }
    }
}

/// Why an event cannot happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    #[error("{event:?} cannot happen to a payment that is {}", .state.as_str())]
    Event { state: State, event: Event },
    #[error("{event:?} goes beyond what was authorized, captured or asked back")]
    Amount { event: Event },
}

/// The payment after the event.
pub fn apply(progress: Progress, event: Event) -> Result<Progress, Illegal> {
    let state = next_state(progress.state, event)?;
    let counted = count(Progress { state, ..progress }, event).ok_or(Illegal::Amount { event })?;
    let covered = counted.captured_minor <= counted.amount_minor
        && counted.refunding_minor >= 0
        && counted
            .refunded_minor
            .checked_add(counted.refunding_minor)
            .is_some_and(|back| back <= counted.captured_minor);
    if covered { Ok(counted) } else { Err(Illegal::Amount { event }) }
}

/// The table of states. An action that is required twice is one that is still required.
fn next_state(state: State, event: Event) -> Result<State, Illegal> {
    match (state, event) {
        (State::RequiresConfirmation, Event::AuthorizationStarted) => Ok(State::Processing),
        (State::Processing | State::RequiresAction, Event::ActionRequired) => Ok(State::RequiresAction),
        (State::Processing | State::RequiresAction, Event::Authorized) => Ok(State::RequiresCapture),
        (State::Processing | State::RequiresAction, Event::Declined) => Ok(State::Failed),
        (State::RequiresCapture, Event::Captured { .. }) => Ok(State::Succeeded),
        (
            State::RequiresConfirmation | State::Processing | State::RequiresAction | State::RequiresCapture,
            Event::Voided,
        ) => Ok(State::Canceled),
        (State::Succeeded, Event::RefundStarted { .. } | Event::Refunded { .. } | Event::RefundDeclined { .. }) => {
            Ok(State::Succeeded)
        }
        (state, event) => Err(Illegal::Event { state, event }),
    }
}

/// The counters after the event; none where an amount makes no sense.
fn count(progress: Progress, event: Event) -> Option<Progress> {
    let positive = |minor: i64| (minor > 0).then_some(minor);
    match event {
        Event::AuthorizationStarted | Event::ActionRequired | Event::Authorized | Event::Declined | Event::Voided => {
            Some(progress)
        }
        Event::Captured { minor } => {
            let captured_minor = progress.captured_minor.checked_add(positive(minor)?)?;
            Some(Progress { captured_minor, ..progress })
        }
        Event::RefundStarted { minor } => {
            let refunding_minor = progress.refunding_minor.checked_add(positive(minor)?)?;
            Some(Progress { refunding_minor, ..progress })
        }
        Event::Refunded { minor } => Some(Progress {
            refunding_minor: progress.refunding_minor.checked_sub(positive(minor)?)?,
            refunded_minor: progress.refunded_minor.checked_add(minor)?,
            ..progress
        }),
        Event::RefundDeclined { minor } => {
            let refunding_minor = progress.refunding_minor.checked_sub(positive(minor)?)?;
            Some(Progress { refunding_minor, ..progress })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 9] = [
        Event::AuthorizationStarted,
        Event::ActionRequired,
        Event::Authorized,
        Event::Declined,
        Event::Captured { minor: 100 },
        Event::Voided,
        Event::RefundStarted { minor: 30 },
        Event::Refunded { minor: 30 },
        Event::RefundDeclined { minor: 30 },
    ];

    /// A payment of 100 in this state, with 30 on their way back where money was captured.
    fn progress(state: State) -> Progress {
        let captured = state == State::Succeeded;
        Progress {
            state,
            captured_minor: if captured { 100 } else { 0 },
            refunding_minor: if captured { 30 } else { 0 },
            ..Progress::new(100)
        }
    }

    #[test]
    fn every_pair_of_state_and_event_is_as_the_table_says() {
        use State::{Canceled, Failed, Processing, RequiresAction, RequiresCapture, RequiresConfirmation, Succeeded};
        // Columns as in EVENTS; `None` is illegal.
        let table: [(State, [Option<State>; 9]); 7] = [
            (RequiresConfirmation, [Some(Processing), None, None, None, None, Some(Canceled), None, None, None]),
            (
                Processing,
                [
                    None,
                    Some(RequiresAction),
                    Some(RequiresCapture),
                    Some(Failed),
                    None,
                    Some(Canceled),
                    None,
                    None,
                    None,
                ],
            ),
            (
                RequiresAction,
                [
                    None,
                    Some(RequiresAction),
                    Some(RequiresCapture),
                    Some(Failed),
                    None,
                    Some(Canceled),
                    None,
                    None,
                    None,
                ],
            ),
            (RequiresCapture, [None, None, None, None, Some(Succeeded), Some(Canceled), None, None, None]),
            (Succeeded, [None, None, None, None, None, None, Some(Succeeded), Some(Succeeded), Some(Succeeded)]),
            (Canceled, [None; 9]),
            (Failed, [None; 9]),
        ];
        for (state, row) in table {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                let next = apply(progress(state), event).map(|after| after.state);
                assert_eq!(next.ok(), expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn counters_follow_the_money() {
        let paid = apply(progress(State::RequiresCapture), Event::Captured { minor: 60 }).expect("captures");
        assert_eq!(paid.captured_minor, 60);
        let asked = apply(paid, Event::RefundStarted { minor: 50 }).expect("asks");
        let back = apply(asked, Event::Refunded { minor: 50 }).expect("refunds");
        assert_eq!((back.refunding_minor, back.refunded_minor), (0, 50));
        let kept = apply(asked, Event::RefundDeclined { minor: 50 }).expect("is declined");
        assert_eq!((kept.refunding_minor, kept.refunded_minor), (0, 0));
    }

    #[test]
    fn no_counter_goes_beyond_what_covers_it() {
        let held = progress(State::RequiresCapture);
        let paid = progress(State::Succeeded);
        for (before, event) in [
            (held, Event::Captured { minor: 101 }),
            (held, Event::Captured { minor: 0 }),
            (held, Event::Captured { minor: -1 }),
            (paid, Event::RefundStarted { minor: 71 }),
            (paid, Event::RefundStarted { minor: i64::MAX }),
            (paid, Event::Refunded { minor: 31 }),
            (paid, Event::RefundDeclined { minor: 31 }),
        ] {
            assert_eq!(apply(before, event), Err(Illegal::Amount { event }));
        }
    }
}
