//! Around midnight two transactions may claim one key on two days, where no unique index sees both.
//!
//! So for ten minutes a day a new claim also takes a lock on its key until its transaction ends, and then looks
//! at the days beside its own. Whoever gets the lock second sees the first one's row and yields to it.

use sqlx::PgConnection;

use super::{
    Claim, Claimed,
    table::{KeyColumns, look_up},
};

/// Replaces claims that are new by what the other day holds, and takes their own rows away again.
pub(super) async fn yield_to_the_other_day(
    conn: &mut PgConnection,
    claims: &[&Claim],
    claimed: &mut [Option<Claimed>],
) -> Result<(), sqlx::Error> {
    let places: Vec<usize> = (0..claims.len()).filter(|place| claimed[*place] == Some(Claimed::New)).collect();
    let new: Vec<&Claim> = places.iter().map(|place| claims[*place]).collect();
    if new.is_empty() {
        return Ok(());
    }
    lock(conn, &new).await?;
    // A statement of its own, so that its snapshot is newer than the lock.
    let beside = look_up(conn, &new, &[-1, 1]).await?;
    let mut yielded = Vec::new();
    for ((place, claim), found) in places.into_iter().zip(new).zip(beside) {
        if found.is_some() {
            claimed[place] = found;
            yielded.push(claim);
        }
    }
    match yielded.is_empty() {
        true => Ok(()),
        false => remove_own(conn, &yielded).await,
    }
}

/// In the order of the locks, so that two batches with common keys never deadlock.
async fn lock(conn: &mut PgConnection, claims: &[&Claim]) -> Result<(), sqlx::Error> {
    let keys = KeyColumns::of(claims.iter().copied());
    sqlx::query(
        r#"
        select pg_advisory_xact_lock(key)
        from (
            select hashtextextended(concat(account_id, livemode, encode(key_hash, 'hex')), 0) as key
            from unnest($1::uuid[], $2::boolean[], $3::bytea[]) as given (account_id, livemode, key_hash)
            order by key
        ) ordered
        "#,
    )
    .bind(&keys.account_ids)
    .bind(&keys.livemodes)
    .bind(&keys.key_hashes)
    .execute(conn)
    .await?;
    Ok(())
}

async fn remove_own(conn: &mut PgConnection, claims: &[&Claim]) -> Result<(), sqlx::Error> {
    let keys = KeyColumns::of(claims.iter().copied());
    sqlx::query(
        r#"
        delete from idempotency_key held
        using unnest($1::uuid[], $2::boolean[], $3::bytea[]) as given (account_id, livemode, key_hash)
        where held.day = (now() at time zone 'UTC')::date
          and held.account_id = given.account_id and held.livemode = given.livemode and held.key_hash = given.key_hash
        "#,
    )
    .bind(&keys.account_ids)
    .bind(&keys.livemodes)
    .bind(&keys.key_hashes)
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use makegood_contracts::account::Account;

    use super::*;
    use crate::{
        idempotency::{Answer, claim, store},
        test_database::TestDatabase,
    };

    #[tokio::test]
    async fn a_claim_yields_to_one_that_was_committed_on_the_day_beside_it() {
        let test = TestDatabase::create().await;
        let own = Claim {
            account: Account { id: uuid::Uuid::nil(), livemode: false },
            key_hash: vec![1],
            fingerprint: vec![1],
        };
        let answer = Answer { status: 201, body: "{}".to_owned(), location: None };

        let mut other = test.db.begin().await.expect("begins");
        claim(&mut other, &[(&own, None)]).await.expect("claims");
        store(&mut other, &[(&own, &answer)]).await.expect("stores");
        sqlx::query("update idempotency_key set day = day + 1").execute(&mut *other).await.expect("moved to tomorrow");
        other.commit().await.expect("commits");

        let mut late = test.db.begin().await.expect("begins");
        let mut claimed: Vec<_> =
            claim(&mut late, &[(&own, None)]).await.expect("claims").into_iter().map(Some).collect();
        yield_to_the_other_day(&mut late, &[&own], &mut claimed).await.expect("looks");
        assert_eq!(claimed, [Some(Claimed::Answered(answer))]);
        let rows: i64 =
            sqlx::query_scalar("select count(*) from idempotency_key").fetch_one(&mut *late).await.expect("counts");
        assert_eq!(rows, 1);
        drop(late);
        test.remove().await;
    }
}
