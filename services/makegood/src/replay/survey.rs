//! The first pass over the file: what must be in the catalog and in stock before the first order, and how much there is.

use std::{collections::BTreeMap, path::Path};

use rust_decimal::Decimal;

use super::{
    lines,
    orders::{Found, Orders, Sums},
};

/// What the file holds. Grows with the number of SKUs, not with the number of lines.
#[derive(Debug)]
pub(crate) struct Survey {
    /// SHA-256 of the content: part of every key.
    pub(crate) sha256: String,
    pub(crate) sums: Sums,
    pub(crate) orders: u64,
    pub(crate) products: BTreeMap<String, Product>,
}

/// One SKU as the catalog and the warehouse get it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) title: String,
    /// The most recent one; orders carry prices of their own.
    pub(crate) price: Decimal,
    pub(crate) sold: i64,
}

pub(crate) fn survey(path: &Path) -> anyhow::Result<Survey> {
    let mut orders = Orders::new(lines::open(path)?);
    let mut products: BTreeMap<String, Product> = BTreeMap::new();
    let mut count = 0;
    for found in orders.by_ref() {
        let Found::Order(invoice) = found? else { continue };
        count += 1;
        for line in invoice.lines {
            let product = products.entry(line.sku).or_insert_with(|| Product {
                title: String::new(),
                price: line.price,
                sold: 0,
            });
            product.title = line.title;
            product.price = line.price;
            product.sold = product.sold.saturating_add(line.quantity);
        }
    }
    Ok(Survey { sha256: orders.sha256(), sums: orders.sums().clone(), orders: count, products })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const CONTENT: &str = "InvoiceNo,StockCode,Description,Quantity,UnitPrice\n1,A1,BOX,6,2.55\n1,A1,BOX,1,2.50\n2,A1,RED BOX,3,3.00\nC1,A1,BOX,-6,2.55\n2,POST,,1,9.00\n";

    #[test]
    fn plain_and_gzipped_files_are_surveyed_alike() {
        let folder = std::env::temp_dir().join(format!("makegood-survey-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).expect("a folder");
        let plain = folder.join("orders.csv");
        std::fs::write(&plain, CONTENT).expect("written");
        let zipped = folder.join("orders.csv.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(std::fs::File::create(&zipped).expect("a file"), flate2::Compression::fast());
        encoder.write_all(CONTENT.as_bytes()).expect("written");
        encoder.finish().expect("finished");

        let (plain, zipped) = (survey(&plain).expect("surveyed"), survey(&zipped).expect("surveyed"));
        assert_eq!((&plain.sha256, &plain.products, plain.orders), (&zipped.sha256, &zipped.products, zipped.orders));
        assert_eq!((plain.orders, plain.sums.lines), (2, 5));
        let expected = Product { title: "RED BOX".into(), price: "3".parse().expect("a decimal"), sold: 10 };
        assert_eq!(plain.products, BTreeMap::from([("A1".to_owned(), expected)]));
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
