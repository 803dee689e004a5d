//! A model without any judgement: every line `DO {"name": …, "arguments": …}` that it is told,
//! wherever it stands, is a call that it makes, one a turn.

use std::sync::{Arc, Mutex};

use antiphon_engine::text_of;
use antiphon_engine::{Backend, BackendError, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, Prepared};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

#[derive(Clone, Default)]
pub(crate) struct Obedient {
    heard: Arc<Mutex<Vec<ModelRequest>>>,
}

impl Obedient {
    /// All that it was told, in words.
    pub(crate) fn heard(&self) -> String {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|request| lines(request).join("\n")).collect::<Vec<_>>().join("\n")
    }

    /// The instructions that it was given, a call each.
    pub(crate) fn instructions(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|request| request.system_instruction.clone().unwrap_or_default()).collect()
    }
}

#[async_trait]
impl Backend for Obedient {
    fn slots(&self) -> usize {
        4
    }

    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn prepare(&self, _request: &ModelRequest) -> Result<Prepared, BackendError> {
        Ok(Prepared { input_tokens: 1, ..Prepared::default() })
    }

    async fn generate(&self, request: ModelRequest, _prepared: Prepared) -> Result<ModelStream, BackendError> {
        let obeyed = request.messages.iter().map(|message| match message {
            Message::Model(turn) => turn.calls().count(),
            Message::User(_) | Message::Result(_) => 0,
        });
        let orders = orders(&request);
        let order = orders.get(obeyed.sum::<usize>());
        let mut events = vec![ModelEvent::Started { cached_tokens: 0 }];
        match order {
            Some(order) => {
                let name = order["name"].as_str().unwrap().to_owned();
                events.push(ModelEvent::CallStarted { name, tokens: vec![1] });
                events.push(ModelEvent::CallArguments { text: order["arguments"].to_string(), tokens: vec![2] });
            }
            None => events.push(ModelEvent::Text { text: "I have obeyed.".to_owned(), tokens: vec![1] }),
        }
        let reason = FinishReason::Stop;
        events.push(ModelEvent::Finished { reason, exact: false, thought_tokens: 0, output_tokens: 2 });
        self.heard.lock().unwrap().push(request);
        Ok(stream::iter(events.into_iter().map(Ok)).boxed())
    }
}

/// What it was told to do, each thing once.
fn orders(request: &ModelRequest) -> Vec<Value> {
    let mut orders = Vec::new();
    for line in lines(request) {
        if let Some((_, order)) = line.split_once("DO {") {
            let order = serde_json::from_str(&format!("{{{order}")).unwrap();
            if !orders.contains(&order) {
                orders.push(order);
            }
        }
    }
    orders
}

fn lines(request: &ModelRequest) -> Vec<String> {
    let told = request.messages.iter().map(|message| match message {
        Message::User(parts) => text_of(parts),
        Message::Model(turn) => turn.joined_text(),
        Message::Result(result) => result.text.clone(),
    });
    let told = request.system_instruction.clone().into_iter().chain(told).collect::<Vec<_>>();
    told.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
}
