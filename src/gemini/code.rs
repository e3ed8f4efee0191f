//! The codes of `google.rpc.Code`, by number and by name, and the code for an HTTP status.

/// A gRPC status code, with its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // their names are gRPC's own
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// Every code, at the place of its number.
const CODES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

impl Code {
    /// The number on the wire, 0 to 16.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code of a number, if gRPC has it.
    pub fn from_number(number: u64) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        CODES.get(place).map(|(code, _)| *code)
    }

    /// The name as Google's REST errors write it: `RESOURCE_EXHAUSTED`.
    pub fn as_str(self) -> &'static str {
        CODES[usize::from(self.number())].1
    }

    /// The code of a name, if gRPC has it.
    pub fn from_name(name: &str) -> Option<Self> {
        CODES.iter().find(|(_, known)| *known == name).map(|(code, _)| *code)
    }

    /// The HTTP status of the code, as Google maps it (google/rpc/code.proto).
    pub fn to_http(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Unknown | Self::Internal | Self::DataLoss => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The code for the HTTP status of an error whose body names none.
    pub fn from_http(status: u16) -> Self {
        match status {
            300..=399 => Self::Unavailable,
            400 | 413 | 422 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            // Out of credit.
            402 => Self::ResourceExhausted,
            403 => Self::PermissionDenied,
            404 => Self::NotFound,
            408 => Self::DeadlineExceeded,
            409 => Self::Aborted,
            412 => Self::FailedPrecondition,
            416 => Self::OutOfRange,
            429 => Self::ResourceExhausted,
            499 => Self::Cancelled,
            _ if (400..500).contains(&status) => Self::FailedPrecondition,
            500 => Self::Internal,
            501 => Self::Unimplemented,
            502 | 503 => Self::Unavailable,
            504 => Self::DeadlineExceeded,
            // A CDN's own, when it cannot reach what is behind it.
            520..=529 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_number_and_its_name() {
        for number in 0..17 {
            let code = Code::from_number(number).expect("gRPC has 17 codes");
            assert_eq!(u64::from(code.number()), number);
            assert_eq!(Code::from_name(code.as_str()), Some(code));
        }
        assert_eq!(Code::from_number(17), None);
        assert_eq!(Code::from_name("TEAPOT"), None);
        assert_eq!(Code::from_name("not_found"), None);
    }
}
