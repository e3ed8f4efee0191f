//! Generates JSON that is expensive to read for its size.

/// Returns the bytes with this many repetitions.
pub type Build = Box<dyn Fn(usize) -> Vec<u8>>;
type BuildText = Box<dyn Fn(usize) -> String>;

/// Kinds of hostile responses: what is hostile about each, and a function that builds it.
pub fn shapes() -> Vec<(String, Build)> {
    // As free-form JSON, as an unknown member, and as the value of members of all kinds.
    let mut shapes = values_at(&[
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"a":@}}}]}}]}"#,
        r#"{"new":@}"#,
        r#"{"new":@,"usageMetadata":{"new":1},"other":2}"#,
        r#"{"candidates":[{"content":{"parts":[{"new":@,"text":"a"},{"text":"b"}]}}]}"#,
        r#"{"candidates":@}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":@}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"thoughtSignature":@}]}}]}"#,
        r#"{"candidates":[{"index":@}]}"#,
        r#"{"candidates":[{"avgLogprobs":@}]}"#,
        r#"{"candidates":[{"finishReason":@}]}"#,
        r#"{"candidates":[{"content":@}]}"#,
        r#"@"#,
    ]);
    shapes.extend(whole_at("candidates", part));
    shapes
}

/// Kinds of hostile requests.
pub fn request_shapes() -> Vec<(String, Build)> {
    let mut shapes = values_at(&[
        r#"{"contents":[{"parts":[{"functionCall":{"args":{"a":@}}}]}]}"#,
        r#"{"new":@}"#,
        r#"{"new":@,"generationConfig":{"new":1},"other":2}"#,
        r#"{"contents":[{"parts":[{"new":@,"text":"a"},{"text":"b"}]}]}"#,
        r#"{"contents":@}"#,
        r#"{"contents":[{"parts":[{"text":@}]}]}"#,
        r#"{"contents":[{"parts":[{"text":"a","functionCall":{"args":{"a":@}}}]}]}"#,
        r#"{"contents":{"parts":{"thoughtSignature":@}}}"#,
        r#"{"tools":@,"toolConfig":@,"labels":@}"#,
        r#"{"generationConfig":{"topK":@,"stopSequences":@,"responseModalities":@,"aspectRatio":@}}"#,
        r#"@"#,
    ]);
    shapes.extend(whole_at("contents", |parts| format!(r#"{{"contents":[{{"parts":[{parts}]}}]}}"#)));
    shapes
}

/// Hostile values, each in the place of `@`.
fn values_at(places: &[&'static str]) -> Vec<(String, Build)> {
    let list = |item: &'static str| move |n: usize| format!("[{}]", vec![item; n.max(1)].join(","));
    let values: [(&str, BuildText); 16] = [
        ("numbers", Box::new(list("0"))),
        ("long numbers", Box::new(|n| "1".repeat(16 * n))),
        ("fractions", Box::new(|n| format!("0.{}", "1".repeat(16 * n)))),
        ("numbers in quotes", Box::new(list("\"NaN\""))),
        ("nulls", Box::new(list("null"))),
        ("empty objects", Box::new(list("{}"))),
        ("empty texts", Box::new(list("\"\""))),
        ("one key many times", Box::new(|n| format!("{{{}}}", vec!["\"a\":0"; n.max(1)].join(",")))),
        ("many keys", Box::new(|n| format!("{{{}}}", members(n, "{}")))),
        ("deep lists", Box::new(|n| format!("[{}]", vec![nested(30, "0"); n.div_ceil(30)].join(",")))),
        ("a long list deep inside", Box::new(move |n| nested(60, &list("0")(n)))),
        (
            "lists at each depth",
            Box::new(move |n| (0..40).fold("0".into(), |inner, _| format!("[{inner},{}]", list("\"abc\"")(n / 40)))),
        ),
        ("a text of escapes", Box::new(|n| format!("\"{}\"", "\\n\\u00e9".repeat(n)))),
        ("a plain text", Box::new(|n| format!("\"{}\"", "x".repeat(64 * n)))),
        ("white space", Box::new(|n| format!("[{}1]", " \n\t".repeat(16 * n)))),
        ("brackets that do not match", Box::new(|n| format!("[{}", "[},".repeat(n)))),
    ];
    let mut shapes: Vec<(String, Build)> = Vec::new();
    for (name, value) in values {
        let value: std::rc::Rc<dyn Fn(usize) -> String> = value.into();
        for &place in places {
            let value = value.clone();
            shapes.push((format!("{name} at {place}"), Box::new(move |n| place.replace('@', &value(n)).into_bytes())));
        }
    }
    shapes
}

/// Hostile messages: `list` is the name of a list of messages in them, and `part` makes a message of parts.
fn whole_at(list: &'static str, part: fn(&str) -> String) -> impl Iterator<Item = (String, Build)> {
    let whole: [(&str, BuildText); 7] = [
        ("unknown members", Box::new(|n| format!("{{{}}}", members(n, "0")))),
        ("short unknown members", Box::new(|n| format!("{{{}}}", vec!["\"\":0"; n.max(1)].join(",")))),
        ("unknown members in each part", Box::new(move |n| part(&vec![r#"{"x":[0,0]}"#; n.max(1)].join(",")))),
        (
            "new enum names",
            Box::new(move |n| format!(r#"{{"{list}":[{}]}}"#, vec![r#"{"finishReason":"NEW"}"#; n.max(1)].join(","))),
        ),
        (
            "base64 of the other alphabet",
            Box::new(move |n| part(&format!(r#"{{"inlineData":{{"data":"{}"}}}}"#, "-_-_".repeat(16 * n)))),
        ),
        (
            "base64 with escapes",
            Box::new(move |n| part(&format!(r#"{{"inlineData":{{"data":"{}"}}}}"#, "\\u0041AAA".repeat(n)))),
        ),
        ("pictures", Box::new(move |n| part(&vec![r#"{"inlineData":{"data":"AAAA"}}"#; n.max(1)].join(",")))),
    ];
    whole.into_iter().map(|(name, build)| (name.to_owned(), Box::new(move |n| build(n).into_bytes()) as Build))
}

fn members(n: usize, value: &str) -> String {
    (0..n.max(1)).map(|i| format!("\"k{i}\":{value}")).collect::<Vec<_>>().join(",")
}

fn nested(depth: usize, inner: &str) -> String {
    format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth))
}

fn part(parts: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}}}}]}}"#)
}
