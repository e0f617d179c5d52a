//! Mistakes that were made on purpose, each of which the model or the simulation must find.
//!
//! A proof that finds nothing proves nothing unless it finds these. None of them is a switch in production code: those of
//! the engine pervert what the true transition function returns ([`crate::engine`]), all others are the model's and the
//! simulation's own surroundings done wrongly.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// A participant does not look whether it has done a command before.
    NoBarrier,
    /// An undo that comes first leaves no tombstone, so the late action takes effect.
    NoTombstone,
    /// A participant's effect and its barrier row are two transactions.
    BarrierApart,
    /// A message is acked when it is taken, not when its effect is durable.
    AckBeforeCommit,
    /// Whoever writes a saga does not check its revision.
    NoRevisionCheck,
    /// Whoever loses the race for a revision keeps what it could not write.
    CacheKeptAfterLostRace,
    /// Commands go out before the move that sends them is durable.
    PublishBeforeCommit,
    /// A start that comes twice begins the saga anew.
    StartNotOnce,
    /// A step is sent again under another key.
    RetryUnderNewKey,
    /// After a restart nothing is sent again.
    RecoverySendsNothing,
    /// A timer is believed to be early by a replica that has an old state at hand. (The orchestrator did so until the
    /// simulation found it: an operator's command that was lost was never sent again.)
    TimerTrustsCache,
    /// Deadlines are compared with the machine's clock instead of the database's.
    TimersByLocalClock,
    /// All undos go out at once, first step first.
    UndoInOrder,
    /// A step that was given up is not undone, since nobody knows that it took effect.
    UndoSkippedForUnknown,
    /// A repeated answer to one step is taken as the answer to the one that is out.
    AnswerTakenForAnother,
    /// A saga may turn around after its pivot.
    PivotIgnored,
    /// The saga has ended when `finally` is sent, not when it is done.
    FinallyNotAwaited,
    /// A group is done as soon as one of its members is.
    SiblingsNotAwaited,
    /// The sweeper ends a hold though its payment has started.
    ExpiryIgnoresPayment,
    /// After a time-out the provider is sent the operation under a new key.
    NewProviderKeyAfterTimeout,
    /// A provider's silence is read as a no.
    SilenceReadAsNo,
    /// A second wish to call an order off is taken while one is under way.
    CancellationNotLocked,
    /// A refund that is asked for again is begun again, as another operation.
    RefundBegunAnew,
    /// A sale comes back into the stock as often as that is asked for.
    RestockedTwice,
    /// What an order's other returns have is not counted when one more is announced.
    ReturnedUnitsNotCounted,
    /// A return is called off though its goods have come.
    ReturnNotLocked,
    /// A parcel is marked as the carrier's after the carrier was told of it, not before.
    OfferedBeforeMarked,
}

impl Bug {
    pub const ALL: [Self; 27] = [
        Self::NoBarrier,
        Self::NoTombstone,
        Self::BarrierApart,
        Self::AckBeforeCommit,
        Self::NoRevisionCheck,
        Self::CacheKeptAfterLostRace,
        Self::PublishBeforeCommit,
        Self::StartNotOnce,
        Self::RetryUnderNewKey,
        Self::RecoverySendsNothing,
        Self::TimerTrustsCache,
        Self::TimersByLocalClock,
        Self::UndoInOrder,
        Self::UndoSkippedForUnknown,
        Self::AnswerTakenForAnother,
        Self::PivotIgnored,
        Self::FinallyNotAwaited,
        Self::SiblingsNotAwaited,
        Self::ExpiryIgnoresPayment,
        Self::NewProviderKeyAfterTimeout,
        Self::SilenceReadAsNo,
        Self::CancellationNotLocked,
        Self::RefundBegunAnew,
        Self::RestockedTwice,
        Self::ReturnedUnitsNotCounted,
        Self::ReturnNotLocked,
        Self::OfferedBeforeMarked,
    ];

    /// Those that the model of one saga can make; the others need clocks, stock or a provider, which only the
    /// simulation has.
    pub const IN_MODEL: [Self; 11] = [
        Self::NoBarrier,
        Self::NoTombstone,
        Self::NoRevisionCheck,
        Self::CacheKeptAfterLostRace,
        Self::PublishBeforeCommit,
        Self::UndoInOrder,
        Self::UndoSkippedForUnknown,
        Self::AnswerTakenForAnother,
        Self::PivotIgnored,
        Self::FinallyNotAwaited,
        Self::SiblingsNotAwaited,
    ];
}
