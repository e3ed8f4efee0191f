//! stub
use super::code::Code;
use std::time::{Duration, SystemTime};
#[derive(Debug)]
pub struct ErrorBody {
    pub code: Code,
    pub message: String,
    pub details: Vec<prost_types::Any>,
    pub reason: Option<String>,
    pub retry_after: Option<Duration>,
    pub daily_quota: bool,
    pub status: u16,
}
impl ErrorBody {
    pub fn parse(status: u16, _ct: &str, _ra: &str, _b: &[u8], _n: SystemTime, _keys: &[&str]) -> Self {
        Self {
            code: Code::Internal,
            message: "stub".into(),
            details: vec![],
            reason: None,
            retry_after: None,
            daily_quota: false,
            status,
        }
    }
    pub fn from_event(_b: &[u8], _n: SystemTime, _keys: &[&str]) -> Option<Self> {
        None
    }
}
