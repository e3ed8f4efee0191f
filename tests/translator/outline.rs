//! Of JSON that is passed on, views read the same as of the whole message.

use gemini_grpc::gemini::catalog::Catalog;
use gemini_grpc::gemini::json::{RequestLimits, passed_event, request_outline, to_wire};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use gemini_grpc::gemini::validate::{Options, validate};
use gemini_grpc::gemini::view::{MetadataView, RequestView, ResponseView};
use memchr::memmem::Finder;
use proptest::prelude::*;
use prost_reflect::MessageDescriptor;

use crate::catalogue::{REQUEST, RESPONSE};
use crate::harness::{Case, for_all};
use crate::spelling::Speller;
use crate::tree::{Datum, Tree, is_additional, is_member};
use crate::wire;

/// The bytes of data that an outline has.
const KEPT_BYTES: usize = 24;

/// The outline of a request or a response.
fn outline(case: &Case, json: &str) -> Option<Vec<u8>> {
    let steps = &mut Steps::unlimited();
    let limits = RequestLimits { elements: usize::MAX };
    let key = Finder::new("AIza-no-text-has-this-key");
    match case.name() {
        REQUEST => request_outline(Method::GenerateContent, json.as_bytes(), limits, &mut |_| true, steps).ok(),
        RESPONSE => {
            let passed = passed_event(Method::GenerateContent, json.as_bytes(), Some(&key), steps).unwrap();
            assert!(passed.redacted.is_none());
            Some(passed.event.response.message)
        }
        _ => None,
    }
}

/// The longest text in a member without a field that an outline has as a whole, in bytes.
const KEPT_UNKNOWN_BYTES: usize = 256;

/// Whether an outline differs on purpose: it has only the beginning of a long text in a member that the contract does
/// not have, and of a request a number in the place of a new enum name in a list, so that the list is not empty for the
/// rules.
fn differs(tree: &Tree) -> bool {
    tree.fields.iter().any(|(field, datum)| match datum {
        Datum::Message(inner) if is_additional(field) => has_name_of(inner, &tree.kind) || has_long_text(datum),
        _ => inner_trees(datum).into_iter().any(differs),
    })
}

fn has_name_of(additional: &Tree, kind: &MessageDescriptor) -> bool {
    additional.fields.iter().any(|(_, datum)| match datum {
        Datum::Map(entries) => entries.iter().any(|(name, _)| is_member(kind, name)),
        _ => false,
    })
}

fn has_long_text(datum: &Datum) -> bool {
    match datum {
        Datum::Text(text) => text.len() > KEPT_UNKNOWN_BYTES,
        Datum::Map(entries) => {
            entries.iter().any(|(name, value)| name.len() > KEPT_UNKNOWN_BYTES || has_long_text(value))
        }
        Datum::List(items) => items.iter().any(has_long_text),
        Datum::Message(tree) => tree.fields.iter().any(|(_, datum)| has_long_text(datum)),
        _ => false,
    }
}

fn inner_trees(datum: &Datum) -> Vec<&Tree> {
    match datum {
        Datum::Message(tree) => vec![tree],
        Datum::List(items) => items.iter().flat_map(inner_trees).collect(),
        Datum::Map(entries) => entries.iter().flat_map(|(_, value)| inner_trees(value)).collect(),
        _ => Vec::new(),
    }
}

fn cut(datum: &Datum) -> Datum {
    match datum {
        Datum::Bytes(bytes) => Datum::Bytes(bytes.iter().copied().take(KEPT_BYTES).collect()),
        Datum::Message(tree) => Datum::Message(cut_tree(tree)),
        Datum::List(items) => Datum::List(items.iter().map(cut).collect()),
        Datum::Map(entries) => Datum::Map(entries.iter().map(|(key, value)| (key.clone(), cut(value))).collect()),
        scalar => scalar.clone(),
    }
}

fn cut_tree(tree: &Tree) -> Tree {
    let fields = tree.fields.iter().map(|(field, datum)| (field.clone(), cut(datum))).collect();
    Tree { kind: tree.kind.clone(), fields }
}

#[test]
fn an_outline_is_the_whole_message_with_its_data_cut() {
    for_all(|case, dice| {
        if ![REQUEST, RESPONSE].contains(&case.name()) || differs(&case.tree) {
            return Ok(());
        }
        let json = Speller { dice, shuffle: false }.message(&case.tree);
        let outline = outline(case, &json);
        prop_assert!(outline == Some(wire::message(&cut_tree(&case.tree))), "{} became {:02x?}", json, outline);
        Ok(())
    });
}

#[test]
fn views_read_the_same_of_an_outline_as_of_the_whole_message() {
    for_all(|case, dice| {
        if ![REQUEST, RESPONSE].contains(&case.name()) || differs(&case.tree) {
            return Ok(());
        }
        let json = Speller { dice, shuffle: true }.message(&case.tree);
        let outline = outline(case, &json).unwrap();
        let whole = to_wire(case.name(), json.as_bytes()).unwrap();
        match case.name() {
            REQUEST => prop_assert_eq!(checked(&outline), checked(&whole), "{}", json),
            _ => prop_assert_eq!(watched(&outline), watched(&whole), "{}", json),
        }
        Ok(())
    });
}

/// What is read of a request. As a text, because NaN is not equal to itself.
fn checked(wire: &[u8]) -> String {
    let steps = &mut Steps::unlimited();
    let view = RequestView::read(wire, steps).unwrap();
    let models = ["gemini-2.5-flash", "gemini-3-pro-image-preview"];
    let valid = models.map(|model| {
        let options = Options { image_default_modalities: true, path_model: Some(model) };
        validate(&view, &Catalog::default(), options, steps)
    });
    format!("{} {:?} {valid:?}", view.model, view.generation_config)
}

fn watched(wire: &[u8]) -> (ResponseView, MetadataView) {
    let (steps, mut metadata) = (&mut Steps::unlimited(), MetadataView::default());
    metadata.update(wire, steps).unwrap();
    (ResponseView::read(wire, steps).unwrap(), metadata)
}
