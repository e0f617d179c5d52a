//! Receiving on a real database.

use makegood_testing::{SHOP, TestDatabase};

use super::*;
use crate::{MIGRATOR, http::put_warehouse, invariants::INVARIANTS, test_stock::counters};

fn receipt(sku: &str, warehouse: &str, quantity: i64) -> Receipt {
    Receipt { sku: sku.to_owned(), warehouse: warehouse.to_owned(), quantity }
}

fn server() -> Caller {
    Caller { account: SHOP, actor: "test".to_owned(), scopes: vec![Scope::Server] }
}

async fn receive_all(database: &TestDatabase, receipts: &[Receipt]) -> Result<String, Problem> {
    let mut tx = database.db.begin().await?;
    let answer = receive(&mut tx, &server(), receipts).await?;
    tx.commit().await?;
    Ok(answer.body)
}

#[tokio::test]
async fn receipts_add_up_and_too_much_or_an_unknown_warehouse_receives_nothing() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    put_warehouse::put(&database.db, SHOP, "near", 1).await.expect("puts");
    let again = put_warehouse::put(&database.db, SHOP, "near", 2).await.expect("puts");
    assert_eq!((again.code.as_str(), again.priority), ("near", 2));

    let received =
        receive_all(&database, &[receipt("cup", "near", 2), receipt("cup", "near", 3)]).await.expect("receives");
    assert_eq!(received, r#"{"stock":[{"sku":"cup","warehouse":"near","on_hand":5}]}"#);

    let unknown = receive_all(&database, &[receipt("cup", "near", 1), receipt("cup", "moon", 1)])
        .await
        .expect_err("no such place");
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);

    let limit = 1_000_000_000_000_000_i64;
    sqlx::query("update stock set on_hand = $1").bind(limit - 1).execute(&database.db).await.expect("fills up");
    let full = receive_all(&database, &[receipt("cup", "near", 2)]).await.expect_err("no room");
    assert_eq!(full.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(counters(&database.db, "cup").await.0, limit - 1);
    sqlx::query("update stock set on_hand = 5").execute(&database.db).await.expect("empties again");
    database.verify_and_drop(INVARIANTS).await;
}

#[test]
fn what_cannot_be_counted_is_refused_at_the_door() {
    assert!(validate(&[receipt("cup", "near", QUANTITY_MAX)]).is_ok());
    assert!(validate(&[]).is_err());
    for bad in [
        receipt("a b", "near", 1),
        receipt("cup", "n/a", 1),
        receipt("cup\0", "near", 1),
        receipt("cup", "near", 0),
        receipt("cup", "near", QUANTITY_MAX + 1),
    ] {
        assert!(validate(&[bad]).is_err());
    }
    let many: Vec<_> = std::iter::repeat_with(|| receipt("cup", "near", 1)).take(RECEIPTS_MAX + 1).collect();
    assert!(validate(&many).is_err());
}
