//! The status of a call, and its details.

use gemini_grpc::pb::rpc;
use prost::Message as _;
use tonic::{Code, Status};

/// Checks the code of a status, and the gateway's reason in its details.
#[track_caller]
pub fn assert_status(status: &Status, code: Code, reason: &str) {
    assert_eq!((status.code(), Details::of(status).reason().as_str()), (code, reason), "{}", status.message());
}

/// The details of an error, by type.
pub struct Details(pub Vec<prost_types::Any>);

impl Details {
    pub fn of(status: &Status) -> Self {
        let decoded = rpc::Status::decode(status.details()).unwrap();
        assert_eq!((decoded.code, decoded.message.as_str()), (status.code() as i32, status.message()));
        Self(decoded.details)
    }

    pub fn find<M: prost::Message + Default>(&self, name: &str) -> Option<M> {
        let url = format!("type.googleapis.com/google.rpc.{name}");
        self.0.iter().find(|any| any.type_url == url).map(|any| M::decode(&any.value[..]).unwrap())
    }

    pub fn info(&self) -> rpc::ErrorInfo {
        self.find("ErrorInfo").expect("every error has an ErrorInfo")
    }

    /// The reason of an error of the gateway.
    pub fn reason(&self) -> String {
        let info = self.info();
        assert_eq!(info.domain, "gemini-grpc");
        info.reason
    }
}
