//! Accepting against a real database: once per token, whoever asks and however many at once.

use makegood_testing::TestDatabase;

use super::*;
use crate::{
    MIGRATOR,
    invariants::INVARIANTS,
    test_checkout::{accepted, request},
};

#[tokio::test]
async fn equal_requests_share_one_checkout_in_one_batch_and_in_many_at_once() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let batch =
        [request("k1", "a", None), request("k2", "a", None), request("k1", "a", None), request("k1", "b", None)];
    let [first, second] = [batch[0].checkout.id, batch[1].checkout.id];
    let accepted = accept(&database.db, &batch).await.expect("accepts");
    assert_eq!(
        accepted,
        [
            Accepted::New { checkout: first },
            Accepted::New { checkout: second },
            Accepted::Known { checkout: first },
            Accepted::Mismatch { checkout: Some(first) },
        ]
    );

    let at_once = (0..50).map(|_| {
        let pool = database.db.clone();
        tokio::spawn(async move {
            accept(&pool, &[request("k3", "a", None), request("k1", "a", None)]).await.expect("accepts")
        })
    });
    let mut new = 0;
    let mut checkouts = HashSet::new();
    for batch in futures::future::join_all(at_once).await {
        let [ours, known] = &batch.expect("ran")[..] else { panic!("two results") };
        assert_eq!(*known, Accepted::Known { checkout: first });
        match ours {
            Accepted::New { checkout } => {
                new += 1;
                checkouts.insert(*checkout);
            }
            Accepted::Known { checkout } => {
                checkouts.insert(*checkout);
            }
            other @ (Accepted::Answered(_) | Accepted::Mismatch { .. }) => panic!("{other:?}"),
        }
    }
    assert_eq!((new, checkouts.len()), (1, 1));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_token_outlives_its_key() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let first = accepted(&database.db, "k1", None).await;
    sqlx::query("delete from idempotency_key").execute(&database.db).await.expect("forgets");

    for _ in 0..2 {
        // Another request claims the forgotten key first; that must not shut out the one whose checkout it is.
        let other = accept(&database.db, &[request("k1", "other", None)]).await.expect("accepts");
        assert_eq!(other, [Accepted::Mismatch { checkout: Some(first) }]);
        let both = [
            request("k1", "other", None),
            request("k1", "body", None),
            request("k1", "third", None),
            request("k1", "body", None),
        ];
        let (known, mismatch) = (Accepted::Known { checkout: first }, Accepted::Mismatch { checkout: Some(first) });
        let accepted = accept(&database.db, &both).await.expect("accepts");
        assert_eq!(accepted, [mismatch.clone(), known.clone(), mismatch, known]);
    }
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn one_request_that_cannot_be_written_does_not_fail_the_others() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let mut poisonous = request("k1", "a", None);
    poisonous.checkout.email = "a\0b".to_owned();
    let healthy = request("k2", "a", None);
    let id = healthy.checkout.id;
    let accepted = accept_apart_if_needed(&database.db, &[poisonous, healthy]).await;
    assert!(accepted[0].is_err());
    assert_eq!(accepted[1].as_ref().ok(), Some(&Accepted::New { checkout: id }));
    database.verify_and_drop(INVARIANTS).await;
}
