//! Which sagas are meant: by state, definition, step, order, customer and age, for lists and for bulk operations alike.

use serde_json::{Map, Value};

use super::age::parse_age;

#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Filter {
    /// running, waiting, compensating, finishing, paused, parked, completed, compensated; or `live`: all that have not ended
    #[arg(long)]
    pub(super) state: Option<String>,
    /// Name of the definition, such as checkout
    #[arg(long)]
    definition: Option<String>,
    /// Name of the step at which they stand
    #[arg(long)]
    pub(super) step: Option<String>,
    /// The order's id, ord_… (the saga's reference)
    #[arg(long, value_name = "ORDER")]
    pub(super) order: Option<String>,
    /// The customer, as the sagas were begun with it
    #[arg(long)]
    customer: Option<String>,
    /// Begun at least so long ago (s, m, h or d)
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Option<i64>,
    /// Only live ones that have been at their step for longer than it should take, and wait for no operator
    #[arg(long)]
    stuck: bool,
}

impl Filter {
    pub(super) fn of_order(order: &str) -> Self {
        Self { order: Some(order.to_owned()), ..Self::default() }
    }

    /// As the API names them.
    fn pairs(&self) -> Vec<(&'static str, Value)> {
        let texts = [
            ("state", &self.state),
            ("definition", &self.definition),
            ("step", &self.step),
            ("order", &self.order),
            ("customer", &self.customer),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| Some((name, Value::from(value.as_deref()?))));
        let age = self.older_than.map(|seconds| ("min_age_seconds", Value::from(seconds)));
        texts.chain(age).chain(self.stuck.then_some(("stuck", Value::from(true)))).collect()
    }

    /// Whether it means every saga there is.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs().is_empty()
    }

    /// For a query string.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.pairs().into_iter().map(|(name, value)| (name, text(value))).collect()
    }

    /// For a body.
    pub(super) fn json(&self) -> Value {
        Value::Object(self.pairs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_says_what_was_given_and_nothing_else() {
        assert!(Filter::default().is_empty());
        let filter = Filter {
            state: Some("parked".to_owned()),
            older_than: Some(600),
            stuck: true,
            ..Filter::of_order("ord_1&limit=1")
        };
        assert!(!filter.is_empty());
        assert_eq!(
            filter.json(),
            json!({"state": "parked", "order": "ord_1&limit=1", "min_age_seconds": 600, "stuck": true})
        );
        let query = [("state", "parked"), ("order", "ord_1&limit=1"), ("min_age_seconds", "600"), ("stuck", "true")];
        assert_eq!(filter.query(), query.map(|(name, value)| (name, value.to_owned())));
    }
}
