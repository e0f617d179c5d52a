//! What a hold may become, and what it counts for in each state.
//!
//! ```text
//! held ──▶ allocated ──▶ committed
//!   │          │
//!   ├──────────┴──▶ released
//!   └──▶ expired
//! ```
//! One whose buyer has confirmed before begins as allocated.
//!
//! Pure: the store locks a hold, one of the verbs below moves it, the store writes what it has become. Every verb may
//! be repeated: a hold that already is where the verb leads stays there.

/// The states of a hold, as the table spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Taken until a deadline.
    Held,
    /// Promised to the order, warehouse by warehouse. It has no deadline any more: payment may begin.
    Allocated,
    /// Sold.
    Committed,
    /// Given back by the saga.
    Released,
    /// Given back by the sweeper.
    Expired,
}

/// What one unit of a hold adds to the counters of its stock row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub on_hand: i32,
    pub held: i32,
    pub allocated: i32,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Held, Self::Allocated, Self::Committed, Self::Released, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Allocated => "allocated",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What a hold begins as: a buyer who has confirmed is not waited for.
    pub const fn at_first(confirmed: bool) -> Self {
        if confirmed { Self::Allocated } else { Self::Held }
    }

    /// The counters are the sum of these over all holds: a change of state posts the difference, and
    /// the invariants add everything up again.
    pub const fn counts(self) -> Counts {
        match self {
            Self::Held => Counts { on_hand: 0, held: 1, allocated: 0 },
            Self::Allocated => Counts { on_hand: 0, held: 0, allocated: 1 },
            Self::Committed => Counts { on_hand: -1, held: 0, allocated: 0 },
            Self::Released | Self::Expired => Counts { on_hand: 0, held: 0, allocated: 0 },
        }
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            on_hand: self.on_hand - other.on_hand,
            held: self.held - other.held,
            allocated: self.allocated - other.allocated,
        }
    }
}

/// A hold whose row is locked by this transaction.
#[derive(Debug, Clone)]
pub struct Hold {
    /// As it was found; the difference to `state` is what must be written.
    found: State,
    state: State,
    /// By the database's clock its deadline has passed, whether or not the sweeper came by.
    overdue: bool,
}

/// What a verb says about a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is where the verb leads, now or already.
    Done,
    /// The stock is no longer the saga's.
    Expired,
    /// No correct saga asks for this.
    Illegal(State),
}

impl Hold {
    pub const fn found(state: State, overdue: bool) -> Self {
        Self { found: state, state, overdue }
    }

    pub const fn state(&self) -> State {
        self.state
    }

    /// What changed, per unit; none when the row can stay as it is.
    pub fn posting(&self) -> Option<Counts> {
        (self.state != self.found).then(|| self.state.counts() - self.found.counts())
    }

    /// The buyer has confirmed: promised to the order, and without a deadline before any money is asked for.
    pub fn allocate(&mut self) -> Verdict {
        match self.state {
            State::Held if self.overdue => Verdict::Expired,
            State::Held => self.become_state(State::Allocated),
            State::Allocated | State::Committed => Verdict::Done,
            State::Released | State::Expired => Verdict::Expired,
        }
    }

    /// The money is taken: the goods are gone.
    pub fn commit(&mut self) -> Verdict {
        match self.state {
            State::Allocated => self.become_state(State::Committed),
            State::Committed => Verdict::Done,
            State::Held | State::Released | State::Expired => Verdict::Illegal(self.state),
        }
    }

    /// Undoes the hold as a whole, its allocation too.
    pub fn release(&mut self) -> Verdict {
        match self.state {
            State::Held | State::Allocated => self.become_state(State::Released),
            State::Released | State::Expired => Verdict::Done,
            State::Committed => Verdict::Illegal(State::Committed),
        }
    }

    const fn become_state(&mut self, state: State) -> Verdict {
        self.state = state;
        Verdict::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Verb = fn(&mut Hold) -> Verdict;
    const VERBS: [(&str, Verb); 3] =
        [("allocate", Hold::allocate), ("commit", Hold::commit), ("release", Hold::release)];

    #[test]
    fn every_verb_may_be_repeated_in_every_state() {
        for (name, verb) in VERBS {
            for state in State::ALL {
                for overdue in [false, true] {
                    let mut hold = Hold::found(state, overdue);
                    let first = verb(&mut hold);
                    let after_first = hold.clone();
                    assert_eq!(verb(&mut hold), first, "{name} of {state:?}");
                    assert_eq!(hold.state(), after_first.state(), "{name} of {state:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_sold_or_given_back_never_moves_again() {
        for (name, verb) in VERBS {
            for state in [State::Committed, State::Released, State::Expired] {
                let mut hold = Hold::found(state, false);
                verb(&mut hold);
                assert_eq!((hold.state(), hold.posting()), (state, None), "{name} of {state:?}");
            }
        }
    }

    #[test]
    fn an_overdue_hold_can_only_be_released_though_the_sweeper_has_not_come_yet() {
        let mut hold = Hold::found(State::Held, true);
        assert_eq!(hold.allocate(), Verdict::Expired);
        assert_eq!(hold.commit(), Verdict::Illegal(State::Held));
        assert_eq!(hold.release(), Verdict::Done);
        assert_eq!(hold.posting(), Some(Counts { on_hand: 0, held: -1, allocated: 0 }));
    }

    #[test]
    fn a_whole_life_posts_nothing_but_the_sale() {
        let mut hold = Hold::found(State::Held, false);
        for verb in [Hold::allocate, Hold::allocate, Hold::commit] {
            assert_eq!(verb(&mut hold), Verdict::Done);
        }
        assert_eq!(hold.posting(), Some(Counts { on_hand: -1, held: -1, allocated: 0 }));
    }

    #[test]
    fn a_state_survives_its_spelling() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
    }
}
