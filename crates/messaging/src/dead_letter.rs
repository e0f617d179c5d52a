//! Messages that cannot be handled: parked in PostgreSQL with their reason, never dropped. Operators look at them and decide
//! ([`http`]); what is to be sent again is sent by the role's worker ([`redriving`]).

pub mod gauge;
pub mod http;
pub mod redriving;

mod masking;

use std::time::Duration;

use makegood_chassis::shutdown::Shutdown;
use sqlx::PgPool;

use crate::backoff::Backoff;

/// What is kept of a payload: enough to see what it was, bounded so that garbage fills no disk.
const KEPT_BYTES: usize = 64 * 1024;

/// Subjects are listed, and made from what a message says of itself: enough for any of ours.
const MAX_SUBJECT: usize = 255;
/// A reason repeats what could not be read.
const MAX_REASON: usize = 10_000;

/// A message, or one command out of a message, that was parked.
#[derive(Debug)]
pub struct DeadLetter<'a> {
    pub subject: &'a str,
    pub payload: &'a [u8],
    pub reason: String,
    pub deliveries: i64,
}

/// Parks a message. Goes on trying while the database is away: the message is acked only after this returns true.
pub async fn park(db: &PgPool, shutdown: &Shutdown, letter: DeadLetter<'_>) -> bool {
    // Whoever cannot read a field often repeats what stood in it.
    let letter = DeadLetter { reason: masking::masked_text(&letter.reason), ..letter };
    tracing::error!(subject = letter.subject, reason = letter.reason, "message parked as a dead letter");
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    while let Err(error) = insert(db, &letter).await {
        tracing::warn!(%error, "a dead letter could not be stored; trying again");
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = shutdown.token.cancelled() => return false,
        }
    }
    true
}

async fn insert(db: &PgPool, letter: &DeadLetter<'_>) -> Result<(), sqlx::Error> {
    let kept = &letter.payload[..letter.payload.len().min(KEPT_BYTES)];
    let (subject, reason) = (storable(letter.subject, MAX_SUBJECT), storable(&letter.reason, MAX_REASON));
    sqlx::query("insert into dead_letter (id, subject, payload, reason, deliveries) values ($1, $2, $3, $4, $5)")
        .bind(uuid::Uuid::now_v7())
        .bind(subject)
        .bind(kept)
        .bind(reason)
        .bind(letter.deliveries)
        .execute(db)
        .await?;
    Ok(())
}

/// A text that the table takes, whatever was said in a message: parking must not fail for what is parked.
fn storable(text: &str, max_chars: usize) -> String {
    text.chars()
        .take(max_chars)
        .map(|letter| if letter == '\0' { char::REPLACEMENT_CHARACTER } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_said_can_be_stored() {
        assert_eq!(storable("a\0b", 9), "a\u{fffd}b");
        assert_eq!(storable(&"é".repeat(10), 9), "é".repeat(9));
    }
}
