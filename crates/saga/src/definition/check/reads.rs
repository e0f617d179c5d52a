//! What steps read of the context: conditions, inputs and times must come from an earlier step, and must not be mistaken for something else.

use serde_json::Value;

use super::{At, Check, FINALLY, Input, Place, When, input};

impl Check<'_> {
    /// A condition reads what an input may read; what is absent is a no, so it needs no default.
    pub(super) fn when(&mut self, when: &At<Value>) -> Option<When> {
        match When::parse(&when.value) {
            Ok(parsed) => {
                for root in parsed.roots() {
                    self.root(when.place, root);
                }
                if !self.is_released {
                    for problem in parsed.objections() {
                        self.complain(when.place, format!("`when`: {problem}"));
                    }
                }
                Some(parsed)
            }
            Err(error) => {
                self.complain(when.place, format!("`when`: {error}"));
                None
            }
        }
    }

    /// A time in the context. It has no default, so it must be there.
    pub(super) fn path(&mut self, text: &At<String>) -> Input {
        let at = At { place: text.place, value: Value::String(text.value.clone()) };
        let field = self.field("deadline", &at);
        if field.as_ref().is_some_and(|field| !field.is_singular()) && !self.is_released {
            self.complain(text.place, format!("`{}` finds a list, and a deadline is one time", text.value));
        }
        Input::of(field.into_iter().collect())
    }

    pub(super) fn field(&mut self, name: &str, value: &At<Value>) -> Option<input::Field> {
        match input::Field::parse(name, &value.value) {
            Ok(field) => {
                if let Some(problem) = field.objection().filter(|_| !self.is_released) {
                    self.complain(value.place, format!("`{name}`: {problem}"));
                }
                let root = field.root();
                if self.root(value.place, root)
                    && !field.has_default()
                    && self.step != FINALLY
                    && self.skippable.contains(root)
                {
                    self.complain(
                        value.place,
                        format!(
                            "`{root}` may be skipped and then has no output: write `{{path: $.{root}…, default: …}}`"
                        ),
                    );
                }
                Some(field)
            }
            Err(error) => {
                self.complain(value.place, format!("`{name}`: {error}"));
                None
            }
        }
    }

    /// Whether a path's first name can be read here.
    fn root(&mut self, place: Place, root: &str) -> bool {
        let what = if self.known.contains(root) {
            return true;
        } else if root == self.step {
            "is this step itself: its output comes after it"
        } else if self.stage.iter().any(|sibling| sibling == root) {
            "runs at the same time: take it out of the group, before this step"
        } else if self.names.contains(root) {
            "comes later: read an earlier step, or change their order"
        } else {
            "is neither `input` nor a step"
        };
        self.complain(place, format!("`$.{root}` {what}"));
        false
    }
}
