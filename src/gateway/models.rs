//! Answers calls about models, from the catalogue or from upstream.

use std::pin::pin;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::Gateway;
use super::call::{Call, Message};
use super::callers::Admitted;
use super::config::Config;
use super::error::Error;
use super::format::Stop;
use super::translate::{Reading, translate_at_once, translate_on_another_thread};
use crate::gemini::catalog::Page;
use crate::gemini::json::{self, RequestLimits};
use crate::gemini::method::Method;
use crate::gemini::model::ModelName;
use crate::gemini::steps::Steps;
use crate::gemini::validate::Violations;
use crate::gemini::view;
use crate::memory::Reservation;
use crate::telemetry::CallPhase;
use crate::upstream::{self, Outgoing, Target};

/// The largest message of such a call, in bytes. It contains the name of a model, or the token of a page.
const MAX_QUERY_BYTES: usize = 16 << 10;

/// What a caller asks about models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelsQuery {
    /// A page of the list. A size of 0 and an empty token mean that none is given.
    List { page_size: i32, page_token: String },
    /// One model, with or without `models/`.
    Get { model: String },
}

/// The JSON of a message of `ListModels`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListRequest {
    #[serde(default)]
    page_size: i32,
    #[serde(default)]
    page_token: String,
}

/// A query that keeps to the rules.
enum Asked {
    List { page_size: i32, page_token: String },
    Get(ModelName),
}

impl ModelsQuery {
    /// Reads the wire bytes of a request of this method.
    ///
    /// # Errors
    ///
    /// The bytes are not such a request.
    pub fn from_wire(method: Method, message: &[u8]) -> Result<Self, Error> {
        if message.len() > MAX_QUERY_BYTES {
            let field = if method == Method::ListModels { "page_token" } else { "name" };
            let allowed = format_args!("the whole request has at most {MAX_QUERY_BYTES} bytes");
            return Err(Violations::only(field, "REQUEST_TOO_LONG", allowed).into());
        }
        let (limits, mut steps) = (RequestLimits::default(), Steps::unlimited());
        let request = json::request(method, &[message], limits, None, &mut steps).map_err(Error::Malformed)?;
        let unreadable = || Error::NotARequest { method: method.rpc() };
        if method == Method::GetModel {
            let model = view::model(message, &mut steps).map_err(|_| unreadable())?.to_owned();
            return Ok(Self::Get { model });
        }
        let ListRequest { page_size, page_token } = serde_json::from_slice(&request.json).map_err(|_| unreadable())?;
        Ok(Self::List { page_size, page_token })
    }

    fn check(self) -> Result<Asked, Violations> {
        match self {
            Self::List { page_size: ..0, .. } => {
                Err(Violations::only("page_size", "NUMBER_OUT_OF_RANGE", "a page has at least 1 model; 0 means 50"))
            }
            Self::List { page_size, page_token } => Ok(Asked::List { page_size, page_token }),
            Self::Get { model } => ModelName::parse(&model)
                .map(Asked::Get)
                .map_err(|error| Violations::only("name", "MODEL_INVALID", error)),
        }
    }
}

impl Asked {
    fn method(&self) -> Method {
        match self {
            Self::List { .. } => Method::ListModels,
            Self::Get(_) => Method::GetModel,
        }
    }

    fn target(&self) -> Target<'_> {
        match self {
            Self::List { page_size, page_token } => Target::Models { page_size: *page_size, page_token },
            Self::Get(model) => Target::Model(model),
        }
    }
}

impl Config {
    /// The answer of the catalogue, as Gemini's JSON.
    fn described(&self, asked: &Asked, admitted: &Admitted) -> Result<Value, Error> {
        let methods = [Method::CountTokens].into_iter().filter(|method| self.upstream_methods.contains(method));
        let methods: Vec<_> = Method::ALL.iter().copied().filter(|method| method.generates()).chain(methods).collect();
        let methods: Vec<_> = methods.into_iter().map(Method::action).collect();
        match asked {
            Asked::List { page_size, page_token } => {
                let models = self.catalog.listed().filter(|model| admitted.allow(&model.name).is_ok());
                let page = Page::of(models, usize::try_from(*page_size).unwrap_or_default(), page_token);
                let unknown = || {
                    Violations::only(
                        "page_token",
                        "PAGE_TOKEN_INVALID",
                        "it has to be the next_page_token of an earlier page",
                    )
                };
                Ok(page.ok_or_else(unknown)?.to_json(&methods))
            }
            Asked::Get(name) => {
                let model = self.catalog.listed().find(|model| model.name == *name);
                Ok(model.ok_or_else(|| Error::UnknownModel { model: name.clone() })?.to_json(&methods))
            }
        }
    }
}

impl Gateway {
    /// Answers a call about models.
    pub async fn models(&self, mut call: Call, query: ModelsQuery) -> Result<Message, Error> {
        let answer = self.describe_models(&mut call, query).await;
        call.end(answer.as_ref().err());
        answer
    }

    async fn describe_models(&self, call: &mut Call, query: ModelsQuery) -> Result<Message, Error> {
        call.permit = Some(self.shared.admission.admit()?);
        call.timer.uploaded(None);
        let asked = query.check()?;
        if let Asked::Get(name) = &asked
            && let Err(error) = call.admitted.allow(name)
        {
            call.accounting.span.refused_model(name.shared());
            return Err(Error::Caller(error));
        }
        call.accounting.spend_call();
        let (method, config) = (asked.method(), call.config.clone());
        let mut reading = Reading::new(call, method);
        let (json, mut reserved) = if config.upstream_methods.contains(&method) {
            call.accounting.span.set_phase(CallPhase::Awaiting);
            self.ask_upstream_for_models(call, &asked, &mut reading).await?
        } else {
            (config.described(&asked, &call.admitted)?.to_string().into(), call.reserved.take())
        };
        reserved.resize(reading.memory(json.len()));
        let piece = match translate_at_once(&json, &reading) {
            Err(Stop::Interrupted) => {
                let translation = translate_on_another_thread(self.shared.heavy.clone(), json, reading);
                call.timer.within_limits(pin!(translation)).await??
            }
            done => done.map_err(Stop::into_error)?,
        };
        call.accounting.span.set_phase(CallPhase::Sending);
        Ok(Message::only(reserved, piece.into_payload()))
    }

    /// Passes the question on. Upstream's answer stays as it came, except that a caller that may use certain models only
    /// sees no others.
    async fn ask_upstream_for_models(
        &self,
        call: &mut Call,
        asked: &Asked,
        reading: &mut Reading,
    ) -> Result<(Bytes, Reservation), Error> {
        let Call { timer, reserved, accounting, admitted, sdk, .. } = call;
        let (deadline, context) = (timer.deadline(), accounting.upstream_context());
        let (target, json) = (asked.target(), Bytes::new());
        let (keys, sdk) = (&admitted.keys, sdk.as_ref());
        let outgoing = Outgoing { target, keys, json, sdk, deadline, has_alternative: false, context };
        let theirs = |error| Error::upstream(error, admitted.owner);
        let answer = timer.within_limits(pin!(self.upstream.send(&outgoing, reserved))).await?;
        let answer = answer.map_err(theirs)?;
        reading.sent_with(answer.key());
        let mut body = answer.unary().map_err(theirs)?;
        while timer.within_limits(pin!(body.read_chunk())).await?.map_err(theirs)? {
            timer.upstream_progress();
        }
        let (json, reserved) = body.into_json().map_err(theirs)?;
        if !(admitted.is_limited_to_models() && matches!(asked, Asked::List { .. })) {
            return Ok((json, reserved));
        }
        let allowed = admitted.clone();
        // The list may be long.
        let filtering = self.shared.heavy.run(move |_| only_allowed(&json, &allowed));
        let json = timer.within_limits(pin!(filtering)).await??.map_err(theirs)?;
        Ok((json, reserved))
    }
}

/// The list without the models that a caller may not use.
fn only_allowed(json: &[u8], admitted: &Admitted) -> Result<Bytes, upstream::Error> {
    let unreadable = |_| upstream::Error::NotJson { content_type: "a list of models that cannot be read" };
    let mut list: Value = serde_json::from_slice(json).map_err(unreadable)?;
    if let Some(models) = list.get_mut("models").and_then(Value::as_array_mut) {
        models.retain(|model| {
            let name = model.get("name").and_then(Value::as_str).and_then(|name| ModelName::parse(name).ok());
            name.is_some_and(|name| admitted.allow(&name).is_ok())
        });
    }
    Ok(list.to_string().into())
}
