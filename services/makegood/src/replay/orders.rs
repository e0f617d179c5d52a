//! The file as orders and left-out lines, with the sums that everything is later held against.

use std::io::BufRead;

use rust_decimal::Decimal;

use super::{
    invoice::{Invoice, OpenInvoices},
    lines::Lines,
    rules::{Verdict, Why, judge},
};

/// What the file gives next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Order(Invoice),
    Left { why: Why, amount: Decimal },
}

/// An iterator over a file in constant memory.
pub(crate) struct Orders<R> {
    lines: Lines<R>,
    open: OpenInvoices,
    /// Decided by a line whose number let older invoices close first.
    waiting: Option<Found>,
    at_end: bool,
    sums: Sums,
}

/// What has been read so far, whatever became of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) lines: u64,
    /// Quantity × price over all lines that have both.
    pub(crate) amount: Decimal,
}

impl<R: BufRead> Orders<R> {
    pub(crate) fn new(lines: Lines<R>) -> Self {
        Self { lines, open: OpenInvoices::default(), waiting: None, at_end: false, sums: Sums::default() }
    }

    /// Meaningful at the end of the file.
    pub(crate) fn sha256(&self) -> String {
        self.lines.sha256()
    }

    pub(crate) const fn sums(&self) -> &Sums {
        &self.sums
    }

    fn advance(&mut self) -> anyhow::Result<Option<Found>> {
        loop {
            if let Some(invoice) = self.open.close_idle(self.sums.lines) {
                return Ok(Some(Found::Order(invoice)));
            }
            if let Some(found) = self.waiting.take() {
                return Ok(Some(found));
            }
            if self.at_end {
                return Ok(self.open.close_oldest().map(Found::Order));
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let Some(line) = self.lines.next_line()? else {
            self.at_end = true;
            return Ok(());
        };
        self.sums.lines = line.number;
        self.waiting = match judge(line) {
            Verdict::Goods(goods) => {
                self.sums.amount += goods.amount;
                self.open.add(goods).map(Found::Order)
            }
            Verdict::Left { why, amount } => {
                self.sums.amount += amount;
                Some(Found::Left { why, amount })
            }
        };
        Ok(())
    }
}

impl<R: BufRead> Iterator for Orders<R> {
    type Item = anyhow::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n\
        1,A1,BOX,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\r\n\
        2,B2,,2,2010-12-01 08:27:00,1.10,,EIRE\r\n\
        1,A1,BOX,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\r\n\
        2,PADS,PADS TO MATCH,1,2010-12-01 08:27:00,0.001,,EIRE\r\n\
        C3,A1,BOX,-6,2010-12-01 08:28:00,2.55,17850,United Kingdom\r\n\
        A4,B,Adjust bad debt,1,2010-12-01 08:29:00,-11062.06,,United Kingdom\r\n\
        five,columns,are,too,few\r\n\
        5,B2,,2,2010-12-01 08:27:00,0.005,,EIRE\r\n";

    #[test]
    fn every_penny_of_the_file_is_in_an_order_or_has_a_reason() {
        let mut orders = Orders::new(Lines::new(FILE.as_bytes()).expect("a header"));
        let found: Vec<Found> = orders.by_ref().collect::<Result<_, _>>().expect("reads");
        let mut placed = Vec::new();
        let mut left = Vec::new();
        let mut sum = Decimal::ZERO;
        for found in found {
            match found {
                Found::Order(invoice) => {
                    sum += invoice.amount;
                    placed.push((invoice.number, invoice.first_line, invoice.amount.to_string()));
                }
                Found::Left { why, amount } => {
                    sum += amount;
                    left.push((why, amount.to_string()));
                }
            }
        }
        placed.sort();
        assert_eq!(
            placed,
            [("1".into(), 1, "30.60".into()), ("2".into(), 2, "2.20".into())] as [(String, u64, String); 2]
        );
        let expected = [
            (Why::NoGoods, "0.001"),
            (Why::Cancellation, "-15.30"),
            (Why::Adjustment, "-11062.06"),
            (Why::Malformed, "0"),
            (Why::FractionOfPenny, "0.010"),
        ];
        assert_eq!(left, expected.map(|(why, amount)| (why, amount.to_owned())));
        assert_eq!(*orders.sums(), Sums { lines: 8, amount: sum });
        assert_eq!(sum, "-11044.549".parse().expect("a decimal"));
    }
}
