//! What the use of a model costs, in dollars.

use std::fmt;
use std::ops::AddAssign;

use serde::{Serialize, Serializer};
use toml::{Table, Value};

/// A dollar in billionths, which are the unit of [`Cost`].
const NANOS: f64 = 1e9;
/// Prices of tokens are for this many.
const MILLION: u128 = 1_000_000;
/// The highest price, in dollars. A higher one is a typing mistake.
const MAX_PRICE: f64 = 1e6;

/// An amount of money, in billionths of a dollar. Sums that are too large stay at the largest amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u64);

impl Cost {
    /// This many billionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The nearest amount to this number of dollars; `None` if it is negative, or more than `max`, or not a number.
    pub fn from_dollars(dollars: f64, max: f64) -> Option<Self> {
        // The product is rounded to the nearest number, so decimals with up to nine places are exact.
        (0.0..=max).contains(&dollars).then(|| Self((dollars * NANOS).round() as u64))
    }

    /// In billionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// In dollars.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANOS
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.0 = self.0.saturating_add(more.0);
    }
}

/// In dollars, with as many decimals as it takes to be exact.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{dollars}");
        }
        f.write_str(format!("{dollars}.{nanos:09}").trim_end_matches('0'))
    }
}

/// As a number of dollars.
impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

/// What a call is billed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billable {
    /// Tokens of the request that were not cached, those of tools included.
    pub input: u64,
    /// Tokens of the request that were cached.
    pub cached_input: u64,
    /// Tokens of the answer, thoughts included.
    pub output: u64,
    /// Pictures of the answer that are not drafts.
    pub images: u64,
}

impl Billable {
    /// All tokens.
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.cached_input).saturating_add(self.output)
    }
}

/// The prices of a model, in billionths of a dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Of a million tokens.
    input: u64,
    cached_input: u64,
    output: u64,
    /// Of one picture.
    image: u64,
}

impl Prices {
    /// What this costs. A part of a billionth of a dollar counts as a whole one.
    pub fn cost(&self, billable: &Billable) -> Cost {
        let of = |amount: u64, price: u64| u128::from(amount) * u128::from(price);
        let tokens = of(billable.input, self.input)
            + of(billable.cached_input, self.cached_input)
            + of(billable.output, self.output);
        let total = tokens.div_ceil(MILLION) + of(billable.images, self.image);
        Cost(u64::try_from(total).unwrap_or(u64::MAX))
    }

    /// Reads the prices of a row in the operator's catalogue, in dollars.
    ///
    /// # Errors
    ///
    /// There is no price, or one that is not known, or one that is no amount of dollars; the error names its field.
    pub(super) fn from_toml(table: &Table) -> Result<Self, String> {
        let known = ["input", "cached_input", "output", "image"];
        if let Some(field) = table.keys().find(|field| !known.contains(&field.as_str())) {
            let field = if field.len() <= 24 { field } else { "…" };
            return Err(format!("prices.{field}: there is no such price; there are {}", known.join(", ")));
        }
        if table.is_empty() {
            return Err(format!("prices: at least one price is expected, of {}", known.join(", ")));
        }
        let price = |field: &str| {
            let Some(value) = table.get(field) else { return Ok(None) };
            let dollars = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
            let price = dollars.and_then(|dollars| Cost::from_dollars(dollars, MAX_PRICE));
            let price = price.ok_or_else(|| {
                format!("prices.{field}: a number of dollars from 0 to {MAX_PRICE} is expected, not {}", kind(value))
            })?;
            Ok::<_, String>(Some(price.nanos()))
        };
        let input = price("input")?.unwrap_or(0);
        Ok(Self {
            input,
            cached_input: price("cached_input")?.unwrap_or(input),
            output: price("output")?.unwrap_or(0),
            image: price("image")?.unwrap_or(0),
        })
    }
}

/// What stands in the place of a price: a number as it is, anything else by its type.
fn kind(value: &Value) -> String {
    match value {
        Value::Integer(_) | Value::Float(_) => value.to_string(),
        other => format!("a {}", other.type_str()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prices(text: &str) -> Result<Prices, String> {
        Prices::from_toml(&text.parse().unwrap())
    }

    fn cost(prices: &Prices, input: u64, cached_input: u64, output: u64, images: u64) -> String {
        prices.cost(&Billable { input, cached_input, output, images }).to_string()
    }

    #[test]
    fn each_kind_has_its_price() {
        let flash = prices("input = 0.30\ncached_input = 0.03\noutput = 2.5\nimage = 0.039").unwrap();
        for (billable, dollars) in [
            ((1_000_000, 0, 0, 0), "0.3"),
            ((0, 1_000_000, 0, 0), "0.03"),
            ((0, 0, 1_000_000, 0), "2.5"),
            ((0, 0, 0, 2), "0.078"),
            ((1, 1, 1, 1), "0.03900283"),
            ((0, 0, 0, 0), "0"),
            ((2_000_000, 0, 400_000_000, 0), "1000.6"),
        ] {
            let (input, cached, output, images) = billable;
            assert_eq!(cost(&flash, input, cached, output, images), dollars, "{billable:?}");
        }
    }

    #[test]
    fn cached_tokens_cost_what_others_do_and_what_has_no_price_is_free() {
        let input = prices("input = 1").unwrap();
        assert_eq!((cost(&input, 0, 1_000_000, 0, 0), cost(&input, 0, 0, 9, 9)), ("1".to_owned(), "0".to_owned()));
        assert_eq!(cost(&prices("image = 0.05").unwrap(), 9, 9, 9, 3), "0.15");
        assert_eq!(cost(&prices("input = 0").unwrap(), 9, 9, 9, 9), "0");
    }

    #[test]
    fn a_part_of_a_billionth_counts_as_one() {
        // 37.5 billionths a token.
        let prices = prices("input = 0.0375").unwrap();
        assert_eq!(
            (cost(&prices, 1, 0, 0, 0), cost(&prices, 2, 0, 0, 0)),
            ("0.000000038".into(), "0.000000075".into())
        );
    }

    #[test]
    fn an_amount_that_is_too_large_stays_at_the_largest() {
        let dear = prices("input = 1000000\noutput = 1000000\nimage = 1e6").unwrap();
        let most = Billable { input: u64::MAX, cached_input: u64::MAX, output: u64::MAX, images: u64::MAX };
        assert_eq!((dear.cost(&most).nanos(), most.tokens()), (u64::MAX, u64::MAX));
        let mut sum = Cost::from_nanos(u64::MAX);
        sum += Cost::from_nanos(1);
        assert_eq!(sum.to_string(), "18446744073.709551615");
    }

    #[test]
    fn a_price_that_cannot_be_used_is_named() {
        for (text, says) in [
            ("", "prices: at least one price is expected, of input, cached_input, output, image"),
            ("inputs = 1", "prices.inputs: there is no such price; there are input, cached_input, output, image"),
            ("input = -0.1", "prices.input: a number of dollars from 0 to 1000000 is expected, not -0.1"),
            ("output = '2'", "prices.output: a number of dollars from 0 to 1000000 is expected, not a string"),
            (
                "input = 1\ncached_input = nan",
                "prices.cached_input: a number of dollars from 0 to 1000000 is expected, ",
            ),
            ("image = inf", "prices.image: a number of dollars from 0 to 1000000 is expected, "),
            ("image = 1000001", "prices.image: a number of dollars from 0 to 1000000 is expected, not 1000001"),
        ] {
            let error = prices(text).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn an_amount_is_printed_and_serialized_as_dollars() {
        for (nanos, text) in [(0, "0"), (1, "0.000000001"), (38_700_000, "0.0387"), (12_000_000_000, "12")] {
            let cost = Cost::from_nanos(nanos);
            assert_eq!(cost.to_string(), text);
            assert_eq!(serde_json::to_value(cost).unwrap().as_f64().unwrap(), text.parse::<f64>().unwrap());
        }
    }

    proptest! {
        /// Every price that an operator can write with up to nine decimals, and every amount of tokens.
        #[test]
        fn the_cost_is_exact(
            whole in 0..1000_u64, decimals in 0..1_000_000_000_u64,
            amounts in proptest::array::uniform3(0..1_u64 << 40), images in 0..1_u64 << 20,
        ) {
            let nanos = whole * 1_000_000_000 + decimals;
            let text = format!("{whole}.{decimals:09}");
            let prices = prices(&format!("input = {text}\noutput = {text}\nimage = {text}")).unwrap();
            let [input, cached_input, output] = amounts;
            let exact = u128::from(input + cached_input + output) * u128::from(nanos);
            let exact = exact.div_ceil(1_000_000) + u128::from(images) * u128::from(nanos);
            let cost = prices.cost(&Billable { input, cached_input, output, images });
            prop_assert_eq!(u128::from(cost.nanos()), exact.min(u128::from(u64::MAX)));
        }

        #[test]
        fn an_amount_survives_being_printed(nanos in 0..1_u64 << 50) {
            let cost = Cost::from_nanos(nanos);
            prop_assert_eq!(Cost::from_dollars(cost.to_string().parse().unwrap(), 1e9), Some(cost));
        }
    }
}
