//! The number of steps of a translation grows linearly with the message, for every kind of message.

use std::rc::Rc;

use gemini_grpc::gemini::json::{RequestLimits, measure, passed_event, request, request_outline, response};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::hostile;
use crate::hostile_json;

/// A message of four times the size may take 4.5 times the steps, and this many more.
const EXTRA_STEPS: u64 = 200;
const LIMITS: RequestLimits = RequestLimits { elements: usize::MAX };

/// Compares the steps for one size and for four times that size.
fn assert_linear(name: &str, steps: impl Fn(usize) -> u64) {
    let (one, four) = (steps(4_000), steps(16_000));
    assert!(2 * four <= 9 * one + EXTRA_STEPS, "{name}: {one} steps became {four} when the size grew fourfold");
}

#[test]
fn the_steps_of_a_request_grow_as_its_size() {
    let shapes = hostile::shapes();
    assert!(shapes.len() > 500, "only {} shapes", shapes.len());
    for shape in shapes {
        assert_linear(&shape.name, |n| {
            let wire = (shape.build)(n);
            let mut steps = Steps::unlimited();
            let length = measure(Method::GenerateContent, &[&wire], LIMITS, &mut steps);
            // A text that is not UTF-8 can be measured, but not written.
            let written = request(Method::GenerateContent, &[&wire], LIMITS, length.as_ref().ok().copied(), &mut steps);
            if let (Ok(length), Ok(written)) = (length, written) {
                assert_eq!(length, written.json.len(), "{}", shape.name);
            }
            assert!(steps.taken() as usize >= wire.len() / 256, "{}: {} steps", shape.name, steps.taken());
            steps.taken()
        });
    }
}

#[test]
fn the_steps_of_a_response_grow_as_its_size() {
    for (name, build) in hostile_json::shapes() {
        assert_linear(&name, |n| {
            let json = build(n);
            let mut steps = Steps::unlimited();
            let read = response(&json, None, &mut steps);
            assert!(read.is_err() || steps.taken() as usize >= json.len() / 256, "{name}: {} steps", steps.taken());
            steps.taken()
        });
    }
}

#[test]
fn the_steps_of_a_request_that_is_json_grow_as_its_size() {
    for (name, build) in hostile_json::request_shapes() {
        assert_linear(&name, |n| {
            let json = build(n);
            let mut steps = Steps::unlimited();
            let read = request_outline(Method::GenerateContent, &json, LIMITS, &mut |_| true, &mut steps);
            assert!(read.is_err() || steps.taken() as usize >= json.len() / 256, "{name}: {} steps", steps.taken());
            steps.taken()
        });
    }
}

#[test]
fn the_steps_of_a_response_that_is_passed_on_grow_as_its_size() {
    // A key in each letter, one that repeats itself, and one that is not there.
    for key in ["x", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy", "\\u00e9", "AIzaSy-none"] {
        let key = memchr::memmem::Finder::new(key);
        for (name, build) in hostile_json::shapes() {
            assert_linear(&name, |n| {
                let json = build(n);
                let mut steps = Steps::unlimited();
                let read = passed_event(Method::GenerateContent, &json, Some(&key), &mut steps);
                assert!(read.is_err() || steps.taken() as usize >= json.len() / 256, "{name}: {} steps", steps.taken());
                steps.taken()
            });
        }
    }
}

/// The bytes of a picture are searched for the end of their string, checked, and searched for the key. A step is 256
/// bytes that are copied, and twice as many that are only read.
#[test]
fn a_picture_that_is_passed_on_costs_the_steps_of_reading_it() {
    let data = "AAAA".repeat(1 << 20);
    let request =
        format!(r#"{{"contents":[{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}]}}"#);
    let mut steps = Steps::unlimited();
    request_outline(Method::GenerateContent, request.as_bytes(), LIMITS, &mut |_| true, &mut steps).unwrap();
    assert!(steps.taken() as usize <= data.len() / 256 * 3 / 2 + 100, "{} steps", steps.taken());
    let response = request.replace("contents\":[", "candidates\":[{\"content\":").replace("]}]}", "]}}]}");
    let mut steps = Steps::unlimited();
    let key = memchr::memmem::Finder::new("AIzaSy-none");
    passed_event(Method::GenerateContent, response.as_bytes(), Some(&key), &mut steps).unwrap();
    assert!(steps.taken() as usize <= data.len() / 256 * 2 + 100, "{} steps", steps.taken());
}

/// Several shapes in one message, in which their fields are merged.
#[test]
fn the_steps_of_mixed_requests_grow_as_their_size() {
    let shapes = Rc::new(hostile::shapes());
    let picks = prop::collection::vec((0..shapes.len(), 12..60_usize), 1..6);
    let checked = TestRunner::default().run(&picks, |picks| {
        let wire: Vec<u8> = picks.iter().flat_map(|(shape, n)| (shapes[*shape].build)(*n)).collect();
        let steps = |times: usize| {
            let wire = wire.repeat(times);
            let mut steps = Steps::unlimited();
            if let Ok(length) = measure(Method::GenerateContent, &[&wire], LIMITS, &mut steps) {
                let written = request(Method::GenerateContent, &[&wire], LIMITS, Some(length), &mut steps)
                    .map(|request| request.json.len());
                assert!(written.is_err() || written == Ok(length));
            }
            steps.taken()
        };
        // A list is read from its first value to its last. With few repetitions that is a smaller part of the message,
        // so the smaller size has 16 of them.
        let (one, four) = (steps(16), steps(64));
        let names: Vec<_> = picks.iter().map(|(shape, _)| &shapes[*shape].name).collect();
        prop_assert!(2 * four <= 9 * one + EXTRA_STEPS, "{:?}: {} steps became {}", names, one, four);
        Ok(())
    });
    checked.unwrap();
}
