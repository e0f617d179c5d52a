//! The cart by its rules: what may be edited when, and how a checkout locks it.
//!
//! Pure: no SQL, no clock, no HTTP. The live path and the tests use these functions; the SQL only makes their
//! decisions durable, on the condition that the cart is still the one that was decided on (`version`, row lock).

use iso_currency::Currency;
use makegood_contracts::{
    account::Account,
    cart::{PricedCart, PricedLine},
    money::Money,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::pricing::{self, NotForSale, Offer, TotalOverflow, WantedLine};

/// Most lines of one cart: the largest wholesale order of the data that we replay has about 1,100.
pub const LINES_MAX: usize = 2_000;
/// Most pieces of one line, also a constraint of the table; larger is a typing error, not an order.
pub const QUANTITY_MAX: i64 = 1_000_000;
/// What a checkout's saga can carry of a cart: its context holds 256 kB (docs/saga-language.md), which 16 are left of for all else.
const CONTEXT_BYTES: usize = (256 - 16) * 1024;
/// A line there besides its texts: as the lock's answer, and as what is allocated of it, where its SKU stands once more.
const CONTEXT_BYTES_PER_LINE: usize = 123;
/// The version of a cart that was just made.
pub const FIRST_VERSION: i64 = 1;

/// Where a cart is in its life; a saga's id says which checkout it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Locked { by: Uuid },
    Closed { by: Uuid },
}

impl State {
    /// The spelling in the table and on HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Locked { .. } => "locked",
            Self::Closed { .. } => "closed",
        }
    }

    /// From the table's two columns; none for what its constraints rule out.
    pub fn from_columns(state: &str, locked_by: Option<Uuid>) -> Option<Self> {
        match (state, locked_by) {
            ("open", None) => Some(Self::Open),
            ("locked", Some(by)) => Some(Self::Locked { by }),
            ("closed", Some(by)) => Some(Self::Closed { by }),
            _ => None,
        }
    }
}

/// One priced line; its name is unique within the cart, its SKU need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub sku: String,
    pub title: String,
    pub quantity: i64,
    pub unit_price_minor: i64,
    /// The price is the shop's own, and stays when the cart is priced again.
    pub own_price: bool,
}

impl Line {
    pub fn amount(&self, currency: Currency) -> Result<Money, TotalOverflow> {
        Money::new(self.unit_price_minor, currency).checked_mul(self.quantity).map_err(|_| TotalOverflow)
    }
}

/// A cart with its lines, which are sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    pub id: Uuid,
    pub account: Account,
    pub currency: Currency,
    pub state: State,
    /// Grows by one with every change.
    pub version: i64,
    pub created_at: OffsetDateTime,
    pub lines: Vec<Line>,
}

/// A cart as it is asked for.
#[derive(Debug, Clone)]
pub struct NewCart {
    pub id: Uuid,
    pub account: Account,
    pub currency: Currency,
    pub created_at: OffsetDateTime,
    /// At most [`LINES_MAX`], each name once.
    pub lines: Vec<WantedLine>,
}

/// Why a cart is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefusal {
    /// `position` counts the lines as they were asked for.
    #[error("{reason}")]
    NotForSale { position: usize, reason: NotForSale },
    #[error(transparent)]
    TotalOverflow(#[from] TotalOverflow),
}

/// Why a cart is not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    #[error("the cart is being checked out; cancel the checkout or make another cart")]
    Locked,
    #[error("the cart has become an order")]
    Closed,
    #[error("a cart has at most 2000 lines")]
    TooManyLines,
    #[error("the cart has no such line")]
    NoSuchLine,
    #[error(transparent)]
    TotalOverflow(#[from] TotalOverflow),
}

/// Why a checkout does not get the cart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockRefusal {
    #[error("the cart is locked by another checkout")]
    Locked,
    #[error("the cart has become an order already")]
    Closed,
    #[error("the cart has no lines")]
    Empty,
    #[error("the cart is in {}, the expected total is not", .cart.code())]
    CurrencyMismatch { cart: Currency },
    #[error("line `{line}`: {reason}")]
    ProductUnavailable { line: String, reason: NotForSale },
    #[error(transparent)]
    TotalOverflow(#[from] TotalOverflow),
    #[error("the total is zero: there is nothing to pay")]
    NothingToPay,
    #[error("its lines take some {bytes} bytes, and one checkout carries {CONTEXT_BYTES}: make it several carts")]
    TooLarge { bytes: usize },
    #[error("the total is {total} by now")]
    Changed { total: Money },
}

impl LockRefusal {
    /// The stable code of the reply; the order passes it on to the buyer.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked => "cart_locked",
            Self::Closed => "cart_closed",
            Self::Empty => "cart_empty",
            Self::CurrencyMismatch { .. } => "currency_mismatch",
            Self::ProductUnavailable { .. } => "product_unavailable",
            Self::TotalOverflow(_) => "total_overflow",
            Self::NothingToPay => "nothing_to_pay",
            Self::TooLarge { .. } => "cart_too_large",
            Self::Changed { .. } => "cart_changed",
        }
    }
}

impl Cart {
    /// Prices a new cart; `offers` are those of its lines, in the same order.
    pub fn open(new: NewCart, offers: &[Option<Offer>]) -> Result<Self, OpenRefusal> {
        let NewCart { id, account, currency, created_at, lines: wanted } = new;
        let price = |(position, (line, offer)): (usize, (WantedLine, &Option<Offer>))| {
            pricing::price_line(line, currency, offer.as_ref())
                .map_err(|reason| OpenRefusal::NotForSale { position, reason })
        };
        let mut lines = wanted.into_iter().zip(offers).enumerate().map(price).collect::<Result<Vec<Line>, _>>()?;
        pricing::total(&lines, currency)?;
        lines.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { id, account, currency, state: State::Open, version: FIRST_VERSION, created_at, lines })
    }

    pub fn total(&self) -> Result<Money, TotalOverflow> {
        pricing::total(&self.lines, self.currency)
    }

    pub fn line(&self, name: &str) -> Option<&Line> {
        self.find(name).ok().and_then(|position| self.lines.get(position))
    }

    /// Refuses edits of a cart that a checkout has or had.
    pub fn check_open(&self) -> Result<(), EditRefusal> {
        match self.state {
            State::Open => Ok(()),
            State::Locked { .. } => Err(EditRefusal::Locked),
            State::Closed { .. } => Err(EditRefusal::Closed),
        }
    }

    /// Adds the line, or replaces the one of its name.
    pub fn put_line(mut self, line: Line) -> Result<Self, EditRefusal> {
        self.check_open()?;
        match self.find(&line.name) {
            Ok(position) => self.lines[position] = line,
            Err(_) if self.lines.len() >= LINES_MAX => return Err(EditRefusal::TooManyLines),
            Err(position) => self.lines.insert(position, line),
        }
        self.total()?;
        self.version += 1;
        Ok(self)
    }

    pub fn remove_line(mut self, name: &str) -> Result<Self, EditRefusal> {
        self.check_open()?;
        let position = self.find(name).map_err(|_| EditRefusal::NoSuchLine)?;
        self.lines.remove(position);
        self.version += 1;
        Ok(self)
    }

    /// Locks the cart to a checkout and prices it by what the catalog offers now (`offers` as the lines are ordered).
    /// A checkout that has the lock already gets the cart as it was priced then.
    pub fn lock(
        &mut self,
        saga: Uuid,
        expected_total: Option<Money>,
        offers: &[Option<Offer>],
    ) -> Result<PricedCart, LockRefusal> {
        match self.state {
            State::Locked { by } if by == saga => return Ok(self.priced(self.total()?)),
            State::Locked { .. } => return Err(LockRefusal::Locked),
            State::Closed { .. } => return Err(LockRefusal::Closed),
            State::Open => {}
        }
        if self.lines.is_empty() {
            return Err(LockRefusal::Empty);
        }
        if expected_total.is_some_and(|expected| expected.currency != self.currency) {
            return Err(LockRefusal::CurrencyMismatch { cart: self.currency });
        }
        let reprice = |(line, offer): (&Line, &Option<Offer>)| {
            pricing::reprice_line(line, self.currency, offer.as_ref())
                .map_err(|reason| LockRefusal::ProductUnavailable { line: line.name.clone(), reason })
        };
        let lines = self.lines.iter().zip(offers).map(reprice).collect::<Result<Vec<Line>, _>>()?;
        let total = pricing::total(&lines, self.currency)?;
        if total.minor_units == 0 {
            return Err(LockRefusal::NothingToPay);
        }
        let bytes = context_bytes(&lines);
        if bytes > CONTEXT_BYTES {
            return Err(LockRefusal::TooLarge { bytes });
        }
        if expected_total.is_some_and(|expected| expected != total) {
            return Err(LockRefusal::Changed { total });
        }
        self.lines = lines;
        self.state = State::Locked { by: saga };
        self.version += 1;
        Ok(self.priced(total))
    }

    fn priced(&self, total: Money) -> PricedCart {
        let priced_line = |line: &Line| PricedLine {
            line: line.name.clone(),
            sku: line.sku.clone(),
            title: line.title.clone(),
            quantity: line.quantity,
            unit_price_minor: line.unit_price_minor,
        };
        PricedCart { lines: self.lines.iter().map(priced_line).collect(), total }
    }

    /// The line's position, or where it would be inserted.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.lines.binary_search_by(|line| line.name.as_str().cmp(name))
    }
}

/// What the saga's context needs for these lines, nearly: past its limit the saga would park, and wait for an operator who can do nothing.
fn context_bytes(lines: &[Line]) -> usize {
    let line = |line: &Line| {
        CONTEXT_BYTES_PER_LINE + json_bytes(&line.name) + 2 * json_bytes(&line.sku) + json_bytes(&line.title)
    };
    lines.iter().map(line).sum()
}

/// A text's length in JSON, without its quotes: what must be escaped is two bytes. Control characters are in no text of a cart.
fn json_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

#[cfg(test)]
mod tests;
