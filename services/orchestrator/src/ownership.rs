//! Whose saga it is: an operator's key is one shop's, and shows and moves that shop's sagas only.
//!
//! A saga belongs to the account of its input, which its steps carry to every service. One whose input names none, as
//! those of definitions that are about no shop may, is anybody's who holds an admin key.

use makegood_contracts::account::Account;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::every_saga::every_saga;

/// The condition in SQL, with the account's and the live mode's parameters. A saga without a live mode is in both.
macro_rules! owned_by {
    ($account:literal, $livemode:literal) => {
        concat!(
            "coalesce(input ->> 'account_id' = ",
            $account,
            "::uuid::text, true) and coalesce(input ->> 'livemode' = ",
            $livemode,
            "::boolean::text, true)"
        )
    };
}
pub(crate) use owned_by;

/// Whether there is such a saga for this account. Another account's is not there.
pub(crate) async fn is_of(conn: &mut PgConnection, account: Account, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(concat!(
        "select exists (select from ",
        every_saga!(),
        " where id = $1 and ",
        owned_by!("$2", "$3"),
        ")"
    ))
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_one(conn)
    .await
}
