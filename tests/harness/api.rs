//! The client that tests place orders with.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{layout, waiting};

/// Longer than any request may take: parked duplicates wait up to 20 s, `Prefer: wait` up to 30 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);

/// A role that was killed is back within seconds, with everything lost within a minute.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// An event takes milliseconds; after a test has lost all of JetStream, until the log is told again.
const PRICED_WITHIN: Duration = Duration::from_secs(60);

/// Whose key a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum As {
    Buyer,
    Shop,
    Operator,
}

/// A response, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    /// Byte for byte, for comparison with other callers' answers.
    pub text: String,
    pub body: Value,
    pub replayed: bool,
    /// It says when to come again: overloaded, away, or still at work on the same key.
    pub come_again: bool,
}

impl Answer {
    /// The field's text; panics with the whole answer where there is none.
    pub fn text_at(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} in {self:?}"))
    }
}

/// A checkout that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub checkout: String,
    pub order: String,
}

/// Talks to every role by its own address.
#[derive(Debug)]
pub struct Api {
    client: Client,
    addresses: BTreeMap<&'static str, String>,
    keys: BTreeMap<As, String>,
    next: AtomicU64,
}

impl Api {
    pub(crate) fn new(addresses: BTreeMap<&'static str, String>, keys: BTreeMap<As, String>) -> Result<Self> {
        let client = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build().context("making an HTTP client")?;
        Ok(Self { client, addresses, keys, next: AtomicU64::new(1) })
    }

    /// Sends one request. An `Err` means that no answer came, as happens to a client of a process that is killed.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        caller: As,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.addresses[layout::role_of(path)]);
        let mut request = self.client.request(method, url).bearer_auth(&self.keys[&caller]);
        if let Some(token) = token {
            request = request.header("Idempotency-Key", token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("asking {path}"))?;
        let status = response.status();
        let has = |header| response.headers().contains_key(header);
        let (replayed, come_again) = (has("Idempotency-Replayed"), has("Retry-After"));
        let text = response.text().await.with_context(|| format!("reading the answer of {path}"))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, text, body, replayed, come_again })
    }

    /// Where a role listens.
    pub(crate) fn address(&self, role: &str) -> &str {
        &self.addresses[role]
    }

    pub(crate) fn key(&self, caller: As) -> &str {
        &self.keys[&caller]
    }

    pub async fn get(&self, path: &str, caller: As) -> Result<Answer> {
        self.send(Method::GET, path, caller, None, None).await
    }

    pub async fn put(&self, path: &str, caller: As, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, caller, None, Some(body)).await
    }

    /// With a token that no other request has.
    pub async fn post(&self, path: &str, caller: As, body: &Value) -> Result<Answer> {
        self.post_once(path, caller, &self.fresh_token(), body).await
    }

    /// With a token of the test's choice.
    pub async fn post_once(&self, path: &str, caller: As, token: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, caller, Some(token), Some(body)).await
    }

    /// As a client of a system in trouble does: the same request with the same token until it is answered for good.
    pub async fn insist(&self, path: &str, caller: As, token: &str, body: &Value) -> Answer {
        crate::until(&format!("an answer of {path}"), ANSWERED_WITHIN, async || {
            let answer = self.post_once(path, caller, token, body).await.ok()?;
            (!answer.come_again && !answer.status.is_server_error()).then_some(answer)
        })
        .await
    }

    pub fn fresh_token(&self) -> String {
        format!("it-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts a product on sale with this much stock in one warehouse, and waits until it can be bought.
    pub async fn sell(&self, sku: &str, price: &str, quantity: i64) -> Result<()> {
        let product = json!({"title": format!("Product {sku}"), "prices": [{"amount": price, "currency": "GBP"}]});
        expect(self.put(&format!("/v1/products/{sku}"), As::Shop, &product).await?, "putting a product on sale")?;
        expect(
            self.put("/v1/admin/warehouses/main", As::Operator, &json!({"priority": 1})).await?,
            "opening a warehouse",
        )?;
        let receipts = json!({"receipts": [{"sku": sku, "warehouse": "main", "quantity": quantity}]});
        expect(self.post("/v1/admin/stock/receipts", As::Operator, &receipts).await?, "receiving stock")?;
        // Prices reach carts by event.
        crate::until(&format!("carts know the price of {sku}"), PRICED_WITHIN, async || {
            self.cart(&[(sku, 1)]).await.ok()
        })
        .await;
        Ok(())
    }

    /// A cart with these lines; its id.
    pub async fn cart(&self, lines: &[(&str, i64)]) -> Result<String> {
        let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
        let cart = json!({"currency": "GBP", "lines": lines});
        let answer = self.insist("/v1/carts", As::Buyer, &self.fresh_token(), &cart).await;
        Ok(expect(answer, "making a cart")?.text_at("/id").to_owned())
    }

    /// The body of a checkout that is confirmed in the same call.
    pub fn checkout_of(cart: &str, payment_method: &str) -> Value {
        let mut request = Self::open_checkout_of(cart);
        request["payment_method"] = json!(payment_method);
        request["confirm"] = json!(true);
        request
    }

    /// The body of a checkout that waits for its buyer to confirm.
    pub fn open_checkout_of(cart: &str) -> Value {
        json!({
            "cart_id": cart,
            "email": "buyer@example.com",
            "shipping_address": {"name": "A. Buyer", "line1": "1 High Street", "city": "London", "postal_code": "E1 6AN", "country": "GB"},
            "shipping_method": "standard",
        })
    }

    /// Makes a cart and checks it out with a card that pays, however often the system dies meanwhile.
    pub async fn place_order(&self, lines: &[(&str, i64)]) -> Result<Placed> {
        let cart = self.cart(lines).await?;
        self.check_out(&Self::checkout_of(&cart, "pm_card_visa")).await
    }

    /// Sends a checkout, with one token, until it is accepted.
    pub async fn check_out(&self, request: &Value) -> Result<Placed> {
        let answer = self.insist("/v1/checkouts", As::Buyer, &self.fresh_token(), request).await;
        let answer = expect(answer, "checking out")?;
        Ok(Placed { checkout: answer.text_at("/id").to_owned(), order: answer.text_at("/order_id").to_owned() })
    }

    /// The states of an order's charges in the provider's own books.
    pub async fn charges(&self, order: &str) -> Result<Vec<String>> {
        let path = format!("/sandbox/books/charges?order_id={order}");
        let answer = expect(self.get(&path, As::Operator).await?, "reading the provider's books")?;
        let charges = answer.body["charges"].as_array().context("the books list charges")?;
        Ok(charges.iter().filter_map(|charge| Some(charge["state"].as_str()?.to_owned())).collect())
    }

    /// The checkout's final status. Processes may die meanwhile, so an answer that does not come is asked for again.
    pub async fn wait_until_ended(&self, checkout: &str, within: Duration) -> String {
        let path = format!("/v1/checkouts/{checkout}");
        let ended = waiting::in_time(within, async || {
            let answer = self.get(&path, As::Buyer).await.ok().filter(|answer| answer.status.is_success())?;
            let status = answer.text_at("/status");
            matches!(status, "completed" | "failed" | "expired" | "cancelled").then(|| status.to_owned())
        })
        .await;
        match ended {
            Some(status) => status,
            None => panic!("{checkout} was not decided in {} s: {}", within.as_secs(), self.history_of(checkout).await),
        }
    }

    /// What there is to say about a checkout that hangs: as it is shown, and its saga's whole timeline.
    async fn history_of(&self, checkout: &str) -> String {
        let shown = self.get(&format!("/v1/checkouts/{checkout}"), As::Buyer).await;
        let saga = self.get(&format!("/v1/admin/sagas/{checkout}"), As::Operator).await;
        format!("{shown:?}, {saga:?}")
    }
}

fn expect(answer: Answer, what: &str) -> Result<Answer> {
    ensure!(answer.status.is_success(), "{what} was answered {}: {}", answer.status, answer.text);
    Ok(answer)
}
