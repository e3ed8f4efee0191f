//! Answers and errors word for word as public reports show them. As text, since some are no JSON by the letter.

/// The status, and the events that a stream has; an answer in one piece is the only event.
pub(super) fn find(fault: &str) -> Option<(u16, &'static [&'static str])> {
    REPORTED.iter().find(|(name, ..)| *name == fault).map(|(_, status, events)| (*status, *events))
}

/// The events, if it is not an error.
pub(super) fn answer(fault: &str) -> Option<&'static [&'static str]> {
    find(fault).filter(|(status, _)| *status == 200).map(|(_, events)| events)
}

const REPORTED: [(&str, u16, &[&str]); 16] = [
    (
        "surrogate",
        200,
        &[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"[sandbox] half: \ud83d"}]},"finishReason":"STOP"}]}"#,
        ],
    ),
    (
        "two-in-one-part",
        200,
        &[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"[sandbox] I ask:","functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}]}"#,
        ],
    ),
    (
        "empty-enum",
        200,
        &[r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"[sandbox] and"}]},"finishReason":""}]}"#],
    ),
    (
        "one-cut",
        200,
        &[
            r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"[sandbox] one"}]},"finishReason":"STOP"},{"index":1,"content":{"role":"model","parts":[{"text":"[sandbox] t"}]}}]}"#,
        ],
    ),
    (
        "odd-sidecar",
        200,
        &[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"[sandbox] odd","thoughtSignature":"AQIDB"}]},"finishReason":"STOP","safetyRatings":[null],"avgLogprobs":NaN}]}"#,
        ],
    ),
    ("nothing", 200, &[r#"{"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}}"#]),
    (
        "nested-error",
        429,
        &[
            r#"{"error":{"code":429,"status":"Too Many Requests","message":"{\"error\":{\"code\":429,\"message\":\"[sandbox] slow down\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"38s\"}]}}"}}"#,
        ],
    ),
    (
        "untyped-detail",
        400,
        &[
            r#"{"error":{"code":400,"message":"[sandbox] API key not valid","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
        ],
    ),
    (
        "wait-in-words",
        429,
        &[r#"{"error":{"code":429,"message":"[sandbox] Please retry in 47.43s.","status":"RESOURCE_EXHAUSTED"}}"#],
    ),
    (
        "key-suspended",
        403,
        &[
            r#"{"error":{"code":403,"message":"[sandbox] Consumer suspended","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"CONSUMER_SUSPENDED","domain":"googleapis.com","metadata":{"service":"generativelanguage.googleapis.com"}}]}}"#,
        ],
    ),
    (
        "halves",
        200,
        &[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"[sandbox] hi \ud83d"}]}}]}"#,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"\ude00"}]},"finishReason":"STOP"}]}"#,
        ],
    ),
    (
        "model-armor",
        200,
        &[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"[sandbox] I may"}]},"finishReason":"MODEL_ARMOR"}]}"#,
        ],
    ),
    (
        "other-reason",
        403,
        &[
            r#"{"error":{"code":403,"message":"[sandbox] not in this country","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"LOCATION_UNSUPPORTED","domain":"relay.example","metadata":{"service":"relay"}}]}}"#,
        ],
    ),
    (
        "wait-in-metadata",
        429,
        &[
            r#"{"error":{"code":429,"message":"[sandbox] later","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com","metadata":{"quotaResetDelay":"49.37s"}}]}}"#,
        ],
    ),
    (
        "daily-and-wait",
        429,
        &[
            r#"{"error":{"code":429,"message":"[sandbox] no more today","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"36s"}]}}"#,
        ],
    ),
    (
        "error-lines",
        400,
        &[
            r#"{"error":{"code":400,"message":"[sandbox] two things:\n* contents is empty\n* model is empty","status":"INVALID_ARGUMENT"}}"#,
        ],
    ),
];
