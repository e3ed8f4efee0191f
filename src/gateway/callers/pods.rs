//! What all gateways together have used, in the place of what this process has.

use std::collections::BTreeMap;

use super::report::{Amount, CallerUsage, LimitUsage};
use super::usage::{Amounts, ModelUsage};
use crate::gemini::catalog::price::Cost;
use crate::store::Usage;

impl CallerUsage {
    /// Takes the figures of a day and a month from the store. The limits of a minute are left out, because the store
    /// keeps no number of what is in use of them; the calls in flight stay those of this process.
    pub fn take_from_store(&mut self, used: &Usage) {
        self.limits.retain_mut(|limit| limit.take_from_store(used));
        let mut models = BTreeMap::new();
        for (fields, is_day) in [(&used.day, true), (&used.month, false)] {
            for (field, number) in fields {
                let Some((model, field)) = model_of(field) else { continue };
                let usage = models.entry(model).or_insert_with(|| ModelUsage {
                    model: model.to_owned(),
                    day: Amounts::default(),
                    month: Amounts::default(),
                });
                if is_day { usage.day.set(field, *number) } else { usage.month.set(field, *number) }
            }
        }
        self.models = models.into_values().collect();
    }
}

/// The model and the figure of a field such as `model/gemini-2.5-flash/calls`.
fn model_of(field: &str) -> Option<(&str, &str)> {
    field.strip_prefix("model/")?.rsplit_once('/')
}

impl LimitUsage {
    /// Returns whether it is a limit of a day or a month.
    fn take_from_store(&mut self, used: &Usage) -> bool {
        let (unit, fields) = match self.limit.split_once("_per_") {
            Some((unit, "day")) => (unit, &used.day),
            Some((unit, "month")) => (unit, &used.month),
            _ => return false,
        };
        let number = fields.iter().find(|(field, _)| field == unit).map_or(0, |(_, number)| *number);
        (self.used, self.left) = match self.allowed {
            Amount::Count(allowed) => (Amount::Count(number), Amount::Count(allowed.saturating_sub(number))),
            Amount::Dollars(allowed) => (
                Amount::Dollars(Cost::from_nanos(number)),
                Amount::Dollars(Cost::from_nanos(allowed.nanos().saturating_sub(number))),
            ),
        };
        true
    }
}

impl Amounts {
    /// Sets the figure with this name. One that a newer gateway wrote is ignored.
    fn set(&mut self, field: &str, number: u64) {
        match field {
            "calls" => self.calls = number,
            "input_tokens" => self.input_tokens = number,
            "cached_input_tokens" => self.cached_input_tokens = number,
            "output_tokens" => self.output_tokens = number,
            "images" => self.images = number,
            "cost" => self.cost = Cost::from_nanos(number),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str, allowed: Amount) -> LimitUsage {
        LimitUsage { limit: name.to_owned(), allowed, used: allowed, left: allowed, resets_at: None }
    }

    #[test]
    fn figures_of_windows_are_those_of_the_store() {
        let dollars = |nanos| Amount::Dollars(Cost::from_nanos(nanos));
        let mut usage = CallerUsage {
            caller: "team-a".to_owned(),
            calls_in_flight: 3,
            limits: vec![
                limit("calls_per_minute", Amount::Count(1)),
                limit("tokens_per_day", Amount::Count(100)),
                limit("images_per_day", Amount::Count(5)),
                limit("cost_per_month", dollars(50)),
            ],
            models: vec![ModelUsage { model: "old".to_owned(), day: Amounts::default(), month: Amounts::default() }],
        };
        let fields = |fields: &[(&str, u64)]| fields.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let model = "model/a/b";
        usage.take_from_store(&Usage {
            day: fields(&[("tokens", 120), ("calls", 2), (&format!("{model}/calls"), 2), ("model/a/b/newer", 9)]),
            month: fields(&[("cost", 20), (&format!("{model}/input_tokens"), 7), (&format!("{model}/cost"), 20)]),
        });
        let left = |limit: &LimitUsage| (limit.limit.clone(), limit.used, limit.left);
        let expected = [
            ("tokens_per_day", Amount::Count(120), Amount::Count(0)),
            ("images_per_day", Amount::Count(0), Amount::Count(5)),
            ("cost_per_month", dollars(20), dollars(30)),
        ];
        let found: Vec<_> = usage.limits.iter().map(left).collect();
        assert_eq!(found, expected.map(|(name, used, left)| (name.to_owned(), used, left)));
        let day = Amounts { calls: 2, ..Amounts::default() };
        let month = Amounts { input_tokens: 7, cost: Cost::from_nanos(20), ..Amounts::default() };
        assert_eq!(usage.models, [ModelUsage { model: "a/b".to_owned(), day, month }]);
        assert_eq!(usage.calls_in_flight, 3);
    }
}
