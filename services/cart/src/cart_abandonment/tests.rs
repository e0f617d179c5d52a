//! The sweep on a real database, and every invariant over the same rows.

use makegood_testing::TestDatabase;

use super::*;
use crate::{MIGRATOR, invariants::INVARIANTS};

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[tokio::test]
async fn only_open_carts_that_were_left_alone_are_deleted_with_their_lines() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    sqlx::raw_sql(
        r#"
        insert into cart (id, account_id, livemode, currency, state, locked_by, version, created_at, updated_at)
        select overlay(uuidv7_floor(now() - interval '40 days')::text placing n::text from 36)::uuid,
               gen_random_uuid(), false, 'GBP', state, locked_by, 1, now() - interval '40 days', now() - idle
        from (values (1, 'open', null::uuid, interval '31 days'), (2, 'open', null, interval '1 day'),
                     (3, 'locked', gen_random_uuid(), interval '40 days'), (4, 'closed', gen_random_uuid(), interval '40 days'))
             as v (n, state, locked_by, idle);
        insert into cart_line select id, 'a', 'a', 1, 100, 'A', false from cart;
        "#,
    )
    .execute(db)
    .await
    .expect("inserts");
    assert_eq!(delete_abandoned(db, MONTH).await.expect("sweeps"), 1);
    assert_eq!(delete_abandoned(db, MONTH).await.expect("sweeps"), 0);
    let left: Vec<String> =
        sqlx::query_scalar("select right(cart_id::text, 1) from cart_line join cart on id = cart_id order by 1")
            .fetch_all(db)
            .await
            .expect("reads");
    assert_eq!(left, ["2", "3", "4"]);
    database.verify_and_drop(INVARIANTS).await;
}
