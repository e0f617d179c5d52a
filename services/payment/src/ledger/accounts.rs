//! A shop's ledger accounts are made when it is first paid in a currency.

use std::{collections::HashSet, sync::Mutex};

use makegood_contracts::account::Account;
use sqlx::PgPool;

use super::{Code, account_id};

/// Shops and currencies whose accounts are known to be committed. Without it every batch would try to make them again.
#[derive(Debug, Default)]
pub struct KnownAccounts(Mutex<HashSet<(Account, &'static str)>>);

/// Entries kept; a process that serves more shops than this forgets them all and asks the database again.
const MAX_KNOWN: usize = 100_000;

impl KnownAccounts {
    /// Makes what is missing, in a transaction of its own: an account that a later rollback took away again would be
    /// remembered here and be missing there.
    pub async fn ensure(
        &self,
        db: &PgPool,
        wanted: impl Iterator<Item = (Account, &'static str)>,
    ) -> anyhow::Result<()> {
        let missing = self.unknown(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        create(db, &missing).await?;
        let mut known = self.lock();
        if known.len() + missing.len() > MAX_KNOWN {
            known.clear();
        }
        known.extend(missing);
        Ok(())
    }

    fn unknown(&self, wanted: impl Iterator<Item = (Account, &'static str)>) -> Vec<(Account, &'static str)> {
        let known = self.lock();
        let missing: HashSet<_> = wanted.filter(|entry| !known.contains(entry)).collect();
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort_unstable();
        missing
    }

    /// A panic elsewhere leaves the set whole: it only grows or is emptied.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(Account, &'static str)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn create(db: &PgPool, missing: &[(Account, &'static str)]) -> Result<(), sqlx::Error> {
    let rows: Vec<_> =
        missing.iter().flat_map(|&(shop, currency)| Code::ALL.map(|code| (shop, code, currency))).collect();
    sqlx::query(
        r"insert into ledger_account (id, account_id, livemode, code, currency)
          select * from unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::text[], $5::text[])
          on conflict do nothing",
    )
    .bind(rows.iter().map(|&(shop, code, currency)| account_id(shop, code, currency)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(shop, ..)| shop.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(shop, ..)| shop.livemode).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, code, _)| code.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|&(.., currency)| currency).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}
