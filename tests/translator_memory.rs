//! A translation allocates at most 8 times the size of its input and 8 MiB. This is a test binary of its own, since it
//! measures the memory of the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

#[path = "translator/catalogue.rs"]
mod catalogue;
#[path = "translator/hostile.rs"]
mod hostile;
#[path = "translator/hostile_json.rs"]
mod hostile_json;
#[path = "translator/tree.rs"]
mod tree;
#[path = "translator/wire.rs"]
mod wire;

use gemini_grpc::gemini::json::{RequestLimits, measure, passed_event, request, request_outline, response};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use hostile_json::Build;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The approximate size of the inputs: all shapes are tried with the small one, and the worst shapes with the large
/// one.
const SMALL_BYTES: usize = 64 << 10;
const LARGE_BYTES: usize = 8 << 20;
/// The number of shapes that are tried with the large size.
const WORST_SHAPES: usize = 8;

/// The peak of the memory that `work` allocates, in bytes.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    drop(work());
    ALLOCATOR.peak_usage().saturating_sub(before)
}

fn peak_of_request(wire: &[u8], limits: RequestLimits, is_measured: bool) -> usize {
    peak(|| {
        let steps = &mut Steps::unlimited();
        let length =
            if is_measured { Some(measure(Method::GenerateContent, &[wire], limits, steps).ok()?) } else { None };
        request(Method::GenerateContent, &[wire], limits, length, steps).ok()
    })
}

fn peak_of_response(json: &[u8]) -> usize {
    peak(|| response(json, None, &mut Steps::unlimited()))
}

fn peak_of_request_outline(json: &[u8]) -> usize {
    let limits = RequestLimits { elements: usize::MAX };
    let mut asked_for = 0;
    let mut reserve = |bytes| {
        asked_for = bytes;
        true
    };
    let steps = &mut Steps::unlimited();
    let (mut outline, mut capacity) = (Vec::new(), 0);
    let peak = peak(|| {
        outline = request_outline(Method::GenerateContent, json, limits, &mut reserve, steps).unwrap_or_default();
        capacity = outline.capacity();
    });
    assert!(capacity <= asked_for.max(64 << 10), "{capacity} bytes were taken, and {asked_for} were asked for");
    peak
}

fn peak_of_passed_event(json: &[u8]) -> usize {
    // It is in many of the shapes.
    let key = memchr::memmem::Finder::new("x");
    peak(|| passed_event(Method::GenerateContent, json, Some(&key), &mut Steps::unlimited()))
}

/// A picture takes no memory in addition to its JSON, in whatever form of base64 it is.
fn assert_pictures_are_not_copied() {
    for data in ["AAAA".repeat(1 << 20), "-_-_".repeat(1 << 20), r"A\/+A".repeat(1 << 20), "A_+A".repeat(1 << 20)] {
        let part = format!(r#"{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}"#);
        let request = format!(r#"{{"contents":[{part}]}}"#);
        let response = format!(r#"{{"candidates":[{{"content":{part}}}]}}"#);
        let key = memchr::memmem::Finder::new("AIzaSy-none");
        let passed =
            peak(|| passed_event(Method::GenerateContent, response.as_bytes(), Some(&key), &mut Steps::unlimited()));
        for peak in [peak_of_request_outline(request.as_bytes()), passed] {
            assert!(peak < 64 << 10, "a picture as {:?} took {peak} bytes", &data[..8]);
        }
    }
}

/// Tries every shape with a small input, and the worst ones with a large input. A shape is a name and a function that
/// builds the input.
fn assert_bounded(shapes: Vec<(String, Build)>, peak: impl Fn(&[u8]) -> usize) {
    let check = |(name, build): &(String, Build), size: usize| {
        let each = build(1_200).len();
        let input = build(1_200 * size / each.max(1));
        let peak = peak(&input);
        let limit = 8 * input.len() + (8 << 20);
        assert!(peak <= limit, "{name}: {} bytes of input took {peak} bytes, the limit is {limit}", input.len());
        peak as f64 / input.len() as f64
    };
    let mut ratios: Vec<_> = shapes.iter().map(|shape| (check(shape, SMALL_BYTES), shape)).collect();
    ratios.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, shape) in ratios.iter().take(WORST_SHAPES) {
        check(shape, LARGE_BYTES);
    }
}

/// The only test of this binary: another one would allocate at the same time.
#[test]
fn a_translation_takes_eight_times_its_size_and_8_mib_at_most() {
    // The tables that are built only once.
    peak_of_request(b"", RequestLimits::default(), true);
    peak_of_response(b"{}");
    let unlimited = RequestLimits { elements: usize::MAX };
    for (limits, is_measured) in [(unlimited, true), (RequestLimits::default(), false)] {
        let shapes = hostile::shapes().into_iter().map(|shape| (shape.name, shape.build)).collect();
        assert_bounded(shapes, |wire| peak_of_request(wire, limits, is_measured));
    }
    assert_bounded(hostile_json::shapes(), peak_of_response);
    assert_bounded(hostile_json::request_shapes(), peak_of_request_outline);
    assert_bounded(hostile_json::shapes(), peak_of_passed_event);
    assert_pictures_are_not_copied();
}
