//! The queries that several callers share: a cart with its lines, and what the catalog says of products.

use anyhow::Context;
use iso_currency::Currency;
use makegood_contracts::{account::Account, money::parse_currency};
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    cart::{Cart, Line, NewCart, State},
    pricing::Offer,
};

/// The row of `cart` without its lines.
#[derive(Debug, FromRow)]
pub(crate) struct CartRow {
    pub(crate) id: Uuid,
    account_id: Uuid,
    livemode: bool,
    currency: String,
    state: String,
    locked_by: Option<Uuid>,
    version: i64,
    created_at: OffsetDateTime,
}

impl CartRow {
    /// The cart that row and lines (sorted by name) describe; an error where the row is damaged.
    pub(crate) fn with_lines(self, lines: Vec<Line>) -> anyhow::Result<Cart> {
        let state =
            State::from_columns(&self.state, self.locked_by).with_context(|| format!("state of cart {}", self.id))?;
        let currency = parse_currency(&self.currency).with_context(|| format!("currency of cart {}", self.id))?;
        Ok(Cart {
            id: self.id,
            account: Account { id: self.account_id, livemode: self.livemode },
            currency,
            state,
            version: self.version,
            created_at: self.created_at,
            lines,
        })
    }
}

/// A cart row beside one of its lines; an empty cart is one row without a line.
#[derive(FromRow)]
struct JoinedRow {
    #[sqlx(flatten)]
    cart: CartRow,
    line: Option<String>,
    sku: Option<String>,
    title: Option<String>,
    quantity: Option<i64>,
    unit_price_minor: Option<i64>,
    own_price: Option<bool>,
}

impl JoinedRow {
    fn split(self) -> (CartRow, Option<Line>) {
        let Self { cart, line, sku, title, quantity, unit_price_minor, own_price } = self;
        match (line, sku, title, quantity, unit_price_minor, own_price) {
            (Some(name), Some(sku), Some(title), Some(quantity), Some(unit_price_minor), Some(own_price)) => {
                (cart, Some(Line { name, sku, title, quantity, unit_price_minor, own_price }))
            }
            _ => (cart, None),
        }
    }
}

/// The account's cart with its lines, as of one instant.
pub(crate) async fn load_cart(db: impl PgExecutor<'_>, account: Account, id: Uuid) -> anyhow::Result<Option<Cart>> {
    let rows: Vec<JoinedRow> = sqlx::query_as(
        r#"
        select c.id, c.account_id, c.livemode, c.currency, c.state, c.locked_by, c.version, c.created_at,
               l.line, l.sku, l.title, l.quantity, l.unit_price_minor, l.own_price
        from cart c left join cart_line l on l.cart_id = c.id
        where c.id = $1 and c.account_id = $2 and c.livemode = $3
        order by l.line
        "#,
    )
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_all(db)
    .await
    .with_context(|| format!("loading cart {id}"))?;

    let (mut carts, lines): (Vec<CartRow>, Vec<Option<Line>>) = rows.into_iter().map(JoinedRow::split).unzip();
    let lines = lines.into_iter().flatten().collect();
    carts.pop().map(|cart| cart.with_lines(lines)).transpose()
}

/// A product whose offer is asked for, to a cart in this currency.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfferQuery<'a> {
    pub(crate) account: Account,
    pub(crate) currency: Currency,
    pub(crate) sku: &'a str,
}

impl<'a> OfferQuery<'a> {
    /// One for each line of the cart, in order.
    pub(crate) fn of(cart: &'a NewCart) -> impl Iterator<Item = Self> + 'a {
        cart.lines.iter().map(|line| Self { account: cart.account, currency: cart.currency, sku: &line.sku })
    }
}

/// What the catalog says by now, in the order of the queries; none for an unknown product.
pub(crate) async fn load_offers(
    db: impl PgExecutor<'_>,
    queries: &[OfferQuery<'_>],
) -> Result<Vec<Option<Offer>>, sqlx::Error> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Option<String>, Option<bool>, Option<i64>)> = sqlx::query_as(
        r#"
        select p.title, p.active, (p.prices ->> q.currency)::bigint
        from unnest($1::uuid[], $2::bool[], $3::text[], $4::text[]) with ordinality
             as q (account_id, livemode, sku, currency, position)
        left join price p on p.account_id = q.account_id and p.livemode = q.livemode and p.sku = q.sku
        order by q.position
        "#,
    )
    .bind(queries.iter().map(|query| query.account.id).collect::<Vec<_>>())
    .bind(queries.iter().map(|query| query.account.livemode).collect::<Vec<_>>())
    .bind(queries.iter().map(|query| query.sku).collect::<Vec<_>>())
    .bind(queries.iter().map(|query| query.currency.code()).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(title, active, price_minor)| Some(Offer { title: title?, active: active?, price_minor }))
        .collect())
}
