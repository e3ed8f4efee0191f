//! Scripts that the store runs: asked for by their hash, sent as a whole where the store does not know it.

use std::sync::Arc;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::connection::Connection;

/// A script, and the name by which the store knows it.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

/// What a script is run with.
#[derive(Debug, Default)]
pub(super) struct Invocation {
    keys: Vec<Arc<str>>,
    arguments: Vec<Argument>,
}

#[derive(Debug)]
enum Argument {
    Number(u64),
    Text(&'static str),
    Owned(String),
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    /// Runs it. A store that has been restarted does not know it; that costs a second round trip, once.
    pub(super) async fn run(&self, connection: &mut Connection, with: &Invocation) -> RedisResult<Value> {
        match connection.query(&with.command("EVALSHA", &self.hash)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.query(&with.command("EVAL", self.text)).await
            }
            other => other,
        }
    }
}

impl Invocation {
    /// Adds a key, and returns its index from 1.
    pub(super) fn key(&mut self, key: Arc<str>) -> u64 {
        self.keys.push(key);
        self.keys.len() as u64
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> &[Arc<str>] {
        &self.keys
    }

    pub(super) fn number(&mut self, number: u64) {
        self.arguments.push(Argument::Number(number));
    }

    pub(super) fn text(&mut self, text: &'static str) {
        self.arguments.push(Argument::Text(text));
    }

    pub(super) fn owned(&mut self, text: String) {
        self.arguments.push(Argument::Owned(text));
    }

    /// A list is its length and its elements.
    pub(super) fn list<T>(&mut self, elements: &[T], mut add: impl FnMut(&mut Self, &T)) {
        self.number(elements.len() as u64);
        elements.iter().for_each(|element| add(self, element));
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len());
        for key in &self.keys {
            command.arg(&**key);
        }
        for argument in &self.arguments {
            match argument {
                Argument::Number(number) => command.arg(*number),
                Argument::Text(text) => command.arg(*text),
                Argument::Owned(text) => command.arg(text),
            };
        }
        command
    }
}

/// The elements of a reply that is a list.
pub(super) fn elements(reply: Value) -> RedisResult<Vec<Value>> {
    match reply {
        Value::Array(elements) => Ok(elements),
        _ => Err(unexpected()),
    }
}

/// A number of a reply. The scripts return none below 0.
pub(super) fn number(value: Option<&Value>) -> RedisResult<u64> {
    match value {
        Some(Value::Int(number)) => u64::try_from(*number).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}

/// The store has replied with something else than its script returns.
pub(super) fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the reply of a script has another form").into()
}
