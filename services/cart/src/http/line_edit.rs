//! What both edits of lines share: read the cart, decide by its rules, write on the condition that it is still that one.
//!
//! No transaction stays open between the steps, so a client that goes away leaves nothing behind. Whoever loses a race
//! against another edit or a checkout decides anew on what is there then.

use std::time::Duration;

use makegood_chassis::{
    auth::{Caller, Scope},
    entity_tag::{self, Conditions},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};
use uuid::Uuid;

use super::{read_cart::opened, refusal};
use crate::{cart::Cart, store::load_cart};

/// Races lost in a row before the caller is told to come again: far more than one buyer's tabs can cause.
pub(super) const ATTEMPTS: usize = 16;

/// One line of one cart, as the path names it for this caller.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) cart_id: Uuid,
    sealed_cart_id: String,
    pub(super) line: String,
}

impl Place {
    pub(super) fn of(
        context: &HttpContext,
        caller: &Caller,
        Path((id, line)): Path<(String, String)>,
    ) -> Result<Self, Problem> {
        caller.require(Scope::Storefront)?;
        Ok(Self { cart_id: opened(context, caller, &id)?, sealed_cart_id: id, line })
    }

    /// The cart, if it may be edited under the request's condition.
    pub(super) async fn load_editable(
        &self,
        context: &HttpContext,
        caller: &Caller,
        conditions: &Conditions,
    ) -> Result<Cart, Problem> {
        let cart = load_cart(&context.db, caller.account, self.cart_id).await?;
        let cart = cart.ok_or_else(|| Problem::not_found("cart", &self.sealed_cart_id))?;
        if !conditions.allow_change_of(Some(cart.version)) {
            return Err(entity_tag::version_changed("cart", Some(cart.version)));
        }
        cart.check_open().map_err(|refusal| refusal::edit(&refusal, &self.line))?;
        Ok(cart)
    }
}

/// How long the loser of a race stands back, at random, so that not all come again at once.
const STAND_BACK_MAX: Duration = Duration::from_millis(10);

pub(super) async fn stand_back() {
    // The last bytes of a UUIDv7 are random.
    let share = f64::from(Uuid::now_v7().as_bytes()[15]) / f64::from(u8::MAX);
    tokio::time::sleep(STAND_BACK_MAX.mul_f64(share)).await;
}

/// 409 after the last of [`ATTEMPTS`].
pub(super) fn contended() -> Problem {
    let detail = "The cart is being edited by many at once. Nothing was changed; send the edit again.";
    Problem::conflict("cart-contended", "The cart is contended", detail).retry_after(1)
}
