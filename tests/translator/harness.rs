//! Runs a property for every field of every message, and fails if a field or an enum value was never set.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestError, TestRunner};
use prost_reflect::{DynamicMessage, MessageDescriptor};

use crate::catalogue::{Coverage, REQUEST, RESPONSE, Target, targets};
use crate::dice::Dice;
use crate::tree::Tree;
use crate::{generate, oracle, wire};

/// The least number of messages that a property is checked with.
pub const MIN_MESSAGES: usize = 10_000;
/// The most random choices that go into one message.
const MAX_ROLLS: usize = 250;

/// A random message.
#[derive(Debug)]
pub struct Case {
    pub kind: MessageDescriptor,
    pub tree: Tree,
    /// The message in canonical form.
    pub wire: Vec<u8>,
    /// The message as the oracle reads `wire`.
    pub message: DynamicMessage,
}

impl Case {
    fn new(dice: &mut Dice<'_>, target: &Target) -> Self {
        let tree = generate::targeted(dice, target);
        let wire = wire::message(&tree);
        let message = oracle::decode(&target.message, &wire).expect("the oracle reads what the test wrote");
        Self { kind: target.message.clone(), tree, wire, message }
    }

    /// The full name of the message.
    pub fn name(&self) -> &str {
        self.kind.full_name()
    }
}

/// Checks a property with many messages for each field: an eighth of `PROPTEST_CASES`, and ten times that for the
/// fields of requests and responses themselves.
pub fn for_all(property: impl Fn(&Case, &mut Dice<'_>) -> TestCaseResult) {
    let coverage = RefCell::new(Coverage::default());
    let mut messages = 0;
    let each = (Config::default().cases / 8).max(16);
    let strategy = prop::collection::vec(any::<u32>(), 0..MAX_ROLLS);
    for target in targets() {
        let root = [REQUEST, RESPONSE].contains(&target.message.full_name());
        let cases = if root { each * 10 } else { each };
        let mut runner =
            TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() });
        let result = runner.run(&strategy, |rolls| {
            let dice = &mut Dice::new(&rolls);
            let case = Case::new(dice, &target);
            coverage.borrow_mut().record(&case.message);
            property(&case, dice)
        });
        if let Err(error) = result {
            panic!("{}", report(&target, error));
        }
        messages += cases as usize;
    }
    let missing = coverage.borrow().missing();
    assert!(missing.is_empty(), "never set: {missing:?}");
    assert!(messages >= MIN_MESSAGES, "only {messages} messages");
}

fn report(target: &Target, error: TestError<Vec<u32>>) -> String {
    match error {
        TestError::Abort(reason) => format!("{target}: {reason}"),
        TestError::Fail(reason, rolls) => {
            let case = Case::new(&mut Dice::new(&rolls), target);
            let json = oracle::to_text(&case.message).unwrap_or_default();
            let json = String::from_utf8_lossy(&json);
            format!(
                "{target}: {reason}\nrolls {rolls:?}\nmessage {json:.4000}\nwire {:02x?}",
                case.wire.get(..1000).unwrap_or(&case.wire)
            )
        }
    }
}
