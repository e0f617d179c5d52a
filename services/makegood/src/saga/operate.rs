//! `makegood saga ls`, `show`, `retry`, … : looking into sagas and mending them, over the admin API of a running deployment.
//!
//! One file per command. [`reading`] asks, [`answers`] is what it is told; [`story`] puts a saga's timeline into words,
//! [`advice`] says what can be done next. Nothing here decides what a saga may do: that is
//! the orchestrator's, and its refusals are shown as it words them.

mod act;
mod audit;
mod bulk;
mod ls;
mod show;
mod tail;

mod advice;
mod age;
mod filter;
mod story;

mod answers;
mod find;
mod operation;
mod reading;

use anyhow::Result;

use crate::client::{admin, terminal};
use operation::{AtStep, Cancel, Compensate, Move, Pause, Resolve, Resume, Retry, Signal, Skip};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List sagas, newest first, by what you know of them
    #[command(after_help = ls::EXAMPLES)]
    Ls(ls::Args),
    /// Show one saga: where it stands, why, what happened, and what can be done
    #[command(after_help = show::EXAMPLES)]
    Show(show::Args),
    /// Follow one saga, or all that match, until they have ended
    #[command(after_help = tail::EXAMPLES)]
    Tail(tail::Args),
    /// Send what is out, or parked, again at once, with attempts counted anew
    #[command(after_help = "Example:\n  makegood saga retry ord_… --reason \"the carrier is back\"")]
    Retry(act::Args<Retry>),
    /// Go on without a step, with a stand-in for its output
    #[command(
        after_help = "Example:\n  makegood saga skip ord_… --step create_shipments --step-output '{\"shipment_ids\": []}' --reason \"sent by hand\""
    )]
    Skip(act::Args<AtStep<Skip>>),
    /// Turn a saga around: everything it did is made good
    #[command(after_help = "Example:\n  makegood saga compensate ord_… --reason \"the buyer called\"")]
    Compensate(act::Args<Compensate>),
    /// Take a parked step as settled by hand, and go on
    #[command(after_help = "Example:\n  makegood saga resolve ord_… --reason \"refunded at the provider, re_123\"")]
    Resolve(act::Args<AtStep<Resolve>>),
    /// Hold a saga where it is
    #[command(after_help = "Example:\n  makegood saga pause ord_… --reason \"the address is being clarified\"")]
    Pause(act::Args<Pause>),
    /// Let a paused saga go on
    #[command(after_help = "Example:\n  makegood saga resume ord_… --reason \"the address is right\"")]
    Resume(act::Args<Resume>),
    /// Call a saga off, as whoever began it could
    #[command(after_help = "Example:\n  makegood saga cancel ord_… --reason \"ordered twice\"")]
    Cancel(act::Args<Cancel>),
    /// Hand a saga the signal that it waits for
    #[command(
        after_help = "Example:\n  makegood saga signal ord_… confirmation --payload '{\"payment_method\": \"pm_card_visa\"}' --reason \"confirmed by phone\""
    )]
    Signal(act::Args<Signal>),
    /// Move a waiting saga to another version of its definition
    #[command(
        after_help = "Example:\n  makegood saga move ord_… --to-version 2 --reason \"v1 has the wrong deadline\""
    )]
    Move(act::Args<Move>),
    /// Do one of these to all sagas that match, after a dry run, and see how far it is
    #[command(after_help = bulk::EXAMPLES)]
    Bulk(bulk::Args),
    /// List what operators did, with their reasons
    #[command(after_help = audit::EXAMPLES)]
    Audit(audit::Args),
}

pub(crate) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Ls(args) => ls::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Tail(args) => tail::run(args).await,
        Command::Retry(args) => act::run(args).await,
        Command::Skip(args) => act::run(args).await,
        Command::Compensate(args) => act::run(args).await,
        Command::Resolve(args) => act::run(args).await,
        Command::Pause(args) => act::run(args).await,
        Command::Resume(args) => act::run(args).await,
        Command::Cancel(args) => act::run(args).await,
        Command::Signal(args) => act::run(args).await,
        Command::Move(args) => act::run(args).await,
        Command::Bulk(args) => bulk::run(args).await,
        Command::Audit(args) => audit::run(args).await,
    }
}
