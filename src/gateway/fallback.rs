//! Which models a request is sent to: the one that it names, then those that the catalogue names in its place.

use crate::gemini::method::Method;
use crate::gemini::model::ModelName;
use crate::memory::Reservation;
use crate::reason::Retry;
use crate::upstream::{Answer, Error, Outgoing, Target, Upstream};

/// The models of one call.
pub(super) struct Models {
    /// The one that the request names.
    pub(super) asked: ModelName,
    /// Those to try if that one refuses the call, in this order. `None` if the catalogue names none for it; empty if
    /// the request or its caller rules out all of them.
    pub(super) fallbacks: Option<Vec<ModelName>>,
}

impl Models {
    /// What is asked of the first model, and whether there is another one.
    pub(super) fn first(&self, method: Method) -> (Target<'_>, bool) {
        let has_alternative = self.fallbacks.as_ref().is_some_and(|models| !models.is_empty());
        (Target::Action { model: &self.asked, method }, has_alternative)
    }

    /// Sends a request to the first model, and to the next one if a model refuses it ([`Error::allows_fallback`]),
    /// until one begins to answer. No model is asked twice, except for the retries of `upstream`.
    ///
    /// # Errors
    ///
    /// That of the model which was asked for, if all of them refuse: it is about the model that the caller knows. But
    /// if a model may have taken the request, its own error, because a retry could be billed twice.
    pub(super) async fn send(
        &self,
        upstream: &Upstream,
        outgoing: Outgoing<'_>,
        reserved: &mut Reservation,
    ) -> Result<Answer, Error> {
        let answer = upstream.send(&outgoing, reserved).await;
        match &self.fallbacks {
            None => answer,
            // In a box, so that the future of a call without fallbacks does not contain it.
            Some(models) => Box::pin(self.or_others(models, answer, upstream, outgoing, reserved)).await,
        }
    }

    async fn or_others<'a>(
        &'a self,
        fallbacks: &'a [ModelName],
        first: Result<Answer, Error>,
        upstream: &Upstream,
        mut outgoing: Outgoing<'a>,
        reserved: &mut Reservation,
    ) -> Result<Answer, Error> {
        let (mut models, mut used) = (fallbacks.iter().peekable(), &self.asked);
        let mut answer = first;
        let mut refusal = None;
        while matches!(&answer, Err(error) if error.allows_fallback())
            && let Target::Action { method, .. } = outgoing.target
            && let Some(model) = models.next()
        {
            if let Err(error) = answer {
                refusal.get_or_insert(error);
            }
            outgoing.context.falls_back();
            outgoing.target = Target::Action { model, method };
            outgoing.has_alternative = models.peek().is_some();
            answer = upstream.send(&outgoing, reserved).await;
            used = model;
        }
        if let (Err(error), Some(refusal)) = (&answer, refusal)
            && (error.allows_fallback() || error.retry() != Retry::Never)
        {
            (answer, used) = (Err(refusal), &self.asked);
        }
        outgoing.context.used_model(used.shared());
        answer
    }
}
