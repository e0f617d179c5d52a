//! The commands that payment takes part in sagas with.

pub mod authorize_payment;
pub mod capture_payment;
pub mod refund_payment;
pub mod void_payment;

use std::rc::Rc;

use makegood_contracts::payment::{AuthorizePayment, OwnIntent, RefundPayment};
use makegood_messaging::{
    participant::{Job, Participant},
    worker::Worker,
};

use crate::cashier::Cashier;

/// Takes commands until shutdown. All call the provider, so all manage their own transactions.
pub async fn run(worker: Worker, cashier: Rc<Cashier>) -> anyhow::Result<()> {
    let [authorizing, voiding, capturing, refunding] = std::array::from_fn(|_| Rc::clone(&cashier));
    Participant::new("payment", worker)
        .call("authorize_payment", async move |jobs: &[Job<AuthorizePayment>]| {
            authorize_payment::handle(&authorizing, jobs).await
        })
        .call("void_payment", async move |jobs: &[Job<AuthorizePayment>]| void_payment::handle(&voiding, jobs).await)
        .call("capture_payment", async move |jobs: &[Job<OwnIntent>]| capture_payment::handle(&capturing, jobs).await)
        .call("refund_payment", async move |jobs: &[Job<RefundPayment>]| refund_payment::handle(&refunding, jobs).await)
        .run()
        .await
}
