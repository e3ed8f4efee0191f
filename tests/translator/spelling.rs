//! Writes JSON in all spellings that are accepted: either form of a name, enums in any case or as numbers, numbers with
//! a point, with an exponent or in quotes, every form of base64, nulls, escapes, white space, and members in any order.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind};

use crate::dice::Dice;
use crate::tree::{Datum, Tree, accepts_null, is_additional};

/// Integers up to this one are exact in a double, so they may be written with a point.
const MAX_EXACT_IN_DOUBLE: u64 = 1 << 53;

#[derive(Debug)]
pub struct Speller<'s, 'r> {
    pub dice: &'s mut Dice<'r>,
    /// Whether to write members in random order. Those that the contract does not have keep their order among
    /// themselves.
    pub shuffle: bool,
}

impl Speller<'_, '_> {
    pub fn message(&mut self, tree: &Tree) -> String {
        let only = tree.fields.first();
        match (tree.kind.full_name(), only) {
            ("google.protobuf.Duration", _) => {
                let text = duration(&self.times(tree), self.dice);
                self.string(&text)
            }
            ("google.protobuf.Timestamp", _) => {
                let text = timestamp(&self.times(tree), self.dice);
                self.string(&text)
            }
            ("google.protobuf.Struct", None) => self.join('{', Vec::new(), '}'),
            ("google.protobuf.ListValue", None) => self.join('[', Vec::new(), ']'),
            ("google.protobuf.Value", Some((field, _))) if field.name() == "null_value" => "null".to_owned(),
            // Not in quotes: in a `Value` that would be a string.
            ("google.protobuf.Value", Some((_, Datum::Double(value)))) => self.numeral(&forms_of_a_double(*value)),
            (
                "google.protobuf.Struct" | "google.protobuf.ListValue" | "google.protobuf.Value",
                Some((field, datum)),
            ) => self.datum(&field.kind(), datum),
            _ => self.object(tree),
        }
    }

    fn times(&self, tree: &Tree) -> [i64; 2] {
        [1, 2].map(|number| match tree.fields.iter().find(|(field, _)| field.number() == number) {
            Some((_, Datum::Int(value))) => *value,
            _ => 0,
        })
    }

    fn object(&mut self, tree: &Tree) -> String {
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        let mut names = Vec::new();
        for (field, datum) in &tree.fields {
            match datum {
                Datum::Message(inner) if is_additional(field) => {
                    if let Some((field, Datum::Map(entries))) = inner.fields.first() {
                        names.extend(entries.iter().map(|(name, _)| name.clone()));
                        unknown = self.entries(&field.kind(), entries);
                    }
                }
                _ => {
                    let value = self.datum(&field.kind(), datum);
                    known.push(self.member(field, &value));
                }
            }
        }
        for field in tree.kind.fields() {
            let absent = tree.fields.iter().all(|(other, _)| *other != field);
            let free = !is_additional(&field) && !names.iter().any(|name| name == field.json_name());
            if absent && free && !accepts_null(&field) && self.dice.one_in(12) {
                known.push(self.member(&field, "null"));
            }
        }
        let members = if self.shuffle {
            let mut places: Vec<bool> = known.iter().map(|_| true).chain(unknown.iter().map(|_| false)).collect();
            self.dice.shuffle(&mut places);
            self.dice.shuffle(&mut known);
            let (mut known, mut unknown) = (known.into_iter(), unknown.into_iter());
            places.into_iter().map(|is_known| if is_known { known.next() } else { unknown.next() }.unwrap()).collect()
        } else {
            known.into_iter().chain(unknown).collect()
        };
        self.join('{', members, '}')
    }

    fn member(&mut self, field: &FieldDescriptor, value: &str) -> String {
        let name = if self.dice.one_in(2) { field.name() } else { field.json_name() }.to_owned();
        format!("{}{}:{}{value}", self.string(&name), self.space(), self.space())
    }

    fn entries(&mut self, kind: &Kind, entries: &[(String, Datum)]) -> Vec<String> {
        let kind = kind.as_message().unwrap().map_entry_value_field().kind();
        entries.iter().map(|(key, value)| format!("{}:{}", self.string(key), self.datum(&kind, value))).collect()
    }

    fn datum(&mut self, kind: &Kind, datum: &Datum) -> String {
        match (datum, kind) {
            (Datum::Bool(value), _) => value.to_string(),
            (Datum::Int(value), Kind::Enum(kind)) => self.enumeration(kind, *value),
            (Datum::Int(value), _) => {
                let forms = forms_of_an_integer(*value);
                self.perhaps_quoted(&forms)
            }
            (Datum::Float(value), _) => {
                let mut forms =
                    vec![format!("{value:?}"), format!("{value:e}"), format!("{value:?}").replace('e', "E")];
                if value.fract() == 0.0 && value.abs() < 1e7 && value.to_bits() != (-0.0f32).to_bits() {
                    forms.push(format!("{value:.0}"));
                }
                self.perhaps_quoted(&forms)
            }
            (Datum::Double(value), _) => self.perhaps_quoted(&forms_of_a_double(*value)),
            (Datum::Text(text), _) => self.string(text),
            (Datum::Bytes(bytes), _) => {
                let forms = [
                    base64_simd::STANDARD,
                    base64_simd::STANDARD_NO_PAD,
                    base64_simd::URL_SAFE,
                    base64_simd::URL_SAFE_NO_PAD,
                ];
                let text = forms[self.dice.below(forms.len())].encode_to_string(bytes);
                self.string(&text)
            }
            (Datum::Message(tree), _) => self.message(tree),
            (Datum::List(values), _) => {
                let values = values.iter().map(|value| self.datum(kind, value)).collect();
                self.join('[', values, ']')
            }
            (Datum::Map(entries), _) => {
                let entries = self.entries(kind, entries);
                self.join('{', entries, '}')
            }
        }
    }

    fn enumeration(&mut self, kind: &EnumDescriptor, number: i64) -> String {
        let Some(value) = kind.get_value(number as i32).filter(|_| !self.dice.one_in(3)) else {
            return self.numeral(&forms_of_an_integer(number));
        };
        let mixed = |name: &str| {
            let letters = name.char_indices();
            letters.map(|(i, c)| if i % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }).collect()
        };
        let name = value.name();
        let forms = [name.to_owned(), name.to_lowercase(), name.to_uppercase(), mixed(name)];
        let form = self.dice.pick(&forms);
        self.string(&form)
    }

    fn perhaps_quoted(&mut self, forms: &[String]) -> String {
        let numeral = self.numeral(forms);
        if self.dice.one_in(2) { format!("\"{numeral}\"") } else { numeral }
    }

    fn numeral(&mut self, forms: &[String]) -> String {
        self.dice.pick(forms)
    }

    fn string(&mut self, text: &str) -> String {
        let mut out = String::from("\"");
        let noisy = self.dice.one_in(3);
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' if noisy => out.push_str("\\n"),
                '/' if noisy => out.push_str("\\/"),
                _ if c < ' ' || noisy && self.dice.one_in(4) => {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
                }
                _ => out.push(c),
            }
        }
        out + "\""
    }

    fn join(&mut self, open: char, items: Vec<String>, close: char) -> String {
        let mut out = format!("{open}{}", self.space());
        for (i, item) in items.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            out += &format!("{comma}{}{item}{}", self.space(), self.space());
        }
        out + &close.to_string()
    }

    fn space(&mut self) -> &'static str {
        self.dice.pick(&["", "", "", "", " ", "\n", "\t", "\r\n  "])
    }
}

fn forms_of_an_integer(value: i64) -> Vec<String> {
    let mut forms = vec![value.to_string()];
    if value.unsigned_abs() <= MAX_EXACT_IN_DOUBLE {
        forms.extend([format!("{value}.0"), format!("{value}e0"), format!("{value}.000E+00")]);
    }
    forms
}

fn forms_of_a_double(value: f64) -> Vec<String> {
    let mut forms = vec![format!("{value:?}"), format!("{value:e}"), format!("{value:?}").replace('e', "E")];
    if value.fract() == 0.0 && value.abs() < 1e15 && value.to_bits() != (-0.0f64).to_bits() {
        forms.push(format!("{value:.0}"));
    }
    forms
}

/// The decimals of a second: as few as necessary, or nine.
fn fraction(nanos: i64, dice: &mut Dice<'_>) -> String {
    let digits = format!(".{:09}", nanos.abs());
    if dice.one_in(3) { digits } else { digits.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

fn duration([seconds, nanos]: &[i64; 2], dice: &mut Dice<'_>) -> String {
    let sign = if *seconds < 0 || *nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.abs(), fraction(*nanos, dice))
}

/// A timestamp in a random time zone.
fn timestamp([seconds, nanos]: &[i64; 2], dice: &mut Dice<'_>) -> String {
    const DAY: i64 = 86_400;
    let minutes = dice.pick(&[0, 0, 0, 60, -300, 330, 825, -720]);
    let local = seconds + minutes * 60;
    let first_or_last_day = !(-62_135_510_400..253_402_214_400).contains(seconds);
    let (local, zone) = if minutes == 0 || first_or_last_day {
        (*seconds, "Z".to_owned())
    } else {
        let sign = if minutes < 0 { '-' } else { '+' };
        (local, format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60))
    };
    // Converts days to a date, with years that begin in March (Howard Hinnant, "chrono-compatible low-level date
    // algorithms").
    let day = local.div_euclid(DAY) + 719_468;
    let day_of_era = day.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + day.div_euclid(146_097) * 400 + i64::from(month <= 2);
    let time = local.rem_euclid(DAY);
    let (hours, minutes, seconds) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{date:02}T{hours:02}:{minutes:02}:{seconds:02}{}{zone}", fraction(*nanos, dice))
}
