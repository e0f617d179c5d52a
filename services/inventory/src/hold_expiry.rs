//! Ends holds whose deadline has passed and gives their stock back, so that an abandoned cart keeps nothing.

use std::time::Duration;

use anyhow::Context;
use makegood_messaging::{
    lasting::{halve, is_lasting},
    worker::Worker,
};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// Holds that one round ends: some milliseconds of work, during which their stock rows are locked.
const ROUND_MAX: i64 = 500;

/// The longest nap. It bounds how late a round can be for a hold that was locked by a command during the last one, or
/// taken with a shorter TTL by another release of this program; far below the grace of 60 s that the invariant allows.
const NAP_MAX: Duration = Duration::from_secs(5);

/// The shortest nap, so that a clock that lags a little behind the database's does not make this a busy loop.
const NAP_MIN: Duration = Duration::from_millis(20);

/// So many rounds pass before what could not be ended is tried again: a minute and more where there is little to do.
pub(crate) const ROUNDS_ASIDE: u32 = 20;

/// What one round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) expired: i64,
    /// When the next hold is due, as far as it is known by now.
    pub(crate) next_due: Option<OffsetDateTime>,
}

/// Ends holds until shutdown. A failed round is logged and tried again: the database may be away for a while.
pub(crate) async fn run(worker: Worker) -> anyhow::Result<()> {
    let mut aside = Aside::default();
    while !worker.shutdown.token.is_cancelled() {
        let nap = match expire_due(&worker.db, &mut aside).await {
            Ok(round) => nap_after(round, worker.clock.now()),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "overdue holds could not be ended; trying again");
                NAP_MAX
            }
        };
        tokio::select! {
            () = worker.shutdown.token.cancelled() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
    Ok(())
}

/// How long to sleep: not at all after a full round, else until the next hold is due.
fn nap_after(round: Round, now: OffsetDateTime) -> Duration {
    if round.expired >= ROUND_MAX {
        return Duration::ZERO;
    }
    let until_due = round.next_due.map(|due| Duration::try_from(due - now).unwrap_or(Duration::ZERO));
    until_due.map_or(NAP_MAX, |nap| nap.clamp(NAP_MIN, NAP_MAX))
}

/// Holds that cannot be ended, because their stock's row says something else: left out, so that they hold up no others. The invariants
/// name them, and so does the log, each time they are tried.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    holds: Vec<Uuid>,
    rounds: u32,
}

impl Aside {
    /// One round more: in the end all of them are tried again, somebody may have mended them.
    fn pass(&mut self) {
        self.rounds += 1;
        if self.rounds > ROUNDS_ASIDE {
            *self = Self::default();
        }
    }
}

/// One round: ends at most `ROUND_MAX` overdue holds. What can never be ended is found and set aside.
pub(crate) async fn expire_due(db: &PgPool, aside: &mut Aside) -> anyhow::Result<Round> {
    aside.pass();
    match end_due(db, &aside.holds).await {
        Err(error) if is_lasting(&error) => end_apart(db, aside).await,
        ended => ended,
    }
}

/// Ends what is due part by part: one that fails is halved until the culprit stands alone.
async fn end_apart(db: &PgPool, aside: &mut Aside) -> anyhow::Result<Round> {
    let due: Vec<Uuid> = sqlx::query_scalar(
        "select id from hold where expires_at <= now() and id <> all($2) order by expires_at limit $1",
    )
    .bind(ROUND_MAX)
    .bind(&aside.holds)
    .fetch_all(db)
    .await
    .context("looking for overdue holds")?;
    let mut round = Round { expired: 0, next_due: None };
    let mut parts = vec![due.as_slice()];
    while let Some(part) = parts.pop() {
        match end_these(db, part).await {
            Ok(ended) => round = Round { expired: round.expired + ended.expired, next_due: ended.next_due },
            Err(error) if is_lasting(&error) => match part {
                [] => {}
                [hold] => {
                    tracing::error!(
                        hold.id = %hold,
                        error = format!("{error:#}"),
                        "an overdue hold cannot be ended, and the others go on without it"
                    );
                    aside.holds.push(*hold);
                }
                _ => halve(&mut parts, part),
            },
            Err(error) => return Err(error),
        }
    }
    Ok(round)
}

/// The statement that ends holds, by which ones are meant. A hold that a command has locked is skipped: the command decides, and a
/// later round looks again.
macro_rules! end_holds {
    ($which:literal) => {
        concat!(
            "
        with due as (
            select id, account_id, livemode, skus, warehouse_ids, quantities
            from hold
            where expires_at <= now() and ",
            $which,
            "
            order by expires_at
            limit $1
            for update skip locked
        ), posting as (
            select d.account_id, d.livemode, l.sku, l.warehouse_id, sum(l.quantity)::bigint as quantity
            from due d
            cross join lateral unnest(d.skus, d.warehouse_ids, d.quantities) as l (sku, warehouse_id, quantity)
            group by d.account_id, d.livemode, l.sku, l.warehouse_id
        ), locked as (
            select s.account_id, s.livemode, s.sku, s.warehouse_id, p.quantity
            from posting p
            join stock s using (account_id, livemode, sku, warehouse_id)
            order by s.account_id, s.livemode, s.sku, s.warehouse_id
            for update of s
        ), given_back as (
            update stock s set held = s.held - l.quantity
            from locked l
            where s.account_id = l.account_id and s.livemode = l.livemode
              and s.sku = l.sku and s.warehouse_id = l.warehouse_id
        ), expired as (
            update hold h set state = 'expired', expires_at = null, changed_at = now()
            from due d
            where h.id = d.id
            returning h.id
        )
        select (select count(*) from expired), (select min(expires_at) from hold where expires_at > now())"
        )
    };
}

async fn end_due(db: &PgPool, left_out: &[Uuid]) -> anyhow::Result<Round> {
    end(db, end_holds!("id <> all($2)"), left_out).await
}

async fn end_these(db: &PgPool, holds: &[Uuid]) -> anyhow::Result<Round> {
    end(db, end_holds!("id = any($2)"), holds).await
}

async fn end(db: &PgPool, statement: &'static str, holds: &[Uuid]) -> anyhow::Result<Round> {
    let (expired, next_due) =
        sqlx::query_as(statement).bind(ROUND_MAX).bind(holds).fetch_one(db).await.context("ending overdue holds")?;
    Ok(Round { expired, next_due })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_full_round_is_followed_at_once_and_an_idle_one_by_a_bounded_nap() {
        let now = datetime!(2026-11-24 12:00 UTC);
        let nap = |expired, seconds: Option<i64>| {
            nap_after(Round { expired, next_due: seconds.map(|seconds| now + time::Duration::seconds(seconds)) }, now)
        };
        assert_eq!(nap(ROUND_MAX, Some(3)), Duration::ZERO);
        assert_eq!(nap(0, Some(3)), Duration::from_secs(3));
        assert_eq!(nap(0, Some(900)), NAP_MAX);
        assert_eq!(nap(0, None), NAP_MAX);
        assert_eq!(nap(1, Some(-1)), NAP_MIN);
    }
}
