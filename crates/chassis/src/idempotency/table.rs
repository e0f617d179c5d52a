//! The table of keys: claiming, storing and deferring, each many at once in one statement.
//!
//! A key lives 24 hours from its claim. Its row lies in the partition of the day (UTC, by the database) on which
//! it was claimed, so a look-up covers two days, and a day is forgotten by dropping its partition.

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{Answer, Claim, Claimed, midnight};

/// The keys of a statement as its first three parameters.
pub(super) struct KeyColumns {
    pub(super) account_ids: Vec<Uuid>,
    pub(super) livemodes: Vec<bool>,
    pub(super) key_hashes: Vec<Vec<u8>>,
}

impl KeyColumns {
    pub(super) fn of<'c>(claims: impl Iterator<Item = &'c Claim> + Clone) -> Self {
        Self {
            account_ids: claims.clone().map(|claim| claim.account.id).collect(),
            livemodes: claims.clone().map(|claim| claim.account.livemode).collect(),
            key_hashes: claims.map(|claim| claim.key_hash.clone()).collect(),
        }
    }
}

/// A key's row, as far as the answer needs it.
#[derive(Debug, FromRow)]
pub(super) struct Held {
    fingerprint: Vec<u8>,
    resource: Option<Uuid>,
    status: Option<i16>,
    body: Option<String>,
    location: Option<String>,
}

impl Held {
    pub(super) fn claimed(self, claim: &Claim) -> Result<Claimed, sqlx::Error> {
        if self.fingerprint != claim.fingerprint {
            return Ok(Claimed::Mismatch);
        }
        match (self.status.and_then(|status| u16::try_from(status).ok()), self.resource) {
            (Some(status), _) => {
                Ok(Claimed::Answered(Answer { status, body: self.body.unwrap_or_default(), location: self.location }))
            }
            (None, Some(resource)) => Ok(Claimed::Deferred { resource }),
            (None, None) => {
                Err(sqlx::Error::Protocol("a claimed key was committed with neither answer nor resource".to_owned()))
            }
        }
    }
}

/// What the claiming statement says of one key.
#[derive(Debug, FromRow)]
struct ClaimRow {
    inserted: bool,
    near_midnight: bool,
    fingerprint: Option<Vec<u8>>,
    resource: Option<Uuid>,
    status: Option<i16>,
    body: Option<String>,
    location: Option<String>,
}

impl ClaimRow {
    fn held(self) -> Option<Held> {
        let Self { fingerprint, resource, status, body, location, .. } = self;
        fingerprint.map(|fingerprint| Held { fingerprint, resource, status, body, location })
    }
}

/// Rows are inserted in the order of their key, so that two batches with common keys wait for each other and never deadlock.
const CLAIM: &str = r#"
    with given as (
        select * from unnest($1::uuid[], $2::boolean[], $3::bytea[], $4::bytea[], $5::uuid[])
            with ordinality as given (account_id, livemode, key_hash, fingerprint, resource, position)
    ), today as (
        select (now() at time zone 'UTC')::date as day
    ), found as (
        select given.position, held.*
        from given cross join lateral (
            select held.fingerprint, held.resource, held.status, held.body, held.location
            from idempotency_key held
            where held.day = any (array[(now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date - 1])
              and held.account_id = given.account_id and held.livemode = given.livemode and held.key_hash = given.key_hash
              and held.created_at > now() - interval '24 hours'
            order by held.day desc
            limit 1
        ) held
    ), inserted as (
        insert into idempotency_key (day, account_id, livemode, key_hash, fingerprint, resource)
        select today.day, given.account_id, given.livemode, given.key_hash, given.fingerprint, given.resource
        from given cross join today
        where not exists (select from found where found.position = given.position)
        order by given.account_id, given.livemode, given.key_hash
        on conflict do nothing
        returning account_id, livemode, key_hash
    )
    select inserted.key_hash is not null as inserted,
           (now() at time zone 'UTC')::time not between '00:05' and '23:55' as near_midnight,
           found.fingerprint, found.resource, found.status, found.body, found.location
    from given
    left join found using (position)
    left join inserted using (account_id, livemode, key_hash)
    order by position
"#;

/// Claims keys, in order, in one statement; one with a resource is deferred to it from the beginning. The same key twice in
/// one call: the caller must have removed it.
///
/// A key that another transaction is claiming is waited for: until that one ends, or for the pool's `lock_timeout`.
pub async fn claim(conn: &mut PgConnection, claims: &[(&Claim, Option<Uuid>)]) -> Result<Vec<Claimed>, sqlx::Error> {
    let (claims, resources): (Vec<&Claim>, Vec<Option<Uuid>>) = claims.iter().copied().unzip();
    let keys = KeyColumns::of(claims.iter().copied());
    let fingerprints: Vec<&[u8]> = claims.iter().map(|claim| claim.fingerprint.as_slice()).collect();
    let rows: Vec<ClaimRow> = sqlx::query_as(CLAIM)
        .bind(&keys.account_ids)
        .bind(&keys.livemodes)
        .bind(&keys.key_hashes)
        .bind(&fingerprints)
        .bind(&resources)
        .fetch_all(&mut *conn)
        .await?;

    let near_midnight = rows.iter().any(|row| row.near_midnight);
    let mut claimed: Vec<Option<Claimed>> = Vec::with_capacity(claims.len());
    for (row, claim) in rows.into_iter().zip(&claims) {
        let inserted = row.inserted;
        let held = row.held().map(|held| held.claimed(claim)).transpose()?;
        claimed.push(held.or(inserted.then_some(Claimed::New)));
    }
    if near_midnight {
        midnight::yield_to_the_other_day(conn, &claims, &mut claimed).await?;
    }
    read_lost(conn, &claims, claimed).await
}

/// Neither inserted nor found: another transaction committed the row after the claim's snapshot was taken.
async fn read_lost(
    conn: &mut PgConnection,
    claims: &[&Claim],
    claimed: Vec<Option<Claimed>>,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let lost: Vec<&Claim> =
        claims.iter().zip(&claimed).filter(|(_, known)| known.is_none()).map(|(claim, _)| *claim).collect();
    let mut read = match lost.is_empty() {
        true => Vec::new(),
        false => look_up(conn, &lost, &[0, -1]).await?,
    }
    .into_iter();
    let complete =
        claimed.into_iter().map(|known| known.or_else(|| read.next().flatten()).ok_or(sqlx::Error::RowNotFound));
    complete.collect()
}

/// Reads keys, in order, from the partitions of the days that lie so many days from today.
pub(super) async fn look_up(
    conn: &mut PgConnection,
    claims: &[&Claim],
    day_offsets: &[i32],
) -> Result<Vec<Option<Claimed>>, sqlx::Error> {
    #[derive(FromRow)]
    struct Row {
        position: i64,
        #[sqlx(flatten)]
        held: Held,
    }
    let keys = KeyColumns::of(claims.iter().copied());
    let rows: Vec<Row> = sqlx::query_as(
        r#"
        select given.position, held.fingerprint, held.resource, held.status, held.body, held.location
        from unnest($1::uuid[], $2::boolean[], $3::bytea[]) with ordinality as given (account_id, livemode, key_hash, position)
        cross join lateral (
            select * from idempotency_key held
            where held.day = any (array(select (now() at time zone 'UTC')::date + day_offset from unnest($4::int[]) day_offset))
              and held.account_id = given.account_id and held.livemode = given.livemode and held.key_hash = given.key_hash
              and held.created_at > now() - interval '24 hours'
            order by held.day desc
            limit 1
        ) held
        "#,
    )
    .bind(&keys.account_ids)
    .bind(&keys.livemodes)
    .bind(&keys.key_hashes)
    .bind(day_offsets)
    .fetch_all(conn)
    .await?;

    let mut found: Vec<Option<Claimed>> = vec![None; claims.len()];
    for row in rows {
        let index = usize::try_from(row.position - 1).unwrap_or(usize::MAX);
        if let (Some(place), Some(claim)) = (found.get_mut(index), claims.get(index)) {
            *place = Some(row.held.claimed(claim)?);
        }
    }
    Ok(found)
}

/// Stores answers of keys that this transaction claimed, or that were deferred; the first answer stands.
pub async fn store(conn: &mut PgConnection, answers: &[(&Claim, &Answer)]) -> Result<(), sqlx::Error> {
    let keys = KeyColumns::of(answers.iter().map(|(claim, _)| *claim));
    let statuses: Vec<i16> = answers.iter().map(|(_, answer)| answer.status.cast_signed()).collect();
    let bodies: Vec<&str> = answers.iter().map(|(_, answer)| answer.body.as_str()).collect();
    let locations: Vec<Option<&str>> = answers.iter().map(|(_, answer)| answer.location.as_deref()).collect();
    sqlx::query(
        r#"
        update idempotency_key held
        set status = given.status, body = given.body, location = given.location
        from unnest($1::uuid[], $2::boolean[], $3::bytea[], $4::smallint[], $5::text[], $6::text[])
            as given (account_id, livemode, key_hash, status, body, location)
        where held.day = any (array[(now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date - 1, (now() at time zone 'UTC')::date + 1])
          and held.account_id = given.account_id and held.livemode = given.livemode and held.key_hash = given.key_hash
          and held.created_at > now() - interval '24 hours'
          and held.status is null
        "#,
    )
    .bind(&keys.account_ids)
    .bind(&keys.livemodes)
    .bind(&keys.key_hashes)
    .bind(&statuses)
    .bind(&bodies)
    .bind(&locations)
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks claimed keys as decided later by `resource`, where that was not known when they were claimed.
pub async fn defer(conn: &mut PgConnection, deferred: &[(&Claim, Uuid)]) -> Result<(), sqlx::Error> {
    let keys = KeyColumns::of(deferred.iter().map(|(claim, _)| *claim));
    let resources: Vec<Uuid> = deferred.iter().map(|(_, resource)| *resource).collect();
    sqlx::query(
        r#"
        update idempotency_key held
        set resource = given.resource
        from unnest($1::uuid[], $2::boolean[], $3::bytea[], $4::uuid[]) as given (account_id, livemode, key_hash, resource)
        where held.day = (now() at time zone 'UTC')::date
          and held.account_id = given.account_id and held.livemode = given.livemode and held.key_hash = given.key_hash
          and held.status is null
        "#,
    )
    .bind(&keys.account_ids)
    .bind(&keys.livemodes)
    .bind(&keys.key_hashes)
    .bind(&resources)
    .execute(conn)
    .await?;
    Ok(())
}
