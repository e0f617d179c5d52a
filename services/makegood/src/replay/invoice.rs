//! Lines become orders: grouped by invoice within a bounded window, equal lines added up.
//!
//! An invoice's lines nearly always stand together, but not always, and the file may be larger than the memory. So an
//! invoice is closed once [`WINDOW_LINES`] further lines have come without it. Should it come again later, that is
//! another order: an order is known by its invoice *and* the number of its first line, so that it is the same order in
//! every run over the same file.

use std::collections::{HashMap, HashSet, VecDeque};

use rust_decimal::Decimal;

use super::rules::{Goods, MAX_QUANTITY};

/// In the file that ships, the only split invoice has its parts 40 lines apart; this is 50 times as many and
/// still holds a few hundred invoices at most.
pub(crate) const WINDOW_LINES: u64 = 2_000;
/// The API's bound of lines in a cart; a larger invoice becomes several orders.
pub(crate) const MAX_ORDER_LINES: usize = 2_000;

/// One order to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invoice {
    pub(crate) number: String,
    pub(crate) first_line: u64,
    pub(crate) customer: String,
    pub(crate) country: String,
    pub(crate) lines: Vec<OrderLine>,
    /// Lines of the file that went into it.
    pub(crate) file_lines: u64,
    pub(crate) amount: Decimal,
}

/// One line of the cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderLine {
    /// The SKU, or `<sku>-2` and so on where it stands in the invoice at another price too.
    pub(crate) name: String,
    pub(crate) sku: String,
    pub(crate) title: String,
    pub(crate) quantity: i64,
    pub(crate) price: Decimal,
}

impl Invoice {
    fn begin(goods: &Goods) -> Self {
        Self {
            number: goods.invoice.clone(),
            first_line: goods.line,
            customer: goods.customer.clone(),
            country: goods.country.clone(),
            lines: Vec::new(),
            file_lines: 0,
            amount: Decimal::ZERO,
        }
    }

    /// Adds to the line with the same SKU and price, or begins another one.
    fn add(&mut self, goods: Goods) {
        self.file_lines += 1;
        self.amount += goods.amount;
        let same = |line: &&mut OrderLine| {
            line.sku == goods.sku && line.price == goods.price && line.quantity + goods.quantity <= MAX_QUANTITY
        };
        if let Some(line) = self.lines.iter_mut().find(same) {
            line.quantity += goods.quantity;
            return;
        }
        let name = self.free_name(&goods.sku);
        self.lines.push(OrderLine {
            name,
            sku: goods.sku,
            title: goods.title,
            quantity: goods.quantity,
            price: goods.price,
        });
    }

    fn free_name(&self, sku: &str) -> String {
        let taken: HashSet<&str> =
            self.lines.iter().map(|line| line.name.as_str()).filter(|name| name.starts_with(sku)).collect();
        let mut name = sku.to_owned();
        let mut count = 1;
        while taken.contains(name.as_str()) {
            count += 1;
            name = format!("{sku}-{count}");
        }
        name
    }
}

/// The invoices that may still get lines.
#[derive(Debug, Default)]
pub(crate) struct OpenInvoices {
    open: HashMap<String, Open>,
    /// (line, invoice) of the last [`WINDOW_LINES`] lines: whoever is not seen again by the time an entry leaves is closed.
    seen: VecDeque<(u64, String)>,
}

#[derive(Debug)]
struct Open {
    invoice: Invoice,
    last_line: u64,
}

impl OpenInvoices {
    /// Adds a line; returns the invoice's part that is full, if that is so.
    pub(crate) fn add(&mut self, goods: Goods) -> Option<Invoice> {
        let line = goods.line;
        self.seen.push_back((line, goods.invoice.clone()));
        let open = self
            .open
            .entry(goods.invoice.clone())
            .or_insert_with(|| Open { invoice: Invoice::begin(&goods), last_line: line });
        open.last_line = line;
        let full = (open.invoice.lines.len() >= MAX_ORDER_LINES)
            .then(|| std::mem::replace(&mut open.invoice, Invoice::begin(&goods)));
        open.invoice.add(goods);
        full
    }

    /// An invoice that has not been seen for a whole window before `line`, if there is one.
    pub(crate) fn close_idle(&mut self, line: u64) -> Option<Invoice> {
        while self.seen.front().is_some_and(|(seen, _)| seen + WINDOW_LINES < line) {
            if let Some(invoice) = self.close_oldest() {
                return Some(invoice);
            }
        }
        None
    }

    /// At the end of the file: the rest, one by one.
    pub(crate) fn close_oldest(&mut self) -> Option<Invoice> {
        while let Some((seen, number)) = self.seen.pop_front() {
            if self.open.get(&number).is_some_and(|open| open.last_line == seen) {
                return self.open.remove(&number).map(|open| open.invoice);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goods(line: u64, invoice: &str, sku: &str, quantity: i64, price: &str) -> Goods {
        let price: Decimal = price.parse().expect("a decimal");
        Goods {
            line,
            invoice: invoice.into(),
            sku: sku.into(),
            title: String::new(),
            quantity,
            price,
            amount: price * Decimal::from(quantity),
            customer: "17850".into(),
            country: "EIRE".into(),
        }
    }

    fn all(open: &mut OpenInvoices) -> Vec<Invoice> {
        std::iter::from_fn(|| open.close_oldest()).collect()
    }

    #[test]
    fn an_interleaved_invoice_is_one_order_within_the_window_and_two_beyond_it() {
        let mut open = OpenInvoices::default();
        for (line, invoice) in [(1, "a"), (2, "b"), (41, "a"), (2041, "c")] {
            assert_eq!(open.add(goods(line, invoice, "sku", 1, "1.00")), None);
        }
        let closed: Vec<_> =
            std::iter::from_fn(|| open.close_idle(2041)).map(|invoice| (invoice.number, invoice.file_lines)).collect();
        assert_eq!(closed, [("b".to_owned(), 1)]);
        let closed: Vec<_> =
            std::iter::from_fn(|| open.close_idle(2042)).map(|invoice| (invoice.number, invoice.file_lines)).collect();
        assert_eq!(closed, [("a".to_owned(), 2)]);
        open.add(goods(2042, "a", "sku", 1, "1.00"));
        let rest: Vec<_> = all(&mut open).into_iter().map(|invoice| (invoice.number, invoice.first_line)).collect();
        assert_eq!(rest, [("c".to_owned(), 2041), ("a".to_owned(), 2042)]);
    }

    #[test]
    fn duplicates_add_up_and_another_price_gets_a_name_of_its_own() {
        let mut open = OpenInvoices::default();
        let lines = [
            ("x", 1, "1.00"),
            ("x", 2, "1.00"),
            ("x", 1, "2.00"),
            ("x-2", 1, "2.00"),
            ("x", 1, "3.00"),
            ("x", 3, "2.00"),
        ];
        for (line, (sku, quantity, price)) in (1..).zip(lines) {
            open.add(goods(line, "a", sku, quantity, price));
        }
        let [invoice] = <[_; 1]>::try_from(all(&mut open)).expect("one invoice");
        let lines: Vec<_> = invoice.lines.iter().map(|line| (line.name.as_str(), line.quantity)).collect();
        assert_eq!(lines, [("x", 3), ("x-2", 4), ("x-2-2", 1), ("x-3", 1)]);
        assert_eq!((invoice.amount, invoice.file_lines), ("16.00".parse().expect("a decimal"), 6));
    }

    #[test]
    fn an_invoice_with_more_lines_than_a_cart_takes_becomes_several_orders() {
        let mut open = OpenInvoices::default();
        let full: Vec<_> =
            (1..=2_001).filter_map(|line| open.add(goods(line, "a", &format!("sku{line}"), 1, "1.00"))).collect();
        assert_eq!(
            full.iter().map(|invoice| (invoice.first_line, invoice.lines.len())).collect::<Vec<_>>(),
            [(1, 2_000)]
        );
        assert_eq!(
            all(&mut open).iter().map(|invoice| (invoice.first_line, invoice.lines.len())).collect::<Vec<_>>(),
            [(2_001, 1)]
        );
    }

    #[test]
    fn a_sum_over_the_quantity_bound_is_a_second_line() {
        let mut open = OpenInvoices::default();
        open.add(goods(1, "a", "x", MAX_QUANTITY, "1.00"));
        open.add(goods(2, "a", "x", 1, "1.00"));
        assert_eq!(all(&mut open)[0].lines.len(), 2);
    }
}
