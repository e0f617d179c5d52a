//! The file as numbered lines of fields, plain or gzipped, in constant memory.
//!
//! A line is a record: a quoted field does not go on in the next line. So a stray quotation mark spoils one line and not
//! the rest of the file. The hash is over the uncompressed content: the same orders have the same keys either way.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context as _, bail};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

/// A longer line is no order line of any shop; it is skipped as malformed and not kept in memory.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// The columns that a line is read by; found by the header's names, so their order does not matter.
const REQUIRED: [&str; 4] = ["InvoiceNo", "StockCode", "Quantity", "UnitPrice"];
const OPTIONAL: [&str; 3] = ["Description", "CustomerID", "Country"];

/// One data line. `fields` is none where the line is longer than allowed or has columns missing.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from 1, without the header.
    pub(crate) number: u64,
    pub(crate) fields: Option<Fields>,
}

/// The texts of a line's columns, trimmed; empty where the file has no such column.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) invoice: String,
    pub(crate) sku: String,
    pub(crate) quantity: String,
    pub(crate) price: String,
    pub(crate) description: String,
    pub(crate) customer: String,
    pub(crate) country: String,
}

/// Reads lines and hashes what it reads.
pub(crate) struct Lines<R> {
    reader: R,
    hash: Sha256,
    columns: Columns,
    number: u64,
    buffer: Vec<u8>,
}

/// Opens a file; gzip is recognized by its first bytes, not by the name.
pub(crate) fn open(path: &Path) -> anyhow::Result<Lines<Box<dyn BufRead + Send>>> {
    let doing = || format!("opening {}", path.display());
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path).with_context(doing)?);
    let gzipped = file.fill_buf().with_context(doing)?.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn BufRead + Send> = if gzipped {
        Box::new(BufReader::with_capacity(256 * 1024, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    Lines::new(reader).with_context(|| format!("reading the header of {}", path.display()))
}

impl<R: BufRead> Lines<R> {
    /// Reads the header; an unknown one is an error before anything is placed.
    pub(crate) fn new(reader: R) -> anyhow::Result<Self> {
        let columns = Columns { required: [0; 4], optional: [None; 3] };
        let mut lines = Self { reader, hash: Sha256::new(), columns, number: 0, buffer: Vec::new() };
        if !lines.read_line()? {
            bail!("the file is empty");
        }
        let header = String::from_utf8_lossy(&lines.buffer).into_owned();
        let names = split(header.trim_start_matches('\u{feff}'));
        lines.columns = Columns::find(&names)?;
        Ok(lines)
    }

    /// The next line, none at the end.
    pub(crate) fn next_line(&mut self) -> anyhow::Result<Option<Line>> {
        let more = self.read_line().with_context(|| format!("reading after line {}", self.number))?;
        if !more {
            return Ok(None);
        }
        self.number += 1;
        let text = String::from_utf8_lossy(&self.buffer);
        let too_long = self.buffer.len() as u64 >= MAX_LINE_BYTES;
        let fields = if too_long { None } else { self.columns.read(split(&text)) };
        Ok(Some(Line { number: self.number, fields }))
    }

    /// SHA-256 of the content, as hexadecimal digits; meaningful at the end of the file.
    pub(crate) fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Fills the buffer with the next line without its end; false at the end of the file.
    fn read_line(&mut self) -> std::io::Result<bool> {
        self.buffer.clear();
        if self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(false);
        }
        self.hash.update(&self.buffer);
        if !self.buffer.ends_with(b"\n") {
            self.skip_rest_of_line()?;
        }
        while self.buffer.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            self.buffer.pop();
        }
        Ok(true)
    }

    fn skip_rest_of_line(&mut self) -> std::io::Result<()> {
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                return Ok(());
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(available.len(), |position| position + 1);
            self.hash.update(&available[..used]);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// Where the columns stand.
struct Columns {
    required: [usize; 4],
    optional: [Option<usize>; 3],
}

impl Columns {
    fn find(names: &[String]) -> anyhow::Result<Self> {
        let position = |wanted: &str| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
        let mut required = [0; 4];
        for (place, wanted) in required.iter_mut().zip(REQUIRED) {
            *place = position(wanted)
                .with_context(|| format!("the header has no column {wanted}; it needs {}", REQUIRED.join(", ")))?;
        }
        Ok(Self { required, optional: OPTIONAL.map(position) })
    }

    /// None where a column that the header promised is missing.
    fn read(&self, mut fields: Vec<String>) -> Option<Fields> {
        let last = self.required.iter().chain(self.optional.iter().flatten()).max()?;
        if fields.len() <= *last {
            return None;
        }
        let mut take = |place: usize| std::mem::take(&mut fields[place]).trim().to_owned();
        let [invoice, sku, quantity, price] = self.required.map(&mut take);
        let [description, customer, country] = self.optional.map(|place| place.map(&mut take).unwrap_or_default());
        Some(Fields { invoice, sku, quantity, price, description, customer, country })
    }
}

/// The fields of one line. Most lines have no quotation mark and need no CSV reader.
fn split(line: &str) -> Vec<String> {
    if !line.contains('"') {
        return line.split(',').map(str::to_owned).collect();
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(line.len())
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(_) => record.iter().map(str::to_owned).collect(),
        // Reading text from memory into a flexible record has no way to fail; a line without fields is malformed anyway.
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n";

    fn read(content: &str) -> Vec<Line> {
        let mut lines = Lines::new(content.as_bytes()).expect("a header");
        std::iter::from_fn(|| lines.next_line().expect("reads")).collect()
    }

    #[test]
    fn crlf_quotes_and_empty_fields_are_read() {
        let lines = read(&format!(
            "{HEADER}1,A1,\"BOX, \"\"RED\"\"\",6,2010-12-01 08:26:00,2.55,,United Kingdom\r\n2,B2,,1,,1.00,17850,EIRE"
        ));
        let first = lines[0].fields.as_ref().expect("well-formed");
        assert_eq!(
            (first.description.as_str(), first.customer.as_str(), first.country.as_str()),
            ("BOX, \"RED\"", "", "United Kingdom")
        );
        let second = lines[1].fields.as_ref().expect("well-formed");
        assert_eq!((second.sku.as_str(), second.description.as_str(), second.country.as_str()), ("B2", "", "EIRE"));
    }

    #[test]
    fn a_stray_quotation_mark_and_an_endless_line_spoil_one_line_only() {
        let endless = "x".repeat(200_000);
        let lines =
            read(&format!("{HEADER}1,A1,\"BOX,6,,2.55,,UK\r\n{endless},1,1,1,1,1,1,1\n3,A1,BOX,6,,2.55,,UK\r\n"));
        assert_eq!(
            lines.iter().map(|line| (line.number, line.fields.is_some())).collect::<Vec<_>>(),
            [(1, false), (2, false), (3, true)]
        );
    }

    #[test]
    fn columns_are_found_by_name_and_a_missing_one_is_named() {
        let lines = read("\u{feff}UnitPrice,Quantity,StockCode,InvoiceNo\n2.55,6,A1,536365\n");
        let fields = lines[0].fields.as_ref().expect("well-formed");
        assert_eq!((fields.invoice.as_str(), fields.price.as_str()), ("536365", "2.55"));
        let error = Lines::new("InvoiceNo,StockCode,Quantity\n".as_bytes()).err().expect("refused");
        assert!(error.to_string().contains("UnitPrice"), "{error}");
    }

    #[test]
    fn the_hash_is_of_the_whole_content() {
        let mut lines = Lines::new("InvoiceNo,StockCode,Quantity,UnitPrice\n1,a,1,1\n".as_bytes()).expect("a header");
        while lines.next_line().expect("reads").is_some() {}
        let expected: String = Sha256::digest(b"InvoiceNo,StockCode,Quantity,UnitPrice\n1,a,1,1\n")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(lines.sha256(), expected);
    }
}
