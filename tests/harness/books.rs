//! What the databases say, for what the API does not tell.

use std::{collections::BTreeMap, time::Duration};

use sqlx::AssertSqlSafe;

use crate::system::System;

const SERVICES: [&str; 8] =
    ["order", "cart", "catalog", "inventory", "payment", "fulfillment", "orchestrator", "sandbox"];

/// Stock of one SKU over all warehouses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Stock {
    pub on_hand: i64,
    /// Held or allocated.
    pub bound: i64,
}

impl System {
    /// The one number that a query of a service's database returns.
    pub async fn count(&self, service: &str, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.database(service).await).await.expect("counts")
    }

    pub async fn stock(&self, sku: &str) -> Stock {
        sqlx::query_as(
            r"select sum(on_hand)::bigint as on_hand, sum(held + allocated)::bigint as bound from stock where sku = $1",
        )
        .bind(sku)
        .fetch_one(&mut self.database("inventory").await)
        .await
        .expect("counts")
    }

    /// Waits until every checkout that was ever accepted is decided; how many ended in which status.
    pub async fn wait_until_all_ended(&self, within: Duration) -> BTreeMap<String, i64> {
        crate::until("every checkout is decided", within, async || {
            (self.count("order", "select count(*) from checkout where decided_at is null").await == 0).then_some(())
        })
        .await;
        let counted: Vec<(String, i64)> = sqlx::query_as("select status, count(*) from checkout group by status")
            .fetch_all(&mut self.database("order").await)
            .await
            .expect("counts");
        counted.into_iter().collect()
    }

    /// Every row of every table of every service, as one digest per table; only how far events have been told is left out.
    pub async fn digests(&self) -> BTreeMap<String, String> {
        let mut digests = BTreeMap::new();
        for service in SERVICES {
            let mut database = self.database(service).await;
            let tables: Vec<String> = sqlx::query_scalar(
                r"select relname::text from pg_class
                  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
                    and relname <> 'event_relay'",
            )
            .fetch_all(&mut database)
            .await
            .expect("the tables are listed");
            for table in tables {
                let sql = format!(
                    "select count(*) || ' rows, ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t"
                );
                let digest = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut database).await;
                digests.insert(format!("{service}.{table}"), digest.expect("the table can be read"));
            }
        }
        digests
    }
}
