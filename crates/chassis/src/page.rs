//! Lists, a page at a time: how many rows a page has, and whether another follows.
//!
//! A list takes `limit` and `after`, and answers `data` and `next`: the cursor to send as `after`, null on the last page.

use std::{borrow::Cow, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// The parameter `limit`: from 1 to `MAX`, and `DEFAULT` when absent (with `#[serde(default)]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<const DEFAULT: u16, const MAX: u16>(u16);

impl<const DEFAULT: u16, const MAX: u16> Default for Limit<DEFAULT, MAX> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<'de, const DEFAULT: u16, const MAX: u16> Deserialize<'de> for Limit<DEFAULT, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = u16::deserialize(deserializer)?;
        if !(1..=MAX).contains(&limit) {
            return Err(D::Error::custom(format_args!("`limit` is from 1 to {MAX}")));
        }
        Ok(Self(limit))
    }
}

impl<const DEFAULT: u16, const MAX: u16> Limit<DEFAULT, MAX> {
    /// One row more than the page has tells whether another page follows.
    pub fn rows_to_read(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// Leaves the page in `rows`, and returns the cursor of the next one if there is one.
    pub fn cut<T, Cursor>(self, rows: &mut Vec<T>, cursor: impl FnOnce(&T) -> Cursor) -> Option<Cursor> {
        let has_more = rows.len() > usize::from(self.0);
        rows.truncate(self.0.into());
        rows.last().filter(|_| has_more).map(cursor)
    }
}

/// The parameter `after`: the cursor that the page before gave as `next`. Anything else is no page of this list, and is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After<Cursor>(pub Cursor);

impl<'de, Cursor: FromStr> Deserialize<'de> for After<Cursor> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let no_cursor = || D::Error::custom("this is no cursor: send the `next` of the page before, unchanged");
        text.parse().map(Self).map_err(|_| no_cursor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TwoOrThree = Limit<2, 3>;

    #[test]
    fn only_limits_that_a_page_can_have_are_taken() {
        for (text, limit) in [("1", Some(1)), ("3", Some(3)), ("0", None), ("4", None), ("-1", None), ("70000", None)] {
            assert_eq!(serde_json::from_str::<TwoOrThree>(text).ok().map(|limit| limit.0), limit, "{text}");
        }
    }

    #[test]
    fn only_what_a_page_before_can_have_given_is_a_cursor() {
        assert_eq!(serde_json::from_str(r#""7""#).ok(), Some(After(7)));
        for text in [r#""seven""#, r#""""#, "7"] {
            assert!(serde_json::from_str::<After<i32>>(text).is_err(), "{text}");
        }
        let why = serde_json::from_str::<After<i32>>(r#""seven""#).map_err(|error| error.to_string());
        assert!(why.is_err_and(|why| why.contains("`next` of the page before")));
    }

    #[test]
    fn a_page_names_the_next_one_only_if_there_are_rows_left() {
        let limit = TwoOrThree::default();
        assert_eq!(limit.rows_to_read(), 3);
        for (rows, page, next) in
            [(vec![], vec![], None), (vec![1, 2], vec![1, 2], None), (vec![1, 2, 3], vec![1, 2], Some(2))]
        {
            let mut cut = rows;
            assert_eq!((limit.cut(&mut cut, |row| *row), cut), (next, page));
        }
    }
}
