//! stub
use bytes::Bytes;
#[derive(Clone, PartialEq, prost::Message)]
pub struct RequestView {
    #[prost(string, tag = "1")]
    pub model: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResponseView {
    #[prost(message, repeated, tag = "1")]
    pub candidates: Vec<CandidateView>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub prompt_feedback: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "18999")]
    pub additional_fields: Option<Bytes>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub struct CandidateView {
    #[prost(int32, tag = "2")]
    pub finish_reason: i32,
}
impl ResponseView {
    pub fn is_finished(&self) -> bool {
        self.prompt_feedback.is_some() || self.candidates.iter().any(|c| c.finish_reason != 0)
    }
}
