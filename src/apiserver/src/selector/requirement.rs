//! One requirement of a selector.

/// A requirement on one label or field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirement {
    pub(super) key: String,
    pub(super) operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

impl Requirement {
    /// Whether this value of the label or field meets the requirement.
    pub(super) fn holds(&self, value: Option<&str>) -> bool {
        let is_one = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        match &self.operator {
            Operator::In(values) => is_one(values),
            Operator::NotIn(values) => !is_one(values),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::Greater(than) => number(value).is_some_and(|number| number > *than),
            Operator::Less(than) => number(value).is_some_and(|number| number < *than),
        }
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}
