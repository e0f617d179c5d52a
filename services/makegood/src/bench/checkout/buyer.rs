//! One buyer: a cart of a few random products, a checkout, and the wait for its end.

use std::{fmt::Write as _, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::bench::{
    http_client::{HttpClient, Response},
    load::{Client, Failure},
};

/// A server that asks for a longer pause is overloaded for this run anyway.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What there is to buy, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Catalog {
    pub(super) skus: u32,
    pub(super) lines: usize,
}

pub(super) fn sku(number: u32) -> String {
    format!("bench-{number:05}")
}

pub(super) struct Buyer {
    client: HttpClient,
    /// Unique in this run and in all others.
    name: String,
    iterations: u64,
    random: u64,
    catalog: Catalog,
}

#[derive(Deserialize)]
struct Cart {
    id: String,
}

#[derive(Deserialize)]
struct Checkout {
    id: String,
    status: String,
    failure: Option<Value>,
}

impl Buyer {
    pub(super) fn new(url: &str, api_key: &str, run_id: &str, number: u16, catalog: Catalog) -> anyhow::Result<Self> {
        // Any odd seed does; buyers differ by it, runs do not.
        let random = (u64::from(number) << 1 | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Ok(Self {
            client: HttpClient::new(url, api_key)?,
            name: format!("bench:{run_id}:{number}"),
            iterations: 0,
            random,
            catalog,
        })
    }

    /// Xorshift: good enough to spread orders over SKUs, and costs nothing.
    fn random_sku(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 32) % u64::from(self.catalog.skus)) as u32
    }

    fn cart_body(&mut self) -> String {
        let mut chosen: Vec<u32> = Vec::with_capacity(self.catalog.lines);
        while chosen.len() < self.catalog.lines {
            let mut number = self.random_sku();
            // Neighbours of what is taken already: also a cart of all SKUs comes to its end.
            while chosen.contains(&number) {
                number = (number + 1) % self.catalog.skus;
            }
            chosen.push(number);
        }
        let mut body = String::from(r#"{"currency":"GBP","lines":["#);
        for (position, number) in chosen.into_iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            // Writing into a String cannot fail.
            let _ = write!(body, r#"{comma}{{"sku":"{}","quantity":1}}"#, sku(number));
        }
        body.push_str("]}");
        body
    }

    async fn buy(&mut self) -> Result<Duration, Failure> {
        let body = self.cart_body();
        let cart: Cart = read(self.send("POST", "/v1/carts", "", &body).await?, "cart")?;
        self.iterations += 1;
        let token = format!("{}:{}", self.name, self.iterations);
        let body = format!(
            r#"{{"cart_id":"{}","email":"buyer@example.com","shipping_address":{{"name":"B. Uyer","line1":"1 Bench Street","city":"Anytown","postal_code":"00000","country":"GB"}},"shipping_method":"standard","payment_method":"pm_card_visa","confirm":true,"reference":"{token}"}}"#,
            cart.id
        );
        let begun = Instant::now();
        let headers = format!("Idempotency-Key: {token}\r\nPrefer: wait=30\r\n");
        let mut checkout: Checkout = read(self.send("POST", "/v1/checkouts", &headers, &body).await?, "checkout")?;
        loop {
            match checkout.status.as_str() {
                "completed" => return Ok(begun.elapsed()),
                "failed" | "expired" | "cancelled" => return Err(Failure::of(failure_of(&checkout))),
                _ => {
                    let path = format!("/v1/checkouts/{}", checkout.id);
                    checkout = read(self.send("GET", &path, "Prefer: wait=30\r\n", "").await?, "checkout")?;
                }
            }
        }
    }

    async fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Result<Response, Failure> {
        let response = self.client.send(method, path, headers, body).await;
        // A refused connection comes back at once: without a pause the client would do nothing but try.
        response.map_err(|error| Failure {
            kind: format!("connection: {}", error.kind()),
            pause: Duration::from_millis(100),
        })
    }
}

impl Client for Buyer {
    async fn iterate(&mut self) -> Result<Duration, Failure> {
        self.buy().await
    }
}

fn failure_of(checkout: &Checkout) -> String {
    let code = checkout.failure.as_ref().and_then(|failure| failure["code"].as_str());
    code.map_or_else(|| checkout.status.clone(), |code| format!("{}: {code}", checkout.status))
}

/// The body of a success; a failure named for what was asked and how it was refused.
fn read<T: for<'de> Deserialize<'de>>(response: Response, what: &str) -> Result<T, Failure> {
    if (200..300).contains(&response.status) {
        return serde_json::from_slice(&response.body).map_err(|error| Failure::of(format!("{what}: {error}")));
    }
    let problem: Option<Value> = serde_json::from_slice(&response.body).ok();
    let kind = problem.as_ref().and_then(|problem| problem["type"].as_str()?.rsplit('/').next());
    let pause = Duration::from_secs(response.retry_after_seconds.unwrap_or_default()).min(LONGEST_PAUSE);
    Err(Failure { kind: format!("{what}: {} {}", response.status, kind.unwrap_or("without a type")), pause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_has_as_many_different_products_as_asked_for() {
        let mut buyer =
            Buyer::new("http://127.0.0.1:1", "sk", "run", 7, Catalog { skus: 3, lines: 3 }).expect("an address");
        for _ in 0..50 {
            let cart: Value = serde_json::from_str(&buyer.cart_body()).expect("JSON");
            let mut skus: Vec<_> = cart["lines"]
                .as_array()
                .expect("lines")
                .iter()
                .map(|line| line["sku"].as_str().expect("a SKU"))
                .collect();
            skus.sort_unstable();
            assert_eq!(skus, ["bench-00000", "bench-00001", "bench-00002"]);
        }
    }

    #[test]
    fn a_refusal_is_counted_by_its_type_and_its_pause_is_kept() {
        let body = br#"{"type":"https://makegood.dev/problems/overloaded"}"#.to_vec();
        let failure = read::<Cart>(Response { status: 429, retry_after_seconds: Some(1), body }, "cart").err();
        assert_eq!(failure, Some(Failure { kind: "cart: 429 overloaded".into(), pause: Duration::from_secs(1) }));
    }
}
