//! The media's part of a run: what the model does not take is read, and what came of it logged,
//! before the model is asked.

use antiphon_wire::{
    Content, InteractionEvent, Perceived, ProcessingCallStep, ProcessingResultStep, Step, StepDelta, StepDeltaEvent,
    StepHead, StepStart, StepStop, ThinkingSummaries, ThoughtStep,
};
use tracing::warn;

use super::{Left, Pending, Run, Work};
use crate::backend::{Signature, Thought};
use crate::media::{Derived, PERCEIVED, Unperceived, placed, tell};
use crate::phase::Input;
use crate::seal;
use crate::store::{ClosedStep, PastStep};

impl Run {
    /// Puts in their places what the log tells of media: they are read in their order, so those
    /// that an earlier process has read come first.
    pub(super) fn fill_known(&self, work: &mut Work) {
        let results = work.steps.iter().filter_map(|past| match &past.step {
            Step::ProcessingResult(result) => Some(result.signature.as_deref().unwrap_or_default()),
            _ => None,
        });
        let opened = results.map(|signature| self.engine.seal().open_perceived(self.project, signature));
        let known: Vec<_> = opened.map(|perceived| perceived.map_or_else(String::new, |known| known.told)).collect();
        let rest = work.unperceived.split_off(known.len().min(work.unperceived.len()));
        for (one, told) in std::mem::replace(&mut work.unperceived, rest).iter().zip(known) {
            one.fill(told, &mut work.base.messages);
        }
    }

    /// Reads the media one after the other.
    pub(super) async fn perceive(&mut self, work: &mut Work, pending: &mut Pending) -> Result<Input, Left> {
        // A slot of the model is another's meanwhile.
        work.ticket = None;
        for one in std::mem::take(&mut work.unperceived) {
            match self.read(work, &one, pending).await? {
                Ok(told) => one.fill(told, &mut work.base.messages),
                Err(input) => return Ok(input),
            }
        }
        work.ticket = Some(work.served.admission.rejoin(work.tier, work.background));
        Ok(Input::MediaRead)
    }

    /// Reads one medium; gives what the model is told of it, or what ended the reading.
    async fn read(
        &mut self,
        work: &mut Work,
        one: &Unperceived,
        pending: &mut Pending,
    ) -> Result<Result<String, Input>, Left> {
        let call_id = match work.open_media.take() {
            Some(id) => id,
            None => {
                let id = self.engine.call_id();
                let step = Step::ProcessingCall(ProcessingCallStep { id: id.clone(), ..ProcessingCallStep::default() });
                log(work, StepHead::ProcessingCall { id: id.clone() }, Vec::new(), step, pending);
                pending.append_to(&self.journal).await.map_err(Left::StoreFailed)?;
                id
            }
        };
        let perceiver = self.engine.perceiver();
        let derived = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(Err(Input::CancelRequested)),
            () = self.suspend.cancelled() => return Err(Left::Suspended),
            derived = perceiver.perceive(&one.medium) => derived,
        };
        let derived = match derived {
            Ok(derived) => derived,
            Err(error) => {
                warn!(interaction.id = %self.journal.id(), %error, "A medium could not be read");
                return Ok(Err(Input::TurnFailed(placed(error, &one.block).failure())));
            }
        };
        let (told, is_cut) = tell(one.number, one.medium.kind, &derived, work.limits.result_tokens);
        self.log_read(work, one, call_id, &derived, (told.as_str(), is_cut), pending);
        pending.append_to(&self.journal).await.map_err(Left::StoreFailed)?;
        Ok(Ok(told))
    }

    /// Logs what came of a medium: the result, which keeps what the model is told, and a thought
    /// that shows it. They are durable together.
    fn log_read(
        &self,
        work: &mut Work,
        one: &Unperceived,
        call_id: String,
        derived: &Derived,
        (told, is_cut): (&str, bool),
        pending: &mut Pending,
    ) {
        let (engine, project) = (&self.engine, self.project);
        let x_media = serde_json::to_value(Perceived {
            block: one.block.clone(),
            kind: one.medium.kind.as_str().to_owned(),
            route: "perceive".to_owned(),
            tools: derived.tools.clone(),
            sha256: one.sha256().to_owned(),
            seconds: derived.seconds,
            truncated: derived.truncated || is_cut,
            note: derived.note.clone(),
        })
        .ok();
        let sealed = seal::Perceived { key: one.key.clone(), told: told.to_owned() };
        let signature = Some(engine.seal().sign_perceived(project, &sealed, &*engine.ambient));
        let delta = StepDelta::ProcessingResult { signature: signature.clone(), x_media: x_media.clone() };
        let head = StepHead::ProcessingResult { call_id: call_id.clone() };
        let step = ProcessingResultStep { call_id, signature, x_media, ..ProcessingResultStep::default() };
        log(work, head, vec![delta], Step::ProcessingResult(step), pending);

        let empty = Signature { origin: Some(PERCEIVED.to_owned()), value: String::new() };
        let signature = engine.sign(project, &Thought { text: String::new(), signature: Some(empty) });
        let mut deltas = Vec::new();
        let mut summary = Vec::new();
        if self.summaries != Some(ThinkingSummaries::None) {
            summary.push(Content::text(told));
            deltas.push(StepDelta::ThoughtSummary { content: Content::text(told) });
        }
        deltas.push(StepDelta::ThoughtSignature { signature: signature.clone() });
        let step = ThoughtStep { signature: Some(signature), summary, ..ThoughtStep::default() };
        log(work, StepHead::Thought, deltas, Step::Thought(step), pending);
    }
}

/// Adds a whole step to the log.
fn log(work: &mut Work, head: StepHead, deltas: Vec<StepDelta>, step: Step, pending: &mut Pending) {
    let index = work.next_index;
    work.next_index += 1;
    pending.push(InteractionEvent::StepStart(StepStart { index, step: head }).into());
    for delta in deltas {
        pending.push(InteractionEvent::StepDelta(StepDeltaEvent { index, delta }).into());
    }
    pending.push(InteractionEvent::StepStop(StepStop { index, usage: None }).into());
    pending.closed.push(ClosedStep { index, step: step.clone(), trace: None });
    work.steps.push(PastStep { step, trace: None });
}
